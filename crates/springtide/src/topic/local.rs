//! The topics of one shard: what its connections subscribe to and publish, and what gathers for other
//! shards until the turn's end.
//! It never touches a connection: what is published here is delivered by the shard, in its order.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use super::Subscribed;
use super::published::{Delivery, Local, Publication, Published, Whom};
use super::queue::{Batch, Target};
use super::registry::{Registry, Topic};
use super::table::Subscriptions;
use crate::peer::{Peer, PeerId, PeerStatus, Reason};
use crate::table::Place;
use crate::task::Tasks;
use crate::websocket::Message;

/// The topics of a shard.
pub(crate) struct ShardTopics {
    registry: Arc<Registry>,
    shard: usize,
    table: RefCell<Subscriptions>,
    /// What the registry has said of what was published lately.
    known: RefCell<HashMap<Box<str>, Known>>,
    /// Counts what is published here, so that nobody gets what was published before it subscribed.
    serial: Cell<u64>,
    /// What is to go to each shard.
    batches: RefCell<Vec<(Arc<Target>, Batch)>>,
    has_batches: Cell<bool>,
    /// What has come from others and waits for its turn.
    arrived: RefCell<VecDeque<Batch>>,
}

/// What may be subscribed to by those who get what is published under a name.
struct Known {
    version: u64,
    topics: Rc<[Arc<Topic>]>,
}

/// So many names are known at a time; then all are asked for again.
const KNOWN_MAX: usize = 1024;

impl ShardTopics {
    pub(crate) fn new(registry: Arc<Registry>, shard: usize) -> Self {
        let (table, known, serial, batches, has_batches, arrived) = Default::default();
        Self { registry, shard, table, known, serial, batches, has_batches, arrived }
    }

    pub(super) fn is_of(&self, registry: &Arc<Registry>) -> bool {
        Arc::ptr_eq(&self.registry, registry)
    }

    /// A connection of this shard subscribes.
    pub(crate) fn subscribe(&self, peer: Peer, name: &str, tasks: &Tasks) -> Subscribed {
        let refused = match tasks.places.status(peer) {
            PeerStatus::Closed => Some(Reason::Stale),
            PeerStatus::Closing => Some(Reason::Closed),
            _ => None,
        };
        let entered = refused.map_or_else(|| self.enter(tasks.places.find(peer), name), Err);
        match entered {
            Ok(()) => Subscribed::Yes,
            Err(reason) => {
                if let Reason::Limit(limit) = reason {
                    tasks.tell_limit(peer, limit);
                }
                Subscribed::Refused(reason)
            }
        }
    }

    fn enter(&self, peer: Peer, name: &str) -> Result<(), Reason> {
        let mut table = self.table.borrow_mut();
        let Some(limits) = self.registry.limits() else { return Err(Reason::Stale) };
        if table.has(peer.id(), name) {
            return Ok(());
        }
        if self.registry.is_too_long(name) {
            return Err(Reason::Limit("topic_bytes_max"));
        }
        if table.count_of(peer.id()) >= limits.topics_per_connection_max {
            return Err(Reason::Limit("topics_per_connection_max"));
        }
        if !table.knows(name) {
            table.add(self.registry.enter(name, self.shard)?);
        }
        let (topic, count) = table.subscribe(peer, name, self.serial.get());
        topic.count_subscribers(self.shard, count);
        Ok(())
    }

    /// A connection of this shard gets nothing more of a topic; whether it had subscribed to it.
    pub(crate) fn unsubscribe(&self, peer: Peer, name: &str) -> bool {
        let left = self.table.borrow_mut().unsubscribe(peer.id(), name);
        let had = left.is_some();
        if let Some((topic, count)) = left {
            self.count(&topic, count);
        }
        had
    }

    fn count(&self, topic: &Topic, count: usize) {
        match count {
            0 => self.registry.leave(topic, self.shard),
            count => topic.count_subscribers(self.shard, count),
        }
    }

    /// A connection has ended, and its subscriptions with it.
    #[inline]
    pub(crate) fn end(&self, id: PeerId) {
        if !self.table.borrow().is_empty() {
            self.end_all_of(id);
        }
    }

    #[inline(never)]
    fn end_all_of(&self, id: PeerId) {
        while let Some((topic, count)) = {
            let mut table = self.table.borrow_mut();
            table.leave_one(id)
        } {
            self.count(&topic, count);
        }
    }

    /// A connection that was frozen stands here from now on.
    pub(crate) fn move_to(&self, id: PeerId, place: Place) {
        self.table.borrow_mut().move_to(id, place);
    }

    /// Publishes: to this shard behind what was said on it before, to others at the turn's end. Gives
    /// how many deliveries were refused, as the queue to their shard is full.
    pub(crate) fn publish(
        &self,
        name: &str,
        message: impl FnOnce() -> Message,
        except: Option<PeerId>,
        tasks: &Tasks,
    ) -> usize {
        let topics = self.find(name);
        if topics.is_empty() {
            return 0;
        }
        let published = Published::new(message());
        let whom = Whom::Topic(topics[0].name_of(name));
        let publication = Publication { published, whom };
        let refused = self.publish_elsewhere(&publication, &topics);
        if topics.iter().any(|topic| topic.subscribers(self.shard) > 0) {
            self.serial.set(self.serial.get() + 1);
            let serial = self.serial.get();
            tasks.publish(Local { publication, serial, except });
        }
        refused
    }

