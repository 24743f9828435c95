//! Bodies of requests on their way to their handlers.
//! It copies none that is long: such a body is received where its handler finds it.

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use springtide_proto::Outbox;
use springtide_proto::http1::{BodyLength, Exchange, Received, trailers};

use super::limited::tell;
use super::{Http1, said};
use crate::request::{Pipe, RequestData, Shared};
use crate::room::Room;
use crate::route::Answerer;
use crate::session::{Source, Who};

/// Room for a body is taken as the body comes, at first for this much at most, and then for as much
/// again as has come.
const BODY_FIRST_BYTES_MAX: u64 = 64 << 10;

/// From this much on, a body stays in the memory that it was received into with its head, which has
/// room for twice as much.
const KEPT_BYTES_MIN: usize = 36 << 10;

/// From this much on, the rest of a body is received by itself.
const BULK_BYTES_MIN: usize = 4 << 10;

/// From this much on, no chunk of it is received.
const LONG_BYTES_MIN: usize = 256 << 10;

/// The request whose body is arriving.
pub(super) struct Reading {
    pub(super) exchange: Exchange,
    pub(super) target: Target,
}

/// Where a body goes.
pub(super) enum Target {
    /// To a handler that is called when all of it is there; what of it is there, unless it came at once
    /// and stands in the request already.
    Whole { data: Box<RequestData>, body: Vec<u8> },
    /// To a handler that is at work, piece by piece.
    Handler(Rc<Pipe>),
}

impl Target {
    /// Bytes that wait here.
    pub(super) fn bytes_held(&self) -> usize {
        match self {
            Self::Whole { data, body } => data.body.len().max(body.capacity()),
            Self::Handler(pipe) => pipe.bytes_held(),
        }
    }
}

/// Bodies that have come wholly, as far as their handlers have yet to take them.
#[derive(Default)]
pub(super) struct Untaken(Vec<Rc<Pipe>>);

impl Untaken {
    fn add(&mut self, pipe: Rc<Pipe>) {
        self.settle();
        self.0.push(pipe);
    }

    /// Forgets bodies that were taken, or dropped.
    fn settle(&mut self) {
        self.0.retain(|pipe| pipe.bytes_held() > 0);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they hold together.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|pipe| pipe.bytes_held()).sum()
    }
}

impl Http1 {
    /// A request with a body has begun.
    #[inline(never)]
    pub(super) fn begin_body(
        &mut self,
        handler: &Answerer,
        exchange: Exchange,
        mut data: Box<RequestData>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        data.trailers = None;
        match handler {
            Answerer::Limited { body_bytes_max, answerer } => {
                match self.machine.body_bytes_max(exchange, *body_bytes_max) {
                    Ok(()) => self.begin_body(answerer, exchange, data, who, outbox, room),
                    Err(refusal) => {
                        tell(refusal, who, room);
                        self.refuse_body(exchange, data, refusal, who, outbox, room);
                    }
                }
            }
            Answerer::Awaited { is_streamed: true, .. } if !self.machine.is_body_too_long() => {
                self.stream_body(handler, exchange, data, who, outbox, room);
            }
            _ => self.read_body(exchange, data, outbox),
        }
    }

    /// The handler is called when the body is there.
    fn read_body(&mut self, exchange: Exchange, mut data: Box<RequestData>, outbox: &mut Outbox) {
        data.detach();
        self.machine.want_body(exchange, outbox);
        data.body = Bytes::new();
        let target = Target::Whole { data, body: Vec::new() };
        self.busy().reading = Some(Reading { exchange, target });
    }

    /// The handler is called now, and asks for the body when it wants it.
    fn stream_body(
        &mut self,
        handler: &Answerer,
        exchange: Exchange,
        mut data: Box<RequestData>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let (pipe, arriving) = Pipe::new(who.place, room.limits.inbox_bytes_max, &room.requests);
        data.arriving = Some(arriving);
        self.busy().reading = Some(Reading { exchange, target: Target::Handler(pipe) });
        self.begin_later(handler, exchange, data, who, outbox, room);
    }

