//! The engine of one shard: operations in, completions out, turn by turn.
//! It knows no protocol and runs no code of the application: what ended is listed, not called.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::backend::readiness::Readiness;
use crate::backend::readiness::selector::epoll::Epoll;
use crate::backend::readiness::selector::poll::Poll;
use crate::backend::simulated::World;
use crate::backend::uring::Uring;
use crate::backend::{Backend, Until};
use crate::chunk::ChunkLimits;
use crate::clock::{Clock, Moment};
use crate::completion::{Completion, Listing, Outcome};
use crate::error::{Error, OpKind};
use crate::ledger::{COMPLETIONS_ROOM, Ledger};
use crate::lister::Lister;
use crate::op::{Descriptor, FilePart, Op, Piece};
use crate::options::{Address, EngineOptions, ListenOptions, Mechanism};
use crate::sheet::Sheet;
use crate::slots::{Key, receiving};
use crate::stats::Stats;
use crate::system;
use crate::wake::Waker;
use crate::wheel::Wheel;

/// The one door through which an engine is used: later the engine can be another library.
pub trait Handle {
    /// Its mechanism's name.
    fn name(&self) -> &'static str;

    /// Starts an operation. Its completions carry `token`; a failure, also one to start, is a
    /// completion. One that breaks a law or a limit has no key: it is [`Key::NONE`].
    fn submit(&mut self, op: Op, token: u64) -> Key;

    /// As [`submit`](Self::submit), where nobody waits for a good end: when it has that in the turn
    /// that begins it, the completion wakes nobody and may come with the next one that does. An
    /// operation that had to wait ends a turn as any other.
    fn submit_quiet(&mut self, op: Op, token: u64) -> Key;

    /// Asks an operation to end. It still completes, with what it had or as cancelled; a stale
    /// key is ignored.
    fn cancel(&mut self, key: Key);

    /// How many bytes of a send the peer's system has taken; less than zero while it has yet to
    /// take what was sent before. Two looks that are alike: it has taken nothing in between. None
    /// for a stale key and for what is no send. Each look asks the system.
    ///
    /// Over a Unix socket the system counts the memory of what waits, not its bytes: there only
    /// whether two looks are alike says anything.
    fn send_progress(&mut self, key: Key) -> Option<i64>;

    /// Takes at once what lies behind the first chunk of a streaming receive, as far as the spare
    /// capacity of `memory` goes, and `bytes_max` at most: a long message needs no chunk, nor a copy out of it. Gives how many
    /// bytes were appended; none when nothing is there, or when it cannot be told that these are the
    /// next bytes: call it only in the turn that delivered that chunk, when all chunks of it have
    /// been handled. The end of the stream, or an error, the receive tells itself. The next bytes it
    /// delivers come alone again, so that this can be called again.
    fn receive_now(&mut self, receive: Key, memory: &mut Vec<u8>, bytes_max: usize) -> usize;

    /// Sends at once what fits of pieces that are long, while they lie in the processor's cache, and
    /// gives how many bytes that were: an [`Op::Send`] takes the rest. None while a send is in flight
    /// (law 5), and on an error, which the next send tells.
    fn send_now(&mut self, socket: Descriptor, pieces: &[Piece]) -> usize;

    /// Sends at once, without a copy, what fits of a part of a file that is in the system's memory
    /// (sendfile(2), cachestat(2)), and gives how many bytes that were. None where the part is not
    /// all there, or the system does not tell (before Linux 6.5), while a send is in flight (law 5),
    /// where SIGPIPE is not ignored, and on an error: an [`Op::Read`] and an [`Op::Send`] take over,
    /// and tell.
    ///
    /// The system sends the file's own pages: who writes to the file may change bytes that were
    /// sent and have not reached the peer.
    fn send_file_now(&mut self, socket: Descriptor, part: FilePart) -> usize;

