//! Listeners: accepting, pausing when descriptors are spent, moving to another shard.
//! A listener is closed only when no shard is left to take it over: closing resets its backlog.

mod freeze;

pub(crate) use freeze::FrozenListeners;

use std::path::Path;
use std::time::Duration;

use springtide_engine::{Completion, Descriptor, Error, Key, Moment, Op, Outcome};

use crate::events::Operation;
use crate::room::Room;

/// Tokens of accepts; the listener's number stands in the low bits.
pub(crate) const LISTENER_TOKEN: u64 = 1 << 60;
/// The token of the timeout after which accepting is tried again.
pub(crate) const RESUME_TOKEN: u64 = 2 << 60;
/// How long accepting pauses when descriptors are spent, unless a connection ends before.
const PAUSE_MS: u64 = 100;

/// The listeners of one shard.
#[derive(Default)]
pub(crate) struct Listeners {
    all: Vec<Listener>,
    is_paused: bool,
    /// The timeout in flight, and when it ends.
    resume: Option<(Key, Moment)>,
    /// A descriptor kept for the time when none is left: while accepting pauses it is free for
    /// what the open connections need, and no connection is accepted before it is held again.
    reserve: Option<Descriptor>,
}

/// The token of the close of the reserve.
const RESERVE_TOKEN: u64 = 5 << 60;

struct Listener {
    socket: Descriptor,
    /// The accept in flight.
    accept: Option<Key>,
    is_leaving: bool,
}

/// What a completion meant.
pub(crate) enum Accepted {
    Connection(Descriptor),
    /// A listener has no accept in flight any more and may go where it is to go.
    Free(Descriptor),
    Nothing,
    /// The listener can never accept again.
    Broken(Error),
}

impl Listeners {
    /// Starts to accept.
    pub(crate) fn add(&mut self, socket: Descriptor, room: &Room) {
        self.all.push(Listener { socket, accept: None, is_leaving: false });
        self.hold_reserve(room);
        self.accept_again(room);
    }

    /// Any descriptor does; a directory is one that every engine can open.
    fn hold_reserve(&mut self, room: &Room) -> bool {
        if self.reserve.is_none() {
            let mut engine = room.requests.engine.borrow_mut();
            self.reserve = engine.open_directory(Path::new("/")).ok();
        }
        self.reserve.is_some()
    }

    fn free_reserve(&mut self, room: &Room) {
        if let Some(descriptor) = self.reserve.take() {
            room.submit(Op::Close { descriptor }, RESERVE_TOKEN);
        }
    }

    fn accept_again(&mut self, room: &Room) {
        if self.is_paused {
            return;
        }
        for (number, listener) in (0u64..).zip(&mut self.all) {
            if listener.accept.is_none() && !listener.is_leaving {
                let op = Op::Accept { listener: listener.socket };
                listener.accept = Some(room.submit(op, LISTENER_TOKEN | number));
            }
        }
    }

    /// One completion of an accept.
    pub(crate) fn complete(&mut self, completion: Completion, room: &mut Room) -> Accepted {
        let number = usize::try_from(completion.token & !LISTENER_TOKEN).unwrap_or(usize::MAX);
        let Some(listener) = self.all.get_mut(number) else { return Accepted::Nothing };
        match completion.outcome {
            Outcome::Accepted(socket) => Accepted::Connection(socket),
            Outcome::Failed(error, _) => {
                listener.accept = None;
                if listener.is_leaving {
                    return Accepted::Free(listener.socket);
                }
                room.fails(Operation::Accept, error, None);
                match error {
                    Error::Cancelled => {
                        self.accept_again(room);
                        Accepted::Nothing
                    }
                    // Descriptors or memory of the system, or room in the engine.
                    error if error.is_exhausted() || matches!(error, Error::Limit(_)) => {
                        self.pause(room);
                        Accepted::Nothing
                    }
                    error => Accepted::Broken(error),
                }
            }
            _ => Accepted::Nothing,
        }
    }

    /// Accepts no more for a while: connections wait in the backlog.
    pub(crate) fn pause(&mut self, room: &mut Room) {
        if self.is_paused {
            return;
        }
        self.is_paused = true;
        room.counts.accepts_paused += 1;
        self.free_reserve(room);
        for accept in self.all.iter().filter_map(|listener| listener.accept) {
            room.requests.engine.borrow_mut().cancel(accept);
        }
        self.try_later(room);
    }

    fn try_later(&mut self, room: &Room) {
        let now = room.requests.engine.borrow().now();
        self.try_at(now + Duration::from_millis(PAUSE_MS), room);
    }

    fn try_at(&mut self, at: Moment, room: &Room) {
        self.resume = Some((room.submit(Op::Timeout { at }, RESUME_TOKEN), at));
    }

    /// A connection has ended, or the pause is over: accepts again if there is room.
    pub(crate) fn resume(&mut self, has_room: bool, room: &Room) {
        if !self.is_paused {
            return;
        }
        if let Some((timeout, _)) = self.resume.take() {
            room.requests.engine.borrow_mut().cancel(timeout);
        }
        if has_room && self.hold_reserve(room) {
            self.is_paused = false;
            self.accept_again(room);
        } else {
            self.try_later(room);
        }
    }

    /// Stops accepting for good; each listener is [`Accepted::Free`] when its accept has ended.
    /// Those without one are given at once.
    pub(crate) fn leave(&mut self, room: &Room) -> Vec<Descriptor> {
        let mut free = Vec::new();
        self.free_reserve(room);
        // A pause that is over in this turn has nothing to go on with.
        self.is_paused = false;
        if let Some((timeout, _)) = self.resume.take() {
            room.requests.engine.borrow_mut().cancel(timeout);
        }
        let mut engine = room.requests.engine.borrow_mut();
        for listener in &mut self.all {
            if listener.is_leaving {
                continue;
            }
            listener.is_leaving = true;
            match listener.accept {
                Some(accept) => engine.cancel(accept),
                None => free.push(listener.socket),
            }
        }
        free
    }

    pub(crate) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(crate) fn is_accepting(&self) -> bool {
        self.all.iter().any(|listener| listener.accept.is_some())
    }
}
