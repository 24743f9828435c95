//! Descriptors: what each has in flight, so that laws 5 and 6 hold on any backend.
//! It opens and closes nothing; it says who must wait for whom.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::error::OpKind;
use crate::op::Descriptor;
use crate::sheet::Sheet;
use crate::slots::Key;

#[derive(Clone, Copy)]
struct State {
    /// The slot of its close, until that has completed; [`NOBODY`] otherwise. No other close has that
    /// slot meanwhile.
    closing: u32,
    /// Operations in flight, a close not counted.
    in_flight: u16,
    marks: u8,
}

/// No slot.
const NOBODY: u32 = u32::MAX;
/// A send is in flight.
const SENDING: u8 = 1;
/// A receive is, or an accept.
const RECEIVING: u8 = 2;
/// A shutdown waits for the send, or a close for everything.
const AWAITED: u8 = 4;
/// It is watched: in place of a receive, and who is told takes beside it.
const WATCHED: u8 = 8;

impl State {
    const IDLE: Self = Self { closing: NOBODY, in_flight: 0, marks: 0 };

    #[inline]
    const fn is(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }
}

const _: () = assert!(size_of::<State>() <= 8, "every descriptor number has one");

/// An operation that waits for others of its descriptor.
struct Waiting {
    kind: OpKind,
    key: Key,
}

/// Operations in flight by descriptor number.
pub(crate) struct Descriptors {
    states: Sheet<State>,
    /// By descriptor, so that thousands that end in one turn do not search each other's.
    waiting: HashMap<Descriptor, Vec<Waiting>>,
}

impl Default for Descriptors {
    fn default() -> Self {
        Self { states: Sheet::new(State::IDLE), waiting: HashMap::new() }
    }
}

impl Descriptors {
    /// Whether a descriptor has operations in flight, its close included.
    pub(crate) fn is_in_use(&self, descriptor: Descriptor) -> bool {
        let state = usize::try_from(descriptor.0).ok().and_then(|index| self.states.get(index));
        state.is_some_and(|state| state.in_flight > 0 || state.closing != NOBODY)
    }

    /// Counts a beginning. False: it waits for others, and `end` gives it back.
    ///
    /// # Errors
    /// Which law it would break; then it is not counted.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        descriptor: Descriptor,
        kind: OpKind,
        key: Key,
    ) -> Result<bool, &'static str> {
        let Ok(index) = usize::try_from(descriptor.0) else {
            return Err("a descriptor is not negative");
        };
        let state = self.states.at(index);
        if state.closing != NOBODY {
            return Err("nothing is submitted on a descriptor behind its close (law 6)");
        }
        if state.in_flight == u16::MAX && kind != OpKind::Close {
            return Err("a descriptor has 65,535 operations at most");
        }
        let mut waits = false;
        match kind {
            OpKind::Send | OpKind::SendTo if state.is(SENDING) => {
                return Err("one send is in flight per socket (law 5)");
            }
            OpKind::Send | OpKind::SendTo => state.marks |= SENDING,
            kind if receives(kind) && state.is(RECEIVING | WATCHED) => {
                return Err("one receive or accept is in flight per socket");
            }
            OpKind::WatchBytes => state.marks |= WATCHED,
            kind if receives(kind) => state.marks |= RECEIVING,
            OpKind::Shutdown => waits = state.is(SENDING),
            OpKind::Close => {
                waits = state.in_flight > 0;
                state.closing = key.index();
            }
            _ => {}
        }
        if kind != OpKind::Close {
            state.in_flight += 1;
        }
        if waits {
            state.marks |= AWAITED;
            self.waiting.entry(descriptor).or_default().push(Waiting { kind, key });
        }
        Ok(!waits)
    }

    /// Whether a receive is in flight, which may take what comes.
    pub(crate) fn is_receiving(&mut self, descriptor: Descriptor) -> bool {
        self.state(descriptor).is(RECEIVING)
    }

    /// Whether a send is in flight.
    pub(crate) fn is_sending(&mut self, descriptor: Descriptor) -> bool {
        self.state(descriptor).is(SENDING)
    }

    /// The system has given this number out. A close of the same number that has not completed
    /// yet has been done by then: it no longer concerns this descriptor.
    #[inline]
    pub(crate) fn arrive(&mut self, descriptor: Descriptor) {
        let state = self.state(descriptor);
        if state.closing != NOBODY {
            *state = State::IDLE;
        }
    }

    /// Counts an end; adds whatever waited for it and may go now. Whoever knows its kind takes no look at
    /// that here.
    #[inline(always)]
    pub(crate) fn end(
        &mut self,
        descriptor: Descriptor,
        kind: OpKind,
        key: Key,
        startable: &mut Vec<Key>,
    ) {
        let state = self.state(descriptor);
        match kind {
            OpKind::Close => {
                if state.closing == key.index() {
                    state.closing = NOBODY;
                }
                return;
            }
            OpKind::Send | OpKind::SendTo => state.marks &= !SENDING,
            OpKind::WatchBytes => state.marks &= !WATCHED,
            kind if receives(kind) => state.marks &= !RECEIVING,
            _ => {}
        }
        state.in_flight -= 1;
        if state.is(AWAITED) {
            self.start(descriptor, startable);
        }
    }

    /// Takes out what waits on a descriptor for what is no longer in flight.
    #[inline(never)]
    fn start(&mut self, descriptor: Descriptor, startable: &mut Vec<Key>) {
        let state = *self.state(descriptor);
        let Entry::Occupied(mut waiting) = self.waiting.entry(descriptor) else { return };
        waiting.get_mut().retain(|waiting| {
            let waits =
                if waiting.kind == OpKind::Close { state.in_flight > 0 } else { state.is(SENDING) };
            if !waits {
                startable.push(waiting.key);
            }
            waits
        });
        if waiting.get().is_empty() {
            waiting.remove();
            self.state(descriptor).marks &= !AWAITED;
        }
    }

    #[inline]
    fn state(&mut self, descriptor: Descriptor) -> &mut State {
        let index = usize::try_from(descriptor.0).expect("checked when the operation was entered");
        self.states.at(index)
    }
}

