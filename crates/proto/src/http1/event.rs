//! What the machine tells its caller: exchanges, what was received, deadlines.
//! It must never hold state of a connection, nor bytes: only names, lengths and ranges.

use super::head::Span;
use super::refusal::Refusal;

/// One request with its reply, named by its number on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Exchange {
    pub(crate) number: u32,
    pub(crate) flags: u8,
}

impl Exchange {
    pub(crate) const HEAD: u8 = 1;
    pub(crate) const HTTP10: u8 = 2;

    /// One that no machine has given: a name, for who counts something else as exchanges are counted.
    #[doc(hidden)]
    #[must_use]
    pub const fn named(number: u32) -> Self {
        Self { number, flags: 0 }
    }

    /// How many requests came before it on the connection.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// Whether the request is `HEAD`, so that its reply has no body bytes.
    #[inline]
    #[must_use]
    pub const fn is_head(self) -> bool {
        self.flags & Self::HEAD != 0
    }

    /// Whether the request is of HTTP/1.0.
    #[inline]
    #[must_use]
    pub const fn is_http10(self) -> bool {
        self.flags & Self::HTTP10 != 0
    }
}

/// What [`Machine::receive`](super::Machine::receive) found at the beginning of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// Nothing was consumed. Keep the input and call again when there is more of it.
    NeedBytes,
    /// A request begins; its head is written.
    Head {
        /// Bytes to consume.
        consumed: usize,
        /// Names the request for its reply.
        exchange: Exchange,
    },
    /// A piece of the body of the request that began last.
    Body {
        /// Bytes to consume; the framing around the data is among them.
        consumed: usize,
        /// The piece, not empty.
        data: Span,
    },
    /// The body is complete. A request without a body has no such event.
    BodyEnd {
        /// Bytes to consume.
        consumed: usize,
        /// The trailer section of a chunked body, for [`trailers`](super::trailers); without any it
        /// is the empty line alone.
        trailers: Span,
    },
    /// Framing, or a body that nobody wants: consume it and go on.
    Skipped {
        /// Bytes to consume; may be none.
        consumed: usize,
    },
    /// Nothing is read before a reply: too many exchanges wait, or one offers an upgrade.
    Paused,
    /// The upgrade was accepted: the input belongs to the new protocol.
    Switched,
    /// No further request is read; the input has no meaning.
    Closed,
}

/// What [`Machine::on_deadline`](super::Machine::on_deadline) asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// Nothing: the deadline has moved.
    None,
    /// Close: the connection was idle for too long and nothing is owed.
    CloseIdle,
    /// Pass this to [`Machine::refuse`](super::Machine::refuse): the peer is too slow.
    Refuse(Refusal),
}

/// How the peer's stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// Between requests; replies may still be owed.
    Clean,
    /// In the middle of a head or body.
    Truncated,
}
