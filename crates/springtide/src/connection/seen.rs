//! What is told of a connection to whoever looks at it from outside.
//! It only looks: nothing here changes a connection.

use springtide_engine::Key;
use springtide_proto::http1::Reading;

use super::{Connection, State};
use crate::admin::{ConnectionStatus, OpenConnection, named};
use crate::metrics::Protocol;
use crate::room::Room;
use crate::table::Place;

impl Connection {
    /// What a simulator sees of it; see [`MARKS`](crate::test::MARKS) for the order.
    pub(crate) fn view(&self) -> crate::test::View {
        let id = self.id.number();
        let (reading, writing, exchanges) = self.session.states();
        let state = |state| self.state == state;
        let marks = [
            state(State::Open),
            state(State::Lingering),
            state(State::Closing),
            self.is_paused,
            self.is_ready,
            self.send != Key::NONE,
            self.is_ended,
            self.is_over,
            self.is_leaving(),
        ];
        let traffic = self.traffic.as_ref();
        let inbox_bytes = traffic.map_or(0, |traffic| traffic.inbox.len());
        let outbox_bytes = traffic.map_or(0, |traffic| traffic.outbox.len());
        crate::test::View { id, reading, writing, exchanges, marks, inbox_bytes, outbox_bytes }
    }

    /// How it stands.
    pub(crate) fn seen(&self, shard: usize, room: &Room) -> OpenConnection {
        let address = room.requests.client_of(self.socket);
        OpenConnection {
            id: self.id.number(),
            shard,
            address: address.and_then(named),
            protocol: self.session.protocol(),
            status: self.status(),
            age_ms: room.now_ms.saturating_sub(self.born_ms),
            bytes_held: self.bytes_held(),
        }
    }

    /// What is spoken on it, where it was accepted and that is known.
    pub(crate) const fn spoken(&self) -> Option<Protocol> {
        self.session.spoken()
    }

    fn status(&self) -> ConnectionStatus {
        let (reading, _, exchanges) = self.session.states();
        match (self.state, reading) {
            (State::Lingering | State::Broken | State::Closing, _) => ConnectionStatus::Closing,
            _ if self.send != Key::NONE => ConnectionStatus::Sending,
            (_, Reading::Head | Reading::SizedBody | Reading::ChunkedBody) => {
                ConnectionStatus::Reading
            }
            _ if exchanges > 0 => ConnectionStatus::Handling,
            (_, Reading::Closed) => ConnectionStatus::Closing,
            _ => ConnectionStatus::Idle,
        }
    }

    /// Whether it is for its peer that it holds what it holds: to send the rest of a request while
    /// this side reads on, to read a reply, or to have asked for much behind what takes long.
    pub(crate) fn may_be_shed(&self) -> bool {
        match self.status() {
            ConnectionStatus::Sending => true,
            ConnectionStatus::Reading => self.needs_bytes || self.session.holds_replies(),
            _ => self.session.holds_replies(),
        }
    }

    pub(crate) const fn place(&self) -> Place {
        self.place
    }

    /// Bytes that it holds now: received and not handled, of a body, and not sent. What is being
    /// sent already, 1 MiB at most, is counted where there is a budget of memory only.
    pub(crate) fn bytes_held(&self) -> usize {
        let traffic = self.traffic.as_ref();
        let waiting =
            traffic.map_or(0, |own| own.inbox.len() + own.outbox.len() + own.sending_bytes);
        waiting + self.session.bytes_held()
    }
}
