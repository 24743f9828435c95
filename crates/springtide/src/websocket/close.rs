//! Why a WebSocket ended, as its handler is told.
//! It never holds more of the peer's than a reason of 123 bytes.

use std::fmt;

use springtide_proto::websocket::{CloseFrame, code};

use crate::peer::Reason;

/// How a WebSocket has ended, and what became of what was said to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReason {
    pub(crate) by: ClosedBy,
    pub(crate) frame: CloseFrame,
    pub(crate) sent: u64,
    pub(crate) dropped: u64,
}

/// Who has ended a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClosedBy {
    /// The peer: it sent the first close.
    Peer,
    /// This side: the handler, a limit, a rule of the protocol, or a server that stops.
    Here,
    /// Nobody: the connection was lost, for this reason.
    Lost(Reason),
}

impl CloseReason {
    /// The code of the close that was sent first; 1005 where it had none, 1006 where there was none
    /// (RFC 6455 §7.1.5).
    #[must_use]
    pub fn code(&self) -> u16 {
        match self.by {
            ClosedBy::Lost(_) => code::LOST,
            ClosedBy::Peer | ClosedBy::Here => self.frame.code(),
        }
    }

    /// Its reason; mostly there is none.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.frame.reason()
    }

    /// Who has ended it.
    #[must_use]
    pub const fn by(&self) -> ClosedBy {
        self.by
    }

    pub(crate) const fn is_lost(&self) -> bool {
        matches!(self.by, ClosedBy::Lost(_))
    }

    /// How many messages were sent to the peer, as far as this side knows.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// How many messages were not sent: the queue was full, or the connection ended before.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl std::error::Error for CloseReason {}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            ClosedBy::Peer => write!(f, "the peer closed with {}", self.code())?,
            ClosedBy::Here => write!(f, "closed here with {}", self.code())?,
            ClosedBy::Lost(reason) => return reason.fmt(f),
        }
        if self.reason().is_empty() { Ok(()) } else { write!(f, ": {}", self.reason()) }
    }
}
