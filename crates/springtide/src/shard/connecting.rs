//! Raw connections that are made from here: begun, ended when they take too long, and told.
//! Nobody's connection is kept: one that nobody waits for is closed.

use std::net::SocketAddr;
use std::time::Duration;

use springtide_engine::{Completion, Descriptor, Error, Op, Outcome};

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
    pub(super) fn obey_nobody(&self, order: Order, serial: u64) {
        let Order { peer, ask, waiter } = order;
        let tasks = &self.room.requests.tasks;
        match ask {
            Ask::Connect(address) if self.standing.stopping.is_none() => {
                self.connect(address, serial, waiter);
            }
            Ask::Connect(_) => tasks.end(peer, waiter, Ended::Failed(Reason::Stopped)),
            Ask::Cancel(serial) => {
                let connecting = tasks.connecting.borrow();
                if let Some(begun) = connecting.iter().find(|own| own.serial == serial) {
                    self.room.requests.engine.borrow_mut().cancel(begun.connect);
                }
            }
            _ => tasks.end(peer, waiter, Ended::Failed(Reason::Stale)),
        }
    }

    fn connect(&self, address: SocketAddr, serial: u64, waiter: Waiter) {
        let (room, tasks) = (&self.room, &self.room.requests.tasks);
        room.requests.desk.enter();
        let at = room.requests.engine.borrow().now()
            + Duration::from_millis(room.limits.connect_timeout_ms);
        tasks.connecting.borrow_mut().insert_with(|place| Connecting {
            serial,
            waiter,
            timeout: room.submit(Op::Timeout { at }, CONNECT_LATE_TOKEN | place.raw()),
            connect: room.submit(Op::Connect { address }, CONNECT_TOKEN | place.raw()),
            is_late: false,
        });
    }

    /// It takes too long.
    pub(super) fn connect_is_late(&self, token: u64) {
        let mut connecting = self.room.requests.tasks.connecting.borrow_mut();
        if let Some(begun) = connecting.get_mut(place_of(token)) {
            begun.is_late = true;
            self.room.requests.engine.borrow_mut().cancel(begun.connect);
        }
    }

    /// A connection stands, or cannot be made.
    pub(super) fn raw_connected(&mut self, completion: Completion) {
        let tasks = &self.room.requests.tasks;
        let begun = tasks.connecting.borrow_mut().remove(place_of(completion.token));
        let Some(begun) = begun else { return };
        self.room.requests.engine.borrow_mut().cancel(begun.timeout);
        let (peer, ended) = match completion.outcome {
            Outcome::Connected(socket) if tasks.is_wanted(&begun.waiter) => {
                let peer = self.open_outgoing(socket);
                (peer, Ended::Connected(Stands(peer.id(), peer.place())))
            }
            Outcome::Connected(socket) => {
                self.room.requests.desk.leave();
                self.room.submit(Op::Close { descriptor: socket }, CLOSE_TOKEN);
                return;
            }
            outcome => {
                self.room.requests.desk.leave();
                (Peer::nobody(), Ended::Failed(reason_of(&outcome, begun.is_late)))
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
        self.room.requests.tasks.places.stand(place, PeerStatus::Open);
        self.file(place);
        Peer::new(id, place)
    }

    /// The same while the shard is being frozen: what stands by then is closed where it is thawed.
    pub(super) fn absorb_raw_connected(&self, completion: Completion) -> Option<Descriptor> {
        let tasks = &self.room.requests.tasks;
        let begun = tasks.connecting.borrow_mut().remove(place_of(completion.token))?;
        self.room.requests.desk.leave();
        tasks.end(Peer::nobody(), begun.waiter, Ended::Failed(Reason::Cancelled));
        match completion.outcome {
            Outcome::Connected(socket) => Some(socket),
            _ => None,
        }
    }
}

fn reason_of(outcome: &Outcome, is_late: bool) -> Reason {
    match outcome {
        Outcome::Failed(Error::Cancelled, _) if is_late => Reason::TimedOut("connect_timeout"),
        Outcome::Failed(error, _) => Reason::of(*error),
        _ => Reason::Stale,
    }
}

const fn place_of(token: u64) -> Place {
    Place::from_raw(token & ((1 << PLACE_BITS) - 1))
}
