//! Mailboxes: what other threads ask of a shard.
//! A message is plain data; it is handled between two turns and never where it is sent.

use std::sync::Arc;

use crossbeam_queue::SegQueue;
use springtide_engine::{Descriptor, Waker};

use crate::metrics::ShardCounts;

/// Something for a shard to do.
pub(crate) enum Message {
    /// The other shards, in order of their numbers.
    Peers(Vec<Neighbour>),
    /// A connection accepted by another shard.
    Adopt(Descriptor),
    /// An idle connection of a shard that stops.
    TakeOver(Descriptor),
    /// A listener of a shard that stops.
    TakeListener(Descriptor),
    /// Hand the listeners to another shard, finish what has begun, and stop within so many
    /// milliseconds.
    Retire { within_ms: u64 },
    /// Close the listeners, finish what has begun, and stop within so many milliseconds.
    Drain { within_ms: u64 },
}

/// Where a shard's messages wait. Bounded by what sends them: one message per accepted
/// connection, which the limit on connections counts, and a few per shard in its life.
pub(crate) struct Mailbox {
    queue: SegQueue<Message>,
    waker: Waker,
}

impl Mailbox {
    pub(crate) const fn new(waker: Waker) -> Self {
        Self { queue: SegQueue::new(), waker }
    }

    pub(crate) fn send(&self, message: Message) {
        self.queue.push(message);
        self.waker.wake();
    }

    #[inline]
    pub(crate) fn next(&self) -> Option<Message> {
        self.queue.pop()
    }
}

/// Another shard, as one that deals or hands over sees it.
#[derive(Clone)]
pub(crate) struct Neighbour {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) counts: Arc<ShardCounts>,
}
