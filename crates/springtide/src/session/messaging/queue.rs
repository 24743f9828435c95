//! Messages that wait for a peer that is behind: how many, and which are dropped.
//! Control frames never wait here, but a close that belongs behind what does.

use std::collections::VecDeque;

use springtide_proto::websocket::{CloseFrame, code};
use springtide_proto::{Outbox, Piece};

use super::Messaging;
use crate::limits::{STREAM_LOW_BYTES, place_of};
use crate::metrics::Counts;
use crate::room::Room;
use crate::topic::Delivery;
use crate::websocket::{ClosedBy, Message, Overflow};

/// What waits.
#[derive(Default)]
pub(super) struct Queue {
    messages: VecDeque<Waiting>,
    bytes: usize,
    /// What is said behind the last message; nothing more is taken then.
    close: Option<Box<CloseFrame>>,
    pub(super) dropped: u64,
}

/// One message that waits.
enum Waiting {
    Said(Message),
    /// Shared with all others who get it.
    Published(Delivery),
}

const _: () = assert!(size_of::<Waiting>() <= 40, "one for each message that waits");

impl Waiting {
    fn cost(&self) -> usize {
        cost(match self {
            Self::Said(message) => message.len(),
            Self::Published(delivery) => delivery.published.len(),
        })
    }
}

/// Where a message goes.
enum Way {
    /// Into the outbox at once.
    Out,
    /// Behind those that wait.
    Queue,
    /// Nowhere.
    Dropped,
}

/// So much is put into the outbox ahead of the sends; what waits behind it can still be dropped.
pub(super) const AHEAD_BYTES: usize = STREAM_LOW_BYTES / 4;

/// What a message costs besides its bytes.
const MESSAGE_COST_BYTES: usize = 64;

const fn cost(message_bytes: usize) -> usize {
    message_bytes + MESSAGE_COST_BYTES
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.close.is_none()
    }

    /// Whether nothing of it is to be remembered.
    pub(super) fn is_idle(&self) -> bool {
        self.is_empty() && self.dropped == 0
    }

    /// What waits takes so much.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Closes behind what waits, unless it is closing.
    pub(super) fn close(&mut self, frame: CloseFrame) {
        self.close.get_or_insert_with(|| Box::new(frame));
    }

    /// Nothing of it is sent any more.
    pub(super) fn forget(&mut self, counts: &mut Counts) {
        while self.drop_oldest(counts) {}
        self.close = None;
    }

    fn count_dropped(&mut self, counts: &mut Counts) {
        self.dropped += 1;
        counts.messages_dropped += 1;
    }

    fn push(&mut self, message: Waiting) {
        self.bytes += message.cost();
        self.messages.push_back(message);
    }

    fn pop(&mut self) -> Option<Waiting> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.cost();
        if self.messages.is_empty() {
            self.messages = VecDeque::new();
        }
        Some(message)
    }

    fn drop_oldest(&mut self, counts: &mut Counts) -> bool {
        let Some(message) = self.pop() else { return false };
        if let Waiting::Published(delivery) = message {
            delivery.count_dropped(counts);
        }
        self.count_dropped(counts);
        true
    }
}

impl Messaging {
    /// What waits; none while nothing does, and nothing was dropped.
    #[inline]
    fn queue(&self) -> Option<&Queue> {
        self.rest.as_ref().map(|rest| &rest.queue)
    }

    pub(super) fn bytes_waiting(&self) -> usize {
        self.queue().map_or(0, |queue| queue.bytes)
    }

    /// Whether a close waits: what the peer says from then on is thrown away.
    #[inline]
    pub(super) fn is_closing(&self) -> bool {
        self.queue().is_some_and(|queue| queue.close.is_some())
    }

    fn has_messages(&self) -> bool {
        self.queue().is_some_and(|queue| !queue.messages.is_empty())
    }

    /// Nothing of what waits is sent any more.
    pub(super) fn forget(&mut self, counts: &mut Counts) {
        if let Some(rest) = &mut self.rest {
            rest.queue.forget(counts);
        }
    }

    /// Sends a message, behind those that wait.
    pub(super) fn send(&mut self, message: Message, outbox: &mut Outbox, room: &mut Room) {
        match self.way_of(message.len(), outbox, room) {
            Way::Out => _ = self.write(message, outbox, room),
            Way::Queue => self.rest().queue.push(Waiting::Said(message)),
            Way::Dropped => self.rest().queue.count_dropped(&mut room.counts),
        }
    }

    /// The same of one that others get as well. It is counted once, here or when it no more waits.
    #[inline]
    pub(crate) fn deliver(&mut self, delivery: &Delivery, outbox: &mut Outbox, room: &mut Room) {
        match self.way_of(delivery.published.len(), outbox, room) {
            Way::Out => self.write_published(delivery, outbox, room),
            Way::Queue => self.rest().queue.push(Waiting::Published(delivery.clone())),
            Way::Dropped => {
                delivery.count_dropped(&mut room.counts);
                self.rest().queue.count_dropped(&mut room.counts);
            }
        }
    }

    /// Counts such a message as given where nothing waits before it, or with it: its frame is sent as it is.
    #[inline]
    pub(crate) fn take_at_once(&mut self, delivery: &Delivery, room: &mut Room) -> bool {
        let bytes = delivery.published.len();
        let is_deflated = self
            .compressing
            .is_some_and(|own| own.is_dedicated_for(bytes) || own.is_shared_for(bytes));
        let is_free = !self.has_waiting() && self.machine.may_send() && !is_deflated;
        if is_free {
            self.count_written(true, room);
            delivery.count_delivered(&mut room.counts);
        }
        is_free
    }

