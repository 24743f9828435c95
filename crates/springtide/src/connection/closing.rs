//! How a connection ends: behind its last reply, at once, or later where the engine had no room.
//! It closes nothing twice: a close that the system has seen, whatever it says, is done.

use springtide_engine::{Key, Op};
use springtide_proto::Outbox;

use super::{CLOSED_TOKEN, Connection, State};
use crate::room::{Room, Traffic};

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

    /// Whether it leads to another server by HTTP.
    pub(crate) const fn is_client(&self) -> bool {
        self.session.is_client()
    }

    /// Whether it was made from here.
    pub(crate) const fn is_outgoing(&self) -> bool {
        self.session.is_outgoing()
    }

    /// The last reply leaves. When the peer has said that its last request was the last one, and
    /// kept to it, there is nothing to wait for behind the reply: the close need not linger.
    pub(super) fn stop_receiving(&mut self, room: &Room) {
        let is_done = self.session.is_peer_done() && !self.has_excess && self.stage.is_none();
        if is_done && !self.is_over {
            self.is_over = true;
            room.requests.engine.borrow_mut().cancel(self.receive);
        }
    }

    /// The connection ends now, whatever waits.
    pub(crate) fn give_up(&mut self, room: &mut Room) {
        if self.state != State::Closing {
            self.submit_close(room);
        }
    }

    /// Everything was sent: ends the write half, and waits for the peer to end its own.
    pub(super) fn begin_close(&mut self, room: &mut Room) {
        if self.is_ended || (self.is_over && !self.has_excess) {
            return self.submit_close(room);
        }
        if self.session.wants_reset(false) {
            return self.submit_close(room);
        }
        self.session.ends(room);
        self.session.abandon(self.who(), room);
        self.has_ended(room);
        self.is_over = false;
        self.state = State::Lingering;
        self.since_ms = room.now_ms;
        self.is_paused = false;
        room.submit(Op::Shutdown { socket: self.socket }, self.place.raw());
        self.receive_again(room);
    }

    pub(super) fn submit_close(&mut self, room: &mut Room) {
        if self.state == State::Open {
            self.session.ends(room);
        }
        let has_unsent = self.send != Key::NONE
            || self.traffic.as_ref().is_some_and(|traffic| !traffic.outbox.is_empty());
        if self.session.wants_reset(has_unsent) {
            room.requests.engine.borrow_mut().reset_on_close(self.socket);
        }
        self.session.abandon(self.who(), room);
        self.has_ended(room);
        room.requests.take_source(self.socket);
        self.state = State::Closing;
        if let Some(traffic) = &mut self.traffic {
            **traffic = Traffic::default();
        }
        {
            let mut engine = room.requests.engine.borrow_mut();
            engine.cancel(self.receive);
            engine.cancel(self.send);
            let op = Op::Close { descriptor: self.socket };
            engine.submit(op, CLOSED_TOKEN | self.place.raw());
        }
        self.rest(room);
    }

    /// The engine had no room for the close: the descriptor is open.
    pub(crate) const fn close_later(&mut self, room: &Room) {
        self.state = State::Broken;
        self.since_ms = room.now_ms;
    }
}
