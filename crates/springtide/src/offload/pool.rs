//! The pool of a server: a bounded queue of work and the threads that do it.
//! It never blocks who gives it work, and never runs any on a shard.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use springtide_engine::spawn_thread;

use super::Bound;
use crate::limits::Limits;

/// A piece of work; it catches its own panics, and calls what it is given before it tells anybody that
/// it is done: who asks again then finds a thread more that has nothing to do.
pub(crate) type Job = Box<dyn FnOnce(&dyn Fn()) + Send>;

/// The pool. Its threads end with it, each when it has done what it is at.
pub(crate) struct Pool {
    desk: Arc<Desk>,
    waiting_max: usize,
}

#[derive(Default)]
struct Desk {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    /// By priority, the highest first.
    jobs: [VecDeque<Waiting>; 3],
    /// Threads that have nothing to do, or have not seen yet that they have.
    idle: usize,
    is_closed: bool,
}

/// Work, and what it counts for as long as no thread has it; nothing where one was idle.
struct Waiting {
    job: Job,
    bound: Option<Arc<Bound>>,
}

impl Waiting {
    /// A thread has it.
    fn begin(self) -> Job {
        if let Some(bound) = self.bound {
            bound.leave();
        }
        self.job
    }
}

impl Queue {
    fn len(&self) -> usize {
        self.jobs.iter().map(VecDeque::len).sum()
    }

    /// Those that are next: of the highest priority of which there is any.
    fn first(&mut self) -> Option<&mut VecDeque<Waiting>> {
        self.jobs.iter_mut().find(|jobs| !jobs.is_empty())
    }
}

impl Pool {
    /// A pool with its threads.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(limits: &Limits) -> io::Result<Self> {
        let pool = Self::without_threads(limits);
        for number in 0..limits.offload_threads.max(1) {
            let desk = Arc::clone(&pool.desk);
            // Nobody waits for it: its work may take longer than anyone has patience.
            drop(spawn_thread(&format!("springtide-pool-{number}"), move || desk.work())?);
        }
        Ok(pool)
    }

    /// A pool whose work is done by whoever calls [`run`](Self::run).
    pub(crate) fn without_threads(limits: &Limits) -> Self {
        let desk = Arc::<Desk>::default();
        desk.queue().idle = limits.offload_threads.max(1);
        Self { desk, waiting_max: limits.offload_waiting_max }
    }

    /// Takes a piece of work of a handler; false when as much waits as may, of all or of its own.
    pub(crate) fn take(&self, job: Job, bound: &Arc<Bound>) -> bool {
        let mut queue = self.desk.queue();
        let waits = queue.len() >= queue.idle;
        if waits && (queue.len() - queue.idle >= self.waiting_max || !bound.enter()) {
            return false;
        }
        let own = waits.then(|| Arc::clone(bound));
        queue.jobs[bound.priority as usize].push_back(Waiting { job, bound: own });
        drop(queue);
        self.desk.arrived.notify_one();
        true
    }

    /// How much waits of the highest priority of which anything does.
    pub(crate) fn waiting(&self) -> usize {
        self.desk.queue().first().map_or(0, |jobs| jobs.len())
    }

    /// Does one piece of that, here and now.
    pub(crate) fn run(&self, number: usize) {
        let job = self.desk.queue().first().and_then(|jobs| jobs.remove(number));
        if let Some(job) = job {
            job.begin()(&|| {});
        }
    }
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            job(&|| self.queue().idle += 1);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.first().and_then(VecDeque::pop_front) {
                queue.idle -= 1;
                return Some(job.begin());
            }
            if queue.is_closed {
                return None;
            }
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Pool {
    /// No shard is left that an answer could go to.
    fn drop(&mut self) {
        let mut queue = self.desk.queue();
        queue.is_closed = true;
        let jobs = std::mem::take(&mut queue.jobs);
        drop(queue);
        self.desk.arrived.notify_all();
        drop(jobs);
    }
}
