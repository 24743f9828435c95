//! Raw connections that are made from here: begun, ended when they take too long, and told.
//! Nobody's connection is kept: one that nobody waits for is closed.

use std::time::Duration;

use springtide_engine::{Address, Completion, Descriptor, Error, Key, Op, Outcome};

use super::{CLOSE_TOKEN, Shard};
use crate::connection::Connection;
use crate::peer::{Peer, PeerStatus, Reason};
use crate::session::peered::Peered;
use crate::session::{Other, Session};
use crate::table::{PLACE_BITS, Place};
use crate::task::{Ask, Connecting, Ended, Order, Stands, Waiter};

/// Tokens of the operations that connect.
pub(super) const CONNECT_TOKEN: u64 = 8 << PLACE_BITS;
/// Tokens of what ends them when they take too long.
pub(super) const CONNECT_LATE_TOKEN: u64 = 9 << PLACE_BITS;

impl Shard {
    /// What was asked of no connection.
    pub(super) fn obey_nobody(&self, order: &mut Order, serial: u64) {
        let (peer, waiter) = (order.peer, order.waiter.take());
        let tasks = &self.room.requests.tasks;
        match std::mem::replace(&mut order.ask, Ask::GoOn) {
            Ask::Connect(address) if self.standing.stopping.is_none() => {
                self.connect(address, serial, waiter);
            }
            Ask::Connect(_) => tasks.end(peer, waiter, Ended::Failed(Reason::Stopped)),
            Ask::Post(place, ask) => self.obey_post(place, *ask, serial, waiter),
            Ask::Cancel(serial) => {
                self.room.requests.post.cancel(serial, tasks);
                let mut connecting = tasks.connecting.borrow_mut();
                for place in connecting.places() {
                    let begun = connecting.get_mut(place).filter(|own| own.serial == serial);
                    if let Some(begun) = begun {
                        self.cut_connect(begun, Reason::Cancelled);
                    }
                }
            }
            _ => tasks.end(peer, waiter, Ended::Failed(Reason::Stale)),
        }
    }

    fn connect(&self, address: Address, serial: u64, waiter: Waiter) {
        let mut connecting = self.room.requests.tasks.connecting.borrow_mut();
        connecting.insert_with(|place| {
            let (connect, timeout) = self.begin_connect(&address, place);
            Connecting { address, serial, waiter, connect, timeout, cut: None }
        });
    }

    /// Begins to make a connection, which has its time from now on.
    fn begin_connect(&self, address: &Address, place: Place) -> (Key, Key) {
        let room = &self.room;
        room.requests.desk.enter();
        let limit = Duration::from_millis(room.limits.connect_timeout_ms);
        let at = room.requests.engine.borrow().now() + limit;
        let timeout = room.submit(Op::Timeout { at }, CONNECT_LATE_TOKEN | place.raw());
        let address = address.clone();
        (room.submit(Op::Connect { address }, CONNECT_TOKEN | place.raw()), timeout)
    }

    /// What was being made when the shard was frozen is made anew.
    pub(super) fn connect_again(&self) {
        let tasks = &self.room.requests.tasks;
        let mut connecting = tasks.connecting.borrow_mut();
        for place in connecting.places() {
            let cut = connecting.get_mut(place).and_then(|begun| begun.cut);
            if let Some(reason) = cut {
                if let Some(begun) = connecting.remove(place) {
                    tasks.end(Peer::nobody(), begun.waiter, Ended::Failed(reason));
                }
            } else if let Some(begun) = connecting.get_mut(place) {
                (begun.connect, begun.timeout) = self.begin_connect(&begun.address, place);
            }
        }
    }

    /// It takes too long.
    pub(super) fn connect_is_late(&self, token: u64) {
        let mut connecting = self.room.requests.tasks.connecting.borrow_mut();
        if let Some(begun) = connecting.get_mut(place_of(token)) {
            self.cut_connect(begun, Reason::TimedOut("connect_timeout"));
        }
    }

    /// The shard stops: nothing more is connected.
    pub(super) fn cut_connects(&self) {
        let mut connecting = self.room.requests.tasks.connecting.borrow_mut();
        for place in connecting.places() {
            if let Some(begun) = connecting.get_mut(place) {
                self.cut_connect(begun, Reason::Stopped);
            }
        }
    }

    /// Its task ends now; the operation may take turns, and what comes of it is closed.
    fn cut_connect(&self, begun: &mut Connecting, reason: Reason) {
        begun.cut.get_or_insert(reason);
        self.room.requests.engine.borrow_mut().cancel(begun.connect);
        let tasks = &self.room.requests.tasks;
        tasks.end(Peer::nobody(), begun.waiter.take(), Ended::Failed(reason));
    }

    /// A connection stands, or cannot be made.
    pub(super) fn raw_connected(&mut self, completion: Completion) {
        let tasks = &self.room.requests.tasks;
        let begun = tasks.connecting.borrow_mut().remove(place_of(completion.token));
        let Some(begun) = begun else { return };
        self.room.requests.engine.borrow_mut().cancel(begun.timeout);
        let (peer, ended) = match completion.outcome {
            Outcome::Connected(socket) if begun.cut.is_none() && tasks.is_wanted(&begun.waiter) => {
                let peer = self.open_outgoing(socket);
                (peer, Ended::Connected(Stands(peer.id(), peer.place())))
            }
            Outcome::Connected(socket) => {
                self.room.requests.desk.leave();
                self.room.submit(Op::Close { descriptor: socket }, CLOSE_TOKEN);
                (Peer::nobody(), Ended::Failed(begun.cut.unwrap_or(Reason::Cancelled)))
            }
            outcome => {
                self.room.requests.desk.leave();
                (Peer::nobody(), Ended::Failed(reason_of(&outcome, begun.cut)))
            }
        };
        self.room.requests.tasks.end(peer, begun.waiter, ended);
    }

    fn open_outgoing(&mut self, socket: Descriptor) -> Peer {
        let (id, room) = (self.standing.peers.next(), &self.room);
        room.requests.desk.stand();
        let place = self.connections.insert_with(|place| {
            let session = Session::Other(Other::Peered(Peered::outgoing(room)));
            Connection::open(place, id, socket, session, room)
        });
        self.room.requests.tasks.places.stand(Peer::new(id, place), PeerStatus::Open);
        self.file(place);
        Peer::new(id, place)
    }

    /// The same while the shard is being frozen: it is begun anew where the shard goes on, and what
    /// stands by then is closed.
    pub(super) fn absorb_raw_connected(completion: Completion) -> Option<Descriptor> {
        match completion.outcome {
            Outcome::Connected(socket) => Some(socket),
            _ => None,
        }
    }
}

fn reason_of(outcome: &Outcome, cut: Option<Reason>) -> Reason {
    match (outcome, cut) {
        (Outcome::Failed(Error::Cancelled, _), Some(reason)) => reason,
        (Outcome::Failed(error, _), _) => Reason::of(*error),
        _ => Reason::Stale,
    }
}

const fn place_of(token: u64) -> Place {
    Place::from_raw(token & ((1 << PLACE_BITS) - 1))
}
