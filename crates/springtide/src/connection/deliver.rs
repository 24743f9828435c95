//! What was published for a connection goes to its session, and leaves at the turn's end.
//! No code of the application runs here.

use springtide_engine::{Descriptor, Key};
use springtide_proto::Piece;

use super::{Connection, State};
use crate::peer::PeerId;
use crate::room::Room;
use crate::session::{Other, Session};
use crate::table::Place;
use crate::topic::Delivery;

impl Connection {
    /// A message of a topic, or for this connection by its name.
    #[inline]
    pub(crate) fn deliver(&mut self, delivery: &Delivery, room: &mut Room) {
        if self.state != State::Open {
            return delivery.count_dropped(&mut room.counts);
        }
        match &mut self.session {
            Session::Other(Other::Messaging(session)) => {
                let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
                session.deliver(delivery, &mut traffic.outbox, room);
            }
            Session::Other(Other::Peered(session)) => session.deliver(delivery, room),
            _ => return delivery.count_dropped(&mut room.counts),
        }
        self.mark_dirty(room);
    }

    /// Its socket, where the frame of a message can be sent to it at once, as it is and by whoever gives it to
    /// others too: nothing waits to be sent to it. The message is counted then.
    #[inline]
    pub(crate) fn take_at_once(
        &mut self,
        delivery: &Delivery,
        room: &mut Room,
    ) -> Option<Descriptor> {
        let is_free = self.state == State::Open
            && self.send == Key::NONE
            && self.traffic.is_none()
            && self.stage.is_none()
            && !self.is_leaving()
            && !self.is_held;
        let Session::Other(Other::Messaging(session)) = &mut self.session else { return None };
        let is_taken = is_free && session.take_at_once(delivery, room);
        is_taken.then_some(self.socket)
    }

    /// The rest of a frame that was to be sent to it at once.
    #[cold]
    pub(crate) fn send_rest_of(&mut self, rest: Piece, room: &mut Room) {
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        traffic.outbox.push(rest);
        self.mark_dirty(room);
    }

    /// Its name and place, where something can be sent to it by that.
    pub(crate) fn named(&self) -> Option<(PeerId, Place)> {
        let is_so = matches!(
            self.session,
            Session::Other(Other::Messaging(_) | Other::Peered(_)) if self.state == State::Open
        );
        is_so.then_some((self.id, self.place))
    }
}
