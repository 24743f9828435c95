//! The operations of an engine in a world: what is in flight, and the turn that moves it on.
//! Completions appear in `turn` only, as on the real backends (law 2); nothing blocks.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::chance::Fault;
use super::descriptors::Entry;
use super::files::{Found, directory_metadata};
use super::network::Ready;
use super::schedule::Next;
use super::{State, World};
use crate::backend::{Backend, Until, cancelled};
use crate::clock::Clock;
use crate::completion::Metadata;
use crate::error::{Error, OpKind};
use crate::ledger::Ledger;
use crate::op::{Descriptor, FilePart, Op, Piece, Spliced};
use crate::options::{Address, EngineOptions, ListenOptions};
use crate::slots::Key;
use crate::stats::Stats;
use crate::system::{self, SocketFile};
use crate::wake::Waker;

/// The most milliseconds by which a completion is late.
const DELAY_MS_MAX: usize = 20;
/// The most completions in a turn whose queue is full.
const FULL_QUEUE_MAX: usize = 4;

/// An operation in flight.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    pub(super) key: Key,
    /// Late: nothing comes before this moment, in nanoseconds.
    pub(super) not_before: u64,
    /// Its lateness has been decided.
    decided: bool,
    /// It did not end in the turn that began it.
    has_waited: bool,
    /// A send of which all has gone, and for whose end nobody waits.
    pub(super) is_untold: bool,
}

/// What a look at one operation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something has happened, or will in the next turn.
    Moved,
    /// All of a send has gone, and nobody waits to be told.
    Untold,
    /// It waits, at least until a moment if there is one, in nanoseconds.
    Waits(Option<u64>),
}

/// The backend of one engine.
pub(super) struct Simulated {
    pub(super) world: World,
    seat: usize,
    pub(super) waker: Waker,
    pub(super) pending: Vec<Pending>,
    over_budget: Vec<Key>,
    completions_max: usize,
    pub(super) ring_chunks: usize,
    /// Chunks that can still be filled in this turn.
    pub(super) ring_left: usize,
    pub(super) counts: Stats,
}

impl Simulated {
    pub(super) fn new(world: World, options: &EngineOptions) -> Self {
        let completions_max = usize::try_from(options.cq_entries).unwrap_or(usize::MAX);
        Self::over(world, Waker::new(None), completions_max, usize::from(options.ring_chunks))
    }

    fn over(world: World, waker: Waker, completions_max: usize, ring_chunks: usize) -> Self {
        let seat = world.state.borrow_mut().schedule.enter(waker.clone());
        Self {
            world,
            seat,
            waker,
            pending: Vec::new(),
            over_budget: Vec::new(),
            completions_max,
            ring_chunks,
            ring_left: ring_chunks,
            counts: Stats::default(),
        }
    }

    pub(super) fn strikes(&self, fault: Fault) -> bool {
        self.world.state.borrow_mut().chance.strikes(fault)
    }

    pub(super) fn below(&self, end: usize) -> usize {
        self.world.state.borrow_mut().chance.below(end)
    }

    pub(super) fn now(&self) -> u64 {
        self.world.now.get()
    }

    fn settle(&mut self, ledger: &mut Ledger) {
        ledger.chunks.settle_to_pool(&mut self.over_budget);
        for key in self.over_budget.drain(..) {
            if let Some(slot) = ledger.slots.get(key)
                && !slot.marks.cancelled
            {
                slot.marks.cancelled = true;
                slot.marks.over_budget = true;
            }
        }
        self.ring_left = self.ring_chunks;
    }

    /// Looks at every operation once; the moment at which a late one will be ready.
    fn pass(&mut self, ledger: &mut Ledger) -> (bool, Option<u64>) {
        let mut pending = std::mem::take(&mut self.pending);
        if pending.len() > 1 && self.strikes(Fault::Reordered) {
            self.world.state.borrow_mut().chance.shuffle(&mut pending);
        }
        let mut room = self.completions_max;
        if !pending.is_empty() && self.strikes(Fault::QueueFull) {
            room = 1 + self.below(FULL_QUEUE_MAX);
        }
        let (mut moved, mut soonest) = (false, None::<u64>);
        pending.retain_mut(|one| {
            if ledger.completions.len() >= room {
                self.counts.rearmed += 1;
                moved = true;
            } else {
                match self.look(ledger, one) {
                    Step::Moved | Step::Untold => moved = true,
                    Step::Waits(until) => soonest = soonest.into_iter().chain(until).min(),
                }
            }
            one.has_waited = !one.is_untold;
            ledger.slots.get(one.key).is_some()
        });
        self.pending = pending;
        (moved, soonest)
    }

