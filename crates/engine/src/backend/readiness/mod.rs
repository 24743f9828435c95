//! The readiness backend: operations done when a selector says that they will not block.
//! The same contract as io_uring: streaming accepts and receives, completions in `turn` only.
//!
//! One read per event; a short read means drained, and only a read that filled its chunk is
//! followed by another, up to the fairness bound. Sends are made in the turn's flush; what does
//! not fit waits until the socket is writable.

mod files;
pub(crate) mod selector;
mod sockets;

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Backend, Pace, Until, datagrams};
use crate::completion::Outcome;
use crate::error::{Error, OpKind};
use crate::ledger::{COMPLETIONS_MAX, COMPLETIONS_ROOM, Ledger};
use crate::op::{Descriptor, Op};
use crate::sheet::Sheet;
use crate::slots::Key;
use crate::stats::Stats;
use crate::system::{self, Event};
use crate::wake::Waker;
use crate::workers::Workers;

use selector::{Interest, Ready, Selector};

/// Threads for files that are not in memory.
const THREADS_MAX: usize = 2;
/// Nobody waits: more than any index of a slot.
const NOBODY: u32 = !TOLD;
/// Beside the index of who waits: the selector was told that somebody does.
const TOLD: u32 = 1 << 31;

/// Who waits for a descriptor, by the index of its slot, and what the selector was told.
#[derive(Clone, Copy)]
struct Watch {
    reader: u32,
    writer: u32,
}

const _: () = assert!(size_of::<Watch>() <= 8, "every descriptor number has one");
const _: () = assert!(crate::slots::OPERATIONS_MAX < NOBODY);

impl Watch {
    const EMPTY: Self = Self { reader: NOBODY, writer: NOBODY };

    #[inline]
    const fn reader(self) -> u32 {
        self.reader & !TOLD
    }

    #[inline]
    const fn writer(self) -> u32 {
        self.writer & !TOLD
    }

    #[inline]
    const fn set_reader(&mut self, index: u32) {
        self.reader = self.reader & TOLD | index;
    }

    #[inline]
    const fn set_writer(&mut self, index: u32) {
        self.writer = self.writer & TOLD | index;
    }

    /// What the selector was told.
    #[inline]
    const fn told(self) -> Interest {
        Interest { readable: self.reader & TOLD != 0, writable: self.writer & TOLD != 0 }
    }

    /// It was told this.
    #[inline]
    const fn set_told(&mut self, told: Interest) {
        self.reader = self.reader() | if told.readable { TOLD } else { 0 };
        self.writer = self.writer() | if told.writable { TOLD } else { 0 };
    }
}

/// The backend, over one selector.
pub(crate) struct Readiness {
    selector: Box<dyn Selector>,
    watches: Sheet<Watch>,
    event: Arc<Event>,
    waker: Waker,
    /// They give a descriptor or a count of bytes, or an errno.
    workers: Workers<Result<usize, i32>>,
    /// Sends of this turn.
    sends: Vec<Key>,
    /// Receives that wait for buffers.
    starved: Vec<Key>,
    /// What the last wait has listed and no turn has handled yet.
    ready: VecDeque<Ready>,
    over_budget: Vec<Key>,
    pace: Pace,
    counts: Stats,
}

impl Readiness {
    pub(crate) fn new(selector: Box<dyn Selector>) -> Result<Self, Error> {
        let event = Event::new().map_err(|error| Error::from_start(&error))?;
        Self::over(selector, Waker::new(Some(Arc::new(event))))
    }

    /// With the waker of a backend that it replaces: other threads have it.
    pub(crate) fn over(mut selector: Box<dyn Selector>, waker: Waker) -> Result<Self, Error> {
        let event = waker.event().expect("a waker of a system's backend has an event").clone();
        let readable = Interest { readable: true, writable: false };
        let told = selector.change(event.descriptor(), Interest::default(), readable);
        told.map_err(|errno| Error::system(OpKind::Start, errno))?;
        Ok(Self {
            selector,
            watches: Sheet::new(Watch::EMPTY),
            event,
            workers: Workers::new(waker.clone(), THREADS_MAX),
            waker,
            sends: Vec::new(),
            starved: Vec::new(),
            ready: VecDeque::new(),
            over_budget: Vec::new(),
            pace: Pace::default(),
            counts: Stats::default(),
        })
    }

    fn watch(&mut self, fd: i32) -> &mut Watch {
        let index = usize::try_from(fd).expect("descriptors are not negative");
        self.watches.at(index)
    }

