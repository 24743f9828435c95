//! A pipe through which bytes go from socket to socket without a copy (splice(2)).
//! Nothing here waits, and whoever fills the pipe empties it.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::null_mut;

use super::{EINTR, EIO, check};

/// What the pipe holds at most, in bytes: each piece that the network card has delivered takes a page's
/// place of it, however short it is.
const PIPE_BYTES: libc::c_int = 1 << 20;

/// A pipe of this process.
pub(crate) struct Pipe {
    exit: OwnedFd,
    entry: OwnedFd,
}

impl Pipe {
    /// One that is empty.
    pub(crate) fn open() -> Result<Self, i32> {
        let mut ends = [-1; 2];
        let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
        // SAFETY: the call writes two descriptors, for which there is room.
        check(unsafe { libc::pipe2(ends.as_mut_ptr(), flags) } as isize)?;
        // SAFETY: the descriptors are fresh and ours.
        let [exit, entry] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        // One that stays smaller does as well: the system counts what a user's pipes may hold.
        // SAFETY: the call takes no pointer.
        unsafe { libc::fcntl(entry.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
        Ok(Self { exit, entry })
    }

    /// Moves what has come on a socket into the pipe; none at the end of its stream.
    pub(crate) fn fill(&self, source: RawFd, bytes_max: usize) -> Result<usize, i32> {
        splice(source, self.entry.as_raw_fd(), bytes_max)
    }

    /// Moves so many bytes of the pipe to a socket, as far as it has room; also where it has failed,
    /// which the next send tells.
    pub(crate) fn drain(&self, sink: RawFd, count: usize) -> usize {
        let mut moved = 0;
        while moved < count {
            match splice(self.exit.as_raw_fd(), sink, count - moved) {
                Ok(more @ 1..) => moved += more,
                Err(EINTR) => {}
                Ok(0) | Err(_) => break,
            }
        }
        moved
    }

    /// Reads so many bytes out of the pipe, which are there.
    pub(crate) fn read_out(&self, memory: &mut Vec<u8>, count: usize) -> Result<(), i32> {
        memory.reserve_exact(count);
        let end = memory.len() + count;
        while memory.len() < end {
            let room = end - memory.len();
            let target = memory.spare_capacity_mut()[..room].as_mut_ptr().cast();
            // SAFETY: the spare capacity is the caller's, who lends it for the call, and has that room.
            let read = check(unsafe { libc::read(self.exit.as_raw_fd(), target, room) });
            let count = match read {
                Err(EINTR) => continue,
                Ok(0) => return Err(EIO),
                read => read?,
            };
            // SAFETY: the system has written so many bytes behind the old length.
            unsafe { memory.set_len(memory.len() + count) };
        }
        Ok(())
    }
}

fn splice(from: RawFd, to: RawFd, bytes_max: usize) -> Result<usize, i32> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: neither end has an offset, so no pointer is followed.
    check(unsafe { libc::splice(from, null_mut(), to, null_mut(), bytes_max, flags) })
}
