//! The registry of a server's topics: which there are, on which shards somebody has subscribed, and what
//! became of what was published. It is asked without a lock where a shard knows a topic.
//! It never holds a connection: who has subscribed is known on its shard only.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use super::queue::Target;
use crate::limits::Limits;
use crate::peer::{PeerId, Reason};

/// A topic that somebody has subscribed to, or had lately.
#[derive(Debug)]
pub(crate) struct Topic {
    /// As it was subscribed to.
    pub(super) name: Arc<str>,
    /// One for each shard, in order of their numbers.
    pub(super) cells: Box<[Cell]>,
}

/// What there is of a topic on one shard. But for what others refuse, only that shard writes.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Cell {
    pub(super) target: Arc<Target>,
    pub(super) subscribers: AtomicUsize,
    delivered: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
}

/// How a topic stands, summed over all shards; see [`Topics::topic`](super::Topics::topic).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct TopicCounts {
    /// Connections that have subscribed to it now.
    pub subscribers: usize,
    /// Messages given to its subscribers, each counted for each of them.
    pub delivered: u64,
    /// Messages that one of them did not get, because its queue was full, or it ended before, or the
    /// queue to its shard was full.
    pub dropped: u64,
}

/// Adds to what one thread alone writes.
#[inline]
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

impl Topic {
    #[inline]
    pub(super) fn count_delivered(&self, shard: usize) {
        add(&self.cells[shard].delivered, 1);
    }

    pub(super) fn count_dropped(&self, shard: usize) {
        add(&self.cells[shard].dropped, 1);
    }

    /// So many have subscribed on a shard.
    pub(super) fn count_subscribers(&self, shard: usize, count: usize) {
        self.cells[shard].subscribers.store(count, Ordering::Release);
    }

    /// A name that this is, or that it stands for, to be kept.
    pub(super) fn name_of(&self, name: &str) -> Arc<str> {
        if *self.name == *name { Arc::clone(&self.name) } else { name.into() }
    }

    /// How many have subscribed on a shard.
    #[inline]
    pub(super) fn subscribers(&self, shard: usize) -> usize {
        self.cells[shard].subscribers.load(Ordering::Acquire)
    }

    /// Whoever has subscribed on a shard does not get a message; how many those are.
    pub(super) fn refuse(&self, shard: usize) -> usize {
        let count = self.subscribers(shard);
        self.cells[shard].refused.fetch_add(count as u64, Ordering::Relaxed);
        count
    }

    fn counts(&self) -> TopicCounts {
        let mut counts = TopicCounts::default();
        for cell in &self.cells {
            let dropped = cell.dropped.load(Ordering::Relaxed);
            counts.subscribers += cell.subscribers.load(Ordering::Acquire);
            counts.delivered += cell.delivered.load(Ordering::Relaxed);
            counts.dropped += dropped + cell.refused.load(Ordering::Relaxed);
        }
        counts
    }
}

/// The registry.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    listed: RwLock<Listed>,
    /// Another one with each topic that comes or goes.
    version: AtomicU64,
    limits: OnceLock<TopicLimits>,
    /// Where connections stand that have moved from the shard on which they were accepted: asked only
    /// where a queue is full.
    moved: Mutex<HashMap<PeerId, usize>>,
}

/// The limits of a server that are asked where no room is.
#[derive(Debug, Clone, Copy)]
pub(super) struct TopicLimits {
    pub(super) topics_max: usize,
    pub(super) topic_bytes_max: usize,
    pub(super) topics_per_connection_max: usize,
    pub(super) queue_bytes_max: usize,
    pub(super) queue_messages_max: usize,
}

#[derive(Debug, Default)]
struct Listed {
    topics: HashMap<Arc<str>, Arc<Topic>>,
    /// How many of them end in a wildcard.
    wildcards: usize,
    targets: Vec<Arc<Target>>,
}

/// What a name ends in that stands for every topic that begins with what is before it.
const WILDCARD: char = '*';

