//! Mailboxes: what other threads ask of a shard.
//! A message is plain data; it is handled between two turns and never where it is sent.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use crossbeam_queue::SegQueue;
use springtide_engine::{Descriptor, Waker};

use crate::admin::OpenConnection;
use crate::connection::FrozenConnection;
use crate::metrics::{EngineCounts, ShardCounts};
use crate::topic::Batch;

/// Something for a shard to do.
pub(crate) enum Message {
    /// The other shards, in order of their numbers.
    Peers(Vec<Neighbour>),
    /// A connection accepted by another shard.
    Adopt(Descriptor),
    /// A connection of another shard, frozen: its descriptors are released there.
    Move(Box<FrozenConnection>),
    /// Give so many connections to a shard.
    Share { target: u16, count: usize },
    /// Tell how the connections stand.
    Look(mpsc::Sender<Vec<OpenConnection>>),
    /// Tell what the engine did.
    Count(mpsc::Sender<EngineCounts>),
    /// Other threads have asked something of raw connections, and it stands in the hatch.
    Asked,
    /// What was published elsewhere for connections of this shard.
    Published(Batch),
    /// Say that the shard makes turns.
    Answer(mpsc::Sender<()>),
    /// A listener of a shard that stops.
    TakeListener(Descriptor),
    /// Hand the listeners to another shard, finish what has begun, and stop within so many
    /// milliseconds.
    Retire { within_ms: u64 },
    /// Close the listeners, finish what has begun, and stop within so many milliseconds.
    Drain { within_ms: u64 },
}

impl Message {
    /// Everything open that comes with it.
    pub(crate) fn descriptors(&self) -> Vec<Descriptor> {
        match self {
            Self::Adopt(descriptor) | Self::TakeListener(descriptor) => vec![*descriptor],
            Self::Move(connection) => connection.descriptors().collect(),
            Self::Peers(_)
            | Self::Asked
            | Self::Look(_)
            | Self::Count(_)
            | Self::Published(_)
            | Self::Answer(_)
            | Self::Share { .. }
            | Self::Retire { .. }
            | Self::Drain { .. } => Vec::new(),
        }
    }
}

/// Where a shard's messages wait. Bounded by what sends them: one message per accepted
/// connection, which the limit on connections counts, one for all that is asked of raw connections,
/// those that are published as far as their own limits go, and a few per shard in its life.
pub(crate) struct Mailbox {
    queue: SegQueue<Message>,
    /// That of the shard's engine, which may be replaced while the shard lives.
    waker: Mutex<Waker>,
}

impl Mailbox {
    pub(crate) const fn new(waker: Waker) -> Self {
        Self { queue: SegQueue::new(), waker: Mutex::new(waker) }
    }

    pub(crate) fn send(&self, message: Message) {
        self.queue.push(message);
        self.wake();
    }

    /// Makes the shard look at what others tell it.
    pub(crate) fn wake(&self) {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner).wake();
    }

    /// The shard has another engine. Whoever has woken the one before has sent before: the shard
    /// must look at its messages without waiting.
    pub(crate) fn wake_with(&self, waker: Waker) {
        waker.wake();
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = waker;
    }

    #[inline]
    pub(crate) fn next(&self) -> Option<Message> {
        // Asking an empty queue to pop costs a fence, which waits for every store before it.
        if self.queue.is_empty() { None } else { self.queue.pop() }
    }

    /// Takes back what was sent to a shard that had ended, or what somebody else has sent: something
    /// that is to have an owner. Questions are thrown away, as nobody answers them.
    pub(crate) fn take_back(&self) -> Option<Message> {
        std::iter::from_fn(|| self.next()).find(|message| {
            matches!(message, Message::Adopt(_) | Message::Move(_) | Message::TakeListener(_))
        })
    }
}

/// Another shard, as one that deals or hands over sees it.
#[derive(Clone)]
pub(crate) struct Neighbour {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) counts: Arc<ShardCounts>,
}

/// One of them cannot go on: the server ends.
pub(crate) fn stop_all(neighbours: &[Neighbour]) {
    for neighbour in neighbours {
        neighbour.mailbox.send(Message::Drain { within_ms: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Backend;
    use springtide_engine::{Address, ListenOptions};
    use std::time::Duration;

    /// Whoever has sent woke the engine that the shard had then: the new one must not wait.
    #[test]
    fn a_message_to_the_engine_before_wakes_the_new_one() {
        for backend in [Backend::Uring, Backend::Epoll, Backend::Poll] {
            let (before, mut engine) = (backend.engine(None), backend.engine(None));
            let mailbox = Mailbox::new(before.waker());
            mailbox.send(Message::Drain { within_ms: 0 });
            mailbox.wake_with(engine.waker());
            let late = engine.now() + Duration::from_secs(10);
            engine.turn(Some(late), &mut Vec::new()).unwrap();
            assert!(engine.now() < late, "{backend:?} has waited");
            assert!(matches!(mailbox.next(), Some(Message::Drain { .. })));
        }
    }

    /// Whoever asks a shard that has just ended must not hide what another shard gives it.
    #[test]
    fn questions_hide_nothing_in_the_mailbox_of_a_shard_that_has_ended() {
        let mut engine = Backend::Epoll.engine(None);
        let address = Address::Internet(([127, 0, 0, 1], 0).into());
        let (address, backlog) = (&address, 1);
        let options =
            ListenOptions { address, backlog, joining: false, keepalive: None, mode: None };
        let listener = engine.listen(&options).unwrap();
        let mailbox = Mailbox::new(engine.waker());
        mailbox.send(Message::Asked);
        mailbox.send(Message::TakeListener(listener));
        assert!(matches!(mailbox.take_back(), Some(Message::TakeListener(_))));
        assert!(mailbox.take_back().is_none());
    }
}