    /// Submits, waits until something has ended, `deadline` has come or the waker is used, and
    /// appends what has ended.
    ///
    /// # Errors
    /// [`Error::LateRefusal`]: a filter came that forbids what was allowed at the start. This turn
    /// has appended the last completion of everything in flight: what had come is delivered,
    /// sends say how far they came, the rest ended as cancelled. A receive or send of which the
    /// system tells too little for that failed instead (EIO): its stream cannot go on. Nothing is in flight now, every
    /// descriptor can be released to an engine of another mechanism, and this engine goes on over
    /// poll(2), with the same waker. Whoever closes a socket then, its peer sees the end some
    /// milliseconds later than usual, when the system has let go of what was armed on it. Where
    /// io_uring_register is forbidden as well that is not before this thread has ended: release the
    /// descriptors, go on in another thread, and end this one.
    /// Anything else: the system refuses to be waited for, and nothing will end any more.
    fn turn(
        &mut self,
        deadline: Option<Moment>,
        completions: &mut Vec<Completion>,
    ) -> Result<(), Error>;

    /// Cancels everything and takes turns until every last completion is there.
    ///
    /// # Errors
    /// As [`Handle::turn`], or operations do not end.
    fn quiesce(&mut self, completions: &mut Vec<Completion>) -> Result<(), Error>;

