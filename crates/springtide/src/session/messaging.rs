//! The session of a WebSocket: messages out of bytes, its handler called, what that says into the outbox.
//! It never touches the socket, and decides nothing that the machine decides.

mod awaited;
mod ending;
mod long;
mod queue;
mod waiting;

use std::sync::Arc;

use springtide_proto::Outbox;
use springtide_proto::websocket::{CloseFrame, Kind, Limits, Machine, Received, Refusal, code};

use super::{Share, Source, Step, Who};
use crate::current;
use crate::events::Happened;
use crate::executor::apart;
use crate::limits::place_of;
use crate::peer::PeerStatus;
use crate::response::Opening;
use crate::room::Room;
use crate::websocket::{
    ClosedBy, Compressing, Dedicated, Handler, Message, MessagePart, Overflow, Said, Socket,
    WebSocket,
};
use awaited::Awaited;
use queue::Queue;
use waiting::Waiting;

/// The session. It stands in its connection: what an idle one does not need is in [`Rest`].
pub(crate) struct Messaging {
    machine: Machine,
    /// Who is called with what happens. None where a future is told, and behind the end.
    handler: Option<Arc<Box<dyn WebSocket>>>,
    /// How messages are compressed, if they are.
    compressing: Option<Compressing>,
    rest: Option<Box<Rest>>,
    sent: u64,
    share: Share,
    /// The longest message that is taken; 0 where that is the server's limit, and [`u32::MAX`] where
    /// it is in [`Rest`].
    message_bytes_max: u32,
    overflow: Overflow,
    /// Messages are given in parts, of which nothing is kept.
    gives_parts: bool,
    /// How long the last message was, in KiB and no less; 0 if it was compressed or came in parts.
    last_kib: u16,
}

const _: () = assert!(size_of::<Messaging>() <= 96, "an idle connection holds one of these");

/// What only a session has whose peer is behind, whose messages are awaited, or that ends.
#[derive(Default)]
struct Rest {
    queue: Queue,
    /// Who waits until the peer is not behind.
    waiting: Option<Box<Waiting>>,
    awaited: Option<Box<Awaited>>,
    /// Who has ended it, and what was said.
    end: Option<(ClosedBy, CloseFrame)>,
    /// The longest message that is taken, where that is longer than 4 GiB.
    message_bytes_max: Option<u64>,
    /// Its own compressor, from the first message on that it compresses.
    dedicated: Option<Dedicated>,
}

impl Rest {
    fn is_idle(&self) -> bool {
        let Self { queue, waiting, awaited, end, message_bytes_max, dedicated } = self;
        let is_open = end.is_none() && message_bytes_max.is_none() && dedicated.is_none();
        queue.is_idle() && waiting.is_none() && awaited.is_none() && is_open
    }
}

/// The route that slow callbacks are told by: there is none.
const ROUTE: usize = u32::MAX as usize;

impl Messaging {
    /// The connection is a WebSocket from here on: its handler is told.
    pub(super) fn begin(opening: Opening, who: Who, outbox: &mut Outbox, room: &mut Room) -> Self {
        let Opening { handler, options, deflate } = opening;
        let mut machine = Machine::server(room.now_ms);
        if deflate.is_some() {
            machine.accept_compressed();
        }
        if let Some(bytes_min) = options.part_bytes_min {
            machine.stream(bytes_min);
        }
        let bytes_max = options.message_bytes_max.map_or(0, |bytes| bytes.max(1));
        let longest = Some(bytes_max).filter(|bytes| *bytes >= u64::from(u32::MAX));
        let mut own = Self {
            machine,
            handler: None,
            compressing: deflate.map(|agreed| Compressing::new(agreed, options)),
            rest: longest.map(|_| Rest { message_bytes_max: longest, ..Rest::default() }.into()),
            sent: 0,
            share: Share::default(),
            message_bytes_max: u32::try_from(bytes_max).unwrap_or(u32::MAX),
            overflow: options.overflow,
            gives_parts: options.part_bytes_min.is_some(),
            last_kib: 0,
        };
        room.requests.tasks.places.stand(who.peer(), PeerStatus::Open);
        match handler {
            Handler::Called(handler) => own.handler = Some(handler),
            Handler::Awaited(make) => {
                own.rest().awaited = Some(Box::new(Awaited::begin(&*make, who, room)));
            }
        }
        own.call(who, outbox, room, |handler, socket| handler.opened(socket));
        own
    }

    fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    /// Gives back the room for what it has no more.
    fn tidy(&mut self) {
        self.rest.take_if(|rest| rest.is_idle());
    }

    /// The limits of its route, where that has others than the server.
    #[inline]
    fn own_limits(&self, limits: &Limits) -> Option<Limits> {
        if self.message_bytes_max == 0 && !self.gives_parts {
            return None;
        }
        let mut own = limits.clone();
        if self.message_bytes_max > 0 {
            let longest = self.rest.as_ref().and_then(|rest| rest.message_bytes_max);
            own.socket_message_bytes_max = longest.unwrap_or_else(|| self.message_bytes_max.into());
        }
        if self.gives_parts {
            own.socket_fragments_max = u32::MAX;
        }
        Some(own)
    }

    /// The connection has ended so, unless it had before.
    fn end_by(&mut self, by: ClosedBy, frame: CloseFrame) {
        self.rest().end.get_or_insert((by, frame));
    }

    pub(super) fn receive(
        &mut self,
        source: &Source<'_>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> (usize, Step) {
        self.begin_to_receive(outbox, room);
        let (bytes, own) = (source.bytes(), self.own_limits(&room.limits.websocket));
        let mut consumed = 0;
        let step = loop {
            if let Some(step) = self.stops(consumed, outbox, room) {
                break step;
            }
            let limits = own.as_ref().unwrap_or(&room.limits.websocket);
            match self.machine.receive(&bytes[consumed..], room.now_ms, limits) {
                Ok(Received::NeedBytes { .. }) if self.is_waited_for() => break Step::Paused,
                Ok(Received::NeedBytes { .. }) => break Step::NeedBytes,
                Ok(Received::Closed) => break Step::Closed,
                Ok(received) => consumed += self.take(received, who, outbox, room),
                Err(refusal) => self.refuse(refusal, who, outbox, room),
            }
        };
        self.share.add_bytes(consumed);
        (consumed, step)
    }

    #[inline]
    fn begin_to_receive(&mut self, outbox: &mut Outbox, room: &mut Room) {
        self.share.renew(room.turn);
        if self.rest.is_some() {
            self.answer_asked(outbox, room);
            self.pour(outbox, room);
        }
    }