    fn look(&mut self, ledger: &mut Ledger, one: &mut Pending) -> Step {
        let key = one.key;
        if one.is_untold {
            if !cancelled(ledger, key) {
                return Step::Waits((one.not_before > 0).then_some(one.not_before));
            }
            ledger.end_sent(key);
            return Step::Moved;
        }
        if cancelled(ledger, key) {
            let has_result = self.strikes(Fault::CancelRace);
            self.end_now(ledger, key, has_result);
            return Step::Moved;
        }
        match self.ready(ledger, key) {
            Ready::Never => return Step::Waits(None),
            Ready::At(moment) => return Step::Waits(Some(moment)),
            Ready::Now if one.not_before > self.now() => {
                return Step::Waits(Some(one.not_before));
            }
            Ready::Now => {}
        }
        if !one.decided && self.strikes(Fault::Delayed) {
            one.decided = true;
            one.not_before = self.now() + self.delay();
            return Step::Waits(Some(one.not_before));
        }
        one.decided = false;
        if self.strikes(Fault::Interrupted) {
            self.counts.rearmed += 1;
            return Step::Moved;
        }
        let step = self.perform(ledger, key);
        if step == Step::Untold && one.has_waited {
            ledger.end_sent(key);
        } else if step == Step::Untold {
            (one.is_untold, one.not_before) = (true, 0);
        }
        step
    }

    /// By how many nanoseconds a completion is late.
    pub(super) fn delay(&self) -> u64 {
        let delay_ms = 1 + self.below(DELAY_MS_MAX);
        u64::try_from(delay_ms).expect("a few") * 1_000_000
    }

    /// Whether an operation would do something now.
    pub(super) fn ready(&self, ledger: &mut Ledger, key: Key) -> Ready {
        let has_chunks = self.ring_left > 0 && ledger.chunks.has_room();
        let Some(op) = ledger.slots.get(key).map(|slot| &slot.op) else {
            return Ready::Never;
        };
        let state = self.world.state.borrow();
        let (table, network) = (&state.table, &state.network);
        // What an operation on a wrong descriptor does now is fail.
        match op {
            Op::Accept { listener } => {
                let listener = table.listener(*listener);
                listener.map_or(Ready::Now, |listener| network.ready_to_accept(listener))
            }
            Op::Receive { socket } => {
                let ready = table.socket(*socket).map(|end| {
                    let ready = network.ready_to_receive(end, self.now());
                    let needs_chunk = network.receivable(end, self.now()) > 0;
                    if needs_chunk && !has_chunks { Ready::Never } else { ready }
                });
                ready.unwrap_or(Ready::Now)
            }
            Op::ReceiveInto { socket, .. } | Op::AwaitBytes { socket } => {
                let end = table.socket(*socket);
                end.map_or(Ready::Now, |end| network.ready_to_receive(end, self.now()))
            }
            Op::WatchBytes { socket } => {
                let end = table.socket(*socket);
                end.map_or(Ready::Now, |end| network.ready_to_tell(end, self.now()))
            }
            Op::Send { socket, .. } => {
                table.socket(*socket).map_or(Ready::Now, |end| network.ready_to_send(end))
            }
            Op::ReceiveFrom { socket, .. } => match table.letterbox(*socket) {
                Ok(own) if !network.post.has_waiting(own) => Ready::Never,
                _ => Ready::Now,
            },
            Op::Connect { route } => network.ready_to_connect(&route.address),
            _ => Ready::Now,
        }
    }

    /// Waits as far as anything can be waited for; true when time has moved on to a late
    /// completion of this engine.
    fn wait(&self, until: Until, soonest: Option<u64>) -> bool {
        let deadline = match until {
            Until::Now => return false,
            Until::Moment(moment) => Some(moment.nanoseconds()),
            Until::Forever => None,
        };
        if !self.waker.signal().prepare_sleep() {
            return false;
        }
        let wanted = deadline.into_iter().chain(soonest).min();
        let state = &mut *self.world.state.borrow_mut();
        let activity = state.network.activity;
        let next = state.schedule.idle(self.seat, wanted, activity, self.world.now.get());
        let Next::Jump(moment) = next else { return false };
        self.world.now.set(moment);
        soonest.is_some_and(|soonest| soonest <= moment)
    }
}

