//! Files: opened beneath a root, told about, read at an offset.
//! Nothing that is done for a shard waits for a disk: it answers EAGAIN instead, with `cached`.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use super::beneath::open_by_steps;
use super::{EAGAIN, EIO, check};
use crate::completion::{Entry, Listing, Metadata};
use crate::error::{Error, OpKind};
use crate::op::FilePart;

/// The `open_how` of a file beneath a root: regular reading, no way out, no terminal, no waiting
/// for the writer of a pipe.
pub(crate) fn open_how(cached: bool) -> libc::open_how {
    // SAFETY: all zeroes is a valid open_how.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = flags_of(libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK);
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
    if cached {
        how.resolve |= libc::RESOLVE_CACHED;
    }
    how
}

fn flags_of(flags: i32) -> u64 {
    u64::try_from(flags).expect("open flags are not negative")
}

/// Opens beneath a root. With `cached`, answers EAGAIN instead of waiting for the disk. Where a
/// kernel or a filter refuses openat2(2), it is done in steps, which may wait.
pub(crate) fn open_beneath(root: RawFd, path: &CStr, cached: bool) -> Result<RawFd, i32> {
    match open_whole(root, path, cached) {
        // Before Linux 5.6 there is no openat2, before 5.12 no RESOLVE_CACHED (EINVAL); filters
        // answer EPERM.
        Err(libc::ENOSYS | libc::EPERM | libc::EINVAL) if cached => Err(EAGAIN),
        Err(libc::ENOSYS | libc::EPERM) => open_by_steps(root, path),
        other => other,
    }
}

fn open_whole(root: RawFd, path: &CStr, cached: bool) -> Result<RawFd, i32> {
    let how = open_how(cached);
    let size = size_of::<libc::open_how>();
    // SAFETY: the path ends in NUL and `how` is valid for its size; both outlive the call.
    let returned =
        unsafe { libc::syscall(libc::SYS_openat2, root, path.as_ptr(), &raw const how, size) };
    let fd = check(isize::try_from(returned).unwrap_or(-1))?;
    RawFd::try_from(fd).map_err(|_| EIO)
}

/// Opens one name in a directory; close-on-exec.
pub(super) fn open_at(directory: RawFd, name: &CStr, flags: i32) -> Result<OwnedFd, i32> {
    // SAFETY: the name ends in NUL and outlives the call.
    let fd = unsafe { libc::openat(directory, name.as_ptr(), flags | libc::O_CLOEXEC) };
    let fd = RawFd::try_from(check(fd as isize)?).map_err(|_| EIO)?;
    // SAFETY: the descriptor is fresh and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Where a symbolic link leads. EINVAL when the name is none.
pub(super) fn target_at(directory: RawFd, name: &CStr) -> Result<Vec<u8>, i32> {
    // No link is longer than a path.
    let mut target = vec![0_u8; TARGET_BYTES_MAX];
    // SAFETY: the name ends in NUL and the target is valid for its length; both outlive the call.
    let length = check(unsafe {
        libc::readlinkat(directory, name.as_ptr(), target.as_mut_ptr().cast(), target.len())
    })?;
    target.truncate(length);
    Ok(target)
}

/// PATH_MAX of Linux.
const TARGET_BYTES_MAX: usize = 4096;

/// The same directory, open by itself, with an offset of its own.
pub(crate) fn open_again(directory: RawFd) -> Result<OwnedFd, i32> {
    open_at(directory, c".", libc::O_RDONLY | libc::O_DIRECTORY)
}

/// The names in an open directory, from its beginning.
pub(crate) fn list(directory: &OwnedFd, entries_max: usize) -> Result<Listing, i32> {
    let mut listing = Listing::default();
    let mut memory = vec![0_u8; NAMES_BYTES];
    loop {
        let (fd, length) = (directory.as_raw_fd(), memory.len());
        // SAFETY: the memory is valid for writes of its length and outlives the call.
        let read = unsafe { libc::syscall(libc::SYS_getdents64, fd, memory.as_mut_ptr(), length) };
        let read = check(isize::try_from(read).unwrap_or(-1))?;
        let mut rest = &memory[..read];
        // A record: number and offset in 8 bytes each, its length, its kind, its name and NUL.
        while let Some([low, high, kind]) = rest.get(16..19) {
            let length = usize::from(u16::from_ne_bytes([*low, *high]));
            let (record, behind) = rest.split_at_checked(length.max(19)).ok_or(EIO)?;
            rest = behind;
            let name = CStr::from_bytes_until_nul(&record[19..]).map_err(|_| EIO)?.to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if listing.entries.len() == entries_max {
                listing.is_cut = true;
                return Ok(listing);
            }
            let is_directory = *kind == libc::DT_DIR;
            listing.entries.push(Entry { name: name.to_vec(), is_directory });
        }
        if read == 0 {
            return Ok(listing);
        }
    }
}

/// Names that are read at a time, in bytes.
const NAMES_BYTES: usize = 32 << 10;

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC);
    let file = options.open(path).map_err(|error| Error::from_io(OpKind::Open, &error))?;
    Ok(file.into())
}

