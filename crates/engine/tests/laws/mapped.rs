//! What engines map: memory of the system's own, which no allocator sees. It stands between them and
//! mmap(2) in this program, and never gives memory back while somebody could write to it unseen.
//!
//! Everything that a law's thread maps must be unmapped when the law is over; what was unmapped stays
//! in quarantine for a while, with what was freed.

use std::ffi::{c_int, c_void};
use std::ptr::with_exposed_provenance_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::checking;

/// Memory that somebody has.
struct Mapping {
    address: usize,
    bytes: usize,
    /// Who mapped it.
    thread: i64,
}

static MAPPINGS: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());

fn mappings() -> MutexGuard<'static, Vec<Mapping>> {
    MAPPINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn own_thread() -> i64 {
    // SAFETY: takes nothing.
    unsafe { libc::syscall(libc::SYS_gettid) }
}

/// Takes the place of the C library's, as its programs may: fresh memory is noted.
#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    address: *mut c_void,
    bytes: usize,
    access: c_int,
    flags: c_int,
    fd: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    // SAFETY: the caller's duties are ours.
    let mapped =
        unsafe { libc::syscall(libc::SYS_mmap, address, bytes, access, flags, fd, offset) };
    let mapped: *mut c_void = with_exposed_provenance_mut(mapped as usize);
    if mapped != libc::MAP_FAILED && flags & libc::MAP_ANONYMOUS != 0 {
        mappings().push(Mapping { address: mapped.addr(), bytes, thread: own_thread() });
    }
    mapped
}

/// As above: what was noted goes when nobody can have written to it any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn munmap(address: *mut c_void, bytes: usize) -> c_int {
    let noted = {
        let mut mappings = mappings();
        let known = |own: &Mapping| own.address == address.addr() && own.bytes == bytes;
        let at = mappings.iter().position(known);
        at.map(|at| mappings.swap_remove(at)).is_some()
    };
    if noted {
        // SAFETY: the caller gives the memory up, which is all of a mapping that can be written.
        unsafe { checking::keep_mapped(address.cast(), bytes) };
        return 0;
    }
    // SAFETY: the caller's duties are ours.
    unsafe { unmap(address, bytes) }
}

/// Gives memory back to the system.
///
/// # Safety
/// As of munmap(2).
pub(crate) unsafe fn unmap(address: *mut c_void, bytes: usize) -> c_int {
    // SAFETY: the caller vouches for the memory.
    let unmapped = unsafe { libc::syscall(libc::SYS_munmap, address, bytes) };
    if unmapped == 0 { 0 } else { -1 }
}

/// How many bytes this thread has mapped that nobody has unmapped.
pub(crate) fn bytes_left() -> usize {
    let own = own_thread();
    mappings().iter().filter(|mapping| mapping.thread == own).map(|mapping| mapping.bytes).sum()
}

/// Forgets what this thread has mapped: it stays for good, or was another thread's with its number.
pub(crate) fn forget() {
    let own = own_thread();
    mappings().retain(|mapping| mapping.thread != own);
}

/// Fails when this thread has mapped something that is still there.
pub(crate) fn verify() {
    let left = bytes_left();
    assert_eq!(left, 0, "{left} bytes were mapped and never given back");
}