    /// A part of a body has come.
    #[inline(never)]
    pub(super) fn keep(&mut self, part: &[u8], source: &Source<'_>) {
        let is_full = match (self.target(), source) {
            // All of it: it stays where it is.
            (Some(Target::Whole { data, .. }), Source::Own(memory))
                if data.head.body == BodyLength::Sized(part.len() as u64)
                    && part.len() >= KEPT_BYTES_MIN =>
            {
                data.body = memory.slice_ref(part);
                false
            }
            (Some(Target::Whole { data, body }), _) => {
                make_room(body, data);
                body.extend_from_slice(part);
                false
            }
            (Some(Target::Handler(pipe)), Source::Own(memory)) if part.len() >= KEPT_BYTES_MIN => {
                pipe.push(memory.slice_ref(part))
            }
            (Some(Target::Handler(pipe)), _) => pipe.push_copy(part),
            (None, _) => false,
        };
        if is_full {
            self.machine.hold_body();
        }
    }

    /// The end of a body has come, and the lines behind it.
    #[inline(never)]
    pub(super) fn body_complete(
        &mut self,
        trailers: &[u8],
        who: Who,
        shared: &Shared,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let Some(reading) = self.busy.as_mut().and_then(|busy| busy.reading.take()) else { return };
        let (mut data, body) = match reading.target {
            Target::Whole { data, body } => (data, body),
            Target::Handler(pipe) => {
                pipe.end(fields_of(trailers));
                self.busy().untaken.add(pipe);
                return;
            }
        };
        if !body.is_empty() {
            data.body = Bytes::from(body);
        }
        if trailers.len() > LINE_END_BYTES {
            data.trailers = Some(Box::new(fields_of(trailers)));
        }
        let exchange = reading.exchange;
        if let Some(handler) = shared.router.handler_of(&data.head.method, data.route) {
            self.call_around(handler, exchange, data, who, outbox, room);
        } else {
            shared.put(data);
            self.answer(exchange, &mut said(StatusCode::NOT_FOUND), outbox, room);
        }
        self.rest();
    }

    /// A handler has taken of its body, or has asked for it, or wants no more of it.
    pub(crate) fn read_on(&mut self, outbox: &mut Outbox, room: &Room) {
        let Some(busy) = &mut self.busy else { return };
        busy.untaken.settle();
        let Some(Reading { exchange, target: Target::Handler(pipe) }) = &busy.reading else {
            return self.rest();
        };
        let exchange = *exchange;
        if pipe.is_unwanted() {
            return self.leave_body(exchange, room);
        }
        if !pipe.is_full() {
            self.machine.resume_body(room.now_ms);
        }
        if pipe.is_wanted() {
            self.machine.want_body(exchange, outbox);
        }
    }

    /// Whether somebody takes the body still, as where it is passed on while the answer comes back.
    pub(super) fn is_body_wanted(&self, exchange: Exchange) -> bool {
        let reading = self.busy.as_ref().and_then(|busy| busy.reading.as_ref());
        let target = reading.filter(|own| own.exchange == exchange).map(|own| &own.target);
        matches!(target, Some(Target::Handler(pipe)) if !pipe.is_unwanted())
    }

    /// Nobody wants the rest of a body that its handler was to take.
    pub(super) fn leave_body(&mut self, exchange: Exchange, room: &Room) {
        let Some(busy) = &mut self.busy else { return };
        let is_its = |reading: &mut Reading| reading.exchange == exchange;
        if busy.reading.take_if(is_its).is_some() {
            self.machine.discard_body(exchange, &room.limits.http1);
            self.rest();
        }
    }

    /// Whether what comes next is best received into memory of its own: so much of a body at least.
    #[inline]
    pub(crate) fn wants_bulk(&self) -> bool {
        self.busy.is_some() && self.bulk_bytes() >= BULK_BYTES_MIN
    }

    /// Whether so much of a body is to come that a receive by chunks, which is made again for what is
    /// behind the body, costs less than the chunks.
    pub(crate) fn is_in_long_body(&self) -> bool {
        self.busy.is_some() && self.bulk_bytes() >= LONG_BYTES_MIN
    }