    /// Where a message of so many bytes goes; there is room for it then.
    #[inline]
    fn way_of(&mut self, message_bytes: usize, outbox: &Outbox, room: &mut Room) -> Way {
        if self.is_closing() || !self.machine.may_send() {
            return Way::Dropped;
        }
        if !self.has_messages() && outbox.len() < AHEAD_BYTES && !self.is_streaming() {
            return Way::Out;
        }
        let most = room.limits.socket_queue_bytes_max;
        if self.bytes_waiting() + cost(message_bytes) > most && self.has_messages() {
            room.met.count(const { place_of("socket_queue_bytes_max") });
            if !self.make_room(message_bytes, most, room) {
                return Way::Dropped;
            }
        }
        Way::Queue
    }

    /// Does what is to be done where a message does not fit; whether it is to wait then.
    fn make_room(&mut self, message_bytes: usize, most: usize, room: &mut Room) -> bool {
        let (overflow, counts, queue) = (self.overflow, &mut room.counts, &mut self.rest().queue);
        match overflow {
            Overflow::Close => {
                let frame = CloseFrame::new(code::TRY_AGAIN_LATER, "messages wait for too long");
                queue.close(frame.unwrap_or_default());
                return false;
            }
            Overflow::DropNewest => return false,
            Overflow::DropOldest => {
                while queue.bytes + cost(message_bytes) > most && queue.drop_oldest(counts) {}
            }
            Overflow::KeepLatest => while queue.drop_oldest(counts) {},
        }
        true
    }

    /// Writes a message; whether it could.
    fn write(&mut self, message: Message, outbox: &mut Outbox, room: &mut Room) -> bool {
        let (kind, payload) = message.into_parts();
        let deflated = self.compressing.and_then(|compressing| {
            let coders = &mut *room.requests.sockets.coders.borrow_mut();
            if compressing.is_dedicated_for(payload.len()) {
                let own = &mut self.rest().dedicated;
                let deflated = compressing.deflate_dedicated(own, &payload, coders, &room.limits);
                // There may have been no memory for one.
                self.tidy();
                return deflated;
            }
            compressing.deflate_shared(&payload, coders)
        });
        let sent = match deflated {
            None => self.machine.send_message(kind, Piece::Shared(payload), None, outbox),
            Some(deflated) => self.machine.send_compressed(kind, deflated.into(), None, outbox),
        };
        self.count_written(sent.is_ok(), room)
    }

    /// Counts a message that was written, or could not be; whether it was.
    #[inline]
    pub(super) fn count_written(&mut self, is_sent: bool, room: &mut Room) -> bool {
        match is_sent {
            true => {
                self.sent += 1;
                room.counts.messages_sent += 1;
            }
            false => self.rest().queue.count_dropped(&mut room.counts),
        }
        is_sent
    }

    /// Writes the frame that all share, plain or compressed; where a compressor is this connection's own,
    /// the message is written as if it were for it alone.
    #[inline]
    fn write_published(&mut self, delivery: &Delivery, outbox: &mut Outbox, room: &mut Room) {
        let published = &*delivery.published;
        let is_sent = match &self.compressing {
            Some(own) if own.is_dedicated_for(published.len()) => {
                self.write(published.message(), outbox, room)
            }
            compressing => {
                let is_deflated =
                    compressing.as_ref().is_some_and(|own| own.is_shared_for(published.len()));
                let deflate = |payload: &[u8]| {
                    room.requests.sockets.coders.borrow_mut().deflate_alone(payload)
                };
                let deflated = is_deflated.then(|| published.deflated(deflate)).flatten();
                let frame = deflated.unwrap_or_else(|| published.plain());
                let sent = self.machine.send_encoded(frame, outbox);
                self.count_written(sent.is_ok(), room)
            }
        };
        match is_sent {
            true => delivery.count_delivered(&mut room.counts),
            false => delivery.count_dropped(&mut room.counts),
        }
    }

    /// Puts what waits into the outbox, as far as that is sent soon.
    #[inline]
    pub(crate) fn pour(&mut self, outbox: &mut Outbox, room: &mut Room) {
        if self.rest.is_some() && !self.is_streaming() {
            self.pour_what_waits(outbox, room);
            self.tidy();
        }
    }

    fn pour_what_waits(&mut self, outbox: &mut Outbox, room: &mut Room) {
        while outbox.len() < AHEAD_BYTES
            && let Some(message) = self.rest().queue.pop()
        {
            match message {
                Waiting::Said(message) => _ = self.write(message, outbox, room),
                Waiting::Published(delivery) => self.write_published(&delivery, outbox, room),
            }
        }
        if !self.has_messages()
            && let Some(frame) = self.rest().queue.close.take()
            && self.machine.send_close(&frame, room.now_ms, None, outbox).is_ok()
        {
            self.end_by(ClosedBy::Here, *frame);
        }
        if self.queue().is_none_or(Queue::is_empty) && outbox.len() < AHEAD_BYTES {
            self.begin_stream(outbox, room);
        }
    }

    /// Whether nothing more is read before what was said has gone: half of what may wait, so that
    /// what its own messages cause never breaks the limit.
    pub(super) fn is_behind(&self, outbox: &Outbox, room: &Room) -> bool {
        let waiting = outbox.len() + self.bytes_waiting();
        waiting > (room.limits.socket_queue_bytes_max / 2).min(room.limits.outbox_bytes_max)
    }

    /// Whether something waits for what is being sent.
    pub(crate) fn has_waiting(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| !rest.queue.is_empty() || rest.waiting.is_some())
    }
}