/// Whether an operation takes what has come to its socket, or waits for it.
#[inline]
const fn receives(kind: OpKind) -> bool {
    use OpKind::{Accept, AwaitBytes, Receive, ReceiveFrom, ReceiveInto, WatchBytes};
    matches!(kind, Receive | ReceiveInto | AwaitBytes | WatchBytes | ReceiveFrom | Accept)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number may be given out again before the completion of its close was seen: some files are
    /// closed by a worker of the kernel.
    #[test]
    fn a_number_may_come_back_before_its_close_completes() {
        let mut descriptors = Descriptors::default();
        let (seven, mut startable) = (Descriptor(7), Vec::new());
        let (old, new) = (Key::from_raw(1), Key::from_raw(2));
        let third = Key::from_raw(3);
        assert_eq!(descriptors.begin(seven, OpKind::Close, old), Ok(true));
        assert!(descriptors.begin(seven, OpKind::Receive, third).is_err());
        descriptors.arrive(seven);
        assert_eq!(descriptors.begin(seven, OpKind::Receive, third), Ok(true));
        let waits = descriptors.begin(seven, OpKind::Close, new);
        assert_eq!(waits, Ok(false), "it waits for the receive");
        descriptors.end(seven, OpKind::Close, old, &mut startable);
        let fourth = descriptors.begin(seven, OpKind::Send, Key::from_raw(4));
        assert!(fourth.is_err(), "the new close stands");
        descriptors.end(seven, OpKind::Receive, third, &mut startable);
        assert_eq!(startable, [new]);
    }

    /// A shutdown waits for the send, a close for both, and neighbours for neither.
    #[test]
    fn everybody_waits_for_their_own() {
        let mut descriptors = Descriptors::default();
        let mut startable = Vec::new();
        let key = |number, round| Key::from_raw(10 * number + round);
        for (number, socket) in (0..3_u64).zip((0..3).map(Descriptor)) {
            assert_eq!(descriptors.begin(socket, OpKind::Send, key(number, 0)), Ok(true));
            assert_eq!(descriptors.begin(socket, OpKind::Shutdown, key(number, 1)), Ok(false));
            assert_eq!(descriptors.begin(socket, OpKind::Close, key(number, 2)), Ok(false));
        }
        let one = Descriptor(1);
        descriptors.end(one, OpKind::Send, key(1, 0), &mut startable);
        assert_eq!(startable, [key(1, 1)]);
        descriptors.end(one, OpKind::Shutdown, key(1, 1), &mut startable);
        assert_eq!(startable, [key(1, 1), key(1, 2)]);
        descriptors.end(one, OpKind::Close, key(1, 2), &mut startable);
        assert!(!descriptors.is_in_use(one) && descriptors.is_in_use(Descriptor(2)));
        assert_eq!(descriptors.waiting.len(), 2, "what has gone leaves nothing behind");
    }
}
