//! The io_uring backend: one ring per shard, as facts of measurement recommend.
//! At most one send per socket is in the ring (law 5), and nothing is closed in flight (law 6).
//!
//! Streaming receives are multishot over one provided-buffer ring; when the kernel ends one early
//! (its queue was full, no buffer was left) it is armed again here, and nobody above notices. A
//! turn with one or two sends makes them directly, because the completion of a send through the
//! ring would end the wait it was submitted with; a turn with more sends batches them.

mod arm;
mod buffers;
mod complete;
mod ring;
mod salvage;
mod spin;
mod start;
mod together;

use std::sync::Arc;
use std::time::Duration;

use io_uring::{opcode, types};

use super::alarm::Alarm;
use super::{Backend, Pace, Until, send_directly};
use crate::clock::Moment;
use crate::error::{Error, OpKind};
use crate::ledger::{COMPLETIONS_MAX, Ledger};
use crate::op::Descriptor;
use crate::options::EngineOptions;
use crate::slots::{Asked, Key, receiving};
use crate::stats::Stats;
use crate::system::{self, Event};
use crate::wake::Waker;

use buffers::BufferRing;
use ring::{Answer, Ring};
use spin::Spin;

/// The completion of the read on the waker's event.
const WAKE: u64 = u64::MAX - 1;
/// The completion of a cancel, which says nothing that its operation does not say itself.
const CANCEL: u64 = u64::MAX - 2;
/// The completion of the alarm.
const ALARM: u64 = u64::MAX - 3;
/// The completion of the alarm's move to a sooner moment.
const ALARM_MOVED: u64 = u64::MAX - 4;
/// The most sends of a turn that are made directly.
const DIRECT_SENDS_MAX: usize = 2;
/// What was cancelled ends in such numbers at each enter (io_uring of Linux 6.13,
/// IO_LOCAL_TW_DEFAULT_MAX).
const ENDED_AT_ONCE: usize = 20;

/// The backend.
pub(crate) struct Uring {
    ring: Ring,
    buffers: BufferRing,
    event: Arc<Event>,
    /// Where the read of the event puts its count.
    woken: Box<u64>,
    wake_armed: bool,
    waker: Waker,
    alarm: Alarm,
    /// When the alarm is due, as the kernel reads it in the enter that sets it.
    alarm_at: Box<types::Timespec>,
    /// Sends of this turn.
    sends: Vec<Key>,
    /// An accept is among what the next enter submits.
    accept_queued: bool,
    /// Operations that the kernel was asked to end since the last drain.
    withdrawn: usize,
    /// Receives that wait for buffers.
    starved: Vec<Key>,
    /// Receives that ended with bytes and begin again in the next turn.
    ended_early: Vec<Key>,
    batch: Vec<Answer>,
    over_budget: Vec<Key>,
    how: Box<types::OpenHow>,
    pace: Pace,
    spin: Spin,
    counts: Stats,
}

impl Uring {
    /// Sets the ring up for the calling thread and proves it with a round trip.
    pub(crate) fn new(options: &EngineOptions, ledger: &mut Ledger) -> Result<Self, Error> {
        let event = Event::new().map_err(|error| Error::from_start(&error))?;
        let event = Arc::new(event);
        let (ring, buffers) = start::start(options, &mut ledger.chunks)?;
        Ok(Self {
            ring,
            buffers,
            waker: Waker::new(Some(event.clone())),
            event,
            woken: Box::new(0),
            wake_armed: false,
            alarm: Alarm::default(),
            alarm_at: Box::default(),
            sends: Vec::new(),
            accept_queued: false,
            withdrawn: 0,
            starved: Vec::new(),
            ended_early: Vec::new(),
            batch: Vec::with_capacity(COMPLETIONS_MAX),
            over_budget: Vec::new(),
            how: Box::new(arm::how()),
            pace: Pace::default(),
            spin: Spin::new(options.spin_us),
            counts: Stats::default(),
        })
    }

    fn arm_wake(&mut self) {
        if self.wake_armed {
            return;
        }
        self.wake_armed = true;
        let target: *mut u64 = &raw mut *self.woken;
        let fd = types::Fd(self.event.descriptor());
        let entry = opcode::Read::new(fd, target.cast(), 8).build().user_data(WAKE);
        // SAFETY: the boxed count stays until the read has completed; see `drop`.
        unsafe { self.ring.push(&entry) };
    }

    /// Ends the turn of the chunks: what came back is provided again.
    fn settle(&mut self, ledger: &mut Ledger) {
        let buffers = &mut self.buffers;
        ledger.chunks.settle(
            |number, buffer| match buffer {
                Some(buffer) => buffers.provide(number, buffer),
                None => buffers.leave_hole(number),
            },
            &mut self.over_budget,
        );
        buffers.refill(&mut ledger.chunks);
        if !self.over_budget.is_empty() {
            self.pause(ledger);
        }
        if !self.starved.is_empty() && self.buffers.available() > 0 {
            for key in std::mem::take(&mut self.starved) {
                self.submit(ledger, key);
            }
        }
    }