    /// Makes a listening socket with TCP_NODELAY.
    ///
    /// # Errors
    /// The address is busy or not ours (bind(2), listen(2)).
    fn listen(&mut self, options: &ListenOptions<'_>) -> Result<Descriptor, Error>;

    /// The address a socket is bound to.
    ///
    /// # Errors
    /// The socket is not open.
    fn local_address(&self, socket: Descriptor) -> Result<Address, Error>;

    /// The address of the other end.
    ///
    /// # Errors
    /// The socket is not connected any more.
    fn peer_address(&self, socket: Descriptor) -> Result<Address, Error>;

    /// Makes the close of a TCP socket a reset, where an end of stream would say that everything was
    /// said: what the peer has not received by then, it never does. Other sockets know no reset.
    fn reset_on_close(&mut self, socket: Descriptor);

    /// Opens a directory beneath which files can be opened.
    ///
    /// # Errors
    /// There is none, or it may not be read.
    fn open_directory(&mut self, path: &Path) -> Result<Descriptor, Error>;

    /// Takes over a socket that was opened elsewhere; it must not block.
    ///
    /// # Errors
    /// The mechanism has no descriptors of the system.
    fn adopt(&mut self, socket: OwnedFd) -> Result<Descriptor, Error>;

    /// Lets go of a descriptor with nothing in flight, so that another engine of the process, or
    /// of the same world, can use it: from here on that one's operations may name it.
    ///
    /// # Errors
    /// Operations on it are in flight: it stays here.
    fn release(&mut self, descriptor: Descriptor) -> Result<Descriptor, Error>;

    /// A descriptor comes that another engine has released, or has only just been given.
    fn take_over(&mut self, descriptor: Descriptor);

    /// Wakes this engine from any thread.
    fn waker(&self) -> Waker;

    /// The moment of the present turn.
    fn now(&self) -> Moment;

    /// This very moment: reads the clock.
    fn clock(&self) -> Moment;

    /// Seconds since 1970.
    fn unix_seconds(&self) -> u64;

    /// Counts so far.
    fn stats(&self) -> Stats;

    /// Operations in flight.
    fn in_flight(&self) -> usize;
}

/// How many turns a cancelled operation may take to end before the engine gives up on it.
const QUIESCE_TURNS_MAX: usize = 10_000;

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
    lister: Lister,
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
        let mut ledger = ledger_for(&options);
        let backend: Box<dyn Backend> = match mechanism {
            Mechanism::Uring => Box::new(Uring::new(&options, &mut ledger)?),
            Mechanism::Epoll => Box::new(Readiness::new(Box::new(Epoll::new()?))?),
            Mechanism::Poll => Box::new(Readiness::new(Box::new(Poll::default()))?),
        };
        Ok(Self::over(backend, ledger))
    }

    /// An engine of a simulated world: virtual time, no system.
    #[must_use]
    pub fn simulated(world: &World, options: &EngineOptions) -> Self {
        let ledger = ledger_for(options);
        Self::over(world.backend(options), ledger)
    }

    fn over(backend: Box<dyn Backend>, ledger: Ledger) -> Self {
        ledger.chunks.set_waker(backend.waker().clone());
        let clock = backend.clock();
        let now = clock.now();
        let wheel = Wheel::new(now.milliseconds());
        let timeouts = Sheet::new(Key::NONE);
        let (due, expired, lister, stats) = Default::default();
        Self { backend, ledger, wheel, timeouts, due, expired, lister, clock, now, stats }
    }

    #[inline]
    fn start(&mut self, op: Op, token: u64, quiet: bool) -> Key {
        self.stats.submitted += 1;
        let (is_send, timeout, list) = match &op {
            Op::Send { .. } => (true, None, None),
            Op::Timeout { at } => (false, Some(*at), None),
            Op::List { directory, entries_max } => (false, None, Some((*directory, *entries_max))),
            _ => (false, None, None),
        };
        let (key, entered) = self.ledger.enter(op, token, quiet);
        match (timeout, list) {
            _ if !entered => {}
            (Some(at), _) => self.start_timeout(key, at),
            (None, Some((directory, entries_max))) => self.start_list(key, directory, entries_max),
            (None, None) if is_send => self.backend.send(&mut self.ledger, key),
            (None, None) => self.backend.submit(&mut self.ledger, key),
        }
        key
    }

    fn start_list(&mut self, key: Key, directory: Descriptor, entries_max: usize) {
        if let Some(listed) = self.backend.list(directory, entries_max) {
            return self.end_list(key, listed);
        }
        // Its own descriptor outlives a cancel.
        let own = system::open_again(directory.number());
        let waker = self.backend.waker();
        let started = own.and_then(|own| self.lister.start((key, own, entries_max), waker));
        if let Err(errno) = started {
            self.ledger.fail_errno(key, OpKind::List, errno);
        }
    }

    /// Ends what the thread has read. What was cancelled meanwhile is stale.
    fn end_lists(&mut self) {
        while let Some((key, listed)) = self.lister.next_ended() {
            if self.ledger.slots.get(key).is_some() {
                self.end_list(key, listed);
            }
        }
    }

    fn end_list(&mut self, key: Key, listed: Result<Listing, i32>) {
        match listed {
            Ok(listing) => self.ledger.end(key, |_| Outcome::Listed(listing)),
            Err(errno) => self.ledger.fail_errno(key, OpKind::List, errno),
        }
    }

    /// Closes go when the last operation of their descriptor has completed (law 6), shutdowns when
    /// the send has. One that was cancelled meanwhile is stale.
    fn start_waiting(&mut self) {
        while let Some(key) = self.ledger.startable.pop() {
            self.backend.submit(&mut self.ledger, key);
        }
    }

    fn start_timeout(&mut self, key: Key, at: Moment) {
        let index = key.index();
        *self.timeouts.at(index as usize) = key;
        self.wheel.schedule(index, milliseconds_up(at));
    }

    #[inline]
    fn expire(&mut self) {
        self.wheel.expire(self.now.milliseconds(), &mut self.due);
        if !self.due.is_empty() {
            self.end_due();
        }
    }

    fn end_due(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        for index in due.drain(..) {
            let key = self.timeouts[index as usize];
            let Some(slot) = self.ledger.slots.get(key) else { continue };
            let Op::Timeout { at } = slot.op else { continue };
            if at <= self.now {
                self.expired.push((at, key));
            } else {
                self.wheel.schedule(index, milliseconds_up(at));
            }
        }
        self.due = due;
        // A late turn takes several slots of the wheel at once, which are coarse far ahead.
        self.expired.sort_by_key(|(at, _)| *at);
        for (_, key) in self.expired.drain(..) {
            self.ledger.end(key, |_| Outcome::Expired);
        }
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
        self.backend = self.backend.successor()?;
        Ok(())
    }

    fn until(&self, deadline: Option<Moment>) -> Until {
        let timer = self.wheel.next_ms().map(Moment::from_milliseconds);
        match deadline.into_iter().chain(timer).min() {
            None => Until::Forever,
            Some(moment) if moment <= self.now => Until::Now,
            Some(moment) => Until::Moment(moment),
        }
    }
}

