//! The lobbies of a shard: the listeners of its application, what has come to each and nobody has taken,
//! and who waits for it.
//! It accepts nothing itself, and calls nobody.

use std::cell::{RefCell, RefMut};
use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;

use springtide_engine::{Descriptor, Key};

use crate::peer::{Peer, PeerId, PeerStatus, Reason};
use crate::table::Place;
use crate::task::{Ended, Tasks, Waiter};

/// The lobbies, by the numbers of their listeners, which are never used again.
#[derive(Default)]
pub(crate) struct Lobbies(RefCell<HashMap<u64, Lobby>>);

/// That of one listener.
pub(crate) struct Lobby {
    pub(crate) listener: Descriptor,
    /// The accept in flight, or the timeout behind which it is tried again.
    pub(crate) accept: Option<Key>,
    pub(crate) came: VecDeque<Came>,
    /// In the order in which they asked, which is that of their serial numbers.
    pub(crate) waiting: VecDeque<Waiting>,
}

/// What is asked of a listener.
pub(crate) enum LobbyAsk {
    /// There is one from here on.
    Open(OwnedFd),
    Close,
    Accept,
    /// A connection that came to it was not taken.
    TakeBack(PeerId, Place),
}

/// A connection that nobody has taken.
#[derive(Clone, Copy)]
pub(crate) enum Came {
    Accepted(Descriptor),
    /// It was given to somebody who did not take it.
    GivenBack(Peer),
}

/// Who waits for a connection.
pub(crate) struct Waiting {
    pub(crate) serial: u64,
    pub(crate) waiter: Waiter,
}

impl Lobbies {
    /// Nothing is accepted before somebody asks.
    pub(crate) fn open(&self, number: u64, listener: Descriptor) {
        let (accept, came, waiting) = Default::default();
        self.0.borrow_mut().insert(number, Lobby { listener, accept, came, waiting });
    }

    pub(crate) fn find(&self, number: u64) -> Option<RefMut<'_, Lobby>> {
        RefMut::filter_map(self.0.borrow_mut(), |all| all.get_mut(&number)).ok()
    }

    pub(crate) fn close(&self, number: u64) -> Option<Lobby> {
        self.0.borrow_mut().remove(&number)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// In order: what a simulated world does is the same again.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.0.borrow().keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    /// Everything open that belongs to them, but for connections that stand.
    pub(crate) fn descriptors(&self) -> Vec<Descriptor> {
        let numbers = self.numbers().into_iter();
        numbers.filter_map(|number| Some(self.find(number)?.descriptors())).flatten().collect()
    }

    /// Ends the task of a serial number, if it waits for a connection.
    pub(crate) fn cancel(&self, serial: u64, tasks: &Tasks) {
        let waiting = self.0.borrow_mut().values_mut().find_map(|lobby| {
            let index = lobby.waiting.binary_search_by_key(&serial, |own| own.serial).ok()?;
            lobby.waiting.remove(index)
        });
        // Who is told may bind a listener at once.
        if let Some(own) = waiting {
            own.fail(Reason::Cancelled, tasks);
        }
    }
}

impl Lobby {
    fn descriptors(&self) -> Vec<Descriptor> {
        let came = self.came.iter().filter_map(|came| match came {
            Came::Accepted(socket) => Some(*socket),
            Came::GivenBack(_) => None,
        });
        std::iter::once(self.listener).chain(came).collect()
    }

    /// The first who waits and still wants a connection, with the first connection.
    pub(crate) fn pair(&mut self, tasks: &Tasks) -> Option<(Waiting, Came)> {
        while self.waiting.front().is_some_and(|own| !tasks.is_wanted(&own.waiter)) {
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() {
            return None;
        }
        let is_there = |came: &Came| match came {
            Came::Accepted(_) => true,
            Came::GivenBack(peer) => tasks.places.status(*peer) != PeerStatus::Closed,
        };
        let came = std::iter::from_fn(|| self.came.pop_front()).find(is_there)?;
        self.waiting.pop_front().map(|own| (own, came))
    }
}

impl Waiting {
    pub(crate) fn fail(self, reason: Reason, tasks: &Tasks) {
        tasks.end(Peer::nobody(), self.waiter, Ended::Failed(reason));
    }
}
