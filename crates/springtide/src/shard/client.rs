//! Connections that handlers of a shard have to other servers: how they begin and who counts them.
//! They live among the shard's other connections, and end as those do.

use springtide_engine::{Completion, Descriptor, Op, Outcome};

use super::{CLOSE_TOKEN, Shard};
use crate::client::ClientError;
use crate::connection::Connection;
use crate::session::{Other, Session, Upstream};
use crate::table::Place;

/// Tokens of the operations that connect.
pub(crate) const CLIENT_TOKEN: u64 = 7 << 60;

impl Shard {
    /// A connection stands, or cannot be made.
    pub(super) fn connected(&mut self, completion: Completion) {
        let place = Place::from_raw(completion.token);
        let desk = &self.room.requests.desk;
        let line = desk.take_connecting(place);
        let socket = match completion.outcome {
            Outcome::Connected(socket) => socket,
            outcome => {
                desk.leave();
                if let (Outcome::Failed(error, _), Some(line)) = (outcome, line) {
                    line.refused(ClientError::Broken(error));
                }
                return;
            }
        };
        let Some(line) = line.filter(|line| line.is_wanted()) else {
            desk.leave();
            self.room.submit(Op::Close { descriptor: socket }, CLOSE_TOKEN);
            return;
        };
        desk.stand();
        let (id, room) = (self.standing.peers.next(), &self.room);
        let place = self.connections.insert_with(|place| {
            let session =
                Session::Other(Other::Upstream(Box::new(Upstream::new(line, place, room))));
            Connection::open(place, id, socket, session, room)
        });
        self.file(place);
    }

    /// The socket of a connection that was made while the shard was being frozen: nobody waits for it.
    pub(super) fn absorb_connected(&self, completion: Completion) -> Option<Descriptor> {
        let line = self.room.requests.desk.take_connecting(Place::from_raw(completion.token));
        if let Some(line) = line {
            line.refused(ClientError::Ended);
        }
        match completion.outcome {
            Outcome::Connected(socket) => Some(socket),
            _ => None,
        }
    }

    /// What its clients have: see [`Desk::waiting`](crate::client::Desk::waiting).
    #[cfg(test)]
    pub(crate) fn at_desk(&self) -> [usize; 4] {
        self.room.requests.desk.waiting()
    }

    /// Cancels what is connecting and not waited for any more.
    pub(super) fn cancel_withdrawn(&self) {
        let withdrawn = self.room.requests.desk.take_withdrawn();
        if withdrawn.is_empty() {
            return;
        }
        let mut engine = self.room.requests.engine.borrow_mut();
        for key in withdrawn {
            engine.cancel(key);
        }
    }
}
