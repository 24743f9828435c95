//! Chunks: received bytes in buffers of the shard, counted without atomics.
//! A chunk never pins the shard's ring: what is still held when its turn ends is given away.
//!
//! A buffer is in one of four places: free in the pool, provided to the backend, lent to the
//! application for the turn in which it was filled, or given away (held past that turn, the ring
//! has a fresh one in its place). A given-away buffer comes home when its last chunk is dropped.

mod emigrant;
mod slab;

use emigrant::{Emigrant, Port};
use slab::{Cutter, Hold};

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::slots::Key;
use crate::wake::Waker;

/// The bytes a chunk can hold.
pub const CHUNK_BYTES: usize = 4096;

/// What is kept of a chunk up to this size is copied, and the chunk goes home at once.
pub const COPY_BYTES_MAX: usize = 512;

/// What stands in front of a buffer's bytes, which begin with a line of the cache.
#[repr(align(64))]
struct Header {
    references: Cell<u32>,
    /// Where the buffer stands among those lent in this turn.
    lent_index: Cell<u32>,
    /// The pool to come home to; set when the buffer has been given away.
    home: Cell<Option<Rc<Shelf>>>,
    /// The pool that lent it; valid while it is lent, because a pool settles before it goes.
    lender: Cell<*const Shelf>,
    /// The receive that filled it.
    key: Cell<Key>,
    /// What it was cut from.
    slab: Hold,
}

/// A buffer that nobody else refers to. Owns its memory.
pub(crate) struct Buffer(NonNull<Header>);

// SAFETY: a `Buffer` is the only way to its memory (law 3), so it may change threads.
unsafe impl Send for Buffer {}

impl Buffer {
    fn cut(cutter: &mut Cutter) -> Self {
        let (header, slab) = cutter.cut();
        let fresh = Header {
            references: Cell::new(0),
            lent_index: Cell::new(0),
            home: Cell::new(None),
            lender: Cell::new(std::ptr::null()),
            key: Cell::new(Key::NONE),
            slab,
        };
        // SAFETY: the room is fresh, aligned, and large enough for a header and the bytes behind it.
        unsafe { header.write(fresh) };
        Self(header)
    }

    /// Where the buffer's bytes begin; they stay there as long as the buffer lives.
    #[inline]
    pub(crate) fn address(&self) -> NonNull<u8> {
        bytes_of(self.0)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Taken out first: what it lies in may go with it.
        // SAFETY: the header was written when it was cut, and nobody else refers to it.
        let Header { slab, home, .. } = unsafe { self.0.read() };
        drop((home, slab));
    }
}

#[inline]
fn bytes_of(header: NonNull<Header>) -> NonNull<u8> {
    // SAFETY: the bytes stand behind the header in the same slab.
    unsafe { header.add(1) }.cast()
}

/// Received bytes. Cloning counts; dropping the last clone gives the buffer back.
pub struct Chunk {
    header: NonNull<Header>,
    start: u32,
    end: u32,
}

/// Its length and no address, so that histories of a simulated world compare.
impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chunk({} bytes)", self.len())
    }
}

impl Chunk {
    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        let start = self.start as usize;
        // SAFETY: `start` lies within the buffer.
        let first = unsafe { bytes_of(self.header).add(start) };
        // SAFETY: the system filled the buffer up to `end` before the chunk was made, and nobody
        // writes to a buffer while a chunk of it lives (law 3).
        unsafe { std::slice::from_raw_parts(first.as_ptr(), self.len()) }
    }

    /// How many bytes.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Forgets the first `count` bytes.
    ///
    /// # Panics
    /// When there are fewer.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "a chunk is not advanced past its end");
        self.start += u32::try_from(count).expect("a chunk's length fits 32 bits");
    }

    /// The bytes as `Bytes` for any thread: up to [`COPY_BYTES_MAX`] bytes are copied, as are those
    /// of a chunk that has clones; otherwise the buffer itself goes and comes home through the
    /// shard's queue.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.len() <= COPY_BYTES_MAX || self.header().references.get() != 1 {
            return Bytes::copy_from_slice(self.as_slice());
        }
        let header = self.header;
        let (start, end) = (self.start as usize, self.end as usize);
        std::mem::forget(self);
        Bytes::from_owner(Emigrant::leave(header, start, end))
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the buffer lives as long as a chunk of it.
        unsafe { self.header.as_ref() }
    }
}

impl Clone for Chunk {
    #[inline]
    fn clone(&self) -> Self {
        let references = &self.header().references;
        let more = references.get().checked_add(1);
        references.set(more.expect("a chunk has fewer than 2^32 clones"));
        Self { header: self.header, start: self.start, end: self.end }
    }
}

impl Drop for Chunk {
    #[inline]
    fn drop(&mut self) {
        let header = self.header();
        let references = header.references.get() - 1;
        header.references.set(references);
        if references == 0 {
            come_home(self.header);
        }
    }
}

