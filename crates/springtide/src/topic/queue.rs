//! What is published on its way to a shard: bounded by messages and bytes, from any thread.
//! What finds no room is refused before it is on its way; what is on its way is delivered or ends with
//! its shard.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::published::Publication;
use super::registry::TopicLimits;
use crate::limits::place_of;
use crate::mailbox::{Mailbox, Message};
use crate::metrics::ShardCounts;

/// A shard, as whoever publishes sees it.
pub(crate) struct Target {
    mailbox: Arc<Mailbox>,
    counts: Arc<ShardCounts>,
    way: Arc<Way>,
}

/// How much is on its way to a shard. All that a batch holds of its target: one that nobody takes out of
/// the mailbox of a shard that has ended goes with that.
#[derive(Debug, Default)]
struct Way {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Way {
    fn release(&self, bytes: usize) {
        self.messages.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("way", &self.way).finish_non_exhaustive()
    }
}

impl Target {
    pub(crate) fn new(mailbox: Arc<Mailbox>, counts: Arc<ShardCounts>) -> Self {
        Self { mailbox, counts, way: Arc::default() }
    }

    /// Whether nothing is published to it any more.
    pub(super) fn has_ended(&self) -> bool {
        self.counts.has_ended()
    }

    /// Takes room for a publication; false when there is none, which is counted.
    pub(super) fn reserve(&self, cost: usize, limits: &TopicLimits) -> bool {
        let messages = self.way.messages.fetch_add(1, Ordering::Relaxed);
        let bytes = self.way.bytes.fetch_add(cost, Ordering::Relaxed);
        // One that is longer than all may be goes alone.
        let is_short = bytes > 0 && bytes.saturating_add(cost) > limits.queue_bytes_max;
        if messages < limits.queue_messages_max && !is_short {
            return true;
        }
        self.way.release(cost);
        self.meet(match is_short {
            true => const { place_of("topic_queue_bytes_max") },
            false => const { place_of("topic_queue_messages_max") },
        });
        false
    }

    /// A limit was met.
    pub(super) fn meet(&self, place: usize) {
        self.counts.meet(place);
    }

    /// So many deliveries were refused.
    pub(super) fn refuse(&self, deliveries: usize) {
        self.counts.refuse_deliveries(deliveries as u64);
    }

    /// Sends what has gathered for it in a batch.
    pub(super) fn hand_over(&self, batch: &mut Batch) {
        let batch = std::mem::replace(batch, Batch::to(self));
        self.mailbox.send(Message::Published(batch));
    }
}

/// Publications for one shard, in their order. Each gives its room back when it is taken, or dropped.
#[derive(Debug)]
pub(crate) struct Batch {
    way: Arc<Way>,
    publications: VecDeque<Publication>,
}

impl Batch {
    pub(super) fn to(target: &Target) -> Self {
        Self { way: Arc::clone(&target.way), publications: VecDeque::new() }
    }

    /// Adds one for which room was taken.
    pub(super) fn push(&mut self, publication: Publication) {
        self.publications.push_back(publication);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.publications.is_empty()
    }

    /// Takes the next one out.
    pub(super) fn next(&mut self) -> Option<Publication> {
        let publication = self.publications.pop_front()?;
        self.way.release(publication.cost());
        Some(publication)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        while self.next().is_some() {}
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::published::{Published, Whom};
    use super::*;
    use crate::tests::Backend;

    /// A shard that takes nothing.
    pub(in crate::topic) fn target() -> Target {
        let mailbox = Mailbox::new(Backend::Epoll.engine(None).waker());
        Target::new(Arc::new(mailbox), Arc::default())
    }

    /// Somebody publishes to a shard in the moment in which that ends.
    #[test]
    fn what_nobody_takes_goes_with_the_mailbox() {
        let target = target();
        let left = Arc::downgrade(&target.mailbox);
        let published = Published::new("tide".into());
        let payload = Arc::downgrade(&published);
        let mut batch = Batch::to(&target);
        batch.push(Publication { published, whom: Whom::Topic("tides".into()) });
        target.hand_over(&mut batch);
        drop((batch, target));
        assert!(left.upgrade().is_none() && payload.upgrade().is_none());
    }
}
