//! The ledger: every operation in flight, its memory, its descriptor, and what has ended.
//! Backends write to it; it makes no system call and never runs code of the application.

use crate::chunk::{ChunkLimits, Chunks};
use crate::completion::{Completion, Memory, Outcome};
use crate::descriptors::Descriptors;
use crate::error::{Error, OpKind};
use crate::op::{Descriptor, Op, PIECES_MAX, Piece, SEND_BYTES_MAX};
use crate::options::{Address, EngineOptions};
use crate::slots::{Key, Slot, Slots};
use crate::system;

/// What the engine and its backend share.
pub(crate) struct Ledger {
    pub(crate) slots: Slots,
    pub(crate) chunks: Chunks,
    pub(crate) completions: Vec<Completion>,
    /// Somebody waits for one of them.
    pub(crate) awaited: bool,
    /// Closes and shutdowns that have waited for other operations and may go now.
    pub(crate) startable: Vec<Key>,
    descriptors: Descriptors,
    /// Vectors of ended sends, for the next ones.
    pub(crate) spare_work: SpareWork,
}

/// Each in a box: the system has pointers to it while it is in use.
pub(crate) type SpareWork = Vec<Box<crate::backend::Work>>;

/// Vectors of ended sends that are kept.
const SPARE_WORK_MAX: usize = 64;
/// The most completions that a backend takes from the system in a turn, but for the rest of what one
/// event gives: what thousands at once need of memory until the turn's end would stay with the
/// process for good.
pub(crate) const COMPLETIONS_MAX: usize = 480;
/// Completions for which there is room from the first turn on: some come from no system.
pub(crate) const COMPLETIONS_ROOM: usize = 512;

const _: () = assert!(
    COMPLETIONS_ROOM * size_of::<Completion>() <= 48 << 10,
    "allocators take more than this from the system apart, for good, and in large steps",
);

impl Ledger {
    pub(crate) fn of(options: &EngineOptions) -> Self {
        let ring = usize::from(options.ring_chunks);
        let given_away_max = options.chunks_given_away_max;
        // Beyond what may be given away: the ring itself, and what paused connections still had
        // coming when they were paused.
        let limits = ChunkLimits { given_away_max, allocated_max: given_away_max + 2 * ring };
        Self::new(options.shard, options.operations_max, limits)
    }

    pub(crate) fn new(shard: u16, operations_max: u32, chunks: ChunkLimits) -> Self {
        Self {
            slots: Slots::new(shard, operations_max),
            chunks: Chunks::new(chunks),
            completions: Vec::new(),
            awaited: false,
            startable: Vec::new(),
            descriptors: Descriptors::default(),
            spare_work: Vec::new(),
        }
    }

    /// Enters an operation. False: it broke a law or a limit and has ended already, or it waits
    /// for others and comes out of `startable`. Whoever knows what it is takes no look at that here.
    #[inline(always)]
    pub(crate) fn enter(&mut self, op: Op, token: u64, quiet: bool) -> (Key, bool) {
        let descriptor = op.descriptor();
        let kind = op.kind();
        if self.slots.is_full() {
            self.refuse(op, token, Error::Limit("operations_max"));
            return (Key::NONE, false);
        }
        if let Some(sentence) = misuse_of(&op) {
            self.refuse(op, token, Error::Misuse(sentence));
            return (Key::NONE, false);
        }
        let key = self.slots.insert(op, token, quiet);
        let Some(descriptor) = descriptor else { return (key, true) };
        match self.descriptors.begin(descriptor, kind, key) {
            Ok(starts) => (key, starts),
            Err(sentence) => {
                if let Some(slot) = self.slots.remove(key) {
                    self.refuse(slot.op, token, Error::Misuse(sentence));
                }
                (Key::NONE, false)
            }
        }
    }

    /// An operation that broke a law or a limit has ended before it began: it has no key.
    #[cold]
    fn refuse(&mut self, op: Op, token: u64, error: Error) {
        self.push_failed(Key::NONE, token, error, Memory::of(op, 0));
    }

    /// One completion of a streaming operation; more will come.
    #[inline]
    pub(crate) fn deliver(&mut self, key: Key, outcome: Outcome) {
        let token = self.slots.get(key).map(|slot| slot.token);
        let token = token.expect("the backend delivers to live operations only");
        self.deliver_to(key, token, outcome);
    }

    /// The same, by somebody who knows the operation's token already. It is made where it is listed.
    #[inline(always)]
    pub(crate) fn deliver_to(&mut self, key: Key, token: u64, outcome: Outcome) {
        if let Outcome::Accepted(socket) = &outcome {
            self.descriptors.arrive(*socket);
        }
        self.awaited = true;
        self.completions.push(Completion { key, token, more: true, outcome });
    }

    /// The last completion of an operation, made from what it owned.
    #[inline]
    pub(crate) fn end(&mut self, key: Key, outcome: impl FnOnce(Op) -> Outcome) {
        let Some(ended) = self.slots.remove(key) else { return };
        let Slot { op, token, marks, work, .. } = ended;
        self.count_end(key, &op, work);
        let outcome = outcome(op);
        if let Outcome::Connected(descriptor) | Outcome::Opened(descriptor, _) = &outcome {
            self.descriptors.arrive(*descriptor);
        }
        self.awaited |= !marks.quiet;
        self.completions.push(Completion { key, token, more: false, outcome });
    }

