//! Why io_uring is refused, and what helps: the words of the one line that says so.
//! It asks the system nothing; `docs/io_uring.md` tells the same at length.

use std::fmt;

/// Why the system refuses io_uring to an engine that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such call (ENOSYS of io_uring_setup(2)).
    Absent,
    /// The sysctl `kernel.io_uring_disabled` forbids it.
    Sysctl,
    /// A filter, or a security module, forbids one of its calls.
    Filtered {
        /// Which one.
        call: &'static str,
        /// What it answered.
        errno: i32,
    },
    /// The memory of a ring, even of a small one, is more than may be locked (RLIMIT_MEMLOCK).
    LockedMemory,
    /// The kernel does not know what is asked of the ring.
    OldKernel,
    /// One of the operations is not there.
    Operation(&'static str),
    /// Anything else.
    Other {
        /// Which call.
        call: &'static str,
        /// What it answered.
        errno: i32,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = |errno: &i32| std::io::Error::from_raw_os_error(*errno);
        match self {
            Self::Absent => f.write_str(
                "the kernel has none, or a filter says so (io_uring_setup: ENOSYS); run on Linux \
                 6.1 or later, outside gVisor",
            ),
            Self::Sysctl => f.write_str(
                "the sysctl kernel.io_uring_disabled forbids it; set it to 0, or join the group \
                 kernel.io_uring_group",
            ),
            Self::Filtered { call, errno } => write!(
                f,
                "a seccomp filter or security module forbids {call} ({}); let it allow \
                 io_uring_setup, io_uring_enter and io_uring_register",
                system(errno)
            ),
            Self::LockedMemory => f.write_str(
                "even a small ring is more memory than may be locked (RLIMIT_MEMLOCK); raise \
                 ulimit -l",
            ),
            Self::OldKernel => f.write_str(
                "the kernel does not know what is asked of the ring (EINVAL); run on Linux 6.1 or \
                 later",
            ),
            Self::Operation(name) => write!(
                f,
                "the operation {name} is not there; run on Linux 6.1 or later, without \
                 restrictions on it"
            ),
            Self::Other { call, errno } => write!(f, "{call}: {}", system(errno)),
        }?;
        f.write_str(" (docs/io_uring.md)")
    }
}
