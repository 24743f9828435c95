//! One provided buffer ring: memory that the kernel fills and that is given back by number.
//! It must never hand out the bytes of a buffer that the kernel owns.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

/// How many buffers a ring has, and how large they are.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// A power of two up to 32,768.
    pub count: u16,
    pub bytes: u32,
}

/// Mapped for the life of the process: operations may still point at it when it is dropped.
#[derive(Debug)]
pub struct BufferRing {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    shape: Shape,
    group: u16,
    tail: u16,
    /// Buffers that the kernel handed out and that were not given back.
    taken: u16,
}

impl BufferRing {
    /// Maps the memory and offers every buffer.
    pub fn new(shape: Shape, group: u16) -> io::Result<BufferRing> {
        assert!(shape.count.is_power_of_two(), "the kernel masks the index");
        let entries = map(usize::from(shape.count) * size_of::<BufRingEntry>())?.cast();
        let memory = map(usize::from(shape.count) * shape.bytes as usize)?;
        let taken = shape.count;
        let mut ring = BufferRing { entries, memory, shape, group, tail: 0, taken };
        for id in 0..shape.count {
            ring.give_back(id);
        }
        ring.publish();
        Ok(ring)
    }

    pub fn address(&self) -> u64 {
        self.entries.as_ptr() as u64
    }

    pub fn count(&self) -> u16 {
        self.shape.count
    }

    pub fn group(&self) -> u16 {
        self.group
    }

    /// Notes that a completion handed over one buffer. Call it once for each.
    pub fn take(&mut self) {
        self.taken += 1;
    }

    /// How many buffers the kernel still has.
    pub fn offered(&self) -> u16 {
        self.shape.count - self.taken
    }

    /// The first `len` bytes of a buffer that was taken and not given back.
    pub fn bytes(&self, id: u16, len: usize) -> &[u8] {
        assert!(id < self.shape.count && len <= self.shape.bytes as usize, "outside of the ring");
        let offset = usize::from(id) * self.shape.bytes as usize;
        // SAFETY: the assertion keeps id within the mapping.
        let start = unsafe { self.memory.add(offset) };
        // SAFETY: the kernel has filled the buffer and does not own it until it is given back.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), len) }
    }

    /// Queues a buffer for the kernel; `publish` makes it visible.
    pub fn give_back(&mut self, id: u16) {
        assert!(id < self.shape.count && self.taken > 0, "a buffer that was not taken");
        self.taken -= 1;
        let index = usize::from(self.tail & (self.shape.count - 1));
        // SAFETY: the mask keeps the index within the mapped entries.
        let entry = unsafe { self.entries.add(index) };
        // SAFETY: the kernel reads entries before the published tail only; this one is behind it.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(self.memory.as_ptr() as u64 + u64::from(id) * u64::from(self.shape.bytes));
        entry.set_len(self.shape.bytes);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel every buffer given back so far.
    pub fn publish(&self) {
        // SAFETY: the base is the first of the mapped entries.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is an aligned u16 that the kernel only reads.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

fn map(bytes: usize) -> io::Result<NonNull<u8>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing else.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mmap gave the null page"))
}
