//! How a WebSocket ends, and how its handler is told: once, behind everything else.
//! Nothing is called here: the handler is told from the list of what the shard has to tell.

use springtide_engine::Callback;
use springtide_proto::Outbox;
use springtide_proto::websocket::{CloseFrame, Due, code};

use super::Messaging;
use crate::limits::place_of;
use crate::peer::{Peer, PeerStatus, Reason};
use crate::room::Room;
use crate::session::Who;
use crate::task::{Ended, Ready};
use crate::websocket::{CloseReason, ClosedBy, Socket};

impl Messaging {
    /// Closes before everything that waits.
    pub(super) fn close_at_once(
        &mut self,
        code: u16,
        reason: &str,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        self.forget(&mut room.counts);
        let frame = CloseFrame::new(code, reason).unwrap_or_default();
        if self.machine.send_close(&frame, room.now_ms, None, outbox).is_ok() {
            self.end_by(ClosedBy::Here, frame);
        }
    }

    /// How it stands as whoever holds it sees it.
    pub(crate) fn status(&self) -> PeerStatus {
        match self.machine.may_send() && !self.is_closing() {
            true => PeerStatus::Open,
            false => PeerStatus::Closing,
        }
    }

    /// How it stands is told where it is about to end.
    pub(crate) fn tell_status(&self, who: Who, room: &Room) {
        if self.is_told() && self.status() != PeerStatus::Open {
            room.requests.tasks.places.stand(who.peer(), PeerStatus::Closing);
        }
    }

    /// The server stops: the peer is told behind what waits for it.
    pub(crate) fn drain(&mut self) {
        if self.machine.may_send() {
            let frame = CloseFrame::new(code::GOING_AWAY, "the server stops");
            self.rest().queue.close(frame.unwrap_or_default());
        }
    }

    /// The connection is lost, unless it has ended otherwise.
    pub(crate) fn lose(&mut self, reason: Reason) {
        self.end_by(ClosedBy::Lost(reason), CloseFrame::empty());
        self.machine.end_of_stream();
    }

    pub(in crate::session) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        let limits = &room.limits.websocket;
        match self.answers_at_ms(limits) {
            Some(at_ms) => Some(at_ms),
            // Whether its peer lives cannot be told by what is not read.
            None if self.holds_up() => None,
            None => self.machine.next_deadline(limits),
        }
    }

    pub(in crate::session) fn on_deadline(&mut self, outbox: &mut Outbox, room: &mut Room) {
        if self.holds_up() || self.next_deadline_ms(room).is_none_or(|at_ms| room.now_ms < at_ms) {
            return;
        }
        if self.is_asked() {
            room.counts.deadlines_total += 1;
            room.met.count(const { place_of("socket_close_timeout_ms") });
            return self.answer_late_close(outbox, room);
        }
        match self.machine.on_deadline(room.now_ms, &room.limits.websocket) {
            Some(Due::Ping) => {
                room.met.count(const { place_of("socket_ping_ms") });
                // It is open: that cannot fail.
                let _ = self.machine.send_ping(b"", None, outbox);
            }
            Some(Due::Gone(limit)) => {
                room.counts.deadlines_total += 1;
                room.met.count(match limit {
                    "socket_dead_ms" => const { place_of("socket_dead_ms") },
                    _ => const { place_of("socket_close_timeout_ms") },
                });
                let limit = limit.strip_suffix("_ms").unwrap_or(limit);
                self.lose(Reason::TimedOut(limit));
            }
            None => {}
        }
    }

    /// The connection is gone: its handler is told.
    pub(in crate::session) fn abandon(&mut self, who: Who, room: &mut Room) {
        let (handler, rest) = (self.handler.take(), self.rest.as_mut());
        let awaited = rest.and_then(|rest| rest.awaited.take());
        if handler.is_none() && awaited.is_none() {
            return;
        }
        // It may be in the budget of the next connection.
        self.compressing = None;
        if let Some(rest) = &mut self.rest {
            rest.dedicated = None;
        }
        self.forget(&mut room.counts);
        let rest = self.rest.as_mut();
        let (end, dropped) = rest.map_or((None, 0), |rest| (rest.end.take(), rest.queue.dropped));
        let (by, frame) = end.unwrap_or((ClosedBy::Lost(Reason::Closed), CloseFrame::empty()));
        let reason = CloseReason { by, frame, sent: self.sent, dropped };
        let tasks = &room.requests.tasks;
        tasks.places.fall(who.peer());
        self.end_waiting(who.peer(), by, room);
        self.rest = None;
        let known = room.has_events.then(|| reason.clone());
        if let Some(own) = awaited {
            own.end(reason, room);
        } else if let Some(handler) = handler {
            let tell = move |(peer, _): (Peer, Ended)| handler.closed(Socket::new(peer), reason);
            room.requests.tasks.tell(Ready::Call(Callback::new(tell), who.peer(), Ended::Done));
        }
        if let Some(reason) = known {
            room.tell_socket_closed(who.peer(), reason);
        }
    }
}
