//! A few threads for file operations that would block: the readiness backends' only ones.
//! They touch an operation's memory between submit and completion, and nothing else (law 3).

use std::collections::VecDeque;
use std::ffi::CString;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_queue::SegQueue;

use crate::slots::Key;
use crate::system;
use crate::wake::Waker;

const THREADS_MAX: usize = 2;

/// What a thread does.
pub(super) enum Job {
    /// Open beneath a root.
    Open { root: i32, path: CString },
    /// Read at an offset.
    Read { file: i32, target: Target, offset: u64 },
}

/// Where a read puts its bytes.
pub(super) struct Target {
    pub(super) address: *mut u8,
    pub(super) length: usize,
}

// SAFETY: the memory belongs to an operation in flight, which nobody else touches until the job
// has ended (law 3).
unsafe impl Send for Target {}

/// How a job ended: a descriptor or a count of bytes, or an errno.
pub(super) type Ended = (Key, Result<usize, i32>);

struct Queue {
    jobs: Mutex<(VecDeque<(Key, Job)>, bool)>,
    arrived: Condvar,
    ended: SegQueue<Ended>,
    waker: Waker,
}

/// The threads, started by the first jobs.
pub(super) struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn new(waker: Waker) -> Self {
        let (jobs, arrived, ended) = Default::default();
        Self { queue: Arc::new(Queue { jobs, arrived, ended, waker }), threads: Vec::new() }
    }

    /// Hands a job to a thread. Bounded by the operations in flight.
    pub(super) fn start(&mut self, key: Key, job: Job) {
        if self.threads.len() < THREADS_MAX {
            let queue = self.queue.clone();
            let thread = system::spawn_thread("springtide-files", move || queue.work());
            self.threads.extend(thread.ok());
        }
        if self.threads.is_empty() {
            self.queue.ended.push((key, job.run()));
            return;
        }
        let mut jobs = self.queue.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.0.push_back((key, job));
        self.queue.arrived.notify_one();
    }

    /// The next job that has ended.
    pub(super) fn next_ended(&self) -> Option<Ended> {
        self.queue.ended.pop()
    }
}

impl Drop for Pool {
    /// Waits for the jobs that run: their memory must not go before.
    fn drop(&mut self) {
        self.queue.jobs.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.queue.arrived.notify_all();
        for thread in self.threads.drain(..) {
            // A worker runs no code that panics; if it did, its memory is no longer in use.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn work(&self) {
        loop {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let (key, job) = loop {
                if let Some(next) = jobs.0.pop_front() {
                    break next;
                }
                if jobs.1 {
                    return;
                }
                jobs = self.arrived.wait(jobs).unwrap_or_else(PoisonError::into_inner);
            };
            drop(jobs);
            self.ended.push((key, job.run()));
            self.waker.wake();
        }
    }
}

impl Job {
    fn run(self) -> Result<usize, i32> {
        match self {
            Self::Open { root, path } => {
                let fd = system::open_beneath(root, &path, false)?;
                Ok(usize::try_from(fd).expect("an open descriptor is not negative"))
            }
            Self::Read { file, target, offset } => {
                // SAFETY: the target is the spare capacity of an operation in flight (law 3).
                unsafe { system::read_at(file, target.address, target.length, offset, false) }
            }
        }
    }
}