    /// Receives that hold more than they may end; they begin again when there is room.
    fn pause(&mut self, ledger: &mut Ledger) {
        for key in std::mem::take(&mut self.over_budget) {
            if let Some(slot) = ledger.slots.get(key)
                && !slot.marks.cancelled
            {
                slot.marks.cancelled = true;
                slot.marks.over_budget = true;
                self.cancel(ledger, key);
            }
        }
    }

    /// Goes on with receives that ended with bytes, unless they were cancelled since.
    fn receive_on(&mut self, ledger: &mut Ledger) {
        let mut keys = std::mem::take(&mut self.ended_early);
        for key in keys.drain(..) {
            if let Some(slot) = ledger.slots.get(key) {
                self.counts.rearmed += u64::from(slot.progress == receiving::STREAMING);
                slot.receive_on();
                self.arm(ledger, key);
            }
        }
        self.ended_early = keys;
    }

    /// Sends what the turn has gathered: directly when it is little, through the ring otherwise, as
    /// far as their completions are sure to find room.
    fn flush(&mut self, ledger: &mut Ledger) {
        let mut sends = std::mem::take(&mut self.sends);
        let directly = sends.len() <= DIRECT_SENDS_MAX;
        let mut room = if directly { 0 } else { self.room() };
        for key in sends.drain(..) {
            let Some(slot) = ledger.slots.get(key) else { continue };
            if slot.waits_for_room() {
                self.await_room(ledger, key);
                continue;
            }
            if room > 0 {
                room -= 1;
                self.arm_pieces(key, slot, &mut ledger.spare_work);
                continue;
            }
            self.counts.sends_direct += 1;
            match send_directly(ledger, key) {
                Ok(true) => ledger.end_sent(key),
                Ok(false) | Err(system::EAGAIN | system::EINTR) => self.await_room(ledger, key),
                Err(errno) => ledger.fail_errno(key, OpKind::Send, errno),
            }
        }
        self.sends = sends;
    }

    /// How many sends are sure to complete into the queue, whatever is submitted before them. Nothing
    /// else comes between: what was armed earlier completes behind them (DEFER_TASKRUN).
    fn room(&mut self) -> usize {
        // An accept completes at once for every connection that waits.
        if self.accept_queued { 0 } else { self.ring.room(self.buffers.available()) }
    }

    fn wait(&mut self, until: Until) -> Result<(), Error> {
        if until == Until::Now {
            return self.enter(0, None);
        }
        self.arm_wake();
        let timeout = if self.alarm_ends(until) { None } else { until.timeout() };
        let began = if self.spin.window_ns > 0 { system::monotonic_ns() } else { 0 };
        let awake = timeout.is_some_and(|timeout| timeout.is_zero())
            || self.spun(began, timeout)?
            || !self.waker.signal().prepare_sleep();
        let entered = if awake { self.enter(0, None) } else { self.enter(1, timeout) };
        self.waker.signal().awake();
        if self.spin.window_ns > 0 {
            self.spin.learn(system::monotonic_ns() - began);
        }
        entered
    }

    /// Whether the alarm ends a wait in time, so that the wait need not name its end.
    fn alarm_ends(&mut self, until: Until) -> bool {
        let Until::Moment(at) = until else { return false };
        let (ring, memory) = (&mut self.ring, &mut self.alarm_at);
        self.alarm.ends_by(at, |at, is_set| {
            **memory = timespec(at);
            let (time, absolute) = (&raw const **memory, types::TimeoutFlags::ABS);
            let entry = if is_set {
                let sooner = opcode::TimeoutUpdate::new(ALARM, time).flags(absolute);
                sooner.build().user_data(ALARM_MOVED)
            } else {
                opcode::Timeout::new(time).flags(absolute).build().user_data(ALARM)
            };
            // SAFETY: the boxed time lives as long as the ring, which is entered next: the kernel
            // reads it then, and not again.
            unsafe { ring.push(&entry) };
            true
        })
    }

    fn alarm_rang(&mut self, result: i32) {
        if -result == system::ETIME { self.alarm.rang() } else { self.alarm.refuse() }
    }

    /// One that rings before it has heard of its move says so by itself.
    fn alarm_moved(&mut self, result: i32) {
        if !matches!(-result, 0 | system::ENOENT | system::EALREADY) {
            self.alarm.refuse();
        }
    }

    fn enter(&mut self, want: u32, timeout: Option<Duration>) -> Result<(), Error> {
        let entered = self.ring.submit_and_wait(want, timeout);
        self.accept_queued = self.accept_queued && self.ring.has_queued();
        entered.map_err(|error| Error::from_io(OpKind::Enter, &error))
    }

    /// Asks the kernel to end what it has of an operation.
    fn withdraw(&mut self, key: Key) {
        self.withdrawn += 1;
        let entry = opcode::AsyncCancel::new(key.raw()).build().user_data(CANCEL);
        // SAFETY: a cancel points to nothing.
        unsafe { self.ring.push(&entry) };
    }

