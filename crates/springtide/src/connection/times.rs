//! What becomes of a connection by the time: how a slow peer is cut, how it grows old, how it ends
//! when the server does.
//! No request takes this way: it is gone when a deadline is due.

use super::{Connection, Patience, State};
use crate::limits::place_of;
use crate::room::Room;

impl Connection {
    /// When the wheel is to be asked for this connection, whatever it waits for; see
    /// [`Self::take_deadline_to_file`], which does not know how old it may become.
    pub(crate) fn take_next_to_file(&mut self, room: &Room) -> Option<u64> {
        let mut next_ms = self.deadline_ms(room);
        if self.state == State::Open && !self.session.ends_with_next() {
            next_ms = next_ms.min(self.old_ms(room));
        }
        let is_earlier = next_ms < self.filed_ms;
        is_earlier.then(|| {
            self.filed_ms = next_ms;
            next_ms
        })
    }

    const fn old_ms(&self, room: &Room) -> u64 {
        self.born_ms.saturating_add(room.limits.connection_age_max_ms)
    }

    /// A connection that is as old as it may become ends with its next request.
    pub(super) fn grow_old(&mut self, room: &Room) {
        let is_old = self.state == State::Open && room.now_ms >= self.old_ms(room);
        if is_old && !self.session.ends_with_next() {
            self.session.end_with_next();
            room.met.count(const { place_of("connection_age_max_ms") });
        }
    }

    /// Looks whether the peer takes what is sent to it.
    pub(super) fn look_at_send(&mut self, room: &mut Room) {
        self.since_ms = room.now_ms;
        let taken = room.requests.engine.borrow_mut().send_progress(self.send);
        let Some(taken) = taken else { return };
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        let is_stalled = traffic.patience.has_seen(taken);
        if !traffic.patience.is_over(taken, Patience::least(&room.limits)) {
            return;
        }
        room.counts.deadlines_total += 1;
        self.session.late("send_timeout");
        if is_stalled {
            let place = const { place_of("send_timeout_ms") };
            room.tell_limit(place, self.socket, format_args!("cut, because it reads nothing"));
        } else {
            let place = const { place_of("send_rate_min") };
            room.tell_limit(place, self.socket, format_args!("cut, because it reads too slowly"));
        }
        self.give_up(room);
    }

    /// The time is over that what had begun was given when the server was told to stop.
    pub(crate) fn cut(&mut self, room: &mut Room) {
        if self.state == State::Open {
            let place = const { place_of("drain_timeout_ms") };
            room.tell_limit(place, self.socket, format_args!("cut, because the server stops"));
        }
        self.give_up(room);
    }
}
