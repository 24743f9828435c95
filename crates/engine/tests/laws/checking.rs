//! An allocator that finds writes to freed memory, the kernel's too (facts: no sanitizer does).
//! It never gives memory back while anybody could still write to it unseen, up to its limit.
//!
//! What is freed is filled with a pattern and kept in quarantine; `verify` looks at all of it,
//! and what must leave because the quarantine is full is looked at on its way out.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::mapped;

/// What freed memory is filled with.
const FREED: u8 = 0xD9;
const QUARANTINE_BYTES_MAX: usize = 256 << 20;
const QUARANTINE_BLOCKS_MAX: usize = 1 << 20;

/// Freed memory that was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) address: usize,
    pub(crate) size: usize,
    /// The first byte that changed.
    pub(crate) offset: usize,
    pub(crate) byte: u8,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, size, offset, byte } = self;
        write!(f, "freed block {address:#x} of {size} bytes: byte {offset} became {byte:#04x}")
    }
}

#[derive(Clone, Copy)]
struct Block {
    address: *mut u8,
    layout: Layout,
    /// It came from the system itself.
    is_mapped: bool,
}

struct Quarantine {
    /// A circle of QUARANTINE_BLOCKS_MAX blocks, allocated by the first free.
    blocks: *mut Block,
    first: usize,
    count: usize,
    bytes: usize,
    /// A block whose owner still has it and that is looked at as if it were freed.
    pretended: Option<Block>,
    violation: Option<Violation>,
}

pub(crate) struct Checking {
    locked: AtomicBool,
    quarantine: UnsafeCell<Quarantine>,
}

// SAFETY: the quarantine is touched under the lock only.
unsafe impl Sync for Checking {}

#[global_allocator]
static CHECKING: Checking = Checking {
    locked: AtomicBool::new(false),
    quarantine: UnsafeCell::new(Quarantine {
        blocks: std::ptr::null_mut(),
        first: 0,
        count: 0,
        bytes: 0,
        pretended: None,
        violation: None,
    }),
};

// SAFETY: memory comes from and goes to the system's allocator, with the same layouts.
unsafe impl GlobalAlloc for Checking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duties are ours.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duties are ours.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        // SAFETY: the caller gives the block up, so nobody else refers to it.
        unsafe { address.write_bytes(FREED, layout.size()) };
        let block = Block { address, layout, is_mapped: false };
        self.with(|quarantine| quarantine.take(block));
    }
}

impl Checking {
    fn with<T>(&self, body: impl FnOnce(&mut Quarantine) -> T) -> T {
        while self.locked.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        // SAFETY: the lock is held.
        let result = body(unsafe { &mut *self.quarantine.get() });
        self.locked.store(false, Ordering::Release);
        result
    }
}

impl Quarantine {
    fn place(&self, index: usize) -> *mut Block {
        // SAFETY: within the circle, whose memory is there once a block is.
        unsafe { self.blocks.add((self.first + index) % QUARANTINE_BLOCKS_MAX) }
    }

    fn take(&mut self, block: Block) {
        if self.pretended.is_some_and(|pretended| pretended.address == block.address) {
            self.pretended = None;
        }
        if self.blocks.is_null() {
            let layout = Layout::array::<Block>(QUARANTINE_BLOCKS_MAX).expect("some megabytes");
            // SAFETY: the layout's size is not zero.
            self.blocks = unsafe { System.alloc(layout) }.cast();
            assert!(!self.blocks.is_null(), "there is memory for the quarantine");
        }
        while self.count == QUARANTINE_BLOCKS_MAX
            || (self.count > 0 && self.bytes + block.layout.size() > QUARANTINE_BYTES_MAX)
        {
            self.release_first();
        }
        let place = self.place(self.count);
        // SAFETY: within the circle.
        unsafe { place.write(block) };
        self.bytes += block.layout.size();
        self.count += 1;
    }

    fn release_first(&mut self) {
        // SAFETY: there is a first block, and it was written.
        let block = unsafe { self.place(0).read() };
        self.first = (self.first + 1) % QUARANTINE_BLOCKS_MAX;
        self.count -= 1;
        self.bytes -= block.layout.size();
        self.violation = self.violation.or_else(|| changed(&block));
        if block.is_mapped {
            // SAFETY: its owner unmapped as much as this; it was kept until now.
            unsafe { mapped::unmap(block.address.cast(), block.layout.size()) };
            return;
        }
        // SAFETY: its owner freed it with this layout; it was kept until now.
        unsafe { System.dealloc(block.address, block.layout) };
    }

    fn look(&mut self) -> Option<Violation> {
        let found = self.violation.take().or_else(|| self.pretended.as_ref().and_then(changed));
        found.or_else(|| {
            // SAFETY: all of them were written.
            (0..self.count).find_map(|index| changed(unsafe { &*self.place(index) }))
        })
    }
}

/// The first byte of a freed block that is not as it was left.
fn changed(block: &Block) -> Option<Violation> {
    const PATTERN: [u8; 4096] = [FREED; 4096];
    let size = block.layout.size();
    // SAFETY: blocks in quarantine stay readable; they were filled wholly.
    let bytes = unsafe { std::slice::from_raw_parts(block.address, size) };
    if bytes.chunks(PATTERN.len()).all(|part| *part == PATTERN[..part.len()]) {
        return None;
    }
    let offset = bytes.iter().position(|byte| *byte != FREED)?;
    Some(Violation { address: block.address.addr(), size, offset, byte: bytes[offset] })
}

/// Finds a write to memory after it was freed.
pub(crate) fn look() -> Option<Violation> {
    CHECKING.with(Quarantine::look)
}

/// Fails when memory was written to after it was freed.
pub(crate) fn verify() {
    if let Some(violation) = look() {
        panic!("memory was written to after it was freed: {violation}");
    }
}

/// Treats a block as freed that its owner still has.
///
/// # Safety
/// `address` is valid for writes of `size` bytes, and stays so until `verify` or its true free.
pub(crate) unsafe fn pretend_free(address: *mut u8, size: usize) {
    let layout = Layout::array::<u8>(size).expect("a size that was allocated");
    // SAFETY: the caller vouches for the block.
    unsafe { address.write_bytes(FREED, size) };
    let block = Block { address, layout, is_mapped: false };
    CHECKING.with(|quarantine| quarantine.pretended = Some(block));
}

/// Keeps memory that its owner has unmapped.
///
/// # Safety
/// It is the caller's, valid for writes, and goes with this call.
pub(crate) unsafe fn keep_mapped(address: *mut u8, size: usize) {
    let layout = Layout::array::<u8>(size).expect("a size that was mapped");
    // SAFETY: the caller vouches for the memory.
    unsafe { address.write_bytes(FREED, size) };
    CHECKING.with(|quarantine| quarantine.take(Block { address, layout, is_mapped: true }));
}
