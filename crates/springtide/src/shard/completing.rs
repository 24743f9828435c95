//! What a completion is of, told by its token: mostly a connection's receive or send.
//! It handles nothing itself.

use springtide_engine::{Completion, Error, Outcome};

use super::connecting::{CONNECT_LATE_TOKEN, CONNECT_TOKEN};
use super::datagrams::{RECEIVE_FROM_TOKEN, SEND_TO_TOKEN};
use super::fs::FS_TOKEN;
use super::lobbies::LOBBY_TOKEN;
use super::{CLIENT_TOKEN, FILES_TOKEN, Shard};
use crate::connection::CLOSED_TOKEN;
use crate::events::Operation;
use crate::listener::{LISTENER_TOKEN, RESUME_TOKEN};
use crate::table::{PLACE_BITS, Place};

impl Shard {
    /// One completion.
    #[inline]
    pub(super) fn complete(&mut self, completion: Completion) -> Result<(), Error> {
        if completion.token >> PLACE_BITS != 0 {
            return self.complete_other(completion);
        }
        let place = Place::from_raw(completion.token);
        self.with(place, |connection, room| connection.complete(completion, room));
        self.answer_long_if_due();
        Ok(())
    }

    /// One completion of what no connection receives or sends.
    #[inline(never)]
    fn complete_other(&mut self, completion: Completion) -> Result<(), Error> {
        match completion.token >> PLACE_BITS << PLACE_BITS {
            CLOSED_TOKEN => self.closed(&completion),
            LISTENER_TOKEN => return self.accepted(completion),
            FILES_TOKEN => self.file_completed(completion),
            CLIENT_TOKEN => self.connected(completion),
            CONNECT_TOKEN => self.raw_connected(completion),
            RECEIVE_FROM_TOKEN | SEND_TO_TOKEN => self.post_completed(completion),
            FS_TOKEN => self.file_work_completed(completion),
            LOBBY_TOKEN => self.lobby_completed(completion),
            CONNECT_LATE_TOKEN if matches!(completion.outcome, Outcome::Expired) => {
                self.connect_is_late(&completion);
            }
            RESUME_TOKEN if matches!(completion.outcome, Outcome::Expired) => {
                self.listeners.resume(!self.is_full() && !self.is_short, &self.room);
            }
            _ => {}
        }
        Ok(())
    }

    /// A connection's close has ended; one that could not even begin leaves the descriptor open.
    pub(super) fn closed(&mut self, completion: &Completion) {
        let place = Place::from_raw(completion.token);
        if matches!(completion.outcome, Outcome::Failed(Error::Limit(_), _)) {
            self.with(place, |connection, room| connection.close_later(room));
            self.file(place);
        } else {
            if let Outcome::Failed(error, _) = completion.outcome {
                self.room.fails(Operation::Close, error, None);
            }
            // Whatever the system says of it, the descriptor is free.
            self.room.closed.push(place);
        }
    }
}
