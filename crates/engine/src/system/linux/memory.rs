//! Memory straight from the system, which goes back to it at once.
//! It knows nothing of what lies in it.

use std::alloc::{Layout, handle_alloc_error};
use std::ptr::{NonNull, null_mut};

/// Fresh memory, zeroed and aligned to a page of the system. What of it is not touched costs
/// nothing (mmap(2)).
pub(crate) fn map_memory(bytes: usize) -> NonNull<u8> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping, at an address of the system's choice.
    let mapped = unsafe { libc::mmap(null_mut(), bytes, access, flags, -1, 0) };
    match NonNull::new(mapped.cast()) {
        Some(memory) if mapped != libc::MAP_FAILED => memory,
        _ => {
            handle_alloc_error(Layout::from_size_align(bytes, 4096).unwrap_or(Layout::new::<u8>()))
        }
    }
}

/// Gives memory back.
///
/// # Safety
/// `memory` came from [`map_memory`] with the same length, and nothing refers to it any more.
pub(crate) unsafe fn unmap_memory(memory: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller vouches for the memory.
    let unmapped = unsafe { libc::munmap(memory.as_ptr().cast(), bytes) };
    assert!(unmapped == 0, "what was mapped can be unmapped");
}