    /// The last completion of a send that has gone wholly, without a look at what it was.
    #[inline(always)]
    pub(crate) fn end_sent(&mut self, key: Key) {
        let Some(slot) = self.slots.get(key) else { return };
        let Op::Send { socket, pieces } = &mut slot.op else {
            unreachable!("only sends end as sent")
        };
        let (socket, pieces, work) = (*socket, std::mem::take(pieces), slot.work.take());
        let (token, is_quiet) = (slot.token, slot.marks.quiet);
        // Nothing of it is left, and nothing else of the slot is moved.
        self.slots.forget(key);
        self.descriptors.end(socket, OpKind::Send, key, &mut self.startable);
        if let Some(work) = work {
            self.put_work(work);
        }
        self.awaited |= !is_quiet;
        let outcome = Outcome::Sent(pieces);
        self.completions.push(Completion { key, token, more: false, outcome });
    }

    /// The last completion of an operation that failed.
    pub(crate) fn fail(&mut self, key: Key, error: Error) {
        let Some(ended) = self.slots.remove(key) else { return };
        let sent = ended.sent();
        let Slot { op, token, marks, work, .. } = ended;
        self.count_end(key, &op, work);
        let limited = marks.over_budget && error == Error::Cancelled;
        let error = if limited { Error::Limit("chunks_given_away_max") } else { error };
        self.push_failed(key, token, error, Memory::of(op, sent));
    }

    /// The last completion of an operation that the system refused.
    pub(crate) fn fail_errno(&mut self, key: Key, kind: OpKind, errno: i32) {
        let cancelled = errno == system::ECANCELED;
        let error = if cancelled { Error::Cancelled } else { Error::system(kind, errno) };
        self.fail(key, error);
    }

    /// A descriptor came that no operation gave.
    pub(crate) fn arrive(&mut self, descriptor: Descriptor) {
        self.descriptors.arrive(descriptor);
    }

    /// Whether a descriptor has operations in flight, its close included.
    pub(crate) fn is_in_use(&self, descriptor: Descriptor) -> bool {
        self.descriptors.is_in_use(descriptor)
    }

    /// Memory for the vectors of a send.
    pub(crate) fn take_work(&mut self) -> Box<crate::backend::Work> {
        self.spare_work.pop().unwrap_or_default()
    }

    /// Whether a receive is in flight on a socket.
    pub(crate) fn is_receiving(&mut self, socket: Descriptor) -> bool {
        self.descriptors.is_receiving(socket)
    }

    /// Whether a send is in flight on a socket.
    pub(crate) fn is_sending(&mut self, socket: Descriptor) -> bool {
        self.descriptors.is_sending(socket)
    }

    pub(crate) fn put_work(&mut self, work: Box<crate::backend::Work>) {
        if self.spare_work.len() < SPARE_WORK_MAX {
            self.spare_work.push(work);
        }
    }

    /// Whether a send has nothing to send, and only waits for room.
    #[inline]
    pub(crate) fn waits_for_room(&mut self, key: Key) -> bool {
        self.slots.get(key).is_some_and(|slot| slot.waits_for_room())
    }

    /// Bytes of a send that have not gone yet.
    pub(crate) fn unsent_of(pieces: &[Piece], sent: usize) -> usize {
        pieces.iter().map(|piece| piece.as_slice().len()).sum::<usize>() - sent
    }

    fn push_failed(&mut self, key: Key, token: u64, error: Error, memory: Memory) {
        let outcome = Outcome::Failed(error, memory);
        self.awaited = true;
        self.completions.push(Completion { key, token, more: false, outcome });
    }

    #[inline]
    fn count_end(&mut self, key: Key, op: &Op, work: Option<Box<crate::backend::Work>>) {
        if let Some(descriptor) = op.descriptor() {
            self.descriptors.end(descriptor, op.kind(), key, &mut self.startable);
        }
        if let Some(work) = work {
            self.put_work(work);
        }
    }
}

/// What is wrong with an operation by itself.
#[inline(always)]
fn misuse_of(op: &Op) -> Option<&'static str> {
    match op {
        Op::Send { pieces, .. } => misuse_of_send(pieces),
        op => misuse_of_other(op),
    }
}

#[inline(always)]
fn misuse_of_send(pieces: &[Piece]) -> Option<&'static str> {
    match pieces {
        [] => None,
        pieces if pieces.len() > PIECES_MAX => Some("a send has at most PIECES_MAX pieces"),
        pieces => match Ledger::unsent_of(pieces, 0) {
            0 => Some("a send of pieces has at least one byte"),
            1..=SEND_BYTES_MAX => None,
            _ => Some("a send has at most SEND_BYTES_MAX bytes"),
        },
    }
}

fn misuse_of_other(op: &Op) -> Option<&'static str> {
    match op {
        Op::Connect { route } => match (&route.address, route.local) {
            (Address::Unix(None), _) => Some("a Unix socket is connected to by its name"),
            (Address::Unix(_), Some(_)) => Some("a local address is one of TCP"),
            _ => None,
        },
        Op::ReceiveFrom { bytes_max: 0, .. } => Some("a datagram is received with room for it"),
        Op::ReadVectored { memories, .. } if memories.len() > PIECES_MAX => {
            Some("a read has at most PIECES_MAX buffers")
        }
        Op::ReadVectored { memories, .. }
            if memories.iter().all(|memory| memory.capacity() == memory.len()) =>
        {
            Some("memory to receive or read into has spare capacity")
        }
        Op::Write { pieces, .. } if pieces.len() > PIECES_MAX => {
            Some("a write has at most PIECES_MAX pieces")
        }
        Op::Write { pieces, .. } if Ledger::unsent_of(pieces, 0) == 0 => {
            Some("a write has at least one byte")
        }
        Op::ReceiveInto { memory, .. } | Op::Read { memory, .. }
            if memory.capacity() == memory.len() =>
        {
            Some("memory to receive or read into has spare capacity")
        }
        _ => None,
    }
}
