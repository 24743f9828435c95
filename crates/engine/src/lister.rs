//! A thread that reads directories: no mechanism of the system does it without waiting for a disk.
//! It has a descriptor and memory of its own, and touches nothing of an operation.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::completion::Listing;
use crate::slots::Key;
use crate::system;
use crate::wake::Waker;

/// A directory to be read, and at most how many names of it.
type Asked = (Key, OwnedFd, usize);
/// What was read, or an errno.
type Ended = (Key, Result<Listing, i32>);

/// The thread, started by the first directory.
#[derive(Default)]
pub(crate) struct Lister {
    thread: Option<Thread>,
}

struct Thread {
    asked: Sender<Asked>,
    ended: Receiver<Ended>,
    handle: JoinHandle<()>,
}

impl Lister {
    /// Reads a directory, or answers with an errno at once. Bounded by the operations in flight.
    pub(crate) fn start(&mut self, asked: Asked, waker: &Waker) -> Result<(), i32> {
        if self.thread.is_none() {
            let waker = waker.clone();
            let (asked, to_do) = channel::<Asked>();
            let (done, ended) = channel();
            let work = move || {
                for (key, directory, entries_max) in to_do {
                    let listed = system::list(&directory, entries_max);
                    // Who hears of it may count what is open.
                    drop(directory);
                    // An engine that is being dropped hears no more.
                    let _ = done.send((key, listed));
                    waker.wake();
                }
            };
            let handle = system::spawn_thread("springtide-lister", work);
            let handle = handle.map_err(|error| error.raw_os_error().unwrap_or(system::EAGAIN))?;
            self.thread = Some(Thread { asked, ended, handle });
        }
        let thread = self.thread.as_ref().ok_or(system::EIO)?;
        thread.asked.send(asked).map_err(|_| system::EIO)
    }

    /// The next directory that was read.
    pub(crate) fn next_ended(&self) -> Option<Ended> {
        self.thread.as_ref()?.ended.try_recv().ok()
    }
}

impl Drop for Lister {
    /// Waits for the directory that is being read.
    fn drop(&mut self) {
        if let Some(Thread { asked, handle, .. }) = self.thread.take() {
            drop(asked);
            // The thread runs no code that panics; if it did, it has ended.
            let _ = handle.join();
        }
    }
}
