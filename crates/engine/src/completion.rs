//! Completions: how operations end, and the memory they give back.
//! A completion never points into the engine; what it holds belongs to the one who takes it.

use crate::chunk::Chunk;
use crate::error::Error;
use crate::op::{Datagram, Descriptor, Op, Piece};
use crate::slots::Key;

/// One completion of one operation.
#[derive(Debug)]
pub struct Completion {
    /// The operation; stale once `more` is false.
    pub key: Key,
    /// What the caller gave at submit.
    pub token: u64,
    /// Whether more completions of this operation will come (streaming operations only).
    pub more: bool,
    /// What happened.
    pub outcome: Outcome,
}

/// What happened.
#[derive(Debug)]
pub enum Outcome {
    /// A connection was accepted. `more` may be true.
    Accepted(Descriptor),
    /// The connection stands; its socket.
    Connected(Descriptor),
    /// Bytes came, at least one. `more` is true.
    Received(Chunk),
    /// The peer has ended its stream; always the last one of a receive.
    EndOfStream,
    /// Memory with what was received or read appended; nothing appended means the end.
    Filled(Vec<u8>),
    /// The buffers, with so many bytes appended in their order; none means the end of the file.
    FilledAll(Vec<Vec<u8>>, usize),
    /// So many bytes were written, at least one; all pieces come back.
    Written(Vec<Piece>, usize),
    /// What is known of a path.
    Described(Metadata),
    /// All pieces were sent; they come back.
    Sent(Vec<Piece>),
    /// A datagram has come. `more` is true.
    Datagram(Box<Datagram>),
    /// A datagram was sent; it comes back.
    SentTo(Box<Datagram>),
    /// The file is open.
    Opened(Descriptor, Metadata),
    /// The names in the directory.
    Listed(Listing),
    /// It is done, and there is nothing to tell of it.
    Done,
    /// The moment of a timeout has come.
    Expired,
    /// It failed; what it owned comes back.
    Failed(Error, Memory),
}

/// The names in a directory, in no order, without `.` and `..`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// At most as many as were asked for.
    pub entries: Vec<Entry>,
    /// Whether there are more.
    pub is_cut: bool,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As it is on disk: any bytes but a slash and NUL.
    pub name: Vec<u8>,
    /// Whether it is known to be a directory. A link to one is not, nor is anything where the file
    /// system does not tell.
    pub is_directory: bool,
}

/// The memory of a failed operation.
#[derive(Debug, Default)]
pub enum Memory {
    /// It had none that the caller could use again.
    #[default]
    None,
    /// The memory of a receive or a read.
    Buffer(Vec<u8>),
    /// The memory of a vectored read.
    Buffers(Vec<Vec<u8>>),
    /// A datagram that was not sent.
    Datagram(Box<Datagram>),
    /// The pieces of a send or a write, of which the first `sent` bytes had been taken by the system.
    Pieces {
        /// All of them, unchanged.
        pieces: Vec<Piece>,
        /// How many bytes had gone.
        sent: usize,
    },
}

impl Memory {
    /// What an operation owned.
    pub(crate) fn of(op: Op, sent: usize) -> Self {
        match op {
            Op::ReceiveInto { memory, .. } | Op::Read { memory, .. } => Self::Buffer(memory),
            Op::ReadVectored { memories, .. } => Self::Buffers(memories),
            Op::Send { pieces, .. } | Op::Write { pieces, .. } => Self::Pieces { pieces, sent },
            Op::SendTo { datagram, .. } => Self::Datagram(datagram),
            _ => Self::None,
        }
    }
}

/// What is known of a file (stat(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Its length in bytes.
    pub length: u64,
    /// When its content last changed, in nanoseconds since 1970.
    pub modified_ns: i128,
    /// Its number on its device: another file under the same name has another one.
    pub inode: u64,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Whether it is a regular file.
    pub is_file: bool,
}