impl Backend for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn submit(&mut self, ledger: &mut Ledger, key: Key) {
        if let Some(Op::WatchBytes { socket }) = ledger.slots.get(key).map(|slot| &slot.op) {
            let State { table, network, .. } = &mut *self.world.state.borrow_mut();
            if let Ok(end) = table.socket(*socket) {
                network.look_again(end);
            }
        }
        let (not_before, decided, has_waited, is_untold) = (0, false, false, false);
        self.pending.push(Pending { key, not_before, decided, has_waited, is_untold });
    }

    /// The next turn sees the mark, but for a shutdown, which may not have been submitted yet.
    fn cancel(&mut self, ledger: &mut Ledger, key: Key) {
        let op = ledger.slots.get(key).map(|slot| &slot.op);
        if op.map(Op::kind) == Some(OpKind::Shutdown) {
            ledger.fail(key, Error::Cancelled);
        }
    }

    fn turn(&mut self, ledger: &mut Ledger, until: Until) -> Result<(), Error> {
        self.world.state.borrow_mut().schedule.busy(self.seat, 1);
        self.settle(ledger);
        if self.strikes(Fault::Refused) {
            return Err(self.salvage(ledger));
        }
        loop {
            self.counts.enters += 1;
            let (moved, soonest) = self.pass(ledger);
            if moved || ledger.awaited || !self.wait(until, soonest) {
                break;
            }
        }
        self.tell_untold(ledger, until);
        self.waker.signal().awake();
        if !ledger.completions.is_empty() {
            self.world.state.borrow_mut().schedule.busy(self.seat, 0);
        }
        Ok(())
    }

    fn waker(&self) -> &Waker {
        &self.waker
    }

    fn count(&self, stats: &mut Stats) {
        stats.enters += self.counts.enters;
        stats.sends_direct += self.counts.sends_direct;
        stats.starved += self.counts.starved;
        stats.rearmed += self.counts.rearmed;
    }

    fn successor(&self) -> Result<Box<dyn Backend>, Error> {
        let (world, waker) = (self.world.clone(), self.waker.clone());
        Ok(Box::new(Self::over(world, waker, self.completions_max, self.ring_chunks)))
    }

    fn clock(&self) -> Clock {
        self.world.clock()
    }

    fn listen(&mut self, options: &ListenOptions<'_>) -> Result<Descriptor, Error> {
        if matches!(options.address, Address::Unix(None)) {
            return Err(Error::Misuse("a Unix listener has a path"));
        }
        let state = &mut *self.world.state.borrow_mut();
        let backlog = usize::try_from(options.backlog).unwrap_or(0).max(1);
        let listener = state.network.listen(options.address, backlog, options.joining);
        let listener = listener.map_err(|errno| Error::system(OpKind::Listen, errno))?;
        state.table.insert(Entry::Listener(listener)).map_err(|errno| {
            state.network.unlisten(listener);
            Error::system(OpKind::Listen, errno)
        })
    }

    fn local_address(&self, socket: Descriptor) -> Result<Address, Error> {
        let state = self.world.state.borrow();
        let error = |errno| Error::system(OpKind::Listen, errno);
        match state.table.get(socket).map_err(error)? {
            Entry::Listener(listener) => {
                state.network.listener_address(*listener).ok_or_else(|| error(system::EBADF))
            }
            Entry::Socket(end) => Ok(state.network.addresses(*end).0),
            Entry::Letterbox(own) => {
                let address = state.network.post.address(*own).map(Address::Internet);
                address.ok_or_else(|| error(system::EBADF))
            }
            Entry::File(..) | Entry::Directory(_) => Err(error(system::ENOTSOCK)),
        }
    }

    fn bind(&mut self, address: SocketAddr, joining: bool) -> Result<Descriptor, Error> {
        let state = &mut *self.world.state.borrow_mut();
        let error = |errno| Error::system(OpKind::Listen, errno);
        let own = state.network.bind(address, joining).map_err(error)?;
        state.table.insert(Entry::Letterbox(own)).map_err(|errno| {
            state.network.unbind(own);
            error(errno)
        })
    }

    fn send_to_now(&mut self, socket: Descriptor, bytes: &[u8], to: SocketAddr) -> Result<(), i32> {
        let state = &mut *self.world.state.borrow_mut();
        if state.chance.strikes(Fault::PartialSend) {
            return Err(system::EAGAIN);
        }
        let own = state.table.letterbox(socket)?;
        state.network.send_to(own, to, bytes, &mut state.chance);
        Ok(())
    }

    fn socket_file(&self, _: Descriptor) -> Option<SocketFile> {
        None
    }

    fn peer_address(&self, socket: Descriptor) -> Result<Address, Error> {
        let state = self.world.state.borrow();
        let end = state.table.socket(socket);
        let end = end.map_err(|errno| Error::system(OpKind::Accept, errno))?;
        Ok(state.network.addresses(end).1)
    }

    /// A peer that has closed does not answer any more; one that has ended its side does, until this
    /// side has ended its own (poll(2), POLLHUP).
    fn is_peer_gone(&self, socket: Descriptor) -> bool {
        let state = self.world.state.borrow();
        let gone = |end| {
            state.network.reset_cause(end).is_some()
                || state.network.is_closed_by_peer(end)
                || state.network.is_over(end)
        };
        state.table.socket(socket).is_ok_and(gone)
    }

    fn reset_on_close(&mut self, socket: Descriptor) {
        let state = &mut *self.world.state.borrow_mut();
        if let Ok(end) = state.table.socket(socket) {
            state.network.reset_on_close(end);
        }
    }

    fn waiting_bytes(&self, socket: Descriptor) -> u32 {
        let state = self.world.state.borrow();
        let waiting = state.table.socket(socket).map_or(0, |end| state.network.on_the_way(end));
        u32::try_from(waiting).expect("a stream is bounded")
    }

    fn receive_now(
        &mut self,
        socket: Descriptor,
        memory: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<Option<usize>, i32> {
        self.take_now(socket, memory, bytes_max)
    }

    fn chance(&mut self) -> u64 {
        self.below(usize::MAX) as u64
    }

    fn sends_at_once_max(&self) -> usize {
        self.world.state.borrow().chance.sends_at_once_max
    }

    fn send_now(&mut self, _: &mut Ledger, socket: Descriptor, pieces: &[Piece]) -> usize {
        self.counts.sends_direct += 1;
        self.give_now(socket, pieces)
    }

    fn send_bytes_now(&mut self, socket: Descriptor, bytes: &[u8]) -> usize {
        self.counts.sends_direct += 1;
        self.give_now(socket, &[Piece::Owned(bytes.to_vec())])
    }

    fn send_file_now(&mut self, socket: Descriptor, part: FilePart) -> usize {
        self.give_file_now(socket, part).unwrap_or(0)
    }

    fn open_directory(&mut self, path: &Path) -> Result<Descriptor, Error> {
        let state = &mut *self.world.state.borrow_mut();
        let error = |errno| Error::system(OpKind::Open, errno);
        let beneath = path.strip_prefix("/").unwrap_or(path);
        match state.files.find(Path::new(""), beneath).map_err(error)? {
            Found::Directory(path) => state.table.insert(Entry::Directory(path)).map_err(error),
            Found::File(_) => Err(error(system::ENOTDIR)),
        }
    }

    fn has_own_files(&self) -> bool {
        true
    }

    fn pass_own(
        &mut self,
        source: Descriptor,
        sink: Descriptor,
        bytes_max: usize,
        rest: &mut Vec<u8>,
    ) -> Option<Result<Spliced, i32>> {
        Some(self.splice(source, sink, bytes_max, rest))
    }

    fn metadata(&self, file: Descriptor) -> Result<Metadata, i32> {
        match self.world.state.borrow().table.get(file)? {
            Entry::File(file, _) => Ok(file.borrow().metadata()),
            Entry::Directory(_) => Ok(directory_metadata()),
            Entry::Listener(_) | Entry::Socket(_) | Entry::Letterbox(_) => Err(system::EINVAL),
        }
    }

    fn adopt(&mut self, _: OwnedFd) -> Result<Descriptor, Error> {
        Err(Error::Misuse("a simulated engine has no descriptors of the system"))
    }

    fn release(&mut self, _: Descriptor) {}

    fn close_now(&mut self, descriptor: Descriptor) {
        let state = &mut *self.world.state.borrow_mut();
        // A number that stands for nothing has been closed already.
        let _ = state.table.close(descriptor, &mut state.network);
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.world.state.borrow_mut().schedule.leave(self.seat);
    }
}
