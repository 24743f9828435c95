//! One ring of the kernel: set-up, submission, waiting.
//! It knows entries, not operations; what they mean stands in the backend.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue};

/// A queue of submissions is a quarter of the queue of completions, and no larger than this.
pub(super) const SQ_ENTRIES_MAX: u32 = 1024;
const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;
const ENTER_REGISTERED_RING: u32 = 1 << 4;
const REGISTER_RING_FDS: u32 = 20;
const UNREGISTER_RING_FDS: u32 = 21;
/// Where a ring's descriptor maps its submission entries (io_uring_setup(2), IORING_OFF_SQES).
const OFFSET_ENTRIES: libc::off_t = 0x1000_0000;
/// How often it is tried to submit what the kernel has no memory for.
const TRIES_MAX: u32 = 100;
/// A number that no operation has; see [`Ring::untaken`].
const MARK: u64 = u64::MAX;

/// What enter takes beside its numbers (io_uring_enter(2), IORING_ENTER_EXT_ARG).
#[repr(C)]
#[derive(Default)]
struct GetEventsArgument {
    sigmask: u64,
    sigmask_size: u32,
    min_wait_us: u32,
    timeout: u64,
}

/// What registering the ring's own descriptor takes (io_uring_register(2)).
#[repr(C)]
struct ResourceUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

/// One completion of the kernel, with the number that was asked under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) number: u64,
    pub(super) result: i32,
    pub(super) flags: u32,
}

impl Answer {
    #[inline]
    fn of(entry: &cqueue::Entry) -> Self {
        Self { number: entry.user_data(), result: entry.result(), flags: entry.flags() }
    }
}

/// The ring, owned by the thread that enabled it.
pub(super) struct Ring {
    ring: IoUring,
    /// The number under which the kernel knows the ring without looking its descriptor up.
    registered: Option<u32>,
    /// Entries that found the queue full while the kernel took none. Bounded by the slots.
    backlog: Vec<squeue::Entry>,
    /// Completions that were taken out of the queue ahead of the drain, in their order. Bounded by the queue.
    early: VecDeque<Answer>,
    /// What is queued must never be taken any more: nothing enters again.
    is_left: bool,
    pub(super) enters: u64,
}

