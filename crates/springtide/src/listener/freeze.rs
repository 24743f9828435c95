//! Listeners as plain data: by address and descriptor, with nothing in flight.
//! What they accepted at the last is given to whoever freezes them, never closed.

use springtide_engine::{Address, Completion, Descriptor, Moment, Outcome};

use super::{Listener, Listeners};
use crate::room::Room;

/// A frozen listener.
#[derive(Debug)]
pub(crate) struct FrozenListener {
    /// Where it listens: a number alone says little.
    address: Option<Address>,
    pub(crate) socket: Descriptor,
}

/// The frozen listeners of a shard.
#[derive(Debug)]
pub(crate) struct FrozenListeners {
    pub(crate) all: Vec<FrozenListener>,
    is_paused: bool,
    /// When accepting is to be tried again, in nanoseconds of the clock.
    resume_at: Option<u64>,
    reserve: Option<Descriptor>,
}

impl FrozenListeners {
    /// Everything open that belongs to them.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = Descriptor> {
        self.all.iter().map(|listener| listener.socket).chain(self.reserve)
    }
}

impl Listeners {
    /// One completion while everything is being frozen: the connection it brought.
    pub(crate) fn absorb(completion: Completion) -> Option<Descriptor> {
        match completion.outcome {
            Outcome::Accepted(socket) => Some(socket),
            // Why an accept ended is found out again.
            _ => None,
        }
    }

    /// The listeners as plain data; nothing is in flight for them.
    pub(crate) fn freeze(&mut self, room: &Room) -> FrozenListeners {
        let Self { all, is_paused, resume, reserve } = std::mem::take(self);
        let resume_at = resume.map(|(_, at)| at.nanoseconds());
        let engine = room.requests.engine.borrow();
        // One that leaves and had no accept in flight is gone already.
        let own = all.into_iter().filter(|own| !own.is_leaving || own.accept.is_some());
        let all = own.map(|Listener { socket, accept: _, is_leaving: _ }| {
            let address = engine.local_address(socket).ok();
            FrozenListener { address, socket }
        });
        FrozenListeners { all: all.collect(), is_paused, resume_at, reserve }
    }

    /// The listeners that were frozen, accepting again unless they were paused.
    pub(crate) fn thaw(frozen: FrozenListeners, room: &Room) -> Self {
        let FrozenListeners { all, is_paused, resume_at, reserve } = frozen;
        let all = all.into_iter().map(|FrozenListener { address, socket }| {
            let bound = room.requests.engine.borrow().local_address(socket).ok();
            assert_eq!(bound, address, "the descriptor of a listener is handed over");
            Listener { socket, accept: None, is_leaving: false }
        });
        let mut own = Self { all: all.collect(), is_paused, resume: None, reserve };
        if let Some(at) = resume_at {
            own.try_at(Moment::from_nanoseconds(at), room);
        }
        own.accept_again(room);
        own
    }
}
