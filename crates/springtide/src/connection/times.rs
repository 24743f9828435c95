//! What becomes of a connection by the time: its deadlines, how a slow peer is cut, how it grows old,
//! how it ends when the server does.
//! No request takes this way: it is gone when a deadline is due.

use springtide_engine::Key;

use super::closing::CLOSE_AGAIN_MS;
use super::{Connection, NEVER, Patience, State};
use crate::limits::place_of;
use crate::peer::Reason;
use crate::room::Room;

/// How often in the time of its keepalive a connection is looked at that receives nothing.
const LOOKS: u64 = 4;
/// A keepalive of a few milliseconds, which no system has, is no reason for a look in every turn.
const LOOK_MS_MIN: u64 = 5;

impl Connection {
    /// The session's answer to a deadline, or the end of patience with a peer.
    pub(crate) fn on_due(&mut self, room: &mut Room) {
        self.filed_ms = NEVER;
        if self.is_held {
            return;
        }
        self.grow_old(room);
        if self.deadline_ms(room) > room.now_ms {
            return;
        }
        match self.state {
            State::Open if self.send != Key::NONE => self.look_at_send(room),
            // It has just moved: what came on the way is handled first, and this is filed again.
            State::Open if self.is_ready => {}
            State::Open if self.session_ms(room) > room.now_ms => self.look_at_peer(room),
            State::Open => {
                let who = self.who();
                let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
                self.session.on_deadline(who, &mut traffic.outbox, room);
                self.mark_dirty(room);
            }
            State::Lingering => {
                room.met.count(const { place_of("linger_timeout_ms") });
                self.submit_close(room);
            }
            State::Broken => self.submit_close(room),
            State::Closing => {}
        }
    }

    /// When something must have happened.
    #[inline]
    pub(super) fn deadline_ms(&self, room: &Room) -> u64 {
        match self.state {
            State::Open if self.send != Key::NONE => {
                self.since_ms + Patience::step_ms(room.limits.send_timeout_ms)
            }
            State::Open => self.session_ms(room).min(self.look_ms(room)),
            State::Lingering => self.since_ms.saturating_add(room.limits.linger_timeout_ms),
            State::Broken => self.since_ms + CLOSE_AGAIN_MS,
            State::Closing => NEVER,
        }
    }

    /// When the session wants to be told. While it did not ask for bytes and the server itself is
    /// behind, the peer is not to blame; one that has closed is answered in time even so.
    #[inline]
    fn session_ms(&self, room: &Room) -> u64 {
        if (self.is_paused || !self.needs_bytes)
            && self.is_behind()
            && !self.session.is_peered()
            && !self.session.is_asked()
        {
            return NEVER;
        }
        self.session.next_deadline_ms(room).unwrap_or(NEVER)
    }

    fn is_behind(&self) -> bool {
        self.is_paused || self.is_ready || self.has_more_to_handle()
    }

    /// When it is looked whether its peer is there still, where no receive would tell: it has ended its
    /// side, or is not received from. A server that has gone may have answered: who takes that finds
    /// out.
    #[inline]
    fn look_ms(&self, room: &Room) -> u64 {
        if self.receive != Key::NONE || self.is_client() || self.session.is_half_shut() {
            return NEVER;
        }
        let interval_ms = (room.limits.keepalive_ms / LOOKS).max(LOOK_MS_MIN);
        self.since_ms.saturating_add(interval_ms)
    }

    /// Nobody waits for what is being made for this connection, or somebody does.
    fn look_at_peer(&mut self, room: &mut Room) {
        self.since_ms = room.now_ms;
        let is_gone = room.requests.engine.borrow().is_peer_gone(self.socket);
        if is_gone {
            room.met.count(const { place_of("keepalive_ms") });
            room.blame(self.id, Reason::TimedOut("keepalive"));
            self.session.late("keepalive");
            self.give_up(room);
        }
    }

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
        room.blame(self.id, Reason::TimedOut("send_timeout"));
        self.session.late("send_timeout");
        if is_stalled {
            let place = const { place_of("send_timeout_ms") };
            room.tell_limit(place, self.socket, format_args!("cut, because it reads nothing"));
        } else {
            let place = const { place_of("send_rate_min") };
            room.tell_limit(place, self.socket, format_args!("cut, because it reads too slowly"));
        }
        self.cut_off(room);
    }

    /// Closes for a peer that does not take what it asked for, with a reset: behind an end of stream
    /// the system would keep what it has for as long as such a peer pleases.
    pub(crate) fn cut_off(&mut self, room: &mut Room) {
        room.requests.engine.borrow_mut().reset_on_close(self.socket);
        self.give_up(room);
    }

    /// The time is over that what had begun was given when the server was told to stop.
    pub(crate) fn cut(&mut self, room: &mut Room) {
        if self.state == State::Open {
            let place = const { place_of("drain_timeout_ms") };
            room.tell_limit(place, self.socket, format_args!("cut, because the server stops"));
            room.blame(self.id, Reason::Stopped);
        }
        let is_unsent = self.send != Key::NONE
            || self.traffic.as_ref().is_some_and(|traffic| !traffic.outbox.is_empty());
        if let Some(session) = self.session.peered() {
            session.cut(is_unsent);
        }
        self.give_up(room);
    }
}