impl Ring {
    /// Makes a disabled ring; the thread that calls [`Ring::enable`] will own it.
    pub(super) fn new(cq_entries: u32) -> io::Result<Self> {
        // Older kernels do not know a ring without an array.
        let ring = match Self::build(cq_entries, true) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                Self::build(cq_entries, false)
            }
            built => built,
        }?;
        let (registered, backlog, early, is_left, enters) = Default::default();
        Ok(Self { ring, registered, backlog, early, is_left, enters })
    }

    fn build(cq_entries: u32, without_array: bool) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder
            .setup_r_disabled()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(cq_entries.next_power_of_two())
            .dontfork();
        if without_array {
            builder.setup_no_sqarray();
        }
        builder.build((cq_entries / 4).clamp(1, SQ_ENTRIES_MAX))
    }

    /// Makes the calling thread the only one that may enter, and registers the ring's descriptor
    /// with it where that is accepted: each enter is cheaper then.
    pub(super) fn enable(&mut self) -> io::Result<()> {
        self.ring.submitter().register_enable_rings()?;
        let data = u64::try_from(self.ring.as_raw_fd()).expect("descriptors are not negative");
        let mut update = ResourceUpdate { offset: u32::MAX, reserved: 0, data };
        let done = self.update_registered(REGISTER_RING_FDS, &mut update);
        self.registered = done.then_some(update.offset);
        Ok(())
    }

    /// Adds or removes one registered ring of this thread; whether that was accepted.
    fn update_registered(&self, what: u32, update: &mut ResourceUpdate) -> bool {
        let (fd, update) = (self.ring.as_raw_fd(), &raw mut *update);
        // SAFETY: one update, valid for reads and writes, that outlives the call.
        let done = unsafe { libc::syscall(libc::SYS_io_uring_register, fd, what, update, 1) };
        done == 1
    }

    pub(super) fn submitter(&self) -> io_uring::Submitter<'_> {
        self.ring.submitter()
    }

    /// Queues an entry; the kernel sees it at the next enter. There is always room (law 4).
    ///
    /// # Safety
    /// What the entry points to must stay valid until its last completion.
    #[inline]
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) {
        if !self.backlog.is_empty() {
            self.backlog.push(entry.clone());
            return;
        }
        // SAFETY: the caller vouches for what the entry points to.
        if unsafe { self.ring.submission().push(entry) }.is_err() {
            self.push_to_full(entry);
        }
    }

    #[cold]
    fn push_to_full(&mut self, entry: &squeue::Entry) {
        self.backlog.push(entry.clone());
        // Submitting delivers nothing: completions appear in an enter with GETEVENTS only (law 2).
        // What fails here is found again by the next turn's enter.
        if self.enter(0, 0, None).is_ok() {
            self.take_backlog();
        }
    }

    fn take_backlog(&mut self) {
        let mut submission = self.ring.submission();
        let room = (submission.capacity() - submission.len()).min(self.backlog.len());
        for entry in self.backlog.drain(..room) {
            // SAFETY: vouched for when the entry came into the backlog.
            let pushed = unsafe { submission.push(&entry) };
            assert!(pushed.is_ok(), "there is room for as many entries as were counted");
        }
    }

    /// Submits everything and waits until `want` completions are there, at most for `timeout`.
    /// A timeout that ran out and an interruption are no errors.
    pub(super) fn submit_and_wait(
        &mut self,
        want: u32,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        while !self.backlog.is_empty() {
            let before = self.backlog.len();
            passing(self.enter(0, ENTER_GETEVENTS, None))?;
            self.take_backlog();
            if self.backlog.len() == before {
                // The kernel takes nothing until its completions are taken: the next turn goes on.
                return Ok(());
            }
        }
        let want = if self.early.is_empty() { want } else { 0 };
        passing(self.enter(want, ENTER_GETEVENTS, timeout))
    }

    /// How many entries can be queued before the next enter.
    pub(super) fn free(&mut self) -> usize {
        let submission = self.ring.submission();
        submission.capacity() - submission.len()
    }

    /// Submits everything and waits for nothing; gives how many of the entries queued last the kernel did
    /// not take, and never will: it is not entered again then. Calls for each of those completions that
    /// came meanwhile and have one of these numbers; the others are drained later.
    pub(super) fn submit_now(
        &mut self,
        numbers: &Range<u64>,
        mut completed: impl FnMut(Answer),
    ) -> usize {
        let before = self.ring.completion().len();
        let mut tries = TRIES_MAX;
        while tries > 0 && self.has_queued() {
            tries = if passing(self.enter(0, 0, None)).is_ok() { tries - 1 } else { 0 };
        }
        if self.ring.completion().len() > before {
            for entry in self.ring.completion() {
                let answer = Answer::of(&entry);
                if numbers.contains(&answer.number) {
                    completed(answer)
                } else {
                    self.early.push_back(answer)
                }
            }
        }
        let untaken = self.ring.submission().len();
        if untaken > 0 {
            self.leave();
        }
        untaken
    }

    /// It is never entered again: what is pushed from here on is not taken.
    pub(super) const fn leave(&mut self) {
        self.is_left = true;
    }

    fn enter(&mut self, want: u32, flags: u32, timeout: Option<Duration>) -> io::Result<()> {
        if self.is_left {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        let to_submit = self.ring.submission().len();
        let mut argument = GetEventsArgument::default();
        let time;
        let (mut flags, mut size) = (flags, 0);
        if let Some(timeout) = timeout {
            time = io_uring::types::Timespec::from(timeout);
            argument.timeout = (&raw const time).addr() as u64;
            (flags, size) = (flags | ENTER_EXT_ARG, size_of::<GetEventsArgument>());
        }
        let (fd, flags) = match self.registered {
            Some(number) => (number.cast_signed(), flags | ENTER_REGISTERED_RING),
            None => (self.ring.as_raw_fd(), flags),
        };
        let argument = if size > 0 { &raw const argument } else { std::ptr::null() };
        self.enters += 1;
        // SAFETY: the argument and the time it points to outlive the call; what the entries point
        // to was vouched for when they were pushed.
        let returned = unsafe {
            libc::syscall(libc::SYS_io_uring_enter, fd, to_submit, want, flags, argument, size)
        };
        if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Moves completions out of the kernel's queue, `count_max` at most. The rest stays there: the
    /// next wait ends at once.
    #[inline]
    pub(super) fn drain(&mut self, batch: &mut Vec<Answer>, count_max: usize) {
        let early = if self.early.is_empty() { 0 } else { self.drain_early(batch, count_max) };
        let mut queue = self.ring.completion();
        // Counted first: the batch makes room for all at once.
        let count = queue.len().min(count_max - early);
        let queued = (0..count).map(|_| queue.next().expect("there are as many as were counted"));
        batch.extend(queued.map(|entry| Answer::of(&entry)));
    }

    #[cold]
    fn drain_early(&mut self, batch: &mut Vec<Answer>, count_max: usize) -> usize {
        let count = self.early.len().min(count_max);
        batch.extend(self.early.drain(..count));
        if self.early.is_empty() {
            self.early = VecDeque::new();
        }
        count
    }

    /// The numbers of all entries that the kernel has not taken. Only for a ring that will not be
    /// entered again: what is free in the queue is filled with marks, the rest is what was asked.
    pub(super) fn untaken(&mut self) -> HashSet<u64> {
        let mark = opcode::Nop::new().build().user_data(MARK);
        // SAFETY: a NOP points to nothing.
        while unsafe { self.ring.submission().push(&mark) }.is_ok() {}
        let queued = self.numbers().unwrap_or_default();
        let waiting = self.backlog.iter().map(squeue::EntryMarker::get_user_data);
        queued.into_iter().chain(waiting).filter(|number| *number != MARK).collect()
    }

    /// The number of every entry in the queue, which is full. Nothing when the system has no room
    /// to map the queue once more: the binding does not show what was pushed.
    fn numbers(&self) -> Option<Vec<u64>> {
        let count = self.ring.params().sq_entries() as usize;
        let size = count * size_of::<squeue::Entry>();
        let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
        let (anywhere, fd) = (std::ptr::null_mut(), self.ring.as_raw_fd());
        // SAFETY: a fresh mapping, for reading only.
        let mapped = unsafe { libc::mmap(anywhere, size, read, shared, fd, OFFSET_ENTRIES) };
        if mapped == libc::MAP_FAILED {
            return None;
        }
        let entries: *const squeue::Entry = mapped.cast();
        // SAFETY: `count` entries, all of them written, and nobody writes meanwhile: the kernel
        // only reads them, and we are in the one call that pushes.
        let entries = unsafe { std::slice::from_raw_parts(entries, count) };
        let numbers = entries.iter().map(squeue::EntryMarker::get_user_data).collect();
        // SAFETY: mapped above, and not referred to any more.
        unsafe { libc::munmap(mapped, size) };
        Some(numbers)
    }

    /// How many completions the queue has room for when every entry that waits for the enter has
    /// completed, once, and once more for each of the `buffers` that it may fill.
    pub(super) fn room(&mut self, buffers: usize) -> usize {
        let submission = self.ring.submission();
        let (overflowed, queued) = (submission.cq_overflow(), submission.len());
        drop(submission);
        if overflowed || !self.backlog.is_empty() {
            return 0;
        }
        let completion = self.ring.completion();
        let free = completion.capacity() - completion.len();
        if queued == 0 { free } else { free.saturating_sub(queued + buffers) }
    }

    /// Whether entries wait for the next enter.
    pub(super) fn has_queued(&mut self) -> bool {
        !self.backlog.is_empty() || !self.ring.submission().is_empty()
    }

    /// The completions that found no room in the queue, in order. The next enter would have brought
    /// them; without one the kernel tells them where it describes the descriptor
    /// (proc_pid_fdinfo(5)). Nothing where that may not be read.
    pub(super) fn overflowed(&mut self) -> Option<Vec<Answer>> {
        if !self.ring.submission().cq_overflow() {
            return Some(Vec::new());
        }
        let path = format!("/proc/self/fdinfo/{}", self.ring.as_raw_fd());
        let told = std::fs::read_to_string(path).ok()?;
        let (_, list) = told.split_once("CqOverflowList:\n")?;
        let lines = list.lines().map_while(|line| line.strip_prefix("  user_data="));
        lines.map(overflowed_of).collect()
    }

    /// Whether a completion waits.
    pub(super) fn has_completions(&mut self) -> bool {
        !self.early.is_empty() || !self.ring.completion().is_empty()
    }
}

impl Drop for Ring {
    /// A registered ring outlives its descriptor: with everything that is armed in it, it stays for
    /// as long as the thread does. Where this is refused, only the thread's end is left.
    fn drop(&mut self) {
        if let Some(number) = self.registered.take() {
            let mut update = ResourceUpdate { offset: number, reserved: 0, data: 0 };
            self.update_registered(UNREGISTER_RING_FDS, &mut update);
        }
    }
}

/// One line of the kernel's list, as Linux 5.16 and later write it.
fn overflowed_of(line: &str) -> Option<Answer> {
    let (number, rest) = line.split_once(", res=")?;
    let (result, flags) = rest.split_once(", flags=")?;
    let (number, result) = (number.parse().ok()?, result.parse().ok()?);
    Some(Answer { number, result, flags: u32::from_str_radix(flags, 16).ok()? })
}

/// What ends a wait early is no error: time ran out, a signal came, the kernel is short for now.
fn passing(entered: io::Result<()>) -> io::Result<()> {
    match entered.as_ref().err().and_then(io::Error::raw_os_error) {
        Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
        _ => entered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled() -> Ring {
        let mut ring = Ring::new(8).unwrap();
        ring.enable().unwrap();
        ring
    }

    fn push_nop(ring: &mut Ring, number: u64) {
        let nop = opcode::Nop::new().build().user_data(number);
        // SAFETY: a NOP points to nothing.
        unsafe { ring.push(&nop) };
    }

    /// A thread registers 16 rings at a time: one that is dropped makes room, and one that finds
    /// none is entered by its descriptor.
    #[test]
    fn rings_are_registered_while_they_live() {
        if std::env::var_os("SPRINGTIDE_WITHOUT_URING").is_some_and(|yes| yes == "1") {
            return;
        }
        for _ in 0..40 {
            assert_eq!(enabled().registered, Some(0));
        }
        let mut rings: Vec<Ring> = (0..17).map(|_| enabled()).collect();
        let registered = rings.iter().filter(|ring| ring.registered.is_some()).count();
        assert_eq!(registered, 16);
        for ring in &mut rings {
            push_nop(ring, 1);
            ring.submit_and_wait(1, Some(Duration::from_secs(1))).unwrap();
            assert!(ring.has_completions());
        }
    }

    /// What is cancelled while a ring is given up must find room without an enter.
    #[test]
    fn one_that_is_left_takes_nothing_more() {
        if std::env::var_os("SPRINGTIDE_WITHOUT_URING").is_some_and(|yes| yes == "1") {
            return;
        }
        let mut ring = enabled();
        ring.leave();
        let numbers = 1..=40;
        numbers.clone().for_each(|number| push_nop(&mut ring, number));
        assert!(ring.submit_and_wait(0, None).is_err());
        assert!(!ring.has_completions());
        assert_eq!(ring.enters, 0);
        assert_eq!(ring.untaken(), numbers.collect());
    }
}