fn ledger_for(options: &EngineOptions) -> Ledger {
    let ring = usize::from(options.ring_chunks);
    let given_away_max = options.chunks_given_away_max;
    // Beyond what may be given away: the ring itself, and what paused connections still had
    // coming when they were paused.
    let limits = ChunkLimits { given_away_max, allocated_max: given_away_max + 2 * ring };
    Ledger::new(options.shard, options.operations_max, limits)
}

/// The first whole millisecond that is not before a moment.
fn milliseconds_up(moment: Moment) -> u64 {
    moment.nanoseconds().div_ceil(1_000_000)
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
            OpKind::List => self.ledger.fail(key, Error::Cancelled),
            OpKind::Timeout => {
                self.wheel.remove(key.index());
                self.ledger.fail(key, Error::Cancelled);
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

    fn receive_now(&mut self, receive: Key, memory: &mut Vec<u8>, bytes_max: usize) -> usize {
        let Some(slot) = self.ledger.slots.get(receive) else { return 0 };
        let Op::Receive { socket } = slot.op else { return 0 };
        let is_next = matches!(slot.progress, receiving::ALONE | receiving::TAKEN);
        let bytes_max = bytes_max.min(memory.capacity() - memory.len());
        if !is_next || slot.marks.cancelled || bytes_max == 0 {
            return 0;
        }
        slot.progress = receiving::TAKEN;
        self.backend.receive_now(socket, memory, bytes_max)
    }

    fn send_now(&mut self, socket: Descriptor, pieces: &[Piece]) -> usize {
        if self.ledger.is_sending(socket) {
            return 0;
        }
        self.backend.send_now(&mut self.ledger, socket, pieces)
    }

    fn send_file_now(&mut self, socket: Descriptor, part: FilePart) -> usize {
        if part.length == 0 || self.ledger.is_sending(socket) {
            return 0;
        }
        self.backend.send_file_now(socket, part)
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
        self.end_lists();
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
        for key in self.ledger.slots.keys() {
            self.cancel(key);
        }
        for _ in 0..QUIESCE_TURNS_MAX {
            if self.ledger.slots.live() == 0 && self.ledger.completions.is_empty() {
                return Ok(());
            }
            let soon = self.clock.now() + std::time::Duration::from_millis(1);
            match self.turn(Some(soon), completions) {
                // It has ended everything, which is what was asked for.
                Ok(()) | Err(Error::LateRefusal { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Limit("quiesce_turns_max"))
    }

    fn listen(&mut self, options: &ListenOptions<'_>) -> Result<Descriptor, Error> {
        let opened = self.backend.listen(options)?;
        self.ledger.arrive(opened);
        Ok(opened)
    }

    fn local_address(&self, socket: Descriptor) -> Result<Address, Error> {
        self.backend.local_address(socket)
    }

    fn peer_address(&self, socket: Descriptor) -> Result<Address, Error> {
        self.backend.peer_address(socket)
    }

    fn reset_on_close(&mut self, socket: Descriptor) {
        self.backend.reset_on_close(socket);
    }

    fn open_directory(&mut self, path: &Path) -> Result<Descriptor, Error> {
        let opened = self.backend.open_directory(path)?;
        self.ledger.arrive(opened);
        Ok(opened)
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
    /// Nothing goes while the system has it: everything ends first (law 3). What was accepted or
    /// opened on the way is closed.
    fn drop(&mut self) {
        let mut completions = Vec::new();
        if self.quiesce(&mut completions).is_err() {
            // What never ended must stay where it is for ever, the backend's buffers too.
            let options = EngineOptions { ring_chunks: 1, ..EngineOptions::default() };
            let nothing = World::new(0).backend(&options);
            std::mem::forget(std::mem::replace(&mut self.backend, nothing));
            std::mem::forget(std::mem::replace(&mut self.ledger, ledger_for(&options)));
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
