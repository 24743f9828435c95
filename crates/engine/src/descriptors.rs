//! Descriptors: how many operations each has in flight, so that laws 5 and 6 hold on any backend.
//! It opens and closes nothing.

use crate::error::OpKind;
use crate::op::Descriptor;
use crate::slots::Key;

#[derive(Clone, Copy, Default)]
struct State {
    in_flight: u16,
    sending: bool,
    receiving: bool,
    closing: bool,
}

/// Operations in flight by descriptor number.
#[derive(Default)]
pub(crate) struct Descriptors {
    states: Vec<State>,
    /// Closes that wait for the last operation of their descriptor.
    waiting: Vec<(Descriptor, Key)>,
}

impl Descriptors {
    /// Which law an operation on this descriptor would break now.
    #[inline]
    pub(crate) fn misuse_of(
        &self,
        descriptor: Option<Descriptor>,
        kind: OpKind,
    ) -> Option<&'static str> {
        let Some(descriptor) = descriptor else { return None };
        let Ok(index) = usize::try_from(descriptor.0) else {
            return Some("a descriptor is not negative");
        };
        let state = self.states.get(index)?;
        if state.closing {
            return Some("nothing is submitted on a descriptor behind its close (law 6)");
        }
        match kind {
            OpKind::Send if state.sending => Some("one send is in flight per socket (law 5)"),
            OpKind::Receive | OpKind::ReceiveInto if state.receiving => {
                Some("one receive is in flight per socket")
            }
            _ if state.in_flight == u16::MAX => Some("a descriptor has 65,535 operations at most"),
            _ => None,
        }
    }

    pub(crate) fn is_in_use(&self, descriptor: Descriptor) -> bool {
        let state = usize::try_from(descriptor.0).ok().and_then(|index| self.states.get(index));
        state.is_some_and(|state| state.in_flight > 0 || state.closing)
    }

    #[inline]
    pub(crate) fn begin(&mut self, descriptor: Descriptor, kind: OpKind) {
        let state = self.state(descriptor);
        state.in_flight += 1;
        match kind {
            OpKind::Send => state.sending = true,
            OpKind::Receive | OpKind::ReceiveInto => state.receiving = true,
            _ => {}
        }
    }

    /// Counts an end; gives the close that may go now.
    #[inline]
    pub(crate) fn end(&mut self, descriptor: Descriptor, kind: OpKind) -> Option<Key> {
        let state = self.state(descriptor);
        state.in_flight -= 1;
        match kind {
            OpKind::Send => state.sending = false,
            OpKind::Receive | OpKind::ReceiveInto => state.receiving = false,
            _ => {}
        }
        if state.in_flight > 0 || !state.closing {
            return None;
        }
        let index = self.waiting.iter().position(|(waiting, _)| *waiting == descriptor)?;
        Some(self.waiting.swap_remove(index).1)
    }

    /// True: nothing is in flight, the close may go at once. False: it waits.
    pub(crate) fn begin_close(&mut self, descriptor: Descriptor, key: Key) -> bool {
        let state = self.state(descriptor);
        state.closing = true;
        let free = state.in_flight == 0;
        if !free {
            self.waiting.push((descriptor, key));
        }
        free
    }

    pub(crate) fn closed(&mut self, descriptor: Descriptor) {
        self.state(descriptor).closing = false;
    }

    #[inline]
    fn state(&mut self, descriptor: Descriptor) -> &mut State {
        let index = usize::try_from(descriptor.0).expect("checked when the operation was entered");
        if index >= self.states.len() {
            self.states.resize(index + 1, State::default());
        }
        &mut self.states[index]
    }
}