/// The last chunk of a buffer is gone: a buffer that was given away goes home; one that is lent
/// is found by its pool at the end of the turn. Apart, as most clones are not the last one.
#[inline(never)]
fn come_home(header: NonNull<Header>) {
    // SAFETY: the buffer is alive: it is lent (its pool has it) or given away (this was its last).
    let home = unsafe { header.as_ref() }.home.take();
    if let Some(home) = home {
        home.given_away.set(home.given_away.get() - 1);
        home.free.borrow_mut().push(Buffer(header));
    }
}

/// A buffer that is lent to the application in this turn.
#[derive(Clone, Copy)]
struct Lent {
    /// None: it left for other threads.
    buffer: Option<NonNull<Header>>,
    /// The backend's name for it.
    tag: u16,
}

const _: () = assert!(size_of::<Lent>() <= 16, "a turn may lend hundreds");

/// What chunks refer back to.
struct Shelf {
    free: RefCell<Vec<Buffer>>,
    lent: RefCell<Vec<Lent>>,
    given_away: Cell<usize>,
    port: Arc<Port>,
}

/// The buffers of one shard.
pub(crate) struct Chunks {
    shelf: Rc<Shelf>,
    cutter: Cutter,
    allocated: usize,
    limits: ChunkLimits,
    settling: Vec<Lent>,
}

/// How many buffers a shard may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkLimits {
    /// Held past their turn; beyond it the connection that holds more is paused.
    pub(crate) given_away_max: usize,
    /// In all.
    pub(crate) allocated_max: usize,
}

impl Chunks {
    pub(crate) fn new(limits: ChunkLimits) -> Self {
        let shelf = Shelf {
            free: RefCell::default(),
            lent: RefCell::default(),
            given_away: Cell::new(0),
            port: Arc::default(),
        };
        let (cutter, settling) = Default::default();
        Self { shelf: Rc::new(shelf), cutter, allocated: 0, limits, settling }
    }

