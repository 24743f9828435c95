//! What the client's side tells its caller: answers, what was received, deadlines.
//! It must never hold state of a connection, nor bytes: only lengths and ranges.

use super::super::head::Span;
use super::fault::ReplyFault;

/// What [`ClientMachine::receive`](super::ClientMachine::receive) found at the beginning of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyReceived {
    /// Nothing was consumed. Keep the input and call again when there is more of it.
    NeedBytes,
    /// An interim response; its head is written, and the answer is still to come (RFC 9110 §15.2).
    Interim {
        /// Bytes to consume.
        consumed: usize,
    },
    /// The answer begins; its head is written. Without a body it is complete.
    Head {
        /// Bytes to consume.
        consumed: usize,
    },
    /// A piece of its body.
    Body {
        /// Bytes to consume; the framing around the data is among them.
        consumed: usize,
        /// The piece, not empty.
        data: Span,
    },
    /// The body is complete. An answer without a body has no such event.
    BodyEnd {
        /// Bytes to consume.
        consumed: usize,
        /// The trailer section of a chunked body, for [`trailers`](crate::http1::trailers).
        trailers: Span,
    },
    /// Framing: consume it and go on.
    Skipped {
        /// Bytes to consume; may be none.
        consumed: usize,
    },
    /// Whoever takes the body is behind; see [`ClientMachine::hold_body`](super::ClientMachine::hold_body).
    Paused,
    /// Nothing more is read; the input has no meaning.
    Closed,
}

/// What [`ClientMachine::on_deadline`](super::ClientMachine::on_deadline) asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyDeadline {
    /// Nothing: the deadline has moved.
    None,
    /// Close: the connection was idle for too long.
    CloseIdle,
    /// `100 Continue` does not come: send the body all the same (RFC 9110 §10.1.1).
    SendBody,
    /// The server is too slow; nothing more is read.
    Fault(ReplyFault),
}

/// How the server's stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyEnd {
    /// Between answers.
    Clean,
    /// It is the end of the body.
    BodyEnd,
}
