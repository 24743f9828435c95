//! WebSockets whose handler is a future: what it is given, what waits for it, and how it ends.
//! Nothing of it runs here: it is polled by its shard, which it asks for what it says.

use std::rc::Rc;

use http::StatusCode;
use springtide_proto::Outbox;
use springtide_proto::http1::Exchange;
use springtide_proto::websocket::{CloseFrame, Limits, code};

use super::{Messaging, ROUTE};
use crate::executor::Origin;
use crate::peer::PeerStatus;
use crate::room::Room;
use crate::session::Who;
use crate::table::Place;
use crate::task::Ask;
use crate::websocket::{CloseReason, ClosedBy, Inlet, Make, MessagePart, Said, Socket, normal};

/// The future of a connection.
pub(super) struct Awaited {
    inlet: Rc<Inlet>,
    /// None once it has ended.
    future: Option<Place>,
    /// The peer's close, which is answered behind the messages before it; and when it came.
    asked: Option<(CloseFrame, u64)>,
    /// Nothing is read, because it does not ask for what has come.
    holds_up: bool,
}

impl Awaited {
    /// Begins the future of a connection, which is polled in this turn.
    #[expect(clippy::cast_possible_truncation, reason = "there is no route of that number")]
    pub(super) fn begin(make: &Make, who: Who, room: &mut Room) -> Self {
        let (inlet, messages) = Inlet::new(who.peer(), room.limits.inbox_bytes_max, &room.requests);
        let origin = Origin { connection: who.place, route: ROUTE as u32, takes_gzip: None };
        let begin = |_| make(Socket::new(who.peer()), messages);
        let future = room.executor.begin(origin, Exchange::named(0), false, begin);
        Self { inlet, future: Some(future), asked: None, holds_up: false }
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.inlet.bytes_held()
    }

    /// Nothing more comes: it is polled with that once more where it waits for that, and dropped.
    pub(super) fn end(self, reason: CloseReason, room: &mut Room) {
        self.inlet.end(reason);
        room.executor.gone.extend(self.future);
    }
}

impl Messaging {
    pub(super) fn awaited(&self) -> Option<&Awaited> {
        self.rest.as_ref().and_then(|rest| rest.awaited.as_deref())
    }

    fn awaited_mut(&mut self) -> Option<&mut Awaited> {
        self.rest.as_mut().and_then(|rest| rest.awaited.as_deref_mut())
    }

    /// The future that has the connection.
    pub(crate) fn future(&self) -> Option<Place> {
        self.awaited().and_then(|own| own.future)
    }

    /// It stands here behind a freeze.
    pub(in crate::session) fn arrive(&self, who: Who, room: &mut Room) {
        let Some(own) = self.awaited() else { return };
        if let Some(waiting) = own.future.and_then(|future| room.executor.get_mut(future)) {
            waiting.connection = who.place;
        }
    }

    /// Gives the future what has come.
    pub(super) fn give(&self, part: MessagePart) {
        if let Some(own) = self.awaited() {
            own.inlet.push(part);
        }
    }

    /// Notes whether nothing is read before the future asks for what has come, and gives that; what comes
    /// behind a close of this side holds nothing up, because it is thrown away.
    pub(super) fn note_held_up(&mut self, room: &Room) -> bool {
        // Mostly a handler is called, and none is.
        self.awaited().is_some() && self.note_held_up_by_future(room)
    }

    #[inline(never)]
    fn note_held_up_by_future(&mut self, room: &Room) -> bool {
        let is_open = self.status() == PeerStatus::Open;
        let Some(own) = self.awaited_mut() else { return false };
        let holds_up = is_open && own.inlet.is_full();
        if std::mem::replace(&mut own.holds_up, holds_up && own.inlet.is_behind()) && !holds_up {
            // That while was not the peer's.
            self.machine.resume(room.now_ms);
        }
        holds_up
    }

    /// Whether the end of the peer's stream is to wait for the future.
    pub(super) fn is_waited_for(&self) -> bool {
        self.awaited().is_some_and(|own| self.machine.may_send() && own.inlet.is_behind())
    }

    /// The peer has closed: it is answered behind the messages before that, when the future has done
    /// with them. True where that is so already.
    pub(super) fn is_answered_now(&mut self, frame: &CloseFrame, now_ms: u64) -> bool {
        let is_over = !self.machine.may_send();
        match self.awaited_mut() {
            Some(own) if !is_over && own.inlet.is_behind() => {
                own.asked = Some((frame.clone(), now_ms));
                self.end_by(ClosedBy::Peer, frame.clone());
                false
            }
            _ => true,
        }
    }

    /// Answers a close that waited for the future, if it waits no longer.
    pub(super) fn answer_asked(&mut self, outbox: &mut Outbox, room: &mut Room) {
        let asked = self.awaited_mut().and_then(|own| {
            let is_ready = own.asked.is_some() && !own.inlet.is_behind();
            own.asked.take_if(|_| is_ready)
        });
        if let Some((frame, _)) = asked {
            self.answer_close(frame, outbox, room);
        }
    }

    /// Whether nothing was read when that was noted last, because the future does not ask for what has
    /// come; never behind a close of this side.
    pub(crate) fn holds_up(&self) -> bool {
        self.awaited().is_some_and(|own| own.holds_up && own.asked.is_none())
            && self.status() == PeerStatus::Open
    }

    /// Whether a close waits for the future.
    pub(in crate::session) fn is_asked(&self) -> bool {
        self.awaited().is_some_and(|own| own.asked.is_some())
    }

    /// When a close is answered whatever the future does.
    pub(super) fn answers_at_ms(&self, limits: &Limits) -> Option<u64> {
        let (_, since_ms) = self.awaited()?.asked.as_ref()?;
        Some(since_ms.saturating_add(limits.socket_close_timeout_ms))
    }

    /// Its time is over.
    pub(super) fn answer_late_close(&mut self, outbox: &mut Outbox, room: &mut Room) {
        if let Some((frame, _)) = self.awaited_mut().and_then(|own| own.asked.take()) {
            self.answer_close(frame, outbox, room);
        }
    }

    pub(super) fn answer_close(&mut self, frame: CloseFrame, outbox: &mut Outbox, room: &mut Room) {
        self.forget(&mut room.counts);
        self.machine.answer_close(&frame, room.now_ms, None, outbox);
        self.end_by(ClosedBy::Peer, frame);
    }

    /// The future has ended; none when it panicked. What it said before is still to be done.
    pub(in crate::session) fn future_ended(&mut self, status: Option<StatusCode>, room: &mut Room) {
        room.counts.panics_total += u64::from(status.is_none());
        let Some(own) = self.awaited_mut() else { return };
        own.future = None;
        let close = match status {
            Some(StatusCode::OK) => normal(),
            _ => CloseFrame::new(code::INTERNAL, "the handler failed").unwrap_or_default(),
        };
        own.inlet.ask(Ask::Say(Said::Close(close)));
    }
}
