//! The engine of one shard: operations in, completions out, turn by turn.
//! It knows no protocol and runs no code of the application: what ended is listed, not called.

mod splice;
mod start;
mod timeouts;
mod work;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use crate::backend::readiness::Readiness;
use crate::backend::readiness::selector::epoll::Epoll;
use crate::backend::readiness::selector::poll::Poll;
use crate::backend::simulated::World;
use crate::backend::uring::{Uring, leave_to_the_kernel};
use crate::backend::{Backend, Until};
use crate::clock::{Clock, Moment};
use crate::completion::{Completion, Metadata, Outcome};
use crate::error::{Error, OpKind};
use crate::handle::Handle;
use crate::ledger::{COMPLETIONS_ROOM, Ledger};
use crate::op::{Descriptor, FilePart, Op, Piece, Spliced, Taken};
use crate::options::{Address, EngineOptions, ListenOptions, Mechanism};
use crate::sheet::Sheet;
use crate::slots::{Key, receiving};
use crate::stats::Stats;
use crate::system::{self, SocketFile};
use crate::wake::Waker;
use crate::wheel::Wheel;
use crate::workers::Workers;
use splice::Splicer;
use work::Worked;

/// How many turns a cancelled operation may take to end before the engine gives up on it.
const QUIESCE_TURNS_MAX: usize = 10_000;
/// The same where an engine is dropped, when all has had its time.
const DROP_TURNS_MAX: usize = 2_000;
/// How long work on files may take to end when its engine is refused.
const WORK_PATIENCE: Duration = Duration::from_secs(10);
/// Threads for files: what waits for a disk holds up three others at most.
const THREADS_MAX: usize = 4;

/// An engine, owned by the thread of its shard: it cannot be given to another one.
///
/// ```compile_fail,E0277
/// fn to_another_thread<T: Send>(_: T) {}
/// # use springtide_engine::{Engine, EngineOptions, Mechanism};
/// to_another_thread(Engine::new(Mechanism::Epoll, EngineOptions::default()));
/// ```
pub struct Engine {
    backend: Box<dyn Backend>,
    ledger: Ledger,
    /// The deadlines of timeouts, by slot index.
    wheel: Wheel,
    /// The operations behind the wheel's indices.
    timeouts: Sheet<Key>,
    due: Vec<u32>,
    /// Timeouts of this turn, to be put into order.
    expired: Vec<(Moment, Key)>,
    workers: Workers<Worked>,
    splicer: Splicer,
    clock: Clock,
    now: Moment,
    stats: Stats,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("backend", &self.backend.name()).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine for the calling thread.
    ///
    /// # Errors
    /// The mechanism is refused by the system.
    pub fn new(mechanism: Mechanism, options: EngineOptions) -> Result<Self, Error> {
        let mut ledger = Ledger::of(&options);
        let backend: Box<dyn Backend> = match mechanism {
            Mechanism::Uring => Box::new(Uring::new(&options, &mut ledger)?),
            Mechanism::Epoll => Box::new(Readiness::new(Box::new(Epoll::new()?))?),
            Mechanism::Poll => Box::new(Readiness::new(Box::new(Poll::default()))?),
        };
        if mechanism != Mechanism::Uring {
            // A ring has as many from its start on as are provided to the system.
            ledger.chunks.prepare();
        }
        Ok(Self::over(backend, ledger))
    }

    /// An engine of a simulated world: virtual time, no system.
    #[must_use]
    pub fn simulated(world: &World, options: &EngineOptions) -> Self {
        let ledger = Ledger::of(options);
        Self::over(world.backend(options), ledger)
    }

    fn over(backend: Box<dyn Backend>, ledger: Ledger) -> Self {
        ledger.chunks.set_waker(backend.waker().clone());
        let clock = backend.clock();
        let now = clock.now();
        let wheel = Wheel::new(now.milliseconds());
        let timeouts = Sheet::new(Key::NONE);
        let (due, expired, splicer, stats) = Default::default();
        let workers = Workers::new(backend.waker().clone(), THREADS_MAX);
        Self { backend, ledger, wheel, timeouts, due, expired, workers, splicer, clock, now, stats }
    }

