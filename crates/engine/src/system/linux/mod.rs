//! Linux: the system calls that no backend owns: sockets, files, events, limits, threads.
//! It keeps no state and never blocks, but for what its name says.

mod beneath;
mod datagrams;
mod files;
mod memory;
mod paths;
mod sockets;
mod splice;
mod timer;
mod unix;
mod vectors;
mod work;

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::op::Descriptor;

pub(crate) use datagrams::*;
pub(crate) use files::*;
pub(crate) use libc::pollfd as PollEntry;
pub(crate) use memory::*;
pub(crate) use paths::*;
pub(crate) use sockets::*;
pub use sockets::{keep_alive, prepare_listener};
pub(crate) use splice::Pipe;
pub(crate) use timer::Timer;
pub use unix::SocketFile;
pub(crate) use unix::{connect_unix, listen_unix};
pub(crate) use vectors::*;
pub(crate) use work::Work;

pub(crate) const EIO: i32 = libc::EIO;
pub(crate) const ECANCELED: i32 = libc::ECANCELED;
pub(crate) const EAGAIN: i32 = libc::EAGAIN;
/// The kernel had no memory to keep a completion (io_uring_enter(2)).
pub(crate) const EBADR: i32 = libc::EBADR;
pub(crate) const ENOBUFS: i32 = libc::ENOBUFS;
pub(crate) const EINTR: i32 = libc::EINTR;
pub(crate) const ETIME: i32 = libc::ETIME;
pub(crate) const EALREADY: i32 = libc::EALREADY;
pub(crate) const EADDRINUSE: i32 = libc::EADDRINUSE;
pub(crate) const EINPROGRESS: i32 = libc::EINPROGRESS;
pub(crate) const EPIPE: i32 = libc::EPIPE;
pub(crate) const ECONNRESET: i32 = libc::ECONNRESET;
pub(crate) const ECONNREFUSED: i32 = libc::ECONNREFUSED;
pub(crate) const ENOENT: i32 = libc::ENOENT;
pub(crate) const EMFILE: i32 = libc::EMFILE;
pub(crate) const EPERM: i32 = libc::EPERM;
pub(crate) const ENOSYS: i32 = libc::ENOSYS;
pub(crate) const ENFILE: i32 = libc::ENFILE;
pub(crate) const EXDEV: i32 = libc::EXDEV;
pub(crate) const ENOTCONN: i32 = libc::ENOTCONN;
pub(crate) const ENOTDIR: i32 = libc::ENOTDIR;
pub(crate) const ENOTSOCK: i32 = libc::ENOTSOCK;
pub(crate) const EINVAL: i32 = libc::EINVAL;
pub(crate) const EBADF: i32 = libc::EBADF;
pub(crate) const EISDIR: i32 = libc::EISDIR;
pub(crate) const EEXIST: i32 = libc::EEXIST;
pub(crate) const ENOTEMPTY: i32 = libc::ENOTEMPTY;
pub(crate) const ENOSPC: i32 = libc::ENOSPC;

pub(crate) fn is_peer_gone(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECONNRESET | libc::EPIPE | libc::ETIMEDOUT | libc::ECONNABORTED | libc::ENOTCONN
    )
}

pub(crate) fn is_exhausted(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
}

/// Accept errors that concern one connection, or none, and never the listener: what was wrong with
/// a connection before it was accepted is told by accept(2).
pub(crate) fn is_passing(errno: i32) -> bool {
    matches!(
        errno,
        libc::EINTR
            | libc::ECONNABORTED
            | libc::EPROTO
            | libc::EPERM
            | libc::EAGAIN
            | libc::ENETDOWN
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::ETIMEDOUT
    )
}

pub(crate) fn is_not_found(errno: i32) -> bool {
    matches!(
        errno,
        libc::ENOENT
            | libc::ENOTDIR
            | libc::EXDEV
            | libc::ELOOP
            | libc::EACCES
            | libc::ENAMETOOLONG
            | libc::EISDIR
            | libc::ENXIO
    )
}