    fn drain(&mut self, ledger: &mut Ledger) {
        self.ring.drain(&mut self.batch, COMPLETIONS_MAX);
        self.take_batch(ledger);
    }

    /// Takes all that was cancelled in large numbers, of which the kernel ends some at each enter only:
    /// what carries nothing takes no more memory than its operation did. Of anything else it takes what
    /// one turn does.
    fn drain_withdrawn(&mut self, ledger: &mut Ledger) -> Result<(), Error> {
        let mut withdrawn = std::mem::take(&mut self.withdrawn);
        let mut room = COMPLETIONS_MAX;
        loop {
            self.ring.drain(&mut self.batch, room);
            let is_news = |own: &&Answer| own.number != CANCEL && own.result != -system::ECANCELED;
            room -= self.batch.iter().filter(is_news).count();
            self.take_batch(ledger);
            if withdrawn <= ENDED_AT_ONCE || room == 0 {
                return Ok(());
            }
            withdrawn -= ENDED_AT_ONCE;
            self.enter(0, None)?;
        }
    }

    fn take_batch(&mut self, ledger: &mut Ledger) {
        let mut batch = std::mem::take(&mut self.batch);
        for answer in batch.drain(..) {
            match answer.number {
                WAKE => self.wake_armed = false,
                CANCEL => {}
                ALARM => self.alarm_rang(answer.result),
                ALARM_MOVED => self.alarm_moved(answer.result),
                raw => self.completed(ledger, Key::from_raw(raw), answer),
            }
        }
        self.batch = batch;
    }
}

impl Backend for Uring {
    fn name(&self) -> &'static str {
        "uring"
    }

    #[inline]
    fn submit(&mut self, ledger: &mut Ledger, key: Key) {
        self.arm(ledger, key);
    }

    fn send(&mut self, _: &mut Ledger, key: Key) {
        self.sends.push(key);
    }

    fn cancel(&mut self, ledger: &mut Ledger, key: Key) {
        let Some(slot) = ledger.slots.get(key) else { return };
        if slot.marks.asked != Asked::Nothing {
            self.withdraw(key);
        } else {
            self.starved.retain(|starved| *starved != key);
            ledger.fail(key, Error::Cancelled);
        }
    }

    fn turn(&mut self, ledger: &mut Ledger, until: Until) -> Result<(), Error> {
        self.settle(ledger);
        if !self.ended_early.is_empty() {
            self.receive_on(ledger);
        }
        if !self.sends.is_empty() {
            self.flush(ledger);
        }
        let Some(until) = self.pace.until(ledger, until) else { return Ok(()) };
        let short = !self.starved.is_empty() && ledger.chunks.await_buffers();
        let waited = self.wait(if short { Until::Now } else { until });
        let drained = waited.and_then(|()| match self.withdrawn {
            0..=ENDED_AT_ONCE => {
                self.withdrawn = 0;
                self.drain(ledger);
                Ok(())
            }
            _ => self.drain_withdrawn(ledger),
        });
        drained.map_err(|refused| self.salvage(ledger, refused))
    }

    fn waker(&self) -> &Waker {
        &self.waker
    }

    fn count(&self, stats: &mut Stats) {
        stats.enters += self.ring.enters;
        stats.sends_direct += self.counts.sends_direct;
        stats.starved += self.counts.starved;
        stats.rearmed += self.counts.rearmed;
    }

    /// More leave through the ring together.
    fn sends_at_once_max(&self) -> usize {
        DIRECT_SENDS_MAX
    }

    fn send_to_each_now(
        &mut self,
        ledger: &mut Ledger,
        sockets: &[Descriptor],
        bytes: &[u8],
        short: &mut Vec<(usize, usize)>,
    ) {
        self.send_together(ledger, sockets, bytes, short);
    }

    /// The ring knows operations only.
    fn release(&mut self, _: Descriptor) {}

    fn close_now(&mut self, descriptor: Descriptor) {
        system::close(descriptor.number());
    }
}

/// A moment as the kernel reads it.
fn timespec(at: Moment) -> types::Timespec {
    Duration::from_nanos(at.nanoseconds()).into()
}

/// Leaves memory to the kernel for ever: nobody can tell when it is done with it. The leak check
/// knows what is allocated here by this function's name, and what hangs there with it, so neither
/// the name nor the box is optimised away.
#[inline(never)]
pub(crate) fn leave_to_the_kernel<T>(memory: T) {
    std::hint::black_box(Box::into_raw(Box::new(memory)));
}

impl Drop for Uring {
    /// The read of the event is the last operation in flight: it ends before its memory goes.
    fn drop(&mut self) {
        while self.wake_armed {
            self.event.trigger();
            if self.ring.submit_and_wait(1, Some(Duration::from_secs(1))).is_err() {
                // The kernel refuses to be entered: leave it the eight bytes for ever.
                leave_to_the_kernel(std::mem::take(&mut self.woken));
                return;
            }
            self.ring.drain(&mut self.batch, COMPLETIONS_MAX);
            let woken = self.batch.drain(..).any(|answer| answer.number == WAKE);
            self.wake_armed = !woken;
        }
    }
}
