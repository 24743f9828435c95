//! What a simulator sees of one connection from outside, for its oracles and counts.
//! It only looks: nothing here changes a connection.

use springtide_proto::http1::{Reading, Writing};

/// The names of [`View::marks`], in their order.
pub const MARKS: [&str; 9] = [
    "open",
    "lingering",
    "closing",
    "paused",
    "ready",
    "sending",
    "half-closed",
    "over",
    "leaving",
];

/// One connection between two turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Its name, wherever it moves.
    pub id: u64,
    /// What its machine reads.
    pub reading: Reading,
    /// What its machine writes.
    pub writing: Writing,
    /// Which of [`MARKS`] hold.
    pub marks: [bool; MARKS.len()],
    /// Requests that wait for the end of their reply.
    pub exchanges: u32,
    /// Bytes received and not handled.
    pub inbox_bytes: usize,
    /// Bytes not sent yet, those in a send and those held for their turn not counted.
    pub outbox_bytes: usize,
}