/// What is known of an open file. Never waits: the inode of an open file is in memory.
pub(crate) fn metadata(fd: RawFd) -> Result<Metadata, i32> {
    // SAFETY: all zeroes is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for writes and outlives the call.
    check(unsafe { libc::fstat(fd, &raw mut stat) } as isize)?;
    Ok(metadata_of(&stat))
}

pub(super) fn metadata_of(stat: &libc::stat) -> Metadata {
    let kind = stat.st_mode & libc::S_IFMT;
    Metadata {
        length: u64::try_from(stat.st_size).unwrap_or(0),
        modified_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        inode: stat.st_ino,
        is_directory: kind == libc::S_IFDIR,
        is_file: kind == libc::S_IFREG,
    }
}

/// Reads from a file at an offset; with `cached`, answers EAGAIN instead of waiting for the disk.
///
/// # Safety
/// `target` must be valid for writes of `length` bytes.
pub(crate) unsafe fn read_at(
    fd: RawFd,
    target: *mut u8,
    length: usize,
    offset: u64,
    cached: bool,
) -> Result<usize, i32> {
    let vector = libc::iovec { iov_base: target.cast(), iov_len: length };
    let offset = libc::off_t::try_from(offset).map_err(|_| libc::EINVAL)?;
    let flags = if cached { libc::RWF_NOWAIT } else { 0 };
    // SAFETY: one vector, whose memory the caller vouches for.
    let read = check(unsafe { libc::preadv2(fd, &raw const vector, 1, offset, flags) });
    match read {
        // Some file systems cannot say whether they would wait: then it is not cached.
        Err(libc::EOPNOTSUPP) if cached => Err(EAGAIN),
        other => other,
    }
}

/// Sends at once from a file what fits, without a copy, and never waits: not for room, and not for
/// a disk, as far as the system can tell; EAGAIN says so. The bytes are the file's own pages: who
/// writes to it may change what has not reached the peer.
pub(crate) fn send_file(socket: RawFd, part: FilePart) -> Result<usize, i32> {
    // There is no flag against the signal of a connection that is gone.
    if !is_broken_pipe_ignored() || !is_cached(part)? {
        return Err(EAGAIN);
    }
    let mut offset = libc::off_t::try_from(part.offset).map_err(|_| libc::EINVAL)?;
    // SAFETY: the offset is valid for the call, which takes no other pointer.
    check(unsafe { libc::sendfile(socket, part.file.0, &raw mut offset, part.length) })
}

/// What cachestat(2) tells of a range, in pages.
#[repr(C)]
#[derive(Default)]
struct Cached {
    cached: u64,
    _others: [u64; 4],
}

/// The same number on every architecture (Linux 6.5).
const SYS_CACHESTAT: libc::c_long = 451;

/// Whether a part of a file is in the system's memory, its end not only on the way there: pages
/// that are being read count as cached. An error where the system does not tell.
fn is_cached(part: FilePart) -> Result<bool, i32> {
    // SAFETY: sysconf takes no pointers.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(|_| EIO)?;
    let length = u64::try_from(part.length).map_err(|_| libc::EINVAL)?;
    let (Some(end), 1..) = (part.offset.checked_add(length), page) else { return Err(EIO) };
    let range = [part.offset, length];
    let mut told = Cached::default();
    let (range, into, fd) = (range.as_ptr(), &raw mut told, part.file.0);
    // SAFETY: both are laid out as the call has them, and outlive it.
    let returned = unsafe { libc::syscall(SYS_CACHESTAT, fd, range, into, 0) };
    check(isize::try_from(returned).unwrap_or(-1))?;
    if told.cached < end.div_ceil(page) - part.offset / page {
        return Ok(false);
    }
    let mut last = 0_u8;
    // SAFETY: one byte, which outlives the call.
    let read = unsafe { read_at(fd, &raw mut last, 1, end.saturating_sub(1), true) };
    Ok(read == Ok(1))
}

/// Whether a write to a connection that is gone ends in an error only: programs in Rust begin so.
pub(crate) fn is_broken_pipe_ignored() -> bool {
    // SAFETY: all zeroes is a valid sigaction.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is changed; what is written outlives the call.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut now) };
    asked == 0 && now.sa_sigaction == libc::SIG_IGN
}
