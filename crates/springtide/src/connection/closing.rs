//! A close that the engine had no room for: it is asked for again.
//! It closes nothing twice: a close that the system has seen, whatever it says, is done.

use super::{Connection, State};
use crate::room::Room;

/// After how long a close is asked for again that found no room.
pub(super) const CLOSE_AGAIN_MS: u64 = 100;

impl Connection {
    /// The engine had no room for the close: the descriptor is open.
    pub(crate) const fn close_later(&mut self, room: &Room) {
        self.state = State::Broken;
        self.since_ms = room.now_ms;
    }
}
