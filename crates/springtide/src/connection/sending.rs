//! What leaves a connection: everything of a turn in one send, at once or as an operation.
//! It closes nothing, and never sends while a send is in flight (law 5).

use springtide_engine::{Key, Op, Piece};

use super::freeze::rest_of;
use super::{Connection, Patience, State};
use crate::limits::SEND_BYTES_MAX;
use crate::room::{Room, Traffic};
use crate::session::Session;

impl Connection {
    /// The end of the turn: everything that waits leaves in one send, or the connection ends.
    #[inline]
    pub(crate) fn flush(&mut self, room: &mut Room) {
        self.is_dirty = false;
        if matches!(self.session, Session::Other(_)) && self.prepare_flush(room) {
            return;
        }
        if self.is_leaving() {
            self.try_to_leave(room);
            if self.is_held {
                return self.leave_at_rest(room);
            }
        }
        if self.state == State::Open && self.send == Key::NONE {
            if self.traffic.as_ref().is_some_and(|traffic| !traffic.outbox.is_empty()) {
                if !room.sends_at_once || !self.send_only(room) {
                    self.send_pieces(room);
                }
            } else if self.session.wants_close() {
                self.begin_close(room);
            }
        }
        self.rest(room);
    }

    /// Whether anything waits for the end of what is to be sent, but for the session.
    #[inline]
    fn is_followed(&self, traffic: &Traffic) -> bool {
        !traffic.inbox.is_empty() || self.is_paused || self.is_leaving()
    }

    /// Sends at once all that waits, when nobody waits for its end: mostly it is one stretch of bytes
    /// and fits, and is no operation then. False when it was not that; nothing has happened.
    #[inline]
    fn send_only(&mut self, room: &mut Room) -> bool {
        let Some(traffic) = &self.traffic else { return false };
        let is_followed = self.is_followed(traffic) || self.is_ended;
        if self.stage.is_some() || is_followed || self.session.acts_on_sent() {
            return false;
        }
        let Some(bytes) = traffic.outbox.only(SEND_BYTES_MAX) else { return false };
        let sent = room.requests.engine.borrow_mut().send_bytes_now(self.socket, bytes);
        self.count_sent(sent, room);
        if sent < bytes.len() {
            self.send_rest(sent, room);
        } else if let Some(traffic) = &mut self.traffic {
            traffic.outbox.clear();
            self.session.sent(0, self.who(), room);
        }
        true
    }

    /// So much of what waits has gone: the rest is an operation.
    #[cold]
    fn send_rest(&mut self, sent: usize, room: &mut Room) {
        let Some(traffic) = &mut self.traffic else { return };
        let left = rest_of(room.pieces_of(&mut traffic.outbox), sent);
        let is_awaited = self.session.awaits_sent(room);
        self.submit_send(left, is_awaited, room);
    }

    /// Sends what waits, or as much of it as goes in one send.
    fn send_pieces(&mut self, room: &mut Room) {
        let Some(traffic) = &mut self.traffic else { return };
        let mut pieces = room.pieces_of(&mut traffic.outbox);
        if let Some(stage) = &mut self.stage {
            stage.seal(&mut pieces);
        }
        let Some(traffic) = &self.traffic else { return };
        let is_followed = !traffic.outbox.is_empty() || self.is_followed(traffic);
        let may_go = room.sends_at_once && !self.is_ended && !is_followed;
        if may_go && !self.session.acts_on_sent() {
            self.send_what_fits(pieces, room);
        } else {
            let is_awaited = is_followed || self.session.awaits_sent(room);
            self.submit_send(pieces, is_awaited, room);
            if self.session.wants_close() {
                self.stop_receiving(room);
            }
        }
    }

    /// Sends at once what nobody waits for, in several pieces.
    #[inline(never)]
    fn send_what_fits(&mut self, pieces: Vec<Piece>, room: &mut Room) {
        match self.send_now(pieces, room) {
            None => self.session.sent(0, self.who(), room),
            Some(left) => {
                let is_awaited = self.session.awaits_sent(room);
                self.submit_send(left, is_awaited, room);
            }
        }
    }

    /// Sends at once what fits, and gives what is left.
    #[inline]
    pub(super) fn send_now(&self, pieces: Vec<Piece>, room: &mut Room) -> Option<Vec<Piece>> {
        let length: usize = pieces.iter().map(|piece| piece.as_slice().len()).sum();
        let sent = room.requests.engine.borrow_mut().send_now(self.socket, &pieces);
        self.count_sent(sent, room);
        if sent < length {
            return Some(rest_of(pieces, sent));
        }
        room.put_pieces(pieces);
        None
    }

    /// Makes a send of pieces. A call of it would cost a hundredth of a request.
    #[inline(always)]
    pub(super) fn submit_send(&mut self, pieces: Vec<Piece>, is_awaited: bool, room: &Room) {
        if room.limits.memory_max != usize::MAX
            && let Some(traffic) = &mut self.traffic
        {
            traffic.sending_bytes = pieces.iter().map(|piece| piece.as_slice().len()).sum();
        }
        self.since_ms = room.now_ms;
        let op = Op::Send { socket: self.socket, pieces };
        self.send = room.send(op, self.place.raw(), is_awaited);
    }

    /// Gives traffic back in which nothing waits.
    #[inline]
    pub(super) fn rest(&mut self, room: &mut Room) {
        if let Some(traffic) = self.traffic.take_if(|traffic| traffic.is_idle()) {
            room.put_traffic(traffic);
        }
    }

    /// A send has ended well. Apart, so that the way of what is received stays short.
    #[inline(never)]
    pub(super) fn sent(&mut self, pieces: Vec<Piece>, room: &mut Room) {
        let bytes: usize = pieces.iter().map(|piece| piece.as_slice().len()).sum();
        self.count_sent(bytes, room);
        room.put_pieces(pieces);
        self.send = Key::NONE;
        self.all_sent(room);
    }

    /// What was to be sent has gone.
    #[inline(always)]
    pub(super) fn all_sent(&mut self, room: &mut Room) {
        let waiting = self.traffic.as_mut().map_or(0, |traffic| {
            traffic.patience = Patience::default();
            traffic.sending_bytes = 0;
            traffic.outbox.len()
        });
        if waiting == 0 && self.session.sends_file() {
            self.pass_file(room);
        }
        self.session.sent(waiting, self.who(), room);
        if self.has_more_to_handle() {
            self.handle_inbox(room);
        }
        self.balance(room);
        // Mostly nothing waits behind a reply: then there is nothing to flush, only a deadline.
        let has_more = self.traffic.is_some() || self.session.wants_flush() || self.is_leaving();
        if has_more || self.deadline_ms(room) < self.filed_ms {
            self.mark_dirty(room);
        }
    }
}
