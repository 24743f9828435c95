//! Opening beneath a root where openat2(2) is refused: step by step, links and `..` resolved here.
//! The system is never given a path, only single names, and never follows a link.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use super::{open_at, target_at};

/// Links that are followed on the way, as many as the system follows.
const LINKS_MAX: usize = 40;

/// Directories that are open on the way.
const DEPTH_MAX: usize = 128;

/// A way from a root downwards.
struct Way {
    root: RawFd,
    /// The directories below the root that have been entered, the last one being where we are.
    entered: Vec<OwnedFd>,
    /// Names that are still to be gone.
    ahead: VecDeque<CString>,
    links: usize,
}

/// Opens a file for reading as openat2(2) does with RESOLVE_BENEATH. It may wait for a disk.
pub(super) fn open_by_steps(root: RawFd, path: &CStr) -> Result<RawFd, i32> {
    if path.is_empty() {
        return Err(libc::ENOENT);
    }
    let mut way = Way { root, entered: Vec::new(), ahead: VecDeque::new(), links: 0 };
    way.add(path.to_bytes())?;
    while let Some(name) = way.ahead.pop_front() {
        if let Some(file) = way.step(&name)? {
            return Ok(file.into_raw_fd());
        }
    }
    // It has ended at a directory: the root, or one that a link or `..` led to.
    open_at(way.here(), c".", libc::O_RDONLY | libc::O_DIRECTORY).map(OwnedFd::into_raw_fd)
}

impl Way {
    fn here(&self) -> RawFd {
        self.entered.last().map_or(self.root, AsRawFd::as_raw_fd)
    }

    /// Puts the names of a path before those that are ahead.
    fn add(&mut self, path: &[u8]) -> Result<(), i32> {
        if path.first() == Some(&b'/') {
            return Err(libc::EXDEV);
        }
        for name in path.rsplit(|byte| *byte == b'/') {
            // Nothing behind a last slash: what is before it must be a directory, as with a dot.
            let name = if name.is_empty() { &b"."[..] } else { name };
            self.ahead.push_front(CString::new(name).map_err(|_| libc::EINVAL)?);
        }
        Ok(())
    }

    /// Goes by one name. What it leads to, if it is the last one and no link.
    fn step(&mut self, name: &CStr) -> Result<Option<OwnedFd>, i32> {
        match name.to_bytes() {
            b"." => return Ok(None),
            b".." => return self.entered.pop().map(|_| None).ok_or(libc::EXDEV),
            _ => {}
        }
        let is_last = self.ahead.is_empty();
        let flags = if is_last {
            libc::O_RDONLY | libc::O_NOCTTY | libc::O_NONBLOCK
        } else {
            libc::O_PATH | libc::O_DIRECTORY
        };
        match open_at(self.here(), name, flags | libc::O_NOFOLLOW) {
            Ok(file) if is_last => Ok(Some(file)),
            Ok(_) if self.entered.len() == DEPTH_MAX => Err(libc::ENAMETOOLONG),
            Ok(directory) => {
                self.entered.push(directory);
                Ok(None)
            }
            Err(errno @ (libc::ELOOP | libc::ENOTDIR)) => {
                // A link, or really no directory. Where it leads is resolved as the rest is.
                let target = target_at(self.here(), name).map_err(|_| errno)?;
                self.links += 1;
                if self.links > LINKS_MAX {
                    return Err(libc::ELOOP);
                }
                self.add(&target)?;
                Ok(None)
            }
            Err(errno) => Err(errno),
        }
    }
}