    /// Tells the selector who waits now; an operation it refuses to watch for fails.
    fn tell(&mut self, ledger: &mut Ledger, fd: i32) {
        let watch = *self.watch(fd);
        let wanted =
            Interest { readable: watch.reader() != NOBODY, writable: watch.writer() != NOBODY };
        if wanted == watch.told() {
            return;
        }
        match self.selector.change(fd, watch.told(), wanted) {
            Ok(()) => self.watch(fd).set_told(wanted),
            Err(errno) => {
                *self.watch(fd) = Watch::EMPTY;
                self.watch(fd).set_told(watch.told());
                for index in [watch.reader(), watch.writer()] {
                    if let Some(key) = ledger.slots.key_at(index) {
                        ledger.fail_errno(key, OpKind::Enter, errno);
                    }
                }
            }
        }
    }

    fn wait_readable(&mut self, ledger: &mut Ledger, socket: Descriptor, key: Key) {
        self.watch(socket.number()).set_reader(key.index());
        self.tell(ledger, socket.number());
    }

    fn wait_writable(&mut self, ledger: &mut Ledger, socket: Descriptor, key: Key) {
        self.watch(socket.number()).set_writer(key.index());
        self.tell(ledger, socket.number());
    }

    /// Nobody waits any more. The selector is told later, if it reports the descriptor again:
    /// mostly the next receive comes first.
    fn forget_reader(&mut self, socket: Descriptor) {
        self.watch(socket.number()).set_reader(NOBODY);
    }

    fn settle(&mut self, ledger: &mut Ledger) {
        ledger.chunks.settle_to_pool(&mut self.over_budget);
        for key in std::mem::take(&mut self.over_budget) {
            if let Some(slot) = ledger.slots.get(key)
                && !slot.marks.cancelled
            {
                slot.marks.cancelled = true;
                slot.marks.over_budget = true;
                self.cancel(ledger, key);
            }
        }
        if !self.starved.is_empty() && ledger.chunks.has_room() {
            for key in std::mem::take(&mut self.starved) {
                self.submit(ledger, key);
            }
        }
    }

    fn close(&mut self, descriptor: Descriptor) {
        self.selector.closing(descriptor.number());
        system::close(descriptor.number());
        self.forget(descriptor);
    }

    /// Whoever has this number next is another: gives what the selector was told of this one.
    fn forget(&mut self, descriptor: Descriptor) -> Interest {
        self.ready.retain(|ready| ready.fd != descriptor.number());
        std::mem::replace(self.watch(descriptor.number()), Watch::EMPTY).told()
    }

    fn wait(&mut self, ledger: &Ledger, mut until: Until) -> Result<(), Error> {
        if !self.starved.is_empty() && ledger.chunks.await_buffers() {
            until = Until::Now;
        }
        let sleeps = until != Until::Now && self.waker.signal().prepare_sleep();
        self.counts.enters += 1;
        let until = if sleeps { until } else { Until::Now };
        let waited = self.selector.wait(until, &mut self.ready);
        self.waker.signal().awake();
        match waited {
            Ok(()) | Err(system::EINTR) => Ok(()),
            Err(errno) => Err(Error::system(OpKind::Enter, errno)),
        }
    }

    fn handle(&mut self, ledger: &mut Ledger, ready: Ready) {
        if ready.fd == self.event.descriptor() {
            self.event.drain();
            return;
        }
        let watch = *self.watch(ready.fd);
        let socket = Descriptor(ready.fd);
        if ready.readable
            && let Some(reader) = ledger.slots.key_at(watch.reader())
        {
            self.readable(ledger, socket, reader);
        }
        if ready.writable
            && let Some(writer) = ledger.slots.key_at(watch.writer())
        {
            let kind = ledger.slots.get(writer).map(|slot| &slot.op);
            match kind.map(Op::kind) {
                Some(OpKind::Connect) => self.connected(ledger, socket, writer),
                Some(OpKind::SendTo) => self.send_to(ledger, socket, writer),
                _ => self.send(ledger, writer),
            }
        }
        // Who waited for it mostly does so again before the next wait, and then nothing has changed.
        let is_unwanted = |watch: Watch| {
            let is_read = watch.reader() != NOBODY;
            (ready.readable && !is_read && watch.told().readable)
                || (!is_read && watch.writer() == NOBODY)
        };
        if is_unwanted(watch) && is_unwanted(*self.watch(ready.fd)) {
            self.tell(ledger, ready.fd);
        }
    }

