//! Replies as bytes: status line, fields, framing of the body (RFC 9112 §4, §5, §6).
//! It must never decide the order of replies, and never let a caller's field change the framing.

use super::encoded::Fields;
use super::event::Exchange;
use super::machine::Writing;
use super::media_type::MediaType;
use super::opening::{LENGTH, Opening, STATUS_OK, TYPE};
use crate::{Outbox, Piece};
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, SERVER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue, StatusCode};

/// The head of a reply as the caller gives it.
///
/// The machine writes the fields in this order: `Server`, `Date`, `Content-Type`, the framing of
/// the body, `fields` in their order, `Connection`. The framing belongs to the machine:
/// `Content-Length`, `Transfer-Encoding` and `Connection` among `fields` are left out. `Server`,
/// `Date` or `Content-Type` among `fields` replaces the machine's.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The status (RFC 9110 §15); of the interim ones only 101 is a reply.
    pub status: StatusCode,
    /// The media type of the body.
    pub content_type: Option<MediaType<'a>>,
    /// Further fields.
    pub fields: Fields<'a>,
    /// `Server` and `Date`.
    pub opening: &'a Opening,
}

/// The body of a reply. To a `HEAD` request its length is sent and its bytes are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyBody {
    /// No bytes. Where a status may have a body, its length is given as zero.
    None,
    /// The whole body.
    Full(Piece),
    /// A body of this length, given by `send_body` and closed by `end_body`.
    Sized(u64),
    /// A body of unknown length, given by `send_body` and closed by `end_body`. A peer of HTTP/1.0
    /// gets it without chunks and closed by the connection's end (RFC 9112 §6.3).
    Chunked,
}

/// What the reply says about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// Nothing: the version's default holds.
    Unsaid,
    Close,
    KeepAlive,
    Upgrade,
}

/// What the reply's fields say about its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Unsaid,
    Sized(u64),
    Chunked,
}

/// A reply that has begun: how its body goes on.
#[derive(Debug)]
pub(crate) struct OpenReply {
    pub(crate) writing: Writing,
    /// Bytes of a sized body still owed.
    pub(crate) left: u64,
}

/// Whether a body's end can only be told by the connection's end.
#[inline]
pub(crate) fn is_until_close(exchange: Exchange, status: StatusCode, body: &ReplyBody) -> bool {
    matches!(body, ReplyBody::Chunked)
        && exchange.is_http10()
        && !exchange.is_head()
        && !is_bodyless(status)
}

