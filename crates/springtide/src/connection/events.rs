//! What a connection tells the events of its server.
//! Nobody is called here: what is to be told waits in the list of its shard.

use springtide_engine::Error;

use super::{Connection, State};
use crate::events::{Happened, Operation};
use crate::peer::Reason;
use crate::room::Room;
use crate::session::{Other, Session};

impl Connection {
    /// The system has taken so many bytes.
    #[inline]
    pub(super) fn count_sent(&self, bytes: usize, room: &mut Room) {
        room.counts.bytes_sent += bytes as u64;
        if room.has_events {
            self.has_written(bytes, room);
        }
    }

    #[cold]
    fn has_written(&self, bytes: usize, room: &Room) {
        // Behind its end nothing is told.
        if let Some(spoken) =
            self.session.spoken().filter(|_| self.state == State::Open && bytes > 0)
        {
            room.happens(self.who().peer(), Happened::Written(spoken, bytes));
        }
    }

    /// An operation has failed, which ends the connection.
    pub(super) fn operation_failed(&self, operation: Operation, error: Error, room: &Room) {
        if room.has_events && self.state == State::Open {
            room.fails(operation, error, Some(self.who().peer()));
            room.blame(self.id, Reason::of(error));
        }
    }

    /// It has ended: whoever was told of it hears so. Raw connections and WebSockets tell by themselves.
    #[inline]
    pub(super) fn has_ended(&self, room: &Room) {
        let is_told =
            !matches!(self.session, Session::Other(Other::Peered(_) | Other::Messaging(_)));
        if room.has_events && is_told {
            let reason = if self.is_ended { Reason::PeerClosed } else { Reason::Closed };
            if let Some(spoken) = self.session.spoken() {
                room.tell_closed(self.who().peer(), spoken, reason);
            }
        }
    }
}
