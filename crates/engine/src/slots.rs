//! Slots: where an operation and its memory live from submit to its last completion.
//! A slot never moves (pages are never reallocated), and a stale key is noticed, never followed.

use crate::op::Op;

const INDEX_BITS: u32 = 26;
const GENERATION_BITS: u32 = 28;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const PAGE_SLOTS: usize = 128;
const NONE: u32 = u32::MAX;

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
    /// The system (or a worker) has it now.
    pub(crate) in_system: bool,
    /// It was ended because its connection holds more chunks than it may.
    pub(crate) over_budget: bool,
    /// It takes part in its descriptor's count of operations in flight.
    pub(crate) counted: bool,
    /// Nobody waits for its end, when that is a good one.
    pub(crate) quiet: bool,
    /// What the system has of this send is a question: is there room?
    pub(crate) awaits_room: bool,
}

/// One operation in flight.
pub(crate) struct Slot {
    pub(crate) op: Option<Op>,
    pub(crate) token: u64,
    /// Bytes of a send that have gone; scratch of the backend otherwise.
    pub(crate) progress: usize,
    /// Memory the backend needs at one address beside the operation (vectors of a send).
    pub(crate) work: Option<Box<crate::backend::Work>>,
    generation: u32,
    next_free: u32,
    pub(crate) marks: Marks,
}

const _: () = assert!(size_of::<Slot>() <= 96, "an idle connection holds one slot: keep it small");

impl Slot {
    const fn free() -> Self {
        let marks = Marks {
            cancelled: false,
            in_system: false,
            over_budget: false,
            counted: false,
            quiet: false,
            awaits_room: false,
        };
        Self { op: None, token: 0, progress: 0, work: None, generation: 0, next_free: NONE, marks }
    }
}

/// All operations of one shard.
pub(crate) struct Slots {
    pages: Vec<Box<[Slot]>>,
    free: u32,
    live: usize,
    shard: u16,
    operations_max: u32,
}

impl Slots {
    pub(crate) fn new(shard: u16, operations_max: u32) -> Self {
        assert!(shard < SHARDS_MAX, "a shard's number fits its key");
        Self {
            pages: Vec::new(),
            free: NONE,
            live: 0,
            shard,
            operations_max: operations_max.min(OPERATIONS_MAX),
        }
    }

    /// How many operations are in flight.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// Takes a slot; gives the operation back when the limit is spent.
    #[inline]
    pub(crate) fn insert(&mut self, op: Op, token: u64) -> Result<Key, Op> {
        if self.free == NONE && !self.grow() {
            return Err(op);
        }
        let index = self.free;
        let shard = self.shard;
        let slot = self.slot_mut(index);
        let next = slot.next_free;
        slot.op = Some(op);
        slot.token = token;
        slot.progress = 0;
        slot.marks = Marks::default();
        let key = Key::new(shard, index, slot.generation);
        self.free = next;
        self.live += 1;
        Ok(key)
    }

    /// The live operation of a key, or nothing when the key is stale.
    #[inline]
    pub(crate) fn get(&mut self, key: Key) -> Option<&mut Slot> {
        let index = key.index() as usize;
        let slot = self.pages.get_mut(index / PAGE_SLOTS)?.get_mut(index % PAGE_SLOTS)?;
        (slot.generation == key.generation() && slot.op.is_some()).then_some(slot)
    }

    /// Ends an operation: its slot is free, its key is stale from now on.
    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> Option<Ended> {
        let free = self.free;
        let slot = self.get(key)?;
        let op = slot.op.take()?;
        let work = slot.work.take();
        let ended = Ended { op, token: slot.token, sent: slot.progress, marks: slot.marks, work };
        slot.generation = (slot.generation + 1) & GENERATION_MASK;
        slot.next_free = free;
        self.free = key.index();
        self.live -= 1;
        Some(ended)
    }

    /// The keys of all operations in flight.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let slots = self.pages.iter().flatten();
        let live = slots.zip(0u32..).filter(|(slot, _)| slot.op.is_some());
        live.map(|(slot, index)| Key::new(self.shard, index, slot.generation)).collect()
    }

    #[inline]
    fn slot_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.pages[index as usize / PAGE_SLOTS][index as usize % PAGE_SLOTS]
    }

    #[cold]
    fn grow(&mut self) -> bool {
        let first = self.pages.len() * PAGE_SLOTS;
        let room = (self.operations_max as usize).saturating_sub(first);
        if room == 0 {
            return false;
        }
        // Only the last page can be shorter, so an index still tells its page.
        let mut page: Vec<Slot> = (0..room.min(PAGE_SLOTS)).map(|_| Slot::free()).collect();
        for (offset, slot) in page.iter_mut().enumerate().rev() {
            slot.next_free = self.free;
            self.free = u32::try_from(first + offset).expect("indices fit 26 bits");
        }
        self.pages.push(page.into_boxed_slice());
        true
    }
}

/// What a slot held when its operation ended.
pub(crate) struct Ended {
    pub(crate) op: Op,
    pub(crate) token: u64,
    pub(crate) sent: usize,
    pub(crate) marks: Marks,
    pub(crate) work: Option<Box<crate::backend::Work>>,
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
        let first = slots.insert(timeout(), 7).unwrap();
        assert_eq!(slots.get(first).unwrap().token, 7);
        assert!(slots.remove(first).is_some());
        let second = slots.insert(timeout(), 8).unwrap();
        assert_eq!(first.index(), second.index());
        assert!(slots.get(first).is_none());
        assert!(slots.remove(first).is_none());
        assert_eq!(slots.get(second).unwrap().token, 8);
    }

    #[test]
    fn the_limit_gives_the_operation_back() {
        let mut slots = Slots::new(0, 200);
        for _ in 0..200 {
            slots.insert(timeout(), 0).unwrap();
        }
        assert!(slots.insert(timeout(), 0).is_err());
        assert_eq!(slots.keys().len(), 200);
    }

    #[test]
    fn slots_never_move() {
        let mut slots = Slots::new(0, 4096);
        let key = slots.insert(timeout(), 0).unwrap();
        let before: *const Slot = slots.get(key).unwrap();
        for _ in 0..1000 {
            slots.insert(timeout(), 0).unwrap();
        }
        let after: *const Slot = slots.get(key).unwrap();
        assert_eq!(before, after);
    }
}
