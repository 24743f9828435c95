//! Slots: where an operation and its memory live from submit to its last completion.
//! A slot never moves, and a stale key is noticed, never followed.

use crate::op::Op;
use crate::pages::{GENERATION_BITS, Pages};

const INDEX_BITS: u32 = 26;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;

/// The most operations in flight on one shard.
pub const OPERATIONS_MAX: u32 = (1 << INDEX_BITS) - 1;

/// The most shards a key can tell apart.
pub const SHARDS_MAX: u16 = 1 << (64 - INDEX_BITS - GENERATION_BITS);

/// Names an operation: shard, index and generation in one number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// The key that names no operation of any shard.
    pub const NONE: Self = Self(u64::MAX);

    fn new(shard: u16, index: u32, generation: u32) -> Self {
        let shard = u64::from(shard) << (INDEX_BITS + GENERATION_BITS);
        Self(shard | (u64::from(generation) << INDEX_BITS) | u64::from(index))
    }

    #[inline]
    pub(crate) const fn index(self) -> u32 {
        (self.0 & INDEX_MASK) as u32
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to 28 bits")]
    const fn generation(self) -> u32 {
        (self.0 >> INDEX_BITS) as u32 & GENERATION_MASK
    }

    /// The key as the number that travels through the kernel.
    #[inline]
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The key that a number from [`Key::raw`] stands for.
    #[inline]
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}/{})", self.index(), self.generation())
    }
}

/// What the slots know of an operation besides the operation itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The caller asked to cancel it.
    pub(crate) cancelled: bool,
    /// What the system (or a worker) has of it now.
    pub(crate) asked: Asked,
    /// It was ended because its connection holds more chunks than it may.
    pub(crate) over_budget: bool,
    /// Nobody waits for its end, when that is a good one.
    pub(crate) quiet: bool,
}

/// What the system has of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Asked {
    #[default]
    Nothing,
    Operation,
    /// A question: is there room for more of this send?
    Room,
}

/// How far a streaming receive is, in its slot's progress. Its first bytes come alone: they may be
/// the only ones, or whoever gets them may take what lies behind them at once.
pub(crate) mod receiving {
    /// No bytes have come.
    pub(crate) const FRESH: u32 = 0;
    /// The first chunk has come, and the system has nothing of the receive since.
    pub(crate) const ALONE: u32 = 1;
    /// The same, and what lay behind it was taken: the next bytes come alone again.
    pub(crate) const TAKEN: u32 = 2;
    /// Bytes come as they are there.
    pub(crate) const STREAMING: u32 = 3;
}

/// One operation in flight.
pub(crate) struct Slot {
    pub(crate) op: Op,
    pub(crate) token: u64,
    /// Bytes of a send that have gone; scratch of the backend otherwise.
    pub(crate) progress: u32,
    /// Memory the backend needs at one address beside the operation (vectors of a send).
    pub(crate) work: Option<Box<crate::backend::Work>>,
    pub(crate) marks: Marks,
}

const _: () = assert!(size_of::<Slot>() <= 64, "an idle connection holds one slot: keep it small");

impl Slot {
    /// How many bytes of a send have gone.
    #[inline]
    pub(crate) const fn sent(&self) -> usize {
        self.progress as usize
    }

    /// Whether it is a send that has nothing to send, and only waits for room.
    #[inline]
    pub(crate) fn waits_for_room(&self) -> bool {
        matches!(&self.op, Op::Send { pieces, .. } if pieces.is_empty())
    }

    /// A streaming receive begins again behind its first bytes.
    pub(crate) fn receive_on(&mut self) {
        let was_taken = self.progress == receiving::TAKEN;
        self.progress = if was_taken { receiving::FRESH } else { receiving::STREAMING };
    }

    /// Whether what a streaming receive gets next comes alone; it goes on behind what came alone.
    #[inline]
    pub(crate) fn begins_to_receive(&mut self) -> bool {
        if matches!(self.progress, receiving::ALONE | receiving::TAKEN) {
            self.receive_on();
        }
        self.progress == receiving::FRESH
    }

    /// So many more have gone.
    #[inline]
    pub(crate) fn add_sent(&mut self, count: usize) {
        let count = u32::try_from(count).expect("a send has at most SEND_BYTES_MAX bytes");
        self.progress += count;
    }
}

/// All operations of one shard.
pub(crate) struct Slots {
    pages: Pages<Slot>,
    shard: u16,
}

impl Slots {
    pub(crate) fn new(shard: u16, operations_max: u32) -> Self {
        assert!(shard < SHARDS_MAX, "a shard's number fits its key");
        Self { pages: Pages::new(operations_max.min(OPERATIONS_MAX) as usize), shard }
    }

    /// How many operations are in flight.
    pub(crate) fn live(&self) -> usize {
        self.pages.len()
    }

    /// How many pages they take.
    pub(crate) fn pages_held(&self) -> usize {
        self.pages.held()
    }

    /// Whether the limit is spent.
    #[inline]
    pub(crate) const fn is_full(&self) -> bool {
        self.pages.is_full()
    }

    /// Takes a slot.
    ///
    /// # Panics
    /// When the limit is spent.
    #[inline(always)]
    pub(crate) fn insert(&mut self, op: Op, token: u64, quiet: bool) -> Key {
        let make = move |_, _| {
            let marks = Marks { quiet, ..Marks::default() };
            Slot { op, token, progress: 0, work: None, marks }
        };
        let (index, generation) = self.pages.insert_with(make).expect("the limit is not spent");
        Key::new(self.shard, index, generation)
    }

    /// The live operation of a key, or nothing when the key is stale.
    #[inline]
    pub(crate) fn get(&mut self, key: Key) -> Option<&mut Slot> {
        self.pages.get_mut(key.index(), key.generation())
    }

    /// The key of the operation at an index.
    #[inline]
    pub(crate) fn key_at(&self, index: u32) -> Option<Key> {
        let generation = self.pages.generation_of(index)?;
        Some(Key::new(self.shard, index, generation))
    }

    /// Ends an operation: its slot is free, its key is stale from now on.
    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> Option<Slot> {
        self.pages.remove(key.index(), key.generation())
    }

    /// Ends an operation of which nothing is left, where it lies.
    #[inline(always)]
    pub(crate) fn forget(&mut self, key: Key) {
        self.pages.forget(key.index(), key.generation());
    }

    /// The keys of all operations in flight.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let names = self.pages.names();
        names.map(|(index, generation)| Key::new(self.shard, index, generation)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;

    fn timeout() -> Op {
        Op::Timeout { at: Moment::ZERO }
    }

    #[test]
    fn a_stale_key_is_noticed() {
        let mut slots = Slots::new(3, 1024);
        let first = slots.insert(timeout(), 7, false);
        assert_eq!(slots.get(first).unwrap().token, 7);
        assert!(slots.remove(first).is_some());
        let second = slots.insert(timeout(), 8, false);
        assert_eq!(first.index(), second.index());
        assert!(slots.get(first).is_none());
        assert!(slots.remove(first).is_none());
        assert_eq!(slots.get(second).unwrap().token, 8);
    }

    #[test]
    fn the_limit_holds() {
        let mut slots = Slots::new(0, 200);
        for _ in 0..200 {
            assert!(!slots.is_full());
            slots.insert(timeout(), 0, false);
        }
        assert!(slots.is_full());
        assert_eq!(slots.keys().len(), 200);
    }
}