/// 1xx, 204 and 304 end with their head (RFC 9112 §6.3).
#[inline]
fn is_bodyless(status: StatusCode) -> bool {
    status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

/// Encodes a whole reply whose body is copied. The exchange is no `HEAD`, the status has a body.
#[inline]
pub(crate) fn whole(reply: &Reply<'_>, body: &[u8], connection: Connection, tail: &mut Vec<u8>) {
    let is_common = reply.status == StatusCode::OK && reply.fields.is_empty();
    if let (Some(content_type), true, Connection::Unsaid) =
        (reply.content_type, is_common, connection)
    {
        // What most replies are, in as few pieces as can be. Buffers have mostly the room.
        if let Some(begun) = reply.opening.up_to_length(content_type) {
            tail.extend_from_slice(begun);
        } else {
            let (begun, content_type) = (reply.opening.up_to_type(), content_type.as_str());
            tail.reserve(HEAD_ROOM + begun.len() + content_type.len() + body.len());
            tail.extend_from_slice(begun);
            tail.extend_from_slice(content_type.as_bytes());
            tail.extend_from_slice(LENGTH);
        }
        if let (10.., Some([tens, ones])) = (body.len(), DIGITS.get(body.len())) {
            tail.extend_from_slice(&[*tens, *ones, b'\r', b'\n', b'\r', b'\n']);
        } else {
            tail.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
            tail.extend_from_slice(b"\r\n\r\n");
        }
    } else {
        head(reply, Length::Sized(body.len() as u64), connection, body.len(), tail);
    }
    tail.extend_from_slice(body);
}

/// Whether a reply has its body behind its head, when it has one.
#[inline]
pub(crate) fn has_body(exchange: Exchange, status: StatusCode) -> bool {
    !exchange.is_head() && (status == StatusCode::OK || !is_bodyless(status))
}

/// Encodes the head, and the body as far as it is given. Tells how the body goes on:
/// [`Writing::Ready`] when the reply is complete.
pub(crate) fn reply(
    exchange: Exchange,
    reply: &Reply<'_>,
    body: ReplyBody,
    connection: Connection,
    outbox: &mut Outbox,
) -> OpenReply {
    if let (ReplyBody::Full(piece), true) = (&body, has_body(exchange, reply.status)) {
        let (len, is_copied) = (piece.len(), piece.len() <= crate::COPY_BYTES_MAX);
        let tail = outbox.tail_mut();
        head(reply, Length::Sized(len as u64), connection, if is_copied { len } else { 0 }, tail);
        if is_copied {
            tail.extend_from_slice(piece.as_slice());
        } else if let ReplyBody::Full(piece) = body {
            outbox.push(piece);
        }
        return OpenReply { writing: Writing::Ready, left: 0 };
    }
    other_reply(exchange, reply, &body, connection, outbox)
}

fn other_reply(
    exchange: Exchange,
    reply: &Reply<'_>,
    body: &ReplyBody,
    connection: Connection,
    outbox: &mut Outbox,
) -> OpenReply {
    let is_mute = exchange.is_head() || is_bodyless(reply.status);
    let length = match body {
        _ if is_bodyless(reply.status) => Length::Unsaid,
        ReplyBody::None => Length::Sized(0),
        ReplyBody::Full(piece) => Length::Sized(piece.len() as u64),
        ReplyBody::Sized(len) => Length::Sized(*len),
        ReplyBody::Chunked if exchange.is_http10() => Length::Unsaid,
        ReplyBody::Chunked => Length::Chunked,
    };
    head(reply, length, connection, 0, outbox.tail_mut());
    let (writing, left) = match body {
        ReplyBody::None | ReplyBody::Full(_) => (Writing::Ready, 0),
        ReplyBody::Sized(_) | ReplyBody::Chunked if is_mute => (Writing::Muted, 0),
        ReplyBody::Sized(len) => (Writing::Sized, *len),
        ReplyBody::Chunked if exchange.is_http10() => (Writing::UntilClose, 0),
        ReplyBody::Chunked => (Writing::Chunked, 0),
    };
    OpenReply { writing, left }
}

/// The longest a head without its opening, media type and the caller's fields can become.
const HEAD_ROOM: usize = 192;

/// The numbers up to 99, with two digits each.
const DIGITS: [[u8; 2]; 100] = {
    let mut digits = [*b"00"; 100];
    let mut number = 0;
    while number < 100 {
        digits[number][0] += number as u8 / 10;
        digits[number][1] += number as u8 % 10;
        number += 1;
    }
    digits
};

fn head(
    reply: &Reply<'_>,
    length: Length,
    connection: Connection,
    body_len: usize,
    tail: &mut Vec<u8>,
) {
    let content_type = reply.content_type.map_or("", MediaType::as_str);
    let begun = reply.opening.up_to_type();
    let fields_len = reply.fields.encoded().map_or(0, <[u8]>::len);
    tail.reserve(HEAD_ROOM + begun.len() + content_type.len() + fields_len + body_len);
    let is_common = reply.status == StatusCode::OK && connection == Connection::Unsaid;
    if let (true, Length::Sized(len), Some(_), Some(fields)) =
        (is_common, length, reply.content_type, reply.fields.encoded())
    {
        tail.extend_from_slice(begun);
        tail.extend_from_slice(content_type.as_bytes());
        tail.extend_from_slice(LENGTH);
        tail.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
        tail.extend_from_slice(b"\r\n");
        tail.extend_from_slice(fields);
        return tail.extend_from_slice(b"\r\n");
    }
    let is_type_given = opening(reply, tail);
    if reply.content_type.is_some() && !is_type_given {
        tail.extend_from_slice(TYPE);
        tail.extend_from_slice(content_type.as_bytes());
        tail.extend_from_slice(b"\r\n");
    }
    match length {
        Length::Unsaid => {}
        Length::Sized(len) => {
            tail.extend_from_slice(b"Content-Length: ");
            tail.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
            tail.extend_from_slice(b"\r\n");
        }
        Length::Chunked => tail.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    // Whoever sends `Upgrade` names it in `Connection` (RFC 9110 §7.8).
    let offers = match reply.fields {
        Fields::Given(fields) => !fields.is_empty() && given_fields(fields, tail),
        Fields::Encoded(fields) => {
            tail.extend_from_slice(fields.as_bytes());
            false
        }
    };
    tail.extend_from_slice(match (connection, offers) {
        (Connection::Unsaid, false) => b"\r\n".as_slice(),
        (Connection::Close, false) => b"Connection: close\r\n\r\n",
        (Connection::Close, true) => b"Connection: close, upgrade\r\n\r\n",
        (Connection::KeepAlive, false) => b"Connection: keep-alive\r\n\r\n",
        (Connection::KeepAlive, true) => b"Connection: keep-alive, upgrade\r\n\r\n",
        (Connection::Upgrade, _) | (Connection::Unsaid, true) => b"Connection: upgrade\r\n\r\n",
    });
}

/// Writes the opening with any status, without what the caller's fields replace. Tells whether they
/// replace the media type.
fn opening(reply: &Reply<'_>, tail: &mut Vec<u8>) -> bool {
    if reply.status == StatusCode::OK {
        tail.extend_from_slice(STATUS_OK);
    } else {
        // The reason may be empty, the blank before it may not (RFC 9112 §4).
        tail.extend_from_slice(b"HTTP/1.1 ");
        tail.extend_from_slice(reply.status.as_str().as_bytes());
        tail.extend_from_slice(b" ");
        tail.extend_from_slice(reply.status.canonical_reason().unwrap_or_default().as_bytes());
        tail.extend_from_slice(b"\r\n");
    }
    let given = match reply.fields {
        Fields::Given(fields) => Given::new(fields),
        Fields::Encoded(_) => Given::default(),
    };
    if !given.server {
        tail.extend_from_slice(reply.opening.server());
    }
    if !given.date {
        tail.extend_from_slice(reply.opening.date());
    }
    given.content_type
}

/// Which of the machine's own fields the caller gives instead.
#[derive(Default)]
pub(super) struct Given {
    pub(super) server: bool,
    pub(super) date: bool,
    pub(super) content_type: bool,
}

impl Given {
    #[inline]
    pub(super) fn new(fields: &[(HeaderName, HeaderValue)]) -> Self {
        let mut given = Self::default();
        for (name, _) in fields {
            given.server |= *name == SERVER;
            given.date |= *name == DATE;
            given.content_type |= *name == CONTENT_TYPE;
        }
        given
    }
}

/// Writes the caller's fields, and tells whether one is an `Upgrade`. No value can hold a line end:
/// `HeaderValue` has checked that.
pub(super) fn given_fields(fields: &[(HeaderName, HeaderValue)], tail: &mut Vec<u8>) -> bool {
    let mut offers = false;
    for (name, value) in fields {
        offers |= *name == UPGRADE;
        if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING || *name == CONNECTION {
            continue;
        }
        tail.extend_from_slice(name.as_str().as_bytes());
        tail.extend_from_slice(b": ");
        tail.extend_from_slice(value.as_bytes());
        tail.extend_from_slice(b"\r\n");
    }
    offers
}

/// Encodes a piece of an open body.
///
/// # Panics
/// When a sized body gets more bytes than its length: they would be read as the next reply.
pub(crate) fn body(open: &mut OpenReply, piece: Piece, outbox: &mut Outbox) {
    match open.writing {
        Writing::Sized => {
            let len = piece.len() as u64;
            assert!(len <= open.left, "a body must not be longer than the length it was given");
            open.left -= len;
            outbox.push(piece);
        }
        // An empty chunk would end the body.
        Writing::Chunked if piece.is_empty() => {}
        Writing::Chunked => {
            chunk_size(piece.len(), outbox.tail_mut());
            outbox.push(piece);
            outbox.extend(b"\r\n");
        }
        Writing::UntilClose => outbox.push(piece),
        Writing::Muted | Writing::Cut => {}
        Writing::Ready => panic!("a body piece needs an open reply with a body"),
    }
}

/// The chunk that ends a body, and the fields behind it.
pub(crate) fn last_chunk(trailers: &[(HeaderName, HeaderValue)], tail: &mut Vec<u8>) {
    tail.extend_from_slice(b"0\r\n");
    given_fields(trailers, tail);
    tail.extend_from_slice(b"\r\n");
}

fn chunk_size(size: usize, tail: &mut Vec<u8>) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4);
    for digit in (0..digits).rev() {
        tail.push(b"0123456789abcdef"[(size >> (4 * digit)) & 15]);
    }
    tail.extend_from_slice(b"\r\n");
}
