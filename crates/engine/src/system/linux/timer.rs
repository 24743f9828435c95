//! A timer as a descriptor: readable from its moment on.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::clock::Moment;

/// A timer of the monotonic clock (timerfd_create(2)).
pub(crate) struct Timer(OwnedFd);

/// The furthest second of the clock: 68 years, which every system's time has room for.
const SECONDS_MAX: u64 = i32::MAX as u64;

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: timerfd_create takes no pointers.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is fresh and ours.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sets it, also when it was set before: only the new moment counts.
    pub(crate) fn set(&self, at: Moment) -> io::Result<()> {
        // All zeroes would take it back.
        let at = at.nanoseconds().max(1);
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let seconds = (at / 1_000_000_000).min(SECONDS_MAX);
        let nanoseconds = libc::c_long::try_from(at % 1_000_000_000).unwrap_or(0);
        let tv_sec = seconds.try_into().unwrap_or_default();
        let at = libc::timespec { tv_sec, tv_nsec: nanoseconds };
        let times = libc::itimerspec { it_interval: never, it_value: at };
        let absolute = libc::TFD_TIMER_ABSTIME;
        let before = std::ptr::null_mut();
        // SAFETY: the times are valid for reads and outlive the call; what was before is not asked.
        let set =
            unsafe { libc::timerfd_settime(self.descriptor(), absolute, &raw const times, before) };
        if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