/// What a system call returned, as a count or an errno.
pub(crate) fn check(returned: isize) -> Result<usize, i32> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error().raw_os_error().unwrap_or(EIO))
}

/// What a system call returned that was made directly. The C library's functions of the same names
/// are points where a thread may be cancelled, and in a program with several threads every call of
/// one marks its beginning and its end by locked instructions.
#[inline]
pub(crate) fn check_direct(returned: libc::c_long) -> Result<usize, i32> {
    check(isize::try_from(returned).unwrap_or(-1))
}

pub(crate) fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// An eventfd(2): a counter that ends a wait.
#[derive(Debug)]
pub(crate) struct Event(OwnedFd);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is fresh and ours.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Adds one. A full counter means that the wait will end anyway.
    pub(crate) fn trigger(&self) {
        let one = 1u64;
        // SAFETY: eight bytes are read from `one`, which outlives the call.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Takes the count, so that the event is quiet again.
    pub(crate) fn drain(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes are written to `count`, which outlives the call.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Closes a descriptor at once. Its errors say nothing that could be acted upon.
pub(crate) fn close(fd: RawFd) {
    // SAFETY: close takes no pointers; the engine owns the descriptor (law 3).
    unsafe { libc::close(fd) };
}

pub(crate) const POLL_READABLE: i16 = libc::POLLIN;
pub(crate) const POLL_WRITABLE: i16 = libc::POLLOUT;
/// Told unasked: an error, a hang-up, a descriptor that is not open.
pub(crate) const POLL_FAILED: i16 = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;

/// Waits until one of the entries is ready, or for `timeout` (poll(2)).
pub(crate) fn poll(entries: &mut [PollEntry], timeout: Option<Duration>) -> Result<usize, i32> {
    let count = libc::nfds_t::try_from(entries.len()).map_err(|_| EINVAL)?;
    let milliseconds = milliseconds_up(timeout);
    // SAFETY: the entries are valid for reads and writes and outlive the call.
    let ready = unsafe { libc::poll(entries.as_mut_ptr(), count, milliseconds) };
    check(ready as isize)
}

/// A timeout as poll(2) and epoll_wait(2) take it: never shorter than asked, -1 for ever.
pub(crate) fn milliseconds_up(timeout: Option<Duration>) -> i32 {
    timeout.map_or(-1, |timeout| {
        i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    })
}

/// Raises the limit of open descriptors to what the system allows; gives the limit in force.
///
/// # Errors
/// When the system refuses to tell its limits (getrlimit(2)).
pub fn descriptors_max_raise() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writes and outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
    // SAFETY: `raised` is valid for reads and outlives the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) };
    Ok(if set == 0 { raised.rlim_cur } else { limit.rlim_cur })
}

/// Starts a thread: the only place of the house where threads begin.
///
/// # Errors
/// When the system has no thread left (pthread_create(3)).
pub fn spawn_thread<F, T>(name: &str, body: F) -> io::Result<std::thread::JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// How many processors this process may use.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Gives a descriptor up as plain data.
pub(crate) fn into_descriptor(fd: OwnedFd) -> Descriptor {
    Descriptor(fd.into_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listener that ended with one of these would end its server.
    #[test]
    fn errors_of_one_connection_never_end_a_listener() {
        // As accept(2) lists them for TCP; EOPNOTSUPP is also what no listener says.
        let pending = [
            libc::ENETDOWN,
            libc::EPROTO,
            libc::ENOPROTOOPT,
            libc::EHOSTDOWN,
            libc::ENONET,
            libc::EHOSTUNREACH,
            libc::ENETUNREACH,
        ];
        assert!(pending.into_iter().all(is_passing));
        for errno in [libc::EMFILE, libc::ENOMEM, libc::EBADF, libc::EINVAL, libc::EOPNOTSUPP] {
            assert!(!is_passing(errno), "{errno} would be tried for ever");
        }
    }
}
