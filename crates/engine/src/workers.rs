//! A few threads for what would block a shard and what no mechanism of the system does by itself.
//! They touch what a job was given, and nothing else of an operation.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_queue::SegQueue;

use crate::slots::Key;
use crate::system;
use crate::wake::Waker;

/// What a thread does, or says that it has not done: it is called once, with whether it is wanted.
type Job<T> = Box<dyn FnOnce(bool) -> T + Send>;

struct Queue<T> {
    jobs: Mutex<Jobs<T>>,
    arrived: Condvar,
    rested: Condvar,
    ended: SegQueue<(Key, T)>,
    waker: Waker,
}

struct Jobs<T> {
    waiting: VecDeque<(Key, Job<T>)>,
    running: usize,
    is_over: bool,
}

/// The threads, started by the first jobs.
pub(crate) struct Workers<T> {
    queue: Arc<Queue<T>>,
    threads: Vec<JoinHandle<()>>,
    threads_max: usize,
}

impl<T: Send + 'static> Workers<T> {
    pub(crate) fn new(waker: Waker, threads_max: usize) -> Self {
        let jobs = Mutex::new(Jobs { waiting: VecDeque::new(), running: 0, is_over: false });
        let (arrived, rested, ended) = Default::default();
        let queue = Arc::new(Queue { jobs, arrived, rested, ended, waker });
        Self { queue, threads: Vec::new(), threads_max }
    }

    /// Hands a job to a thread; without any it is done here. Bounded by the operations in flight.
    pub(crate) fn start(&mut self, key: Key, job: impl FnOnce(bool) -> T + Send + 'static) {
        if self.threads.len() < self.threads_max {
            let queue = self.queue.clone();
            let thread = system::spawn_thread("springtide-files", move || queue.work());
            self.threads.extend(thread.ok());
        }
        if self.threads.is_empty() {
            self.queue.ended.push((key, job(true)));
            self.queue.waker.wake();
            return;
        }
        let mut jobs = self.queue.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.waiting.push_back((key, Box::new(job)));
        self.queue.arrived.notify_one();
    }

    /// Takes a job back that no thread has begun: it ends without being done.
    pub(crate) fn withdraw(&self, key: Key) {
        let mut jobs = self.queue.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let at = jobs.waiting.iter().position(|(own, _)| *own == key);
        let job = at.and_then(|at| jobs.waiting.remove(at));
        drop(jobs);
        if let Some((key, job)) = job {
            self.queue.ended.push((key, job(false)));
            // The next turn must not wait for anything else.
            self.queue.waker.wake();
        }
    }

    /// Takes back what no thread has begun, and waits for what they have, but not for ever; whether that
    /// has ended.
    pub(crate) fn rest(&self, patience: Duration) -> bool {
        let mut jobs = self.queue.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, job) in std::mem::take(&mut jobs.waiting) {
            self.queue.ended.push((key, job(false)));
        }
        let is_busy = |jobs: &mut Jobs<T>| jobs.running > 0;
        let rested = self.queue.rested.wait_timeout_while(jobs, patience, is_busy);
        rested.unwrap_or_else(PoisonError::into_inner).0.running == 0
    }

    /// The next job that has ended.
    pub(crate) fn next_ended(&self) -> Option<(Key, T)> {
        self.queue.ended.pop()
    }
}

impl<T> Drop for Workers<T> {
    /// A job that runs still, as all others have ended, hangs in the system, and its thread with it: they
    /// are left alone. What such a job works on is its own, or its operation's, which never ends: its
    /// engine frees nothing of that.
    fn drop(&mut self) {
        let mut jobs = self.queue.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.is_over = true;
        let hangs = jobs.running > 0;
        drop(jobs);
        self.queue.arrived.notify_all();
        if hangs {
            return self.threads.clear();
        }
        for thread in self.threads.drain(..) {
            // A worker runs no code that panics; if it did, its memory is no longer in use.
            let _ = thread.join();
        }
    }
}

impl<T> Queue<T> {
    fn work(&self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some((key, job)) = jobs.waiting.pop_front() else {
                if jobs.is_over {
                    return;
                }
                jobs = self.arrived.wait(jobs).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            jobs.running += 1;
            drop(jobs);
            self.ended.push((key, job(true)));
            self.waker.wake();
            jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.running -= 1;
            self.rested.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_is_withdrawn_is_not_done() {
        let waker = Waker::new(None);
        let mut workers = Workers::new(waker.clone(), 1);
        let (first, second) = (Key::from_raw(1), Key::from_raw(2));
        let ((begun, has_begun), (go, may_end)) = (channel(), channel());
        workers.start(first, move |is_wanted| {
            begun.send(()).unwrap();
            is_wanted && may_end.recv().is_ok()
        });
        workers.start(second, |is_wanted| is_wanted);
        has_begun.recv().unwrap();
        workers.withdraw(second);
        assert_eq!(workers.next_ended(), Some((second, false)));
        assert!(!waker.signal().prepare_sleep(), "it ends the wait");
        workers.withdraw(first);
        assert_eq!(workers.next_ended(), None, "what has begun is done");
        go.send(()).unwrap();
        assert!(workers.rest(Duration::MAX));
        assert_eq!(workers.next_ended(), Some((first, true)));
    }

    /// A file may lie on a disk that does not answer any more.
    #[test]
    fn a_job_that_hangs_keeps_nobody() {
        let mut workers = Workers::new(Waker::new(None), 2);
        let ((begun, has_begun), (go, may_end)) = (channel(), channel::<()>());
        let (memory, ended) = channel();
        workers.start(Key::from_raw(1), move |_| {
            begun.send(()).unwrap();
            // What it works on is there until its end.
            memory.send(may_end.recv().is_err()).unwrap();
        });
        has_begun.recv().unwrap();
        assert!(!workers.rest(Duration::from_millis(1)));
        drop(workers);
        assert!(ended.try_recv().is_err(), "it hangs still");
        drop(go);
        assert_eq!(ended.recv(), Ok(true));
    }
}
