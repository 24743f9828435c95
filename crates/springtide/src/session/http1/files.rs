//! Replies that are files: whole, in parts, piece by piece as there is room, or passed by the system.
//! What a file is, and whether it may be sent, the file service knows.

use springtide_engine::Descriptor;
use springtide_proto::http1::{Exchange, ReplyBody};
use springtide_proto::{Outbox, Piece};

use super::{Http1, head_of, produce};
use crate::executor::Origin;
use crate::files::{FileEvent, FileReply};
use crate::limits::STREAM_LOW_BYTES;
use crate::room::Room;

impl Http1 {
    /// What the file service has for this connection. The next piece is asked for by
    /// [`Self::pump`].
    pub(crate) fn file_event(&mut self, event: FileEvent, outbox: &mut Outbox, room: &mut Room) {
        match event {
            FileEvent::Reply(asker, reply) => {
                let origin = self.origin_of_file(&asker, room);
                self.file_reply(asker.exchange, origin, reply, outbox, room);
            }
            FileEvent::Piece { asker, bytes, is_last, .. } => {
                let busy = self.busy();
                busy.is_asked = false;
                if is_last {
                    busy.streams.pop_front();
                }
                self.machine.send_body(asker.exchange, Piece::Owned(bytes), outbox);
                if is_last {
                    self.machine.end_body(asker.exchange, outbox);
                    self.rest();
                }
            }
            FileEvent::Broken { asker, .. } => {
                let busy = self.busy();
                busy.is_asked = false;
                busy.streams.pop_front();
                self.machine.abort_reply(asker.exchange);
            }
        }
    }

    #[inline(never)]
    pub(super) fn file_reply(
        &mut self,
        exchange: Exchange,
        origin: Origin,
        reply: FileReply,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        match self.seen_file(exchange, reply, room) {
            FileReply::Whole(mut response) => {
                self.answer_any(exchange, origin, &mut response, outbox, room);
            }
            FileReply::Parts { response, pieces } => {
                room.counts.requests_total += 1;
                let length = pieces.iter().map(|piece| piece.len() as u64).sum();
                self.log(exchange, response.status_code().as_u16(), length, room);
                let body = ReplyBody::Sized(length);
                self.machine.send_reply(exchange, &head_of(&response, room), body, outbox);
                for piece in pieces {
                    self.machine.send_body(exchange, Piece::Shared(piece), outbox);
                }
                self.machine.end_body(exchange, outbox);
            }
            FileReply::Streamed { response, length, stream } => {
                room.counts.requests_total += 1;
                self.log(exchange, response.status_code().as_u16(), length, room);
                let body = ReplyBody::Sized(length);
                self.machine.send_reply(exchange, &head_of(&response, room), body, outbox);
                let Some(stream) = stream else {
                    // The reply to HEAD: its body ends before it begins.
                    self.machine.end_body(exchange, outbox);
                    return;
                };
                let busy = self.busy();
                let later =
                    busy.streams.iter().position(|(own, _)| own.number() > exchange.number());
                let position = later.unwrap_or(busy.streams.len());
                busy.streams.insert(position, (exchange, stream));
            }
        }
    }

    /// Asks for the next piece of the first stream, when its reply is the one being sent and what
    /// waits to be sent is little.
    pub(crate) fn pump(&mut self, waiting_bytes: usize, room: &mut Room) {
        let Some(busy) = &mut self.busy else { return };
        produce::grant(&self.machine, &busy.pipes, waiting_bytes, room);
        let Some((exchange, stream)) = busy.streams.front() else { return };
        let is_next = self.machine.is_next(*exchange);
        let is_little = waiting_bytes < STREAM_LOW_BYTES;
        if !busy.is_asked && is_next && is_little && room.files.is_due(*stream) {
            busy.is_asked = true;
            let mut engine = room.requests.engine.borrow_mut();
            room.files.next_piece(&mut **engine, *stream);
        }
    }

    /// Lets the system pass what it has of the first stream's file to the socket, on which nothing
    /// waits; gives how many bytes.
    pub(crate) fn pass_file(&mut self, socket: Descriptor, room: &mut Room) -> usize {
        let Some(busy) = &self.busy else { return 0 };
        let Some((exchange, stream)) = busy.streams.front() else { return 0 };
        if busy.is_asked || !self.machine.is_in_sized_body(*exchange) {
            return 0;
        }
        let mut engine = room.requests.engine.borrow_mut();
        let bytes = room.files.pass(&mut **engine, *stream, socket);
        self.machine.body_passed(*exchange, bytes as u64);
        bytes
    }

    /// Nothing more is passed.
    pub(crate) fn stop_passing(&self, room: &mut Room) {
        if let Some((_, stream)) = self.busy.as_ref().and_then(|busy| busy.streams.front()) {
            room.files.stop_passing(*stream);
        }
    }

    /// Whether it has a file to send.
    #[inline]
    pub(crate) fn sends_file(&self) -> bool {
        self.busy.as_ref().is_some_and(|busy| !busy.streams.is_empty())
    }
}