    /// Whether the handler has yet to take of its body before more of it is received.
    pub(crate) fn is_body_held(&self) -> bool {
        let reading = self.busy.as_ref().and_then(|busy| busy.reading.as_ref());
        let target = reading.map(|reading| &reading.target);
        matches!(target, Some(Target::Handler(pipe)) if pipe.is_full())
    }

    /// How much of the body is still to come, if that is to be received by itself.
    #[inline(never)]
    fn bulk_bytes(&self) -> usize {
        let is_wanted = self.busy.as_ref().is_some_and(|busy| busy.reading.is_some());
        let left = self.machine.sized_body_left();
        left.filter(|_| is_wanted).and_then(|left| usize::try_from(left).ok()).unwrap_or(0)
    }

    /// Lends the memory into which the rest of the body, or a part of it, is to be received: behind
    /// what has come of it, and at most what is left of the turn's share. None when other bytes may
    /// come next, or the share is spent.
    pub(crate) fn lend_bulk(&mut self, room: &Room) -> Option<(Vec<u8>, usize)> {
        let left = self.bulk_bytes();
        self.share.renew(room.turn);
        if left == 0 || self.share.is_spent(0) {
            return None;
        }
        let share = self.share.left();
        let first = usize::try_from(BODY_FIRST_BYTES_MAX).unwrap_or(usize::MAX);
        let Target::Whole { body, .. } = self.target()? else {
            return Some((Vec::with_capacity(left.min(first)), share));
        };
        let mut body = std::mem::take(body);
        if body.capacity() == body.len() {
            body.reserve_exact(left.min(body.len().max(first)));
        }
        Some((body, share))
    }

    /// The memory that was lent comes back, with what has come behind the `before` bytes that it had.
    /// Gives what is not of the body: mostly nothing.
    pub(crate) fn receive_bulk(
        &mut self,
        mut memory: Vec<u8>,
        before: usize,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> Vec<u8> {
        let shared = Rc::clone(&room.requests);
        let (mut end, mut is_whole, mut refusal) = (before, false, None);
        while !is_whole && refusal.is_none() {
            let limits = &room.limits.http1;
            match self.machine.receive_in_body(&memory[end..], room.now_ms, limits) {
                // It stands where it is to stand already.
                Ok(Received::Body { consumed, .. }) => end += consumed,
                Ok(Received::BodyEnd { .. }) => is_whole = true,
                Ok(_) => break,
                Err(why) => refusal = Some(why),
            }
        }
        self.share.add_bytes(end - before);
        let rest = memory.split_off(end);
        let is_full = match self.target() {
            Some(Target::Whole { body, .. }) => {
                *body = memory;
                false
            }
            Some(Target::Handler(pipe)) => pipe.push(snug(memory)),
            None => false,
        };
        if is_full {
            self.machine.hold_body();
        }
        if let Some(refusal) = refusal {
            self.refuse(refusal, who, outbox, room);
        }
        if is_whole {
            self.body_complete(&[], who, &shared, outbox, room);
        }
        rest
    }

    fn target(&mut self) -> Option<&mut Target> {
        let reading = self.busy.as_mut().and_then(|busy| busy.reading.as_mut());
        reading.map(|reading| &mut reading.target)
    }
}

/// Takes room for a body that begins to come, as far as it was announced.
fn make_room(body: &mut Vec<u8>, data: &RequestData) {
    if let BodyLength::Sized(length) = data.head.body
        && body.capacity() == 0
    {
        body.reserve_exact(usize::try_from(length.min(BODY_FIRST_BYTES_MAX)).unwrap_or(0));
    }
}

/// A trailer section without a field.
const LINE_END_BYTES: usize = 2;

/// What has come of a body, in memory that is not much larger: a few bytes would keep all of it.
fn snug(memory: Vec<u8>) -> Bytes {
    match memory.len() < memory.capacity() / 2 {
        true => Bytes::copy_from_slice(&memory),
        false => Bytes::from(memory),
    }
}

/// The fields of a trailer section.
pub(in crate::session) fn fields_of(section: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    if section.len() > LINE_END_BYTES {
        for (name, value) in trailers(section) {
            let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
            if let (Ok(name), Ok(value)) = (name, value) {
                fields.append(name, value);
            }
        }
    }
    fields
}