/// Whether a name is one for many topics: `*` alone, or `.*` at its end.
pub(super) fn is_wildcard(name: &str) -> bool {
    name.strip_suffix(WILDCARD).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The names under which somebody may have subscribed to a topic: its own, then every wildcard.
pub(super) fn names_of(topic: &str, has_wildcards: bool) -> impl Iterator<Item = String> {
    let dots = topic.match_indices('.').map(|(at, _)| at + 1);
    let ends = std::iter::once(0).chain(dots).filter(move |_| has_wildcards);
    std::iter::once(topic.to_owned()).chain(ends.map(|end| format!("{}{WILDCARD}", &topic[..end])))
}

impl Registry {
    /// What the limits of its server are; once.
    pub(crate) fn settle(&self, limits: &Limits) {
        // A server starts once.
        let _ = self.limits.set(TopicLimits {
            topics_max: limits.topics_max,
            topic_bytes_max: limits.topic_bytes_max,
            topics_per_connection_max: limits.topics_per_connection_max,
            queue_bytes_max: limits.topic_queue_bytes_max,
            queue_messages_max: limits.topic_queue_messages_max,
        });
    }

    /// The limits; none before its server starts.
    pub(super) fn limits(&self) -> Option<&TopicLimits> {
        self.limits.get()
    }

    /// Whether nobody can have subscribed by a name, which is to cost nothing then: it may be a peer's.
    #[inline]
    pub(super) fn is_too_long(&self, name: &str) -> bool {
        self.limits().is_some_and(|limits| name.len() > limits.topic_bytes_max)
    }

    /// One more shard, the next in order of their numbers, before anybody can subscribe.
    pub(crate) fn join(&self, target: Target) {
        self.write().targets.push(Arc::new(target));
    }

    fn moved(&self) -> MutexGuard<'_, HashMap<PeerId, usize>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection has moved to a shard.
    pub(crate) fn settle_on(&self, id: PeerId, shard: usize) {
        match id.is_of(shard) {
            true => self.moved().remove(&id),
            false => self.moved().insert(id, shard),
        };
    }

    /// A connection of a shard has ended.
    #[inline]
    pub(crate) fn forget(&self, id: PeerId, shard: usize) {
        if !id.is_of(shard) {
            self.moved().remove(&id);
        }
    }

    /// How many of these connections stand on a shard, if they are still there.
    pub(super) fn count_on(&self, ids: &[PeerId], shard: usize) -> usize {
        let moved = self.moved();
        let is_here = |id: &&PeerId| match moved.get(id) {
            Some(own) => *own == shard,
            None => id.is_of(shard),
        };
        ids.iter().filter(is_here).count()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Listed> {
        self.listed.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Listed> {
        self.listed.write().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The shards.
    pub(super) fn targets(&self) -> Vec<Arc<Target>> {
        self.read().targets.clone()
    }

    /// Everything that somebody may have subscribed to who gets what is published under this name;
    /// nothing under one that is for many topics, or longer than a topic may be.
    pub(super) fn find(&self, topic: &str) -> Vec<Arc<Topic>> {
        if is_wildcard(topic) || self.is_too_long(topic) {
            return Vec::new();
        }
        let listed = self.read();
        let names = names_of(topic, listed.wildcards > 0);
        names.filter_map(|name| listed.topics.get(name.as_str()).cloned()).collect()
    }

    /// The first subscriber of a shard.
    ///
    /// # Errors
    /// There are as many topics as there may be.
    pub(super) fn enter(&self, name: &str, shard: usize) -> Result<Arc<Topic>, Reason> {
        let mut listed = self.write();
        let topic = match listed.topics.get(name) {
            Some(topic) => Arc::clone(topic),
            None => self.add(name, &mut listed)?,
        };
        topic.cells[shard].subscribers.store(1, Ordering::Release);
        Ok(topic)
    }

    fn add(&self, name: &str, listed: &mut Listed) -> Result<Arc<Topic>, Reason> {
        let most = self.limits().map_or(usize::MAX, |limits| limits.topics_max);
        if listed.topics.len() >= most {
            return Err(Reason::Limit("topics_max"));
        }
        let cells = listed.targets.iter().map(|target| Cell {
            target: Arc::clone(target),
            subscribers: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let topic = Arc::new(Topic { name: name.into(), cells: cells.collect() });
        listed.topics.insert(Arc::clone(&topic.name), Arc::clone(&topic));
        listed.wildcards += usize::from(is_wildcard(name));
        self.version.fetch_add(1, Ordering::Release);
        Ok(topic)
    }

    /// Nobody is subscribed on a shard any more; where nobody is anywhere, the topic is gone.
    pub(super) fn leave(&self, topic: &Topic, shard: usize) {
        let mut listed = self.write();
        topic.cells[shard].subscribers.store(0, Ordering::Release);
        let mut cells = topic.cells.iter();
        if cells.all(|cell| cell.subscribers.load(Ordering::Acquire) == 0)
            && listed.topics.remove(&topic.name).is_some()
        {
            listed.wildcards -= usize::from(is_wildcard(&topic.name));
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// How a topic stands.
    pub(super) fn counts_of(&self, name: &str) -> TopicCounts {
        self.read().topics.get(name).map(|topic| topic.counts()).unwrap_or_default()
    }

    /// How all stand, in no order.
    pub(super) fn all(&self) -> Vec<(String, TopicCounts)> {
        let listed = self.read();
        listed.topics.values().map(|own| (own.name.to_string(), own.counts())).collect()
    }
}
