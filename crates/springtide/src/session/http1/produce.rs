//! Replies whose bodies are produced piece by piece: from the producer's pipe into the machine.
//! It polls nothing: that is the executor's business, in its part of the turn.

use std::rc::Rc;

use http::StatusCode;
use springtide_proto::http1::{Exchange, Machine, ReplyBody};
use springtide_proto::{Outbox, Piece};

use super::{Http1, head_of, said};
use crate::executor::{Origin, apart};
use crate::limits::{STREAM_BEHIND_BYTES, STREAM_LOW_BYTES};
use crate::response::{Gzip, Pipe, Response};
use crate::room::Room;

/// The reply on the wire may go on when little waits to be sent.
#[inline]
pub(super) fn grant(
    machine: &Machine,
    pipes: &[(Exchange, Rc<Pipe>)],
    waiting_bytes: usize,
    room: &mut Room,
) {
    if waiting_bytes < STREAM_LOW_BYTES
        && let Some((_, pipe)) = pipes.iter().find(|(exchange, _)| machine.is_next(*exchange))
        && let Some(waker) = pipe.grant(waiting_bytes)
    {
        room.executor.granted.push(waker);
    }
}

impl Http1 {
    /// Begins a reply whose body is produced from now on.
    #[inline(never)]
    pub(super) fn begin_stream(
        &mut self,
        exchange: Exchange,
        origin: Origin,
        response: &Response,
        gzip: Option<Gzip>,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let Some(stream) = response.body_stream() else { return };
        let (length, producer) = (stream.length, stream.take());
        let Some(producer) = producer else {
            crate::report::error(format_args!("a response with a stream was sent twice"));
            let mut response = said(StatusCode::INTERNAL_SERVER_ERROR);
            return self.answer(exchange, &mut response, outbox, room);
        };
        let has_body = self.machine.awaits_body(exchange, response.status_code());
        room.counts.requests_total += 1;
        if room.is_watching {
            let status = response.status_code().as_u16();
            self.log(exchange, status, length.unwrap_or(0), room);
        }
        let on_wire = length.filter(|_| gzip.is_none());
        let body = on_wire.map_or(ReplyBody::Chunked, ReplyBody::Sized);
        self.machine.send_reply(exchange, &head_of(response, room), body, outbox);
        if !has_body {
            self.machine.end_body(exchange, outbox);
            // What it captured is the application's.
            if apart(|| drop(producer)).is_none() {
                room.counts.panics_total += 1;
            }
            return;
        }
        let is_next = self.machine.is_next(exchange);
        let credit = if is_next { STREAM_LOW_BYTES } else { STREAM_BEHIND_BYTES };
        let mut pipe = None;
        let place = room.executor.begin(origin, exchange, true, |alarm| {
            producer.begin(pipe.insert(Pipe::new(alarm, length, credit, gzip)))
        });
        let busy = self.busy();
        busy.waiting.push((exchange, place));
        busy.pipes.extend(pipe.map(|pipe| (exchange, pipe)));
    }

    /// Takes over what a producer has given.
    pub(crate) fn pour(&mut self, exchange: Exchange, outbox: &mut Outbox) {
        let pipes = self.busy.iter().flat_map(|busy| &busy.pipes);
        let pipe = pipes.filter(|(own, _)| *own == exchange).map(|(_, pipe)| pipe).next();
        let pieces = pipe.map(|pipe| pipe.take()).unwrap_or_default();
        for piece in pieces {
            self.machine.send_body(exchange, Piece::Shared(piece), outbox);
        }
    }

    /// A producer has ended; in the middle of its body, when it panicked or failed.
    pub(super) fn end_stream(
        &mut self,
        exchange: Exchange,
        pipe: &Pipe,
        has_panicked: bool,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        for piece in pipe.take() {
            self.machine.send_body(exchange, Piece::Shared(piece), outbox);
        }
        if has_panicked {
            room.counts.panics_total += 1;
            return self.tear(exchange);
        }
        match pipe.close() {
            Ok(trailers) => self.machine.end_body_with(exchange, &trailers, outbox),
            Err(failure) => {
                crate::report::error(format_args!("a body cannot be completed: {failure}"));
                self.tear(exchange);
            }
        }
    }

    /// Cuts a body that is not complete, so that its client notices.
    pub(super) fn tear(&mut self, exchange: Exchange) {
        // Only chunks and a length tell that more was to come.
        self.busy().is_torn |= self.machine.is_until_close(exchange);
        self.machine.abort_reply(exchange);
    }
}
