//! Who has subscribed to what on one shard: dense lists of places for whoever publishes, and beside each
//! subscriber the list of its topics. A connection that has never subscribed is not in it.
//! It never calls anybody, and knows a connection by its name and place only.

use std::collections::HashMap;
use std::sync::Arc;

use super::registry::{Topic, is_wildcard, names_of};
use super::slots::Slots;
use crate::peer::{Peer, PeerId};
use crate::table::Place;

/// The table.
#[derive(Default)]
pub(super) struct Subscriptions {
    lists: Slots<List>,
    by_name: HashMap<Arc<str>, u32>,
    /// How many of the names are for many topics.
    wildcards: usize,
    subscribers: Slots<Subscriber>,
    by_id: HashMap<PeerId, u32>,
    /// The number of what was delivered last that a connection could get twice.
    stamp: u64,
}

/// The subscribers of one topic.
struct List {
    topic: Arc<Topic>,
    members: Vec<Member>,
    /// The greatest `since` of them all.
    newest: u64,
}

/// One of them.
struct Member {
    place: Place,
    subscriber: u32,
    /// Where the topic stands among the subscriber's.
    at: u32,
    /// What was published up to this serial number is not for it.
    since: u64,
}

const _: () = assert!(size_of::<Member>() == 24, "one for each subscription");

struct Subscriber {
    topics: Vec<Entry>,
    /// What it got last that it could get twice.
    stamp: u64,
}

/// One topic of a subscriber.
struct Entry {
    list: u32,
    /// Where the subscriber stands among the members.
    at: u32,
}

const _: () = assert!(size_of::<Entry>() == 8, "one for each subscription");

fn index(length: usize) -> u32 {
    u32::try_from(length).expect("lists are bounded by connections, or by topics of one")
}

impl Subscriptions {
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many topics a connection has subscribed to.
    pub(super) fn count_of(&self, id: PeerId) -> usize {
        let own = self.by_id.get(&id).and_then(|own| self.subscribers.get(*own));
        own.map_or(0, |own| own.topics.len())
    }

    pub(super) fn has(&self, id: PeerId, name: &str) -> bool {
        let own = self.by_id.get(&id).and_then(|own| self.subscribers.get(*own));
        let (Some(own), Some(list)) = (own, self.by_name.get(name)) else { return false };
        own.topics.iter().any(|entry| entry.list == *list)
    }

    /// Whether somebody of the shard has subscribed to it.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// A topic that somebody is about to be the first of the shard to subscribe to.
    pub(super) fn add(&mut self, topic: Arc<Topic>) {
        let name = Arc::clone(&topic.name);
        self.wildcards += usize::from(is_wildcard(&name));
        let list = self.lists.insert(List { topic, members: Vec::new(), newest: 0 });
        self.by_name.insert(name, list);
    }

    /// A connection subscribes to a topic that is known and that it does not have; gives the topic, and
    /// how many have it then.
    pub(super) fn subscribe(&mut self, peer: Peer, name: &str, since: u64) -> (&Topic, usize) {
        let list = *self.by_name.get(name).expect("the topic was added");
        let subscribers = &mut self.subscribers;
        let subscriber = *self
            .by_id
            .entry(peer.id())
            .or_insert_with(|| subscribers.insert(Subscriber { topics: Vec::new(), stamp: 0 }));
        let topics = &mut self.subscribers.at(subscriber).topics;
        let own = self.lists.at(list);
        let (at, place) = (index(topics.len()), peer.place());
        topics.push(Entry { list, at: index(own.members.len()) });
        own.members.push(Member { place, subscriber, at, since });
        own.newest = own.newest.max(since);
        (&own.topic, own.members.len())
    }

    /// A connection leaves a topic: that, and how many have it then; none when it did not have it.
    pub(super) fn unsubscribe(&mut self, id: PeerId, name: &str) -> Option<(Arc<Topic>, usize)> {
        let (subscriber, list) = (*self.by_id.get(&id)?, *self.by_name.get(name)?);
        let topics = &mut self.subscribers.at(subscriber).topics;
        let at = topics.iter().position(|entry| entry.list == list)?;
        let entry = topics.swap_remove(at);
        if let Some(moved) = topics.get(at) {
            self.lists.at(moved.list).members[moved.at as usize].at = index(at);
        }
        if topics.is_empty() {
            self.subscribers.remove(subscriber);
            self.by_id.remove(&id);
        }
        Some(self.take_out(&entry))
    }

