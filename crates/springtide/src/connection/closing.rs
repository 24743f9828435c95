//! A close that the engine had no room for: it is asked for again.
//! It closes nothing twice: a close that the system has seen, whatever it says, is done.

use springtide_proto::Outbox;

use super::{Connection, State};
use crate::room::Room;

/// After how long a close is asked for again that found no room.
pub(super) const CLOSE_AGAIN_MS: u64 = 100;

impl Connection {
    /// Nothing can be sent any more, and what the peer has said is read still.
    pub(super) fn leave_unsent(&mut self, room: &mut Room) {
        if let Some(traffic) = &mut self.traffic {
            traffic.outbox = Outbox::new();
        }
        self.balance(room);
        self.mark_dirty(room);
    }

    /// Whether it leads to another server.
    pub(crate) const fn is_client(&self) -> bool {
        self.session.is_client()
    }

    /// The engine had no room for the close: the descriptor is open.
    pub(crate) const fn close_later(&mut self, room: &Room) {
        self.state = State::Broken;
        self.since_ms = room.now_ms;
    }
}
