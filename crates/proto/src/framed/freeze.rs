//! Both sides at rest as plain data, with which others go on: nothing of it may be forgotten.
//! It must never hold received bytes: those not consumed are the caller's, who gives them again.

use std::collections::{BTreeMap, VecDeque};

use super::client::{ClientMachine, Open};
use super::machine::{Machine, Reading};
use super::reader::Reader;
use super::replies::Held;
use crate::{Outbox, Piece};

/// A [`Machine`] between two calls, as plain data: numbers, and the bytes of replies that came
/// before their turn. Times in it are the caller's, and go on where it is thawed.
///
/// ```
/// use springtide_proto::framed::{Framed, Limits, Machine, Received};
/// let (codec, limits) = (Framed::u8(), Limits::default());
/// let mut machine = Machine::new(0);
/// let received = machine.receive(b"\x02l", 0, &codec, &limits);
/// assert_eq!(received, Ok(Received::NeedBytes { at_least: 3 }));
/// let mut machine = Machine::thaw(machine.freeze());
/// let received = machine.receive(b"\x02lo", 0, &codec, &limits);
/// assert!(matches!(received, Ok(Received::Frame { consumed: 3, .. })));
/// ```
#[derive(Debug)]
pub struct Frozen {
    reader: Reader,
    held: Vec<FrozenReply>,
    open_bytes: usize,
    next: u64,
    owed: u64,
    since_ms: u64,
    reading: Reading,
    is_cut: bool,
}

/// A reply that came before its turn.
#[derive(Debug)]
struct FrozenReply {
    number: u64,
    is_last: bool,
    pieces: Vec<Piece>,
}

impl Machine {
    /// The machine as plain data. Keep the input that it has not consumed: it must be given again.
    #[must_use]
    pub fn freeze(self) -> Frozen {
        // Named one by one, so that a new field cannot be forgotten.
        let Self { reader, held, held_bytes: _, open_bytes, next, owed, since_ms, reading, is_cut } =
            self;
        let held = held.into_iter().map(FrozenReply::of).collect();
        Frozen { reader, held, open_bytes, next, owed, since_ms, reading, is_cut }
    }

    /// The machine that was frozen.
    #[must_use]
    pub fn thaw(frozen: Frozen) -> Self {
        let Frozen { reader, held, open_bytes, next, owed, since_ms, reading, is_cut } = frozen;
        let held: BTreeMap<u64, Held> = held.into_iter().map(FrozenReply::thaw).collect();
        let held_bytes = held.values().map(|held| held.outbox.len()).sum();
        Self { reader, held, held_bytes, open_bytes, next, owed, since_ms, reading, is_cut }
    }
}

impl FrozenReply {
    fn of((number, held): (u64, Held)) -> Self {
        let Held { mut outbox, is_last } = held;
        let mut pieces = Vec::new();
        outbox.take_pieces(&mut pieces);
        Self { number, is_last, pieces }
    }

    fn thaw(self) -> (u64, Held) {
        let Self { number, is_last, pieces } = self;
        let mut outbox = Outbox::new();
        pieces.into_iter().for_each(|piece| outbox.push(piece));
        (number, Held { outbox, is_last })
    }
}

/// A [`ClientMachine`] between two calls, as plain data.
#[derive(Debug)]
pub struct FrozenClient {
    reader: Reader,
    ordered: VecDeque<usize>,
    tagged: BTreeMap<u64, Open>,
    open_bytes: usize,
    next: u64,
    next_tag: u64,
    is_ended: bool,
}

impl ClientMachine {
    /// The machine as plain data. Keep the input that it has not consumed: it must be given again.
    #[must_use]
    pub fn freeze(self) -> FrozenClient {
        let Self { reader, ordered, tagged, open_bytes, next, next_tag, is_ended } = self;
        FrozenClient { reader, ordered, tagged, open_bytes, next, next_tag, is_ended }
    }

    /// The machine that was frozen.
    #[must_use]
    pub fn thaw(frozen: FrozenClient) -> Self {
        let FrozenClient { reader, ordered, tagged, open_bytes, next, next_tag, is_ended } = frozen;
        Self { reader, ordered, tagged, open_bytes, next, next_tag, is_ended }
    }
}