    /// A connection leaves one of its topics, the last; none when it has none.
    pub(super) fn leave_one(&mut self, id: PeerId) -> Option<(Arc<Topic>, usize)> {
        let subscriber = *self.by_id.get(&id)?;
        let entry = self.subscribers.at(subscriber).topics.pop();
        if self.subscribers.at(subscriber).topics.is_empty() {
            self.subscribers.remove(subscriber);
            self.by_id.remove(&id);
        }
        entry.map(|entry| self.take_out(&entry))
    }

    /// Takes a member out that is none of its subscriber's topics any more.
    fn take_out(&mut self, entry: &Entry) -> (Arc<Topic>, usize) {
        let own = self.lists.at(entry.list);
        own.members.swap_remove(entry.at as usize);
        if let Some(moved) = own.members.get(entry.at as usize) {
            self.subscribers.at(moved.subscriber).topics[moved.at as usize].at = entry.at;
        }
        let (topic, left) = (Arc::clone(&own.topic), own.members.len());
        if left == 0 {
            self.lists.remove(entry.list);
            self.by_name.remove(&topic.name);
            self.wildcards -= usize::from(is_wildcard(&topic.name));
        }
        (topic, left)
    }

    /// A connection stands elsewhere from here on.
    pub(super) fn move_to(&mut self, id: PeerId, place: Place) {
        let Some(subscriber) = self.by_id.get(&id) else { return };
        for entry in &self.subscribers.at(*subscriber).topics {
            self.lists.at(entry.list).members[entry.at as usize].place = place;
        }
    }

    /// Every topic, with none left in the table.
    pub(super) fn take_all(&mut self) -> Vec<Arc<Topic>> {
        std::mem::take(self).lists.into_values().map(|list| list.topic).collect()
    }

    /// How many subscriptions there are to what is published to a topic.
    pub(super) fn audience_of(&self, topic: &str) -> usize {
        let lists = self.lists_of(topic).into_iter().filter_map(|list| self.lists.get(list));
        lists.map(|own| own.members.len()).sum()
    }

    /// Calls for each place that gets what is published to a topic, once, with what is made for what it
    /// has subscribed to.
    #[inline]
    pub(super) fn each<D>(
        &mut self,
        topic: &str,
        serial: u64,
        except: Option<PeerId>,
        mut make: impl FnMut(&Arc<Topic>) -> D,
        mut call: impl FnMut(&D, Place),
    ) {
        let lists = self.lists_of(topic);
        let except = except.and_then(|id| self.by_id.get(&id)).copied();
        // Who is in one list only is not looked up.
        self.stamp += u64::from(lists.len() > 1);
        let (stamp, is_one) = (self.stamp, lists.len() == 1);
        for list in lists {
            let (List { topic, members, newest }, subscribers) =
                (self.lists.at(list), &mut self.subscribers);
            let is_for_all = serial > *newest && except.is_none() && is_one;
            let members = members.iter().filter(|member| {
                is_for_all
                    || serial > member.since
                        && except != Some(member.subscriber)
                        && (is_one || subscribers.at(member.subscriber).is_new(stamp))
            });
            let made = make(topic);
            members.for_each(|member| call(&made, member.place));
        }
    }

    /// The lists of those who get what is published to a topic.
    fn lists_of(&self, topic: &str) -> Vec<u32> {
        if self.wildcards == 0 {
            return self.by_name.get(topic).copied().into_iter().collect();
        }
        let names = names_of(topic, true);
        names.filter_map(|name| self.by_name.get(name.as_str()).copied()).collect()
    }
}

