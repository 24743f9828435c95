//! Long messages, each taken at once into memory of its own: it is unmasked where it stands, and kept so.
//! What is not a whole message is read as what comes in chunks.

use bytes::Bytes;
use springtide_proto::Outbox;
use springtide_proto::websocket::InPlace;

use super::Messaging;
use crate::room::Room;
use crate::session::Who;
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
        if memory.is_empty() {
            room.put_long(memory);
            return Vec::new();
        }
        self.begin_to_receive(outbox, room);
        if self.stops(0, outbox, room).is_some() {
            return memory;
        }
        let read = {
            let own = self.own_limits(&room.limits.websocket);
            let limits = own.as_ref().unwrap_or(&room.limits.websocket);
            // A few bytes would keep all of the memory.
            let bytes_min = memory.capacity() / 2;
            self.machine.receive_in_place(&mut memory, bytes_min, room.now_ms, limits)
        };
        match read {
            Ok(Some(message)) => self.take_in_place(memory, message, who, outbox, room),
            Ok(None) => memory,
            Err(refusal) => {
                self.refuse(refusal, who, outbox, room);
                Vec::new()
            }
        }
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
        self.share.note_message(payload.len());
        if !self.is_closing() {
            room.counts.messages_received += 1;
            let message = Message::shared(kind, Bytes::from(memory).slice(payload));
            self.tell(message, who, outbox, room);
        }
        rest
    }
}
