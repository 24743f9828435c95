//! Requests as bytes: request line, `Host`, fields, framing of the body (RFC 9112 §3, §6).
//! It must never let anything out that another reader could take for a second request.

use super::super::framing::is_host;
use super::super::machine::Writing;
use crate::{Outbox, Piece};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, Method};
use std::fmt;

/// The head of a request as the caller gives it.
///
/// The framing belongs to the machine: `Host`, `Content-Length`, `Transfer-Encoding`, `Connection`,
/// `Keep-Alive`, `Proxy-Connection`, `Expect` and `Upgrade` among `fields` are left out.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Any but `CONNECT`.
    pub method: &'a Method,
    /// In origin form, `/path?query`, or `*` for `OPTIONS` (RFC 9112 §3.2).
    pub target: &'a str,
    /// The host with its port, as `Host` says it.
    pub host: &'a str,
    /// Further fields.
    pub fields: &'a HeaderMap,
    /// The body waits for `100 Continue` (RFC 9110 §10.1.1), if there is one.
    pub expects_continue: bool,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskBody {
    /// None. Where the method has a meaning for one, its length is given as zero (RFC 9110 §8.6).
    None,
    /// The whole body.
    Full(Piece),
    /// A body of this length, given by `send_body` and closed by `end_body`.
    Sized(u64),
    /// A body of unknown length, given by `send_body` and closed by `end_body`; it goes in chunks,
    /// which a server of HTTP/1.0 does not understand (RFC 9112 §6.1).
    Chunked,
}

/// Why a request cannot be sent as it is given. Nothing of what is wrong was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AskError {
    /// The connection is busy with a request, or takes no more.
    Busy,
    /// `CONNECT` is not spoken; `TRACE` has no body (RFC 9110 §9.3.8).
    Method,
    /// The target has a byte that none has, or a form that does not fit the method.
    Target,
    /// The host is empty or has a byte that no host has.
    Host,
    /// The body is longer than it was announced.
    TooLong,
    /// The body ends before its announced length: the connection can only be closed.
    TooShort,
}

impl AskError {
    /// What is wrong, as a clause without a full stop.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Busy => "the connection takes no request now",
            Self::Method => "this method cannot be sent, or not with a body",
            Self::Target => "the target has bytes that none has, or does not fit the method",
            Self::Host => "the host is empty or malformed",
            Self::TooLong => "the body is longer than its announced length",
            Self::TooShort => "the body is shorter than its announced length",
        }
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for AskError {}

/// Checks what types do not: field names and values and methods can hold nothing that ends a line.
pub(super) fn check(ask: &Ask<'_>, body: &AskBody) -> Result<(), AskError> {
    let has_body = *body != AskBody::None;
    if *ask.method == Method::CONNECT || (*ask.method == Method::TRACE && has_body) {
        return Err(AskError::Method);
    }
    let is_asterisk = ask.target == "*" && *ask.method == Method::OPTIONS;
    let is_visible = ask.target.bytes().all(|byte| byte.is_ascii_graphic());
    let is_origin = ask.target.starts_with('/') && is_visible && !ask.target.contains('#');
    if !is_asterisk && !is_origin {
        return Err(AskError::Target);
    }
    if is_host(ask.host.as_bytes()) { Ok(()) } else { Err(AskError::Host) }
}

/// Whether a caller's field is the machine's to write, or the connection's and not the message's
/// (RFC 9110 §7.6.1).
fn is_own(name: &HeaderName) -> bool {
    const OWN: [HeaderName; 6] =
        [CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE];
    OWN.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Encodes the head, which [`check`] has passed, and the body as far as it is given. Tells how the
/// body goes on: its state and how many bytes are owed.
pub(super) fn encode(ask: &Ask<'_>, body: AskBody, outbox: &mut Outbox) -> (Writing, u64) {
    let tail = outbox.tail_mut();
    for part in [ask.method.as_str(), " ", ask.target, " HTTP/1.1\r\nHost: ", ask.host, "\r\n"] {
        tail.extend_from_slice(part.as_bytes());
    }
    for (name, value) in ask.fields {
        if !is_own(name) {
            tail.extend_from_slice(name.as_str().as_bytes());
            tail.extend_from_slice(b": ");
            tail.extend_from_slice(value.as_bytes());
            tail.extend_from_slice(b"\r\n");
        }
    }
    let means_one = matches!(*ask.method, Method::POST | Method::PUT | Method::PATCH);
    let length = match &body {
        AskBody::None => means_one.then_some(0),
        AskBody::Full(piece) => Some(piece.len() as u64),
        AskBody::Sized(length) => Some(*length),
        AskBody::Chunked => None,
    };
    if let Some(length) = length {
        tail.extend_from_slice(b"Content-Length: ");
        tail.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
        tail.extend_from_slice(b"\r\n");
    } else if body == AskBody::Chunked {
        tail.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    let is_streamed = matches!(body, AskBody::Sized(_) | AskBody::Chunked);
    if ask.expects_continue && is_streamed {
        tail.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    tail.extend_from_slice(b"\r\n");
    match body {
        AskBody::None => (Writing::Ready, 0),
        AskBody::Full(piece) => {
            outbox.push(piece);
            (Writing::Ready, 0)
        }
        AskBody::Sized(length) => (Writing::Sized, length),
        AskBody::Chunked => (Writing::Chunked, 0),
    }
}
