//! Vectored reads and writes of files at an offset, and what changes a file as a whole.
//! With `cached` nothing waits for a disk: it answers EAGAIN instead.

use std::os::fd::RawFd;

use super::{EAGAIN, check};
use crate::op::Piece;

/// Reads into the spare capacities of buffers, in their order.
pub(crate) fn read_vectors(
    fd: RawFd,
    memories: &mut [Vec<u8>],
    offset: u64,
    cached: bool,
) -> Result<usize, i32> {
    let offset = libc::off_t::try_from(offset).map_err(|_| libc::EINVAL)?;
    let mut vectors: Vec<libc::iovec> = Vec::with_capacity(memories.len());
    for memory in &mut *memories {
        let spare = memory.spare_capacity_mut();
        vectors.push(libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: spare.len() });
    }
    let count = i32::try_from(vectors.len()).map_err(|_| libc::EINVAL)?;
    // SAFETY: the vectors are the spare capacities, which nobody else has during the call.
    let read = check(unsafe { libc::preadv2(fd, vectors.as_ptr(), count, offset, nowait(cached)) });
    let read = said(read, cached)?;
    let mut left = read;
    for memory in memories {
        let filled = left.min(memory.capacity() - memory.len());
        left -= filled;
        // SAFETY: the system fills the buffers in their order, within their spare capacities.
        unsafe { memory.set_len(memory.len() + filled) };
    }
    assert!(left == 0, "the system fills spare capacity only");
    Ok(read)
}

/// Writes pieces in their order.
pub(crate) fn write_vectors(
    fd: RawFd,
    pieces: &[Piece],
    offset: u64,
    cached: bool,
) -> Result<usize, i32> {
    let offset = libc::off_t::try_from(offset).map_err(|_| libc::EINVAL)?;
    let vectors = pieces.iter().map(|piece| {
        let bytes = piece.as_slice();
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
    });
    let vectors: Vec<libc::iovec> = vectors.collect();
    let count = i32::try_from(vectors.len()).map_err(|_| libc::EINVAL)?;
    // SAFETY: the vectors are the pieces, which outlive the call and are only read.
    let written =
        check(unsafe { libc::pwritev2(fd, vectors.as_ptr(), count, offset, nowait(cached)) });
    said(written, cached)
}

const fn nowait(cached: bool) -> i32 {
    if cached { libc::RWF_NOWAIT } else { 0 }
}

/// Some file systems cannot say whether they would wait, and some writes not how far they came.
fn said(result: Result<usize, i32>, cached: bool) -> Result<usize, i32> {
    match result {
        Err(libc::EOPNOTSUPP | libc::EINTR) if cached => Err(EAGAIN),
        other => other,
    }
}

/// Brings a file to its disk, and waits for that.
pub(crate) fn sync(fd: RawFd, data_only: bool) -> Result<(), i32> {
    let call = if data_only { libc::fdatasync } else { libc::fsync };
    // SAFETY: neither call takes pointers.
    check(unsafe { call(fd) } as isize).map(drop)
}

pub(crate) fn truncate(fd: RawFd, length: u64) -> Result<(), i32> {
    let length = libc::off_t::try_from(length).map_err(|_| libc::EINVAL)?;
    // SAFETY: the call takes no pointers.
    check(unsafe { libc::ftruncate(fd, length) } as isize).map(drop)
}
