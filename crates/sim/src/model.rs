//! What a reply must be: the model that the server is held against.
//! It knows nothing of how the server comes to its replies.

/// What a peer must get for one request.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) closes: Closes,
    /// An interim reply may come before.
    pub(crate) continues: bool,
    pub(crate) maker: Maker,
}

/// Who makes a reply, and what else it may therefore be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// Nobody but the one model.
    Server,
    /// Made of a file, which may not be opened when descriptors are spent.
    File,
    /// A future, which is dropped when its shard is frozen; what of it is new.
    Future(Kind),
    /// A future that asks another connection of the same server.
    Upstream,
}

/// What a future does besides waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing: replies to later requests may be there before.
    Waits,
    /// Gives its body piece by piece.
    Gives,
    /// Takes one piece by piece.
    Takes,
    /// Both.
    Relays,
}

/// What stands behind the head.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// Nothing, whatever length the head tells: the reply to `HEAD`.
    Muted,
    /// Nothing, by the status: 204, 304.
    None,
    Text(&'static str),
    /// These bytes, which follow from the id of the request.
    Pattern {
        id: u32,
        len: usize,
    },
    /// `hello` and the id.
    Hello(u32),
    /// Part of a file that never changes.
    Still {
        name: StillFile,
        start: usize,
        end: usize,
    },
    /// A version of the file that changes.
    Moving {
        is_streamed: bool,
    },
    /// Any text.
    Any,
}

/// What the head says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closes {
    Yes,
    No,
    /// It depends on what the server knew when it replied.
    Maybe,
}

/// The files that never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StillFile {
    /// Sent from memory.
    Small,
    /// Streamed.
    Large,
}

impl StillFile {
    pub(crate) const ALL: [Self; 2] = [Self::Small, Self::Large];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Small => "small.txt",
            Self::Large => "large.bin",
        }
    }

    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Small => 700,
            Self::Large => 9_000,
        }
    }

    pub(crate) const fn id(self) -> u32 {
        self as u32 + 900_000
    }
}

/// The files that change: the first is sent from memory, the second streamed.
pub(crate) const MOVING: [&str; 2] = ["moving.txt", "moving.bin"];

/// The length of a version of a file that changes: no two versions have the same.
pub(crate) const fn moving_len(is_streamed: bool, version: usize) -> usize {
    (if is_streamed { 6_000 } else { 300 }) + version * 13
}

/// The id of a version's bytes.
pub(crate) fn moving_id(is_streamed: bool, version: usize) -> u32 {
    let version = u32::try_from(version).unwrap_or(0);
    1_000_000 + version * 2 + u32::from(is_streamed)
}

/// A byte of the pattern of an id.
pub(crate) const fn pattern_byte(id: u32, at: usize) -> u8 {
    let id = id as usize;
    (id.wrapping_mul(31) ^ at.wrapping_mul(7) ^ (at >> 8) ^ (id >> 8)).to_le_bytes()[0]
}

/// Bytes by which a reply is known.
pub(crate) fn pattern(id: u32, len: usize) -> Vec<u8> {
    (0..len).map(|at| pattern_byte(id, at)).collect()
}

/// Whether bytes are the pattern of an id from an offset on.
pub(crate) fn is_pattern(bytes: &[u8], id: u32, offset: usize) -> bool {
    bytes.iter().zip(offset..).all(|(byte, at)| *byte == pattern_byte(id, at))
}
