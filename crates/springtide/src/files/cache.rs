//! Small files in memory, by name and coding: found without allocating, within a budget.
//! What is here may be stale; how stale is always told, and the caller decides.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use springtide_engine::Moment;

use super::coding::{CODINGS, Coding, Wanted};
use super::representation::Representation;
use crate::route::Ends;

/// What an entry costs besides its name and its body: fields, map, allocator. An estimate, so that
/// a million empty files are not free.
pub(super) const ENTRY_BYTES: usize = 1024;

/// How many names may be found without their hash. A power of two.
const RECENT: usize = 128;

/// The files of one root.
#[derive(Debug)]
pub(super) struct Cache {
    /// By coding, then by name.
    names: [HashMap<Rc<str>, usize>; CODINGS],
    /// Where names were found last, by what is quick to tell of them: most requests are for a few files.
    /// A name that is not where this says is looked for above.
    recent: Box<[usize; RECENT]>,
    /// The clock: entries in a circle, with holes.
    entries: Vec<Option<Entry>>,
    holes: Vec<usize>,
    hand: usize,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entry {
    name: Rc<str>,
    coding: Coding,
    version: Rc<Representation>,
    /// When it was last known to be the file on disk.
    seen_at: Moment,
    /// Whether it was asked for since the hand passed.
    is_wanted: bool,
}

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.name.len() + self.version.memory_bytes()
    }
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            names: Default::default(),
            recent: Box::new([0; RECENT]),
            entries: Vec::new(),
            holes: Vec::new(),
            hand: 0,
            bytes: 0,
            bytes_max,
        }
    }

    /// The version of a file that was the one on disk less than `age_max` ago.
    #[inline]
    pub(super) fn fresh(
        &mut self,
        wanted: Wanted<'_>,
        now: Moment,
        age_max: Duration,
    ) -> Option<&Rc<Representation>> {
        let place = Ends::of(wanted.name.as_bytes()).hash() % RECENT;
        let is_there = self.entries.get(self.recent[place]).is_some_and(|entry| {
            entry
                .as_ref()
                .is_some_and(|own| own.coding == wanted.coding && *own.name == *wanted.name)
        });
        if !is_there {
            self.recent[place] = self.index_of(wanted)?;
        }
        let entry = self.entries[self.recent[place]].as_mut()?;
        entry.is_wanted = true;
        (now < entry.seen_at + age_max).then_some(&entry.version)
    }

    /// The version of a file that was last on disk.
    pub(super) fn last(&self, wanted: Wanted<'_>) -> Option<&Rc<Representation>> {
        let index = self.index_of(wanted)?;
        self.entries[index].as_ref().map(|entry| &entry.version)
    }

    /// The version that is kept is the one on disk at `seen_at`.
    pub(super) fn seen(&mut self, wanted: Wanted<'_>, seen_at: Moment) {
        let entry = self.index_of(wanted).and_then(|index| self.entries[index].as_mut());
        if let Some(entry) = entry {
            entry.seen_at = seen_at;
        }
    }

    /// Keeps a version in place of the one before. Others give way; one that would not fit by
    /// itself is not kept.
    pub(super) fn insert(
        &mut self,
        wanted: Wanted<'_>,
        version: Rc<Representation>,
        seen_at: Moment,
    ) {
        self.remove(wanted);
        let Wanted { name, coding } = wanted;
        let entry = Entry { name: name.into(), coding, version, seen_at, is_wanted: false };
        if entry.bytes() > self.bytes_max {
            return;
        }
        self.make_room(entry.bytes());
        self.bytes += entry.bytes();
        let index = self.holes.pop().unwrap_or(self.entries.len());
        self.names[coding.index()].insert(entry.name.clone(), index);
        if index == self.entries.len() {
            self.entries.push(Some(entry));
        } else {
            self.entries[index] = Some(entry);
        }
    }

    /// Forgets a file.
    pub(super) fn remove(&mut self, wanted: Wanted<'_>) {
        if let Some(index) = self.names[wanted.coding.index()].remove(wanted.name) {
            self.forget(index);
        }
    }

    #[inline]
    fn index_of(&self, wanted: Wanted<'_>) -> Option<usize> {
        self.names[wanted.coding.index()].get(wanted.name).copied()
    }

    /// Evicts what was not asked for since the hand last passed, until so many bytes fit. Two
    /// rounds of the hand pass everything unwanted.
    fn make_room(&mut self, bytes: usize) {
        while self.bytes + bytes > self.bytes_max {
            self.hand = if self.hand + 1 < self.entries.len() { self.hand + 1 } else { 0 };
            match &mut self.entries[self.hand] {
                None => {}
                Some(entry) if entry.is_wanted => entry.is_wanted = false,
                Some(entry) => {
                    self.names[entry.coding.index()].remove(&entry.name);
                    self.forget(self.hand);
                }
            }
        }
    }

    fn forget(&mut self, index: usize) {
        if let Some(entry) = self.entries[index].take() {
            self.bytes -= entry.bytes();
            self.holes.push(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::files::coding::Codings;
    use crate::files::representation::Subject;
    use bytes::Bytes;
    use springtide_engine::Metadata;

    fn version(length: usize) -> Rc<Representation> {
        let metadata = Metadata {
            length: length as u64,
            modified_ns: 0,
            inode: 1,
            is_directory: false,
            is_file: true,
        };
        let body = Some(Bytes::from(vec![0; length]));
        let (wanted, siblings) = (itself("a"), Codings::default());
        let subject = Subject { wanted, metadata, siblings };
        Rc::new(Representation::new(&Files::new("x"), subject, body, 100))
    }

    const fn itself(name: &str) -> Wanted<'_> {
        Wanted::itself(name)
    }

    /// A cache for three files of 1,000 bytes with names of one letter.
    fn cache() -> Cache {
        Cache::new(3 * (ENTRY_BYTES + 1001))
    }

    fn kept(cache: &Cache) -> String {
        let mut names: Vec<&str> = cache.names[0].keys().map(|name| &**name).collect();
        names.sort_unstable();
        names.concat()
    }

    fn check(cache: &Cache) {
        let entries = cache.entries.iter().flatten();
        assert_eq!(cache.bytes, entries.clone().map(Entry::bytes).sum::<usize>());
        assert!(cache.bytes <= cache.bytes_max);
        assert_eq!(entries.clone().count(), cache.names[0].len());
        assert_eq!(cache.entries.len(), cache.names[0].len() + cache.holes.len());
        for entry in entries {
            let index = cache.names[0][&entry.name];
            let same = cache.entries[index].as_ref().map(|other| &other.name);
            assert_eq!(same, Some(&entry.name));
        }
    }

    #[test]
    fn ages() {
        let mut cache = cache();
        let (at, age) = (Moment::from_milliseconds, Duration::from_secs(1));
        cache.insert(itself("a"), version(10), at(5000));
        assert!(cache.fresh(itself("a"), at(5000), age).is_some());
        assert!(cache.fresh(itself("a"), at(5999), age).is_some());
        assert!(cache.fresh(itself("a"), at(6000), age).is_none());
        assert!(cache.fresh(itself("a"), at(5000), Duration::ZERO).is_none());
        assert!(cache.fresh(itself("b"), at(5000), age).is_none());
        cache.seen(itself("a"), at(6000));
        assert!(cache.fresh(itself("a"), at(6999), age).is_some());
        cache.remove(itself("a"));
        assert!(cache.last(itself("a")).is_none());
        check(&cache);
    }

    #[test]
    fn what_is_wanted_stays() {
        let mut cache = cache();
        for name in ["a", "b", "c"] {
            cache.insert(itself(name), version(1000), Moment::ZERO);
        }
        assert_eq!(kept(&cache), "abc");
        for name in ["d", "e", "f", "g"] {
            assert!(cache.fresh(itself("a"), Moment::ZERO, Duration::from_secs(1)).is_some());
            cache.insert(itself(name), version(1000), Moment::ZERO);
            check(&cache);
            assert!(
                cache.last(itself("a")).is_some() && cache.last(itself(name)).is_some(),
                "{name}"
            );
            assert_eq!(cache.names[0].len(), 3);
        }
    }

    #[test]
    fn a_great_file_moves_several_out() {
        let mut cache = cache();
        for name in ["a", "b", "c"] {
            cache.insert(itself(name), version(1000), Moment::ZERO);
            assert!(cache.fresh(itself(name), Moment::ZERO, Duration::from_secs(1)).is_some());
        }
        cache.insert(itself("d"), version(3000), Moment::ZERO);
        check(&cache);
        assert_eq!(cache.names[0].len(), 2);
        cache.insert(itself("e"), version(3 * (ENTRY_BYTES + 1000)), Moment::ZERO);
        assert!(cache.last(itself("e")).is_none());
        assert_eq!(cache.names[0].len(), 2);
    }

    #[test]
    fn a_new_version_takes_the_place_of_the_old() {
        let mut cache = cache();
        for length in [1000, 10, 2000, 0] {
            cache.insert(itself("a"), version(length), Moment::ZERO);
            check(&cache);
            assert_eq!(cache.last(itself("a")).map(|version| version.memory_bytes()), Some(length));
        }
        assert_eq!(cache.bytes, ENTRY_BYTES + 1);
    }

    #[test]
    fn many_files_of_many_sizes() {
        let mut cache = Cache::new(40_000);
        let mut seed = 7_usize;
        for _ in 0..5000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            let name = format!("{}", (seed >> 33) % 60);
            match (seed >> 40) % 4 {
                0 => cache.remove(itself(&name)),
                1 => cache.insert(itself(&name), version((seed >> 45) % 9000), Moment::ZERO),
                _ => {
                    drop(cache.fresh(itself(&name), Moment::ZERO, Duration::from_secs(1)).cloned())
                }
            }
            check(&cache);
        }
    }
}
