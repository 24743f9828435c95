//! The session of a WebSocket: messages out of bytes, its handler called, what that says into the outbox.
//! It never touches the socket, and decides nothing that the machine decides.

mod ending;
mod queue;

use springtide_proto::Outbox;
use springtide_proto::websocket::{CloseFrame, Limits, Machine, Received, Refusal, code};

use super::{Share, Source, Step, Who};
use crate::current;
use crate::executor::apart;
use crate::limits::place_of;
use crate::peer::PeerStatus;
use crate::response::Opening;
use crate::room::Room;
use crate::websocket::{ClosedBy, Handler, Message, Overflow, Said, Socket};
use queue::Queue;

/// The session.
pub(crate) struct Messaging {
    machine: Machine,
    /// None once it was told of the end.
    handler: Option<Handler>,
    /// The server's limits, where its own are others.
    limits: Option<Box<Limits>>,
    overflow: Overflow,
    queue: Queue,
    share: Share,
    /// Who has ended it, and what was said.
    end: Option<(ClosedBy, CloseFrame)>,
}

/// The route that slow callbacks are told by: there is none.
const ROUTE: usize = u32::MAX as usize;

impl Messaging {
    /// The connection is a WebSocket from here on: its handler is told.
    pub(super) fn begin(opening: Opening, who: Who, outbox: &mut Outbox, room: &mut Room) -> Self {
        let Opening { handler, options } = opening;
        let limits = options.message_bytes_max.map(|socket_message_bytes_max| {
            Box::new(Limits { socket_message_bytes_max, ..room.limits.websocket.clone() })
        });
        let mut own = Self {
            machine: Machine::server(room.now_ms),
            handler: Some(handler),
            limits,
            overflow: options.overflow,
            queue: Queue::default(),
            share: Share::default(),
            end: None,
        };
        room.requests.tasks.places.stand(who.peer(), PeerStatus::Open);
        own.call(who, outbox, room, |handler, socket| handler.opened(socket));
        own
    }

    pub(super) fn receive(
        &mut self,
        source: &Source<'_>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> (usize, Step) {
        self.share.renew(room.turn);
        self.pour(outbox, room);
        let bytes = source.bytes();
        let mut consumed = 0;
        let step = loop {
            if self.share.is_spent(consumed) {
                break Step::More;
            }
            if self.is_behind(outbox, room) {
                break Step::Paused;
            }
            let rest = &bytes[consumed..];
            let limits = self.limits.as_deref().unwrap_or(&room.limits.websocket);
            match self.machine.receive(rest, room.now_ms, limits) {
                Ok(Received::NeedBytes { .. }) => break Step::NeedBytes,
                Ok(Received::Closed) => break Step::Closed,
                Ok(received) => consumed += self.take(received, who, outbox, room),
                Err(refusal) => self.refuse(refusal, who, outbox, room),
            }
        };
        self.share.add_bytes(consumed);
        (consumed, step)
    }

    /// One event; how many bytes it took.
    fn take(
        &mut self,
        received: Received,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> usize {
        match received {
            Received::Message { consumed, kind, payload, .. } => {
                self.share.add_exchange();
                room.counts.messages_received += 1;
                let message = Message::of(kind, payload);
                self.call(who, outbox, room, |handler, socket| handler.message(socket, message));
                consumed
            }
            Received::Ping { consumed, payload } => {
                self.share.add_exchange();
                // Behind a close of our own nothing is owed.
                let _ = self.machine.send_pong(&payload, None, outbox);
                consumed
            }
            Received::Pong { consumed, payload } => {
                self.share.add_exchange();
                let payload = payload.into();
                self.call(who, outbox, room, |handler, socket| handler.pong(socket, payload));
                consumed
            }
            Received::Close { consumed, frame } => {
                self.queue.forget(&mut room.counts);
                self.machine.answer_close(&frame, room.now_ms, None, outbox);
                self.end.get_or_insert((ClosedBy::Peer, frame));
                consumed
            }
            Received::Taken { consumed } | Received::Part { consumed, .. } => consumed,
            Received::NeedBytes { .. } | Received::Closed => 0,
        }
    }

    /// Calls the handler, and does what it has said to this connection. A panic in it ends that.
    fn call(
        &mut self,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
        what: impl FnOnce(&dyn crate::WebSocket, Socket),
    ) {
        let Some(handler) = &self.handler else { return };
        let current = current::enter(&room.requests);
        room.requests.sockets.handles(Some(who.peer()));
        let socket = Socket::new(who.peer());
        let called = room.watched(ROUTE, |_| apart(|| what(&**handler, socket)));
        room.requests.sockets.handles(None);
        drop(current);
        let mut own = room.requests.sockets.take_own();
        for said in own.drain(..) {
            self.say(said, outbox, room);
        }
        room.requests.sockets.put_back(own);
        if called.is_none() {
            room.counts.panics_total += 1;
            self.close_at_once(code::INTERNAL, "the handler failed", outbox, room);
        }
    }

    /// The peer has broken the protocol or a limit.
    #[cold]
    fn refuse(&mut self, refusal: Refusal, who: Who, outbox: &mut Outbox, room: &mut Room) {
        room.counts.refusals_total += 1;
        let place = match refusal {
            Refusal::MessageTooLong => Some(const { place_of("socket_message_bytes_max") }),
            Refusal::Fragments => Some(const { place_of("socket_fragments_max") }),
            Refusal::Controls => Some(const { place_of("socket_controls_max") }),
            _ => None,
        };
        if let Some(place) = place {
            room.tell_limit(place, who.socket, format_args!("closed, because {refusal} came"));
        }
        self.queue.forget(&mut room.counts);
        self.machine.refuse(refusal, room.now_ms, None, outbox);
        let frame = CloseFrame::new(refusal.code(), refusal.words()).unwrap_or_default();
        self.end.get_or_insert((ClosedBy::Here, frame));
    }

    /// Something is said to this connection.
    pub(crate) fn say(&mut self, said: Said, outbox: &mut Outbox, room: &mut Room) {
        match said {
            Said::Message(message) => self.send(message, outbox, room),
            // One that is too long is the application's mistake, and nothing is behind a close.
            Said::Ping(payload) => _ = self.machine.send_ping(&payload, None, outbox),
            Said::Close(frame) => {
                self.queue.close(frame);
                self.pour(outbox, room);
            }
        }
    }

    /// The peer's stream has ended.
    pub(super) fn end_of_stream(&mut self) {
        if !self.machine.end_of_stream() {
            self.lose(crate::peer::Reason::PeerClosed);
        }
    }

    /// Whether its handler is told of what happens: it was not told of the end.
    pub(crate) const fn is_told(&self) -> bool {
        self.handler.is_some()
    }

    pub(super) const fn resume(&mut self, now_ms: u64) {
        self.machine.resume(now_ms);
    }

    pub(super) fn wants_close(&self) -> bool {
        self.machine.wants_close()
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.machine.bytes_held() + self.queue.bytes()
    }
}
