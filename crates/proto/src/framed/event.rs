//! What a machine says of the bytes it was given.
//! An event never holds bytes: it names ranges of the input.

use std::ops::Range;

/// One request with its reply, named by its number on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    pub(super) number: u64,
    /// The id in its frame; 0 without one.
    pub(super) tag: u64,
    /// How long its request is.
    pub(super) bytes: usize,
}

impl Exchange {
    /// Its number: the first request of a connection has 0, the next one more.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }
}

/// One event of the bytes that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// There is no whole frame. Keep the bytes and come again with `at_least`.
    NeedBytes {
        /// How many bytes the input must have before it is worth another look.
        at_least: usize,
    },
    /// A whole request.
    Frame {
        /// How many bytes of the input it takes.
        consumed: usize,
        /// Where its payload lies in the input.
        payload: Range<usize>,
        /// What it is called.
        exchange: Exchange,
    },
    /// Bytes that mean nothing.
    Skipped {
        /// How many.
        consumed: usize,
    },
    /// Too much is in flight: come again when replies have been given.
    Paused,
    /// Nothing more is read.
    Closed,
}

/// How the peer's stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// Between frames.
    Clean,
    /// Within one.
    Truncated,
}
