//! Every way in which a server breaks the protocol or a limit in what it answers.
//! It must never hold text from the server: a fault is safe to log and to hand on.

use super::super::refusal::Refusal;
use std::fmt;

/// What is wrong with an answer. Nothing more is read from its connection.
///
/// ```
/// use springtide_proto::http1::{Refusal, ReplyFault};
/// let fault = ReplyFault::Broken(Refusal::Chunk);
/// assert_eq!(fault.to_string(), "a chunk is malformed");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReplyFault {
    /// The connection ended before the first byte of an answer (RFC 9112 §9.5).
    NoAnswer,
    /// The connection ended in the middle of an answer (RFC 9112 §8).
    Truncated,
    /// The first line is not `version SP status SP reason`, or the status is none from 100 to 599
    /// (RFC 9112 §4, RFC 9110 §15).
    StatusLine,
    /// Bytes came that no request asked for (RFC 9112 §9.2).
    Unasked,
    /// The protocol is switched, and nobody asked for that (RFC 9110 §15.2.2).
    Switch,
    /// More interim responses than any server has use for.
    TooManyInterim,
    /// The answer did not begin in time, or its head was not complete in time.
    HeadTimeout,
    /// Its fields, its framing, or a limit for them; see [`Refusal::reason`].
    Broken(Refusal),
}

impl ReplyFault {
    /// What is wrong, as a clause without a full stop.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoAnswer => "the connection ended before an answer",
            Self::Truncated => "the connection ended in the middle of the answer",
            Self::StatusLine => "the status line is malformed",
            Self::Unasked => "bytes came that nobody asked for",
            Self::Switch => "the protocol was switched, which nobody asked for",
            Self::TooManyInterim => "there are too many interim responses",
            Self::HeadTimeout => "the head of the answer did not come in time",
            Self::Broken(Refusal::LineEnd) => "a line does not end in CR LF",
            Self::Broken(refusal) => refusal.reason(),
        }
    }
}

impl From<Refusal> for ReplyFault {
    fn from(refusal: Refusal) -> Self {
        Self::Broken(refusal)
    }
}

impl fmt::Display for ReplyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for ReplyFault {}
