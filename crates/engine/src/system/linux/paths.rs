//! Paths: files opened by them, what is known of them, and names made, moved and taken away.
//! Nothing that is done for a shard waits for a disk: it answers EAGAIN instead, with `cached`.

use std::ffi::CStr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::files::metadata_of;
use super::{EAGAIN, EIO, check};
use crate::completion::Metadata;
use crate::op::OpenOptions;

/// Opens a file. With `cached` nothing is made, nor cut.
pub(crate) fn open_file(path: &CStr, options: OpenOptions, cached: bool) -> Result<OwnedFd, i32> {
    let OpenOptions { read, write, append, truncate, create, create_new, mode } = options;
    let may_write = write || append;
    let access = match (read || !may_write, may_write) {
        (true, true) => libc::O_RDWR,
        (_, false) => libc::O_RDONLY,
        (false, true) => libc::O_WRONLY,
    };
    let mut flags = access | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK;
    let chosen = [
        (append, libc::O_APPEND),
        (truncate, libc::O_TRUNC),
        (create, libc::O_CREAT),
        (create_new, libc::O_CREAT | libc::O_EXCL),
    ];
    for (_, flag) in chosen.iter().filter(|(is_chosen, _)| *is_chosen) {
        flags |= flag;
    }
    if cached {
        return open_cached(path, flags);
    }
    // SAFETY: the path ends in NUL and outlives the call.
    own(unsafe { libc::openat(libc::AT_FDCWD, path.as_ptr(), flags, mode) } as libc::c_long)
}

/// Opens what is there without waiting (RESOLVE_CACHED, openat2(2)).
fn open_cached(path: &CStr, flags: i32) -> Result<OwnedFd, i32> {
    // SAFETY: all zeroes is a valid open_how.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::try_from(flags).expect("open flags are not negative");
    how.resolve = libc::RESOLVE_CACHED;
    let (at, size) = (libc::AT_FDCWD, size_of::<libc::open_how>());
    // SAFETY: the path ends in NUL and `how` is valid for its size; both outlive the call.
    match own(unsafe { libc::syscall(libc::SYS_openat2, at, path.as_ptr(), &raw const how, size) })
    {
        // Before Linux 5.6 there is no openat2, before 5.12 no RESOLVE_CACHED; filters answer EPERM.
        Err(libc::ENOSYS | libc::EINVAL | libc::EPERM) => Err(EAGAIN),
        other => other,
    }
}

fn own(returned: libc::c_long) -> Result<OwnedFd, i32> {
    let fd = check(isize::try_from(returned).unwrap_or(-1))?;
    let fd = RawFd::try_from(fd).map_err(|_| EIO)?;
    // SAFETY: the descriptor is fresh and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What is known of a path; with `cached` as [`open_file`].
pub(crate) fn describe(path: &CStr, cached: bool) -> Result<Metadata, i32> {
    if cached {
        use std::os::fd::AsRawFd;
        return match open_cached(path, libc::O_PATH | libc::O_CLOEXEC) {
            // It can be told without a descriptor.
            Err(libc::EMFILE | libc::ENFILE) => Err(EAGAIN),
            found => super::metadata(found?.as_raw_fd()),
        };
    }
    // SAFETY: all zeroes is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in NUL, `stat` is valid for writes, and both outlive the call.
    check(unsafe { libc::stat(path.as_ptr(), &raw mut stat) } as isize)?;
    Ok(metadata_of(&stat))
}

pub(crate) fn remove(path: &CStr, is_directory: bool) -> Result<(), i32> {
    let flags = if is_directory { libc::AT_REMOVEDIR } else { 0 };
    // SAFETY: the path ends in NUL and outlives the call.
    check(unsafe { libc::unlinkat(libc::AT_FDCWD, path.as_ptr(), flags) } as isize).map(drop)
}

pub(crate) fn rename(from: &CStr, to: &CStr) -> Result<(), i32> {
    // SAFETY: both paths end in NUL and outlive the call.
    check(unsafe { libc::rename(from.as_ptr(), to.as_ptr()) } as isize).map(drop)
}

pub(crate) fn create_directory(path: &CStr, mode: u32) -> Result<(), i32> {
    // SAFETY: the path ends in NUL and outlives the call.
    check(unsafe { libc::mkdir(path.as_ptr(), mode) } as isize).map(drop)
}
