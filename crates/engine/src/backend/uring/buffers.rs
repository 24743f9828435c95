//! The provided-buffer ring: from where the kernel takes memory for streaming receives.
//! It never touches a buffer that the kernel or the application has.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use super::leave_to_the_kernel;
use super::ring::Ring;
use crate::chunk::{Buffer, CHUNK_BYTES, Chunks};
use crate::system;

/// The group that all receives of a shard name.
pub(super) const GROUP: u16 = 0;

/// The bytes of a buffer, as entries have them.
#[expect(clippy::cast_possible_truncation, reason = "checked to be the same number")]
const LENGTH: u32 = {
    assert!(CHUNK_BYTES as u32 as usize == CHUNK_BYTES, "a chunk's size fits 32 bits");
    CHUNK_BYTES as u32
};

/// Buffers provided to the kernel, by the number under which it gives them back.
pub(super) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    mask: u16,
    tail: u16,
    buffers: Vec<Option<Buffer>>,
    /// Numbers whose buffer was given away and not replaced for want of budget.
    holes: Vec<u16>,
    available: usize,
    dirty: bool,
    left: bool,
}

impl BufferRing {
    /// Registers a ring of `count` buffers (a power of two).
    pub(super) fn new(ring: &Ring, count: u16, chunks: &mut Chunks) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "the kernel takes powers of two");
        let entries = system::map_memory(Self::bytes(count)).cast::<BufRingEntry>();
        let address = entries.as_ptr().addr() as u64;
        let mut own = Self {
            entries,
            mask: count - 1,
            tail: 0,
            buffers: (0..count).map(|_| None).collect(),
            holes: (0..count).rev().collect(),
            available: 0,
            dirty: false,
            left: false,
        };
        // SAFETY: page-aligned zeroed memory of `count` entries that lives until the ring is gone.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, count, GROUP, 0) }?;
        own.refill(chunks);
        Ok(own)
    }

    fn bytes(count: u16) -> usize {
        usize::from(count) * size_of::<BufRingEntry>()
    }

    /// Provides a buffer under a number.
    #[inline]
    pub(super) fn provide(&mut self, number: u16, buffer: Buffer) {
        // SAFETY: masked, so within the ring.
        let mut entry = unsafe { self.entries.add(usize::from(self.tail & self.mask)) };
        // SAFETY: entries are initialised (zeroed) and ours up to the published tail.
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(buffer.address().as_ptr().addr() as u64);
        entry.set_len(LENGTH);
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
        self.buffers[usize::from(number)] = Some(buffer);
        self.available += 1;
        self.dirty = true;
    }

    /// Says that a number has no buffer until the budget has one.
    #[inline]
    pub(super) fn leave_hole(&mut self, number: u16) {
        self.holes.push(number);
    }

    /// Fills the holes as far as the budget goes, and shows the kernel all that is new.
    #[inline]
    pub(super) fn refill(&mut self, chunks: &mut Chunks) {
        while let Some(number) = self.holes.pop() {
            let Some(buffer) = chunks.take() else {
                self.holes.push(number);
                break;
            };
            self.provide(number, buffer);
        }
        if self.dirty {
            self.dirty = false;
            // SAFETY: the first entry was initialised (zeroed) and holds the tail (the entries'
            // reserved halfword), which the kernel reads and only we write.
            let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
            // SAFETY: aligned as the halfword it is, and alive as long as this ring.
            let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
            tail.store(self.tail, Ordering::Release);
        }
    }

    /// Takes the buffer that the kernel has filled.
    #[inline]
    pub(super) fn take(&mut self, number: u16) -> Buffer {
        self.available -= 1;
        let buffer = self.buffers[usize::from(number)].take();
        buffer.expect("the kernel gives back what was provided, once")
    }

    /// Leaves all memory to the kernel for ever.
    pub(super) fn leave(&mut self) {
        self.left = true;
        leave_to_the_kernel((std::mem::take(&mut self.buffers), self.entries));
    }

    /// How many the kernel can still fill.
    pub(super) fn available(&self) -> usize {
        self.available
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let count = self.mask + 1;
        // SAFETY: mapped with this length; the backend drops its ring first, with nothing in flight.
        unsafe { system::unmap_memory(self.entries.cast(), Self::bytes(count)) };
    }
}