    /// Why nothing more is read for now, when so many bytes were.
    #[inline]
    fn stops(&mut self, consumed: usize, outbox: &Outbox, room: &Room) -> Option<Step> {
        if self.share.is_spent(consumed) {
            return Some(Step::More);
        }
        let is_held_up = self.note_held_up(room);
        (is_held_up || self.is_behind(outbox, room)).then_some(Step::Paused)
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
            Received::Message { consumed, kind, payload, is_compressed } => {
                self.share.add_exchange();
                // What is compressed is not read where it stands.
                self.note_message(if is_compressed { 0 } else { payload.len() });
                if self.is_closing() {
                    return consumed;
                }
                match self.plain(kind, payload, is_compressed, room) {
                    Ok(payload) => {
                        room.counts.messages_received += 1;
                        self.tell(Message::of(kind, payload), who, outbox, room);
                    }
                    Err(refusal) => self.refuse(refusal, who, outbox, room),
                }
                consumed
            }
            Received::Ping { consumed, payload } => {
                self.share.add_exchange();
                self.share.note_message(0);
                // Behind a close of our own nothing is owed.
                let _ = self.machine.send_pong(&payload, None, outbox);
                consumed
            }
            Received::Pong { consumed, payload } => {
                self.share.add_exchange();
                self.share.note_message(0);
                if !self.is_closing() {
                    let payload = payload.into();
                    self.call(who, outbox, room, |handler, socket| handler.pong(socket, payload));
                }
                consumed
            }
            Received::Close { consumed, frame } => {
                if self.is_answered_now(&frame, room.now_ms) {
                    self.answer_close(frame, outbox, room);
                }
                consumed
            }
            Received::Part { consumed, kind, payload, is_last } => {
                self.share.add_exchange();
                if !self.is_closing() {
                    room.counts.messages_received += u64::from(is_last);
                    self.give(MessagePart { piece: Message::of(kind, payload), is_last });
                }
                consumed
            }
            Received::Taken { consumed } => consumed,
            Received::NeedBytes { .. } | Received::Closed => 0,
        }
    }

    /// A message as it was before it was compressed.
    #[inline]
    fn plain(
        &self,
        kind: Kind,
        payload: Vec<u8>,
        is_compressed: bool,
        room: &Room,
    ) -> Result<Vec<u8>, Refusal> {
        if !is_compressed {
            return Ok(payload);
        }
        let own = self.own_limits(&room.limits.websocket);
        let limits = own.as_ref().unwrap_or(&room.limits.websocket);
        let mut coders = room.requests.sockets.coders.borrow_mut();
        coders.inflate(kind, &payload, limits.socket_message_bytes_max)
    }

    /// A whole message has come.
    #[inline]
    fn tell(&mut self, message: Message, who: Who, outbox: &mut Outbox, room: &mut Room) {
        let told = room.has_events.then(|| message.clone());
        match self.handler {
            None => self.give(MessagePart { piece: message, is_last: true }),
            Some(_) => self.call(who, outbox, room, |own, socket| own.message(socket, message)),
        }
        if let Some(message) = told {
            room.happens(who.peer(), Happened::Message(message));
        }
    }

    /// Calls the handler, and does what it has said to this connection. A panic in it ends that.
    fn call(
        &mut self,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
        what: impl FnOnce(&dyn WebSocket, Socket),
    ) {
        let Some(handler) = &self.handler else { return };
        let current = current::enter(&room.requests);
        room.requests.sockets.handles(Some(who.peer()));
        let socket = Socket::new(who.peer());
        let called = room.watched(ROUTE, |_| apart(|| what(&***handler, socket)));
        room.requests.sockets.handles(None);
        drop(current);
        while let Some(said) = room.requests.sockets.next_own() {
            self.say(said, outbox, room);
        }
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
        self.forget(&mut room.counts);
        self.machine.refuse(refusal, room.now_ms, None, outbox);
        let frame = CloseFrame::new(refusal.code(), refusal.words()).unwrap_or_default();
        self.end_by(ClosedBy::Here, frame);
    }

    /// Something is said to this connection.
    pub(crate) fn say(&mut self, said: Said, outbox: &mut Outbox, room: &mut Room) {
        match said {
            Said::Message(message) => self.send(message, outbox, room),
            // Its peer is behind, and will be asked by what waits for it.
            Said::Ping(_) if outbox.len() > room.limits.outbox_bytes_max => {}
            // One that is too long is the application's mistake, and nothing is behind a close.
            Said::Ping(payload) => _ = self.machine.send_ping(&payload, None, outbox),
            Said::Close(frame) => {
                self.rest().queue.close(frame);
                self.pour(outbox, room);
            }
            Said::Piece(piece) => self.go_on_with(piece, outbox, room),
            Said::Cut(stream) => self.cut(stream, outbox, room),
        }
    }

    /// The peer's stream has ended.
    pub(super) fn end_of_stream(&mut self) {
        if !self.machine.end_of_stream() {
            self.lose(crate::peer::Reason::PeerClosed);
        }
    }

    /// Whether its handler is told of what happens: it was not told of the end.
    pub(crate) fn is_told(&self) -> bool {
        self.handler.is_some() || self.awaited().is_some()
    }

    pub(super) fn resume(&mut self, now_ms: u64) {
        self.machine.resume(now_ms);
    }

    pub(super) fn wants_close(&self) -> bool {
        self.machine.wants_close()
    }

    pub(super) fn bytes_held(&self) -> usize {
        let taken = self.awaited().map_or(0, Awaited::bytes_held);
        self.machine.memory_held() + self.bytes_waiting() + taken
    }
}