impl Subscriber {
    /// Whether it has not had what is being delivered.
    fn is_new(&mut self, stamp: u64) -> bool {
        std::mem::replace(&mut self.stamp, stamp) != stamp
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::peer::PeerIds;

    const NAMES: [&str; 6] = ["a", "a.b", "a.b.c", "a.*", "a.b.*", "*"];

    fn matches(name: &str, topic: &str) -> bool {
        name == topic || name.strip_suffix('*').is_some_and(|rest| topic.starts_with(rest))
    }

    #[derive(Debug, Clone)]
    enum Act {
        Subscribe(usize, usize),
        Unsubscribe(usize, usize),
        End(usize),
        Move(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0..8usize, 0..NAMES.len()).prop_map(|(id, name)| Act::Subscribe(id, name)),
            2 => (0..8usize, 0..NAMES.len()).prop_map(|(id, name)| Act::Unsubscribe(id, name)),
            1 => (0..8usize).prop_map(Act::End),
            1 => (0..8usize).prop_map(Act::Move),
        ]
    }

    fn topic(name: &str) -> Arc<Topic> {
        Arc::new(Topic { name: name.into(), cells: Box::default() })
    }

    proptest! {
        /// Whatever comes and goes, everybody gets what it has subscribed to, once, where it stands.
        #[test]
        fn it_is_as_a_set_of_pairs(acts in prop::collection::vec(act(), 1..60)) {
            let mut ids = PeerIds::of(0);
            let ids: Vec<PeerId> = (0..8).map(|_| ids.next()).collect();
            let mut places: Vec<Place> = (0..8).map(|at| Place::from_raw(at << 28 | at)).collect();
            let (mut table, mut model) = (Subscriptions::default(), BTreeSet::new());
            for act in acts {
                match act {
                    Act::Subscribe(own, name) if model.insert((own, NAMES[name])) => {
                        if !table.knows(NAMES[name]) {
                            table.add(topic(NAMES[name]));
                        }
                        table.subscribe(Peer::new(ids[own], places[own]), NAMES[name], 0);
                    }
                    Act::Subscribe(own, name) => prop_assert!(table.has(ids[own], NAMES[name])),
                    Act::Unsubscribe(own, name) => {
                        let had = table.unsubscribe(ids[own], NAMES[name]);
                        prop_assert_eq!(had.is_some(), model.remove(&(own, NAMES[name])));
                    }
                    Act::End(own) => {
                        while table.leave_one(ids[own]).is_some() {}
                        model.retain(|(other, _)| *other != own);
                    }
                    Act::Move(own) => {
                        places[own] = Place::from_raw(places[own].raw() + (8 << 28));
                        table.move_to(ids[own], places[own]);
                    }
                }
                let mut counts = BTreeMap::new();
                model.iter().for_each(|(own, _)| *counts.entry(*own).or_insert(0) += 1);
                for (own, id) in ids.iter().enumerate() {
                    prop_assert_eq!(table.count_of(*id), counts.get(&own).copied().unwrap_or(0));
                }
                for published in ["a", "a.b", "a.b.c", "ab"] {
                    let mut got = Vec::new();
                    table.each(published, 1, Some(ids[7]), |_| (), |(), place| got.push(place));
                    got.sort_unstable_by_key(|place| place.raw());
                    let expected = (0..7).filter(|own| {
                        model.iter().any(|(other, name)| other == own && matches(name, published))
                    });
                    let mut expected: Vec<Place> = expected.map(|own| places[own]).collect();
                    expected.sort_unstable_by_key(|place| place.raw());
                    prop_assert_eq!(got, expected);
                }
            }
            prop_assert_eq!(table.is_empty(), model.is_empty());
        }
    }

    #[test]
    fn what_was_published_before_is_not_for_it() {
        let mut table = Subscriptions::default();
        let (mut ids, place) = (PeerIds::of(0), Place::from_raw(1));
        table.add(topic("a"));
        table.subscribe(Peer::new(ids.next(), place), "a", 3);
        table.subscribe(Peer::new(ids.next(), place), "a", 5);
        for (serial, expected) in [(3, 0), (4, 1), (5, 1), (6, 2)] {
            let mut count = 0;
            table.each("a", serial, None, |_| (), |(), _| count += 1);
            assert_eq!(count, expected, "{serial}");
        }
    }
}