    /// A buffer to be filled, or nothing when the budget is spent.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Buffer> {
        let free = self.shelf.free.borrow_mut().pop();
        free.or_else(|| {
            let room = self.allocated < self.limits.allocated_max;
            room.then(|| {
                self.allocated += 1;
                Buffer::cut(&mut self.cutter)
            })
        })
    }

    /// Has some buffers ready before the first is taken: what one turn of a few dozen connections fills.
    pub(crate) fn prepare(&mut self) {
        let ready: Vec<Buffer> = (0..slab::SLAB_BUFFERS).map_while(|_| self.take()).collect();
        self.shelf.free.borrow_mut().extend(ready);
    }

    /// Puts a buffer back that was taken and not lent.
    #[inline]
    pub(crate) fn put(&self, buffer: Buffer) {
        self.shelf.free.borrow_mut().push(buffer);
    }

    /// Lends a filled buffer to the application for this turn.
    #[inline(always)]
    pub(crate) fn lend(&self, buffer: Buffer, length: usize, tag: u16, key: Key) -> Chunk {
        assert!(length <= CHUNK_BYTES, "the system fills a buffer up to its end at most");
        let header = buffer.0;
        std::mem::forget(buffer);
        let mut lent = self.shelf.lent.borrow_mut();
        // SAFETY: the buffer was the caller's own until now.
        let fields = unsafe { header.as_ref() };
        fields.references.set(1);
        fields.lender.set(Rc::as_ptr(&self.shelf));
        fields.lent_index.set(u32::try_from(lent.len()).expect("a turn lends fewer than 2^32"));
        fields.key.set(key);
        lent.push(Lent { buffer: Some(header), tag });
        Chunk { header, start: 0, end: u32::try_from(length).expect("at most CHUNK_BYTES") }
    }

    /// Ends the turn of what was lent: `back` gets each tag with its buffer when nobody holds it
    /// any more, or without when it was given away; the keys of receives over the budget come
    /// out in `over`.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        mut back: impl FnMut(u16, Option<Buffer>),
        over: &mut Vec<Key>,
    ) {
        // Asking an empty queue to pop costs a fence.
        while !self.shelf.port.queue.is_empty()
            && let Some(buffer) = self.shelf.port.queue.pop()
        {
            self.shelf.given_away.set(self.shelf.given_away.get() - 1);
            self.put(buffer);
        }
        std::mem::swap(&mut self.settling, &mut self.shelf.lent.borrow_mut());
        for at in 0..self.settling.len() {
            let lent = self.settling[at];
            let Some(header) = lent.buffer else {
                back(lent.tag, None);
                continue;
            };
            // SAFETY: a lent buffer is alive until it is settled, here and only here.
            let fields = unsafe { header.as_ref() };
            if fields.references.get() == 0 {
                back(lent.tag, Some(Buffer(header)));
                continue;
            }
            fields.home.set(Some(self.shelf.clone()));
            let given_away = self.shelf.given_away.get() + 1;
            self.shelf.given_away.set(given_away);
            if given_away > self.limits.given_away_max {
                over.push(fields.key.get());
            }
            back(lent.tag, None);
        }
        self.settling.clear();
    }

    /// The same where buffers have no number: what came back is free again.
    #[inline]
    pub(crate) fn settle_to_pool(&mut self, over: &mut Vec<Key>) {
        let shelf = self.shelf.clone();
        self.settle(|_, buffer| shelf.free.borrow_mut().extend(buffer), over);
    }

    /// Says whom a buffer that comes home from another thread wakes.
    pub(crate) fn set_waker(&self, waker: Waker) {
        // A pool has one shard for life: the first waker stays.
        let _ = self.shelf.port.waker.set(waker);
    }

    /// Asks to be woken by the next buffer from another thread. True: one is there already.
    pub(crate) fn await_buffers(&self) -> bool {
        self.shelf.port.wanted.store(true, Ordering::SeqCst);
        !self.shelf.port.queue.is_empty()
    }

    /// Whether a buffer can be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.allocated < self.limits.allocated_max || !self.shelf.free.borrow().is_empty()
    }

    /// How many are held past their turn.
    pub(crate) fn given_away(&self) -> usize {
        self.shelf.given_away.get()
    }

    /// How many there are in all.
    pub(crate) fn allocated(&self) -> usize {
        self.allocated
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        let mut unused = Vec::new();
        let mut freed = Vec::new();
        self.settle(|_, buffer| freed.extend(buffer), &mut unused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks() -> Chunks {
        Chunks::new(ChunkLimits { given_away_max: 2, allocated_max: 4 })
    }

    fn lend(chunks: &mut Chunks, tag: u16, length: usize) -> Chunk {
        let buffer = chunks.take().unwrap();
        // SAFETY: the buffer has room for CHUNK_BYTES bytes.
        unsafe { buffer.address().write_bytes(b'x', length) };
        chunks.lend(buffer, length, tag, Key::from_raw(u64::from(tag)))
    }

    fn settle(chunks: &mut Chunks) -> (Vec<(u16, bool)>, Vec<Key>) {
        let (mut tags, mut over, mut buffers) = (Vec::new(), Vec::new(), Vec::new());
        chunks.settle(
            |tag, buffer| {
                tags.push((tag, buffer.is_some()));
                buffers.extend(buffer);
            },
            &mut over,
        );
        buffers.into_iter().for_each(|buffer| chunks.put(buffer));
        (tags, over)
    }

    #[test]
    fn a_dropped_chunk_is_given_back_at_the_end_of_its_turn() {
        let mut chunks = chunks();
        let chunk = lend(&mut chunks, 1, 5);
        let clone = chunk.clone();
        assert_eq!(clone.as_slice(), b"xxxxx");
        drop((chunk, clone));
        assert_eq!(settle(&mut chunks), (vec![(1, true)], vec![]));
        assert_eq!(chunks.given_away(), 0);
    }

    #[test]
    fn a_held_chunk_is_given_away_and_comes_home() {
        let mut chunks = chunks();
        let chunk = lend(&mut chunks, 1, 5);
        assert_eq!(settle(&mut chunks), (vec![(1, false)], vec![]));
        assert_eq!(chunks.given_away(), 1);
        assert_eq!(chunk.as_slice(), b"xxxxx");
        drop(chunk);
        assert_eq!(chunks.given_away(), 0);
        assert_eq!(chunks.allocated(), 1);
    }

    #[test]
    fn the_budget_names_the_receive_that_holds_too_much() {
        let mut chunks = chunks();
        let held: Vec<Chunk> = (0..3).map(|tag| lend(&mut chunks, tag, 1)).collect();
        let (_, over) = settle(&mut chunks);
        assert_eq!(over, vec![Key::from_raw(2)]);
        assert!(chunks.take().is_some());
        assert!(chunks.take().is_none(), "the fifth is over the budget");
        drop(held);
    }

    #[test]
    fn bytes_come_home_from_another_thread() {
        let mut chunks = chunks();
        let large = lend(&mut chunks, 1, 4096).into_bytes();
        let small = lend(&mut chunks, 2, 512).into_bytes();
        assert_eq!(settle(&mut chunks).0, vec![(1, false), (2, true)]);
        assert_eq!((large.len(), small.len()), (4096, 512));
        assert_eq!(chunks.given_away(), 1);
        std::thread::scope(|scope| scope.spawn(|| drop(large)).join()).unwrap();
        settle(&mut chunks);
        assert_eq!(chunks.given_away(), 0);
    }

    #[test]
    fn chunks_outlive_their_pool() {
        let mut pool = chunks();
        let held = lend(&mut pool, 1, 3);
        let emigrant = lend(&mut pool, 2, 4000).into_bytes();
        drop(pool);
        assert_eq!(held.as_slice(), b"xxx");
        assert_eq!(emigrant.len(), 4000);
    }
}