    /// Ends what is left of a refused backend, timeouts and what waited for others, and drops it.
    #[cold]
    fn step_down(&mut self) -> Result<(), Error> {
        for key in self.ledger.slots.keys() {
            let op = self.ledger.slots.get(key).map(|slot| &slot.op);
            if op.is_some_and(|op| op.kind() == OpKind::Timeout) {
                self.cancel(key);
            }
        }
        let has_rested = self.workers.rest(WORK_PATIENCE);
        self.end_work();
        if !has_rested {
            return Err(Error::Limit("quiesce_turns_max"));
        }
        self.backend = self.backend.successor()?;
        Ok(())
    }

    /// Ends everything in flight, in so many turns of a millisecond at most.
    fn end_within(
        &mut self,
        turns_max: usize,
        completions: &mut Vec<Completion>,
    ) -> Result<(), Error> {
        for key in self.ledger.slots.keys() {
            self.cancel(key);
        }
        for _ in 0..turns_max {
            if self.ledger.slots.live() == 0 && self.ledger.completions.is_empty() {
                return Ok(());
            }
            let soon = self.clock.now() + Duration::from_millis(1);
            match self.turn(Some(soon), completions) {
                // It has ended everything, which is what was asked for.
                Ok(()) | Err(Error::LateRefusal { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Limit("quiesce_turns_max"))
    }

    fn until(&self, deadline: Option<Moment>) -> Until {
        let timer = self.wheel.next_ms().map(Moment::from_milliseconds);
        let first = match (deadline, timer) {
            (Some(deadline), Some(timer)) => deadline.min(timer),
            (Some(moment), None) | (None, Some(moment)) => moment,
            (None, None) => return Until::Forever,
        };
        if first <= self.now { Until::Now } else { Until::Moment(first) }
    }
}

impl Handle for Engine {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn submit(&mut self, op: Op, token: u64) -> Key {
        self.start(op, token, false)
    }

    fn submit_quiet(&mut self, op: Op, token: u64) -> Key {
        self.start(op, token, true)
    }

    fn cancel(&mut self, key: Key) {
        let Some(slot) = self.ledger.slots.get(key) else { return };
        if slot.marks.cancelled {
            return;
        }
        let op = &slot.op;
        match op.kind() {
            // A close frees the descriptor whatever happens: it is not taken back.
            OpKind::Close => return,
            OpKind::Timeout => {
                self.wheel.remove(key.index());
                self.ledger.fail(key, Error::Cancelled);
            }
            _ if op.is_for_workers() && !self.backend.has_own_files() => {
                slot.marks.cancelled = true;
                // What a thread has begun is done.
                self.workers.withdraw(key);
            }
            _ => {
                slot.marks.cancelled = true;
                self.backend.cancel(&mut self.ledger, key);
            }
        }
        self.stats.cancels += 1;
    }

    fn send_progress(&mut self, key: Key) -> Option<i64> {
        let slot = self.ledger.slots.get(key)?;
        let Op::Send { socket, .. } = &slot.op else { return None };
        let (gone, waiting) = (i64::from(slot.progress), self.backend.waiting_bytes(*socket));
        Some(gone - i64::from(waiting))
    }

    fn receive_now(
        &mut self,
        receive: Key,
        memory: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<usize, Error> {
        let Some(slot) = self.ledger.slots.get(receive) else { return Ok(0) };
        let Op::Receive { socket } = slot.op else { return Ok(0) };
        let is_next = matches!(slot.progress, receiving::ALONE | receiving::TAKEN);
        let bytes_max = bytes_max.min(memory.capacity() - memory.len());
        if !is_next || slot.marks.cancelled || bytes_max == 0 {
            return Ok(0);
        }
        slot.progress = receiving::TAKEN;
        let received = self.backend.receive_now(socket, memory, bytes_max);
        let received = received.map_err(|errno| Error::system(OpKind::Receive, errno))?;
        Ok(received.unwrap_or(0))
    }

    fn take_now(
        &mut self,
        socket: Descriptor,
        memory: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<Taken, Error> {
        let bytes_max = bytes_max.min(memory.capacity() - memory.len());
        if bytes_max == 0 || self.ledger.is_receiving(socket) {
            return Err(Error::Misuse("bytes are taken into room, and beside no receive"));
        }
        match self.backend.receive_now(socket, memory, bytes_max) {
            Ok(None) => Ok(Taken::Nothing),
            Ok(Some(0)) => Ok(Taken::End),
            Ok(Some(count)) => Ok(Taken::Bytes(count)),
            Err(errno) => Err(Error::system(OpKind::Receive, errno)),
        }
    }

    fn sends_at_once_max(&self) -> usize {
        self.backend.sends_at_once_max()
    }

    fn send_now(&mut self, socket: Descriptor, pieces: &[Piece]) -> usize {
        if self.ledger.is_sending(socket) {
            return 0;
        }
        self.backend.send_now(&mut self.ledger, socket, pieces)
    }

    #[inline]
    fn send_bytes_now(&mut self, socket: Descriptor, bytes: &[u8]) -> usize {
        if self.ledger.is_sending(socket) {
            return 0;
        }
        self.backend.send_bytes_now(socket, bytes)
    }

    fn send_to_each_now(
        &mut self,
        sockets: &[Descriptor],
        bytes: &[u8],
        short: &mut Vec<(usize, usize)>,
    ) {
        self.backend.send_to_each_now(&mut self.ledger, sockets, bytes, short);
    }

    fn send_file_now(&mut self, socket: Descriptor, part: FilePart) -> usize {
        if part.length == 0 || self.ledger.is_sending(socket) {
            return 0;
        }
        self.backend.send_file_now(socket, part)
    }

    fn splices(&self) -> bool {
        !self.splicer.is_refused()
    }

    fn splice_now(
        &mut self,
        source: Descriptor,
        sink: Descriptor,
        bytes_max: usize,
        rest: &mut Vec<u8>,
    ) -> Result<Spliced, Error> {
        self.splice(source, sink, bytes_max, rest)
    }

    fn turn(
        &mut self,
        deadline: Option<Moment>,
        completions: &mut Vec<Completion>,
    ) -> Result<(), Error> {
        self.start_waiting();
        let until = self.until(deadline);
        let mut turned = self.backend.turn(&mut self.ledger, until);
        self.now = self.clock.now();
        self.expire();
        self.end_work();
        if let Err(Error::LateRefusal { .. }) = turned {
            turned = self.step_down().and(turned);
        }
        self.start_waiting();
        self.stats.turns += 1;
        self.stats.completed += self.ledger.completions.len() as u64;
        if completions.is_empty() {
            completions.reserve(COMPLETIONS_ROOM);
            std::mem::swap(completions, &mut self.ledger.completions);
        } else {
            completions.append(&mut self.ledger.completions);
        }
        self.ledger.awaited = false;
        turned
    }

    fn quiesce(&mut self, completions: &mut Vec<Completion>) -> Result<(), Error> {
        self.end_within(QUIESCE_TURNS_MAX, completions)
    }

    fn listen(&mut self, options: &ListenOptions<'_>) -> Result<Descriptor, Error> {
        let opened = self.backend.listen(options)?;
        self.ledger.arrive(opened);
        Ok(opened)
    }

    fn local_address(&self, socket: Descriptor) -> Result<Address, Error> {
        self.backend.local_address(socket)
    }

    fn bind(&mut self, address: SocketAddr, joining: bool) -> Result<Descriptor, Error> {
        let opened = self.backend.bind(address, joining)?;
        self.ledger.arrive(opened);
        Ok(opened)
    }

    fn send_to_now(
        &mut self,
        socket: Descriptor,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Result<bool, Error> {
        if self.ledger.is_sending(socket) {
            return Ok(false);
        }
        match self.backend.send_to_now(socket, bytes, to) {
            Ok(()) => Ok(true),
            Err(system::EAGAIN) => Ok(false),
            Err(errno) => Err(Error::system(OpKind::SendTo, errno)),
        }
    }

    fn socket_file(&self, listener: Descriptor) -> Option<SocketFile> {
        self.backend.socket_file(listener)
    }

    fn peer_address(&self, socket: Descriptor) -> Result<Address, Error> {
        self.backend.peer_address(socket)
    }

    fn is_peer_gone(&self, socket: Descriptor) -> bool {
        self.backend.is_peer_gone(socket)
    }

    fn reset_on_close(&mut self, socket: Descriptor) {
        self.backend.reset_on_close(socket);
    }

    fn open_directory(&mut self, path: &Path) -> Result<Descriptor, Error> {
        let opened = self.backend.open_directory(path)?;
        self.ledger.arrive(opened);
        Ok(opened)
    }

    fn metadata(&self, file: Descriptor) -> Result<Metadata, Error> {
        self.backend.metadata(file).map_err(|errno| Error::system(OpKind::Describe, errno))
    }

    fn adopt(&mut self, socket: OwnedFd) -> Result<Descriptor, Error> {
        let opened = self.backend.adopt(socket)?;
        self.ledger.arrive(opened);
        Ok(opened)
    }

    fn release(&mut self, descriptor: Descriptor) -> Result<Descriptor, Error> {
        if self.ledger.is_in_use(descriptor) {
            return Err(Error::Misuse("a descriptor is released with nothing in flight"));
        }
        self.backend.release(descriptor);
        Ok(descriptor)
    }

    fn take_over(&mut self, descriptor: Descriptor) {
        self.ledger.arrive(descriptor);
    }

    fn waker(&self) -> Waker {
        self.backend.waker().clone()
    }

    fn clock(&self) -> Moment {
        self.clock.now()
    }

    fn now(&self) -> Moment {
        self.now
    }

    fn chance(&mut self) -> u64 {
        self.backend.chance()
    }

    fn unix_seconds(&self) -> u64 {
        self.clock.unix_seconds()
    }

    fn stats(&self) -> Stats {
        let mut stats = self.stats;
        self.backend.count(&mut stats);
        stats.chunks_given_away = self.ledger.chunks.given_away() as u64;
        stats.chunks_allocated = self.ledger.chunks.allocated() as u64;
        stats.operation_pages = self.ledger.slots.pages_held() as u64;
        stats
    }

    fn in_flight(&self) -> usize {
        self.ledger.slots.live()
    }
}

impl Drop for Engine {
    /// Nothing goes while the system has it: everything ends first (law 3), or stays for ever. What was
    /// accepted or opened on the way is closed.
    fn drop(&mut self) {
        let mut completions = Vec::new();
        if self.end_within(DROP_TURNS_MAX, &mut completions).is_err() {
            // What never ended must stay where it is for ever, the backend's buffers too; and so do the
            // descriptors, which a thread that hangs knows by their numbers.
            let options = EngineOptions { ring_chunks: 1, ..EngineOptions::default() };
            let nothing = World::new(0).backend(&options);
            leave_to_the_kernel(std::mem::replace(&mut self.backend, nothing));
            leave_to_the_kernel(std::mem::replace(&mut self.ledger, Ledger::of(&options)));
            return;
        }
        for completion in completions {
            if let Outcome::Accepted(socket)
            | Outcome::Connected(socket)
            | Outcome::Opened(socket, _) = completion.outcome
            {
                self.backend.close_now(socket);
            }
        }
    }
}
