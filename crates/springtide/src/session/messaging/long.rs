//! Long messages, each taken at once into memory of its own: it is unmasked where it stands, and kept so.
//! What is not a whole message is read as what comes in chunks, and the memory serves the next.

use bytes::Bytes;
use springtide_proto::Outbox;
use springtide_proto::websocket::{InPlace, Received};

use super::Messaging;
use crate::room::Room;
use crate::session::{Source, Who};
use crate::websocket::Message;

impl Messaging {
    /// Whether the next message is likely to be a long one.
    #[inline]
    pub(in crate::session) const fn expects_long(&self) -> bool {
        self.share.expects_long()
    }

    /// Memory for what comes next, and how much of it may come in this turn.
    pub(in crate::session) fn lend_bulk(&mut self, room: &mut Room) -> Option<(Vec<u8>, usize)> {
        self.share.renew(room.turn);
        let left = self.share.left();
        (left > 0 && self.expects_long()).then(|| (room.take_long(), left))
    }

    /// Handles what has come; gives what it does not take now.
    pub(in crate::session) fn receive_bulk(
        &mut self,
        mut memory: Vec<u8>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> Vec<u8> {
        self.begin_to_receive(outbox, room);
        if self.stops(0, outbox, room).is_some() {
            return memory;
        }
        let read = {
            let limits = self.limits(&room.limits.websocket);
            self.machine.receive_in_place(&mut memory, room.now_ms, &limits)
        };
        match read {
            Ok(Some(message)) => return self.take_in_place(memory, message, who, outbox, room),
            Ok(None) => {}
            Err(refusal) => {
                self.refuse(refusal, who, outbox, room);
                return Vec::new();
            }
        }
        let (consumed, _) = self.receive(&Source::Joined(&memory), who, outbox, room);
        let rest = memory[consumed..].to_vec();
        room.put_long(memory);
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
        let InPlace { consumed, kind, is_compressed, payload } = message;
        let rest = memory[consumed..].to_vec();
        self.share.add_bytes(consumed);
        if is_compressed || payload.len() < memory.capacity() / 2 {
            // A few bytes would keep all of the memory.
            let payload = memory[payload].to_vec();
            room.put_long(memory);
            let received = Received::Message { consumed, kind, is_compressed, payload };
            self.take(received, who, outbox, room);
            return rest;
        }
        self.share.add_exchange();
        self.share.note_message(payload.len());
        if !self.is_closing() {
            room.counts.messages_received += 1;
            let message = Message::shared(kind, Bytes::from(memory).slice(payload));
            self.tell(message, who, outbox, room);
        }
        rest
    }
}
