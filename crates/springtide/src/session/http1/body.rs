//! Bodies of requests on their way to their handlers.
//! It copies none that is long: such a body is received where its handler finds it.

use std::rc::Rc;

use bytes::Bytes;
use http::StatusCode;
use springtide_proto::Outbox;
use springtide_proto::http1::{BodyLength, Exchange, Received, Span};

use super::{Http1, said};
use crate::request::{RequestData, Shared};
use crate::room::Room;
use crate::session::Who;

/// Room for a body is taken as the body comes, at first for this much at most, and then for as much
/// again as has come.
const BODY_FIRST_BYTES_MAX: u64 = 64 << 10;

/// From this much on, the rest of a body is received by itself.
const BULK_BYTES_MIN: usize = 4 << 10;

/// The request whose body is arriving.
pub(super) struct Reading {
    pub(super) exchange: Exchange,
    pub(super) data: Box<RequestData>,
    /// What of it is there; elsewhere while the rest is being received behind it.
    pub(super) body: Vec<u8>,
}

impl Http1 {
    /// The handler is called when the body is there.
    #[inline(never)]
    pub(super) fn read_body(
        &mut self,
        exchange: Exchange,
        mut data: Box<RequestData>,
        outbox: &mut Outbox,
    ) {
        data.detach();
        self.machine.want_body(exchange, outbox);
        let announced = match data.head.body {
            BodyLength::Sized(length) => length.min(BODY_FIRST_BYTES_MAX),
            _ => 0,
        };
        let body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
        self.busy().reading = Some(Reading { exchange, data, body });
    }

    #[inline(never)]
    pub(super) fn keep(&mut self, span: Span, bytes: &[u8]) {
        if let Some(reading) = self.reading() {
            reading.body.extend_from_slice(span.of(bytes));
        }
    }

    #[inline(never)]
    pub(super) fn body_complete(
        &mut self,
        who: Who,
        shared: &Shared,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let reading = self.busy.as_mut().and_then(|busy| busy.reading.take());
        let Some(Reading { exchange, mut data, body }) = reading else { return };
        data.body = Bytes::from(body);
        if let Some(handler) = shared.router.handler_of(&data.head.method, data.route) {
            self.call(handler, exchange, data, who, outbox, room);
        } else {
            shared.put(data);
            self.answer(exchange, &mut said(StatusCode::NOT_FOUND), outbox, room);
        }
        self.rest();
    }

    /// Whether what comes next is best received into memory of its own: so much of a body at least.
    #[inline]
    pub(crate) fn wants_bulk(&self) -> bool {
        self.busy.is_some() && self.bulk_bytes() >= BULK_BYTES_MIN
    }

    /// How much of the body is still to come, if that is to be received by itself.
    #[inline(never)]
    fn bulk_bytes(&self) -> usize {
        let is_wanted = self.busy.as_ref().is_some_and(|busy| busy.reading.is_some());
        let left = self.machine.sized_body_left();
        left.filter(|_| is_wanted).and_then(|left| usize::try_from(left).ok()).unwrap_or(0)
    }

    /// Lends the memory into which the rest of the body, or a part of it, is to be received: behind
    /// what has come of it. None when other bytes may come next, or the turn's share is spent.
    pub(crate) fn lend_bulk(&mut self, room: &Room) -> Option<Vec<u8>> {
        let left = self.bulk_bytes();
        self.share.renew(room.turn);
        if left == 0 || self.share.is_spent(0) {
            return None;
        }
        let mut body = std::mem::take(&mut self.reading()?.body);
        if body.capacity() == body.len() {
            let first = usize::try_from(BODY_FIRST_BYTES_MAX).unwrap_or(usize::MAX);
            body.reserve_exact(left.min(body.len().max(first)));
        }
        Some(body)
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
        let mut data = shared.take();
        let (mut end, mut is_whole, mut refusal) = (before, false, None);
        while !is_whole && refusal.is_none() {
            let limits = &room.limits.http1;
            match self.machine.receive(&memory[end..], room.now_ms, limits, &mut data.head) {
                // It stands where it is to stand already.
                Ok(Received::Body { consumed, .. }) => end += consumed,
                Ok(Received::BodyEnd { .. }) => is_whole = true,
                Ok(_) => break,
                Err(why) => refusal = Some(why),
            }
        }
        shared.put(data);
        self.share.add_bytes(end - before);
        let rest = memory.split_off(end);
        if let Some(reading) = self.reading() {
            reading.body = memory;
        }
        if let Some(refusal) = refusal {
            self.refuse(refusal, outbox, room);
        }
        if is_whole {
            self.body_complete(who, &shared, outbox, room);
        }
        rest
    }

    fn reading(&mut self) -> Option<&mut Reading> {
        self.busy.as_mut().and_then(|busy| busy.reading.as_mut())
    }
}