    fn readable(&mut self, ledger: &mut Ledger, socket: Descriptor, key: Key) {
        let slot = ledger.slots.get(key).expect("a watch names live operations");
        let token = slot.token;
        match &mut slot.op {
            Op::Accept { .. } => self.accept(ledger, socket, key),
            Op::ReceiveFrom { .. } => {
                if !datagrams::receive_from(ledger, key) {
                    self.forget_reader(socket);
                }
            }
            Op::Receive { .. } => {
                let is_first = slot.begins_to_receive();
                self.receive(ledger, socket, key, token, is_first);
            }
            Op::AwaitBytes { .. } => {
                ledger.end(key, |_| Outcome::Done);
                self.forget_reader(socket);
            }
            Op::WatchBytes { .. } => ledger.deliver_to(key, token, Outcome::Done),
            Op::ReceiveInto { memory, .. } => {
                let spare = memory.spare_capacity_mut();
                // SAFETY: the spare capacity is the operation's own memory (law 3).
                let received = unsafe {
                    system::receive(socket.number(), spare.as_mut_ptr().cast(), spare.len())
                };
                match received {
                    Ok(count) => super::end_filled(ledger, key, count),
                    Err(system::EAGAIN | system::EINTR) => return,
                    Err(errno) => ledger.fail_errno(key, OpKind::ReceiveInto, errno),
                }
                self.forget_reader(socket);
            }
            _ => unreachable!("only accepts and receives wait to read"),
        }
    }
}

impl Backend for Readiness {
    fn name(&self) -> &'static str {
        self.selector.name()
    }

    fn submit(&mut self, ledger: &mut Ledger, key: Key) {
        let Some(slot) = ledger.slots.get(key) else { return };
        let op = &slot.op;
        match op {
            Op::Accept { listener: socket }
            | Op::Receive { socket }
            | Op::AwaitBytes { socket }
            | Op::WatchBytes { socket }
            | Op::ReceiveFrom { socket, .. }
            | Op::ReceiveInto { socket, .. } => {
                let socket = *socket;
                self.wait_readable(ledger, socket, key);
            }
            Op::Connect { .. } => self.connect(ledger, key),
            Op::SendTo { socket, .. } => {
                let socket = *socket;
                if !datagrams::send_to(ledger, key) {
                    self.wait_writable(ledger, socket, key);
                }
            }
            Op::Shutdown { socket } => match system::shutdown_write(socket.number()) {
                Ok(()) => ledger.end(key, |_| Outcome::Done),
                Err(errno) => ledger.fail_errno(key, OpKind::Shutdown, errno),
            },
            Op::Close { descriptor } => {
                let descriptor = *descriptor;
                self.close(descriptor);
                ledger.end(key, |_| Outcome::Done);
            }
            Op::Open { .. } => self.open(ledger, key),
            Op::Read { .. } => self.read(ledger, key),
            // The turn's flush starts sends; all others are the engine's own.
            _ => {}
        }
    }

    fn send(&mut self, _: &mut Ledger, key: Key) {
        self.sends.push(key);
    }

    fn cancel(&mut self, ledger: &mut Ledger, key: Key) {
        let Some(slot) = ledger.slots.get(key) else { return };
        let op = &slot.op;
        match op {
            // A thread has its memory: it ends when the thread has done it.
            Op::Open { .. } | Op::Read { .. } => return,
            Op::Connect { .. } => {
                let socket = i32::try_from(slot.progress).expect("a socket's descriptor");
                self.close(Descriptor(socket));
            }
            Op::Send { socket, .. } | Op::SendTo { socket, .. } => {
                let socket = *socket;
                ledger.fail(key, Error::Cancelled);
                return self.stop_writing(ledger, socket, key);
            }
            Op::Accept { listener: socket }
            | Op::Receive { socket }
            | Op::AwaitBytes { socket }
            | Op::WatchBytes { socket }
            | Op::ReceiveFrom { socket, .. }
            | Op::ReceiveInto { socket, .. } => {
                let socket = *socket;
                self.starved.retain(|starved| *starved != key);
                self.forget_reader(socket);
            }
            _ => {}
        }
        ledger.fail(key, Error::Cancelled);
    }

    fn turn(&mut self, ledger: &mut Ledger, until: Until) -> Result<(), Error> {
        self.settle(ledger);
        self.flush(ledger);
        let Some(until) = self.pace.until(ledger, until) else { return Ok(()) };
        // Who was listed has its turn before anybody is listed again.
        if self.ready.is_empty() {
            self.wait(ledger, until)?;
        }
        let full = ledger.completions.len() + COMPLETIONS_MAX;
        while ledger.completions.len() < full
            && let Some(ready) = self.ready.pop_front()
        {
            self.handle(ledger, ready);
        }
        if self.ready.is_empty() {
            self.ready.shrink_to(COMPLETIONS_ROOM);
        }
        self.end_jobs(ledger);
        Ok(())
    }

    fn waker(&self) -> &Waker {
        &self.waker
    }

    fn count(&self, stats: &mut Stats) {
        stats.enters += self.counts.enters;
        stats.sends_direct += self.counts.sends_direct;
        stats.starved += self.counts.starved;
    }

    fn release(&mut self, descriptor: Descriptor) {
        let told = self.forget(descriptor);
        // A descriptor that the selector does not know is as good as forgotten.
        let _ = self.selector.change(descriptor.number(), told, Interest::default());
    }

    fn close_now(&mut self, descriptor: Descriptor) {
        self.close(descriptor);
    }
}