    /// What those may have subscribed to who get what is published under a name.
    fn find(&self, name: &str) -> Rc<[Arc<Topic>]> {
        if self.registry.is_too_long(name) {
            return Rc::default();
        }
        let version = self.registry.version();
        let mut known = self.known.borrow_mut();
        if let Some(known) = known.get(name)
            && known.version == version
        {
            return Rc::clone(&known.topics);
        }
        let topics: Rc<[Arc<Topic>]> = self.registry.find(name).into();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(name.into(), Known { version, topics: Rc::clone(&topics) });
        topics
    }

    fn publish_elsewhere(&self, publication: &Publication, topics: &[Arc<Topic>]) -> usize {
        let Some(limits) = self.registry.limits() else { return 0 };
        let mut refused = 0;
        for shard in 0..topics[0].cells.len() {
            if shard == self.shard || topics.iter().all(|topic| topic.subscribers(shard) == 0) {
                continue;
            }
            let target = &topics[0].cells[shard].target;
            if target.reserve(publication.cost(), limits) {
                self.batch(shard, publication.clone());
            } else {
                let count = topics.iter().map(|topic| topic.refuse(shard)).sum();
                target.refuse(count);
                refused += count;
            }
        }
        refused
    }

    /// It goes with what else goes to a shard.
    fn batch(&self, shard: usize, publication: Publication) {
        let mut batches = self.batches.borrow_mut();
        if batches.is_empty() {
            let targets = self.registry.targets().into_iter();
            batches.extend(targets.map(|target| (Arc::clone(&target), Batch::to(&target))));
        }
        batches[shard].1.push(publication);
        self.has_batches.set(true);
    }

    /// Publishes to connections by their names, wherever they are; how many of them are refused.
    pub(super) fn broadcast(
        &self,
        publication: Publication,
        ids: &[PeerId],
        tasks: &Tasks,
    ) -> usize {
        let Some(limits) = self.registry.limits() else { return 0 };
        let targets = self.registry.targets();
        let mut refused = 0;
        for (shard, target) in targets.iter().enumerate() {
            if shard == self.shard || target.has_ended() {
                continue;
            }
            if target.reserve(publication.cost(), limits) {
                self.batch(shard, publication.clone());
            } else {
                let count = self.registry.count_on(ids, shard);
                target.refuse(count);
                refused += count;
            }
        }
        let (serial, except) = (self.serial.get(), None);
        tasks.publish(Local { publication, serial, except });
        refused
    }

    /// The turn is over: what has gathered for other shards goes there.
    #[inline]
    pub(crate) fn hand_over(&self) {
        if self.has_batches.get() {
            self.hand_all_over();
        }
    }

    #[inline(never)]
    fn hand_all_over(&self) {
        self.has_batches.set(false);
        let mut batches = self.batches.borrow_mut();
        for (target, batch) in batches.iter_mut().filter(|(_, batch)| !batch.is_empty()) {
            target.hand_over(batch);
        }
    }

    /// A batch of another shard, or of another thread.
    pub(crate) fn arrive(&self, batch: Batch) {
        self.arrived.borrow_mut().push_back(batch);
    }

    #[inline]
    pub(crate) fn has_arrived(&self) -> bool {
        !self.arrived.borrow().is_empty()
    }

    /// The next of what has come.
    pub(crate) fn next_arrived(&self) -> Option<Publication> {
        let mut arrived = self.arrived.borrow_mut();
        let publication = arrived.front_mut()?.next();
        if arrived.front().is_some_and(Batch::is_empty) {
            arrived.pop_front();
        }
        publication
    }

    /// How many subscriptions of this shard there are to what is published to a topic.
    pub(crate) fn audience_of(&self, name: &str) -> usize {
        self.table.borrow().audience_of(name)
    }

    /// Calls for the place of each connection of this shard that gets a message, with how it is counted.
    pub(crate) fn each(
        &self,
        name: &str,
        published: &Arc<Published>,
        serial: u64,
        except: Option<PeerId>,
        call: impl FnMut(&Delivery, Place),
    ) {
        let make = |topic: &Arc<Topic>| {
            let topic = Some(Arc::clone(topic));
            Delivery { topic, ..self.delivery(published) }
        };
        self.table.borrow_mut().each(name, serial, except, make, call);
    }

    /// A message for a connection that is named itself.
    pub(crate) fn delivery(&self, published: &Arc<Published>) -> Delivery {
        Delivery { published: Arc::clone(published), topic: None, shard: self.shard }
    }
}

impl Drop for ShardTopics {
    fn drop(&mut self) {
        for topic in self.table.get_mut().take_all() {
            self.registry.leave(&topic, self.shard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::topic::queue::tests::target;

    /// What a peer names is kept only where somebody could have subscribed to it.
    #[test]
    fn names_that_are_too_long_are_not_kept() {
        let registry = Arc::new(Registry::default());
        registry.settle(&Limits { topic_bytes_max: 4, ..Limits::default() });
        registry.join(target());
        registry.enter("*", 0).unwrap();
        let topics = ShardTopics::new(Arc::clone(&registry), 0);
        for (name, found) in [("tide", 1), ("tides", 0), (&*".".repeat(1 << 16), 0)] {
            assert_eq!(topics.find(name).len(), found);
            assert_eq!(registry.find(name).len(), found);
            assert_eq!(topics.known.borrow().len(), 1);
        }
    }
}
