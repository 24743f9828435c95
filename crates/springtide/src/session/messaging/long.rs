//! Long messages, taken at once into memory of their own, in which they are unmasked and kept: the next one
//! as a whole, where it is likely to be long, and of one that is arriving what is still to come of a frame.
//! What is neither is read as what comes in chunks.

use bytes::Bytes;
use springtide_proto::Outbox;
use springtide_proto::websocket::InPlace;

use super::Messaging;
use crate::limits::BYTES_PER_TURN_MAX;
use crate::room::Room;
use crate::session::{Source, Who};
use crate::websocket::Message;

/// Room for the head of a message, and for a little behind it: when less comes than there is room for, it
/// is all that is there.
const HEAD_ROOM: usize = 64;

/// Room for so much is lent at most before it has come.
const LIKELY_BYTES_MAX: usize = 1 << 20;

/// With so much to come of a frame behind a chunk of it, the rest is taken.
const BULK_BYTES_MIN: u64 = 4 << 10;

/// With so much to come of it, no further chunk of it is received.
const LONG_BYTES_MIN: u64 = 64 << 10;

impl Messaging {
    /// Whether much of a message is to come, or the next one is likely to be long.
    #[inline]
    pub(in crate::session) fn expects_long(&self) -> bool {
        self.share.expects_long() || self.machine.payload_left() >= LONG_BYTES_MIN
    }

    /// Whether what is behind a chunk is best taken at once.
    #[inline]
    pub(in crate::session) fn wants_bulk(&self) -> bool {
        self.share.expects_long() || self.machine.payload_left() >= BULK_BYTES_MIN
    }

    /// Whether one is arriving, of which nothing is told before its end.
    pub(in crate::session) fn is_within_message(&self) -> bool {
        self.machine.payload_left() > 0
    }

    /// A message of so many bytes has come; 0 of one that was compressed.
    #[inline]
    pub(super) fn note_message(&mut self, bytes: usize) {
        self.share.note_message(bytes);
        self.last_kib = u16::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u16::MAX);
    }

    /// Memory for what comes next, that of the message that is arriving if one is, and how much may come in
    /// this turn. Behind long messages the next one is likely to be as long as the last one was.
    pub(in crate::session) fn lend_bulk(&mut self, room: &mut Room) -> Option<(Vec<u8>, usize)> {
        self.share.renew(room.turn);
        let left = self.share.left();
        if left == 0 {
            return None;
        }
        let likely = if self.share.expects_long() { usize::from(self.last_kib) << 10 } else { 0 };
        let memory = match self.machine.lend(likely.min(LIKELY_BYTES_MAX)) {
            None if self.expects_long() => {
                let is_taken_at_once = likely <= BYTES_PER_TURN_MAX;
                room.take_long(if is_taken_at_once { likely + HEAD_ROOM } else { 0 })
            }
            lent => lent?,
        };
        // So one that is as long as the share may be has its head besides.
        Some((memory, left + HEAD_ROOM))
    }

    /// Handles what has come behind the first `before` bytes; gives what it does not take now.
    pub(in crate::session) fn receive_bulk(
        &mut self,
        memory: Vec<u8>,
        before: usize,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> Vec<u8> {
        if self.is_within_message() {
            return self.receive_lent(memory, before, who, outbox, room);
        }
        if memory.is_empty() {
            room.put_long(memory);
            return Vec::new();
        }
        self.begin_to_receive(outbox, room);
        if self.stops(0, outbox, room).is_some() {
            return memory;
        }
        self.receive_next(memory, who, outbox, room)
    }

    /// A message begins with what has come.
    fn receive_next(
        &mut self,
        mut memory: Vec<u8>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> Vec<u8> {
        let read = {
            let own = self.own_limits(&room.limits.websocket);
            let limits = own.as_ref().unwrap_or(&room.limits.websocket);
            // A few bytes would keep all of the memory.
            let bytes_min = memory.capacity() / 2;
            self.machine.receive_in_place(&mut memory, bytes_min, room.now_ms, limits)
        };
        match read {
            Ok(Some(message)) => self.take_in_place(memory, message, who, outbox, room),
            Ok(None) => {
                let (consumed, _) = self.receive(&Source::Joined(&memory), who, outbox, room);
                let rest = memory.split_off(consumed);
                room.put_long(memory);
                rest
            }
            Err(refusal) => {
                self.refuse(refusal, who, outbox, room);
                Vec::new()
            }
        }
    }

    /// More has come of a message, in its own memory. Nothing is poured before that is given back: a close
    /// that waits would end the message.
    fn receive_lent(
        &mut self,
        mut memory: Vec<u8>,
        before: usize,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> Vec<u8> {
        let left = usize::try_from(self.machine.payload_left()).unwrap_or(usize::MAX);
        let end = match self.stops(0, outbox, room) {
            None => memory.len().min(before.saturating_add(left)),
            Some(_) => before,
        };
        let rest = memory.split_off(end);
        match self.machine.receive_lent(memory, before, room.now_ms) {
            Ok(received) => _ = self.take(received, who, outbox, room),
            Err(refusal) => self.refuse(refusal, who, outbox, room),
        }
        self.share.add_bytes(end - before);
        rest
    }

    /// A whole message, which keeps the memory that it stands in; gives what stands behind it.
    fn take_in_place(
        &mut self,
        memory: Vec<u8>,
        message: InPlace,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> Vec<u8> {
        let InPlace { consumed, kind, payload } = message;
        let rest = memory[consumed..].to_vec();
        self.share.add_bytes(consumed);
        self.share.add_exchange();
        self.note_message(payload.len());
        if !self.is_closing() {
            room.counts.messages_received += 1;
            let message = Message::shared(kind, Bytes::from(memory).slice(payload));
            self.tell(message, who, outbox, room);
        }
        rest
    }
}
