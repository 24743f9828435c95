//! The head of an answer: ranges into the bytes it arrived in, and what they say about framing.
//! It must never guess where a message ends, nor accept two readings of one.

use super::super::framing::Framing;
use super::super::head::{Field, Span, Version, span};
use super::super::limits::{FIELDS_MAX, Limits};
use super::super::refusal::Refusal;
use super::super::scan::{HeadScan, Scanned};
use super::fault::ReplyFault;
use http::StatusCode;

/// How long the body of an answer is (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplyLength {
    /// There is no body, or an empty one: the head is the whole answer.
    #[default]
    None,
    /// So many bytes, more than none.
    Sized(u64),
    /// Chunks, until the last one.
    Chunked,
    /// All bytes until the connection ends.
    UntilClose,
}

/// The head of one answer, filled in place. Every [`Span`] is a range of the input given to the call
/// that reported the head.
#[derive(Debug, Clone)]
pub struct ReplyHead {
    /// From 100 to 599.
    pub status: StatusCode,
    /// The version.
    pub version: Version,
    /// The field lines in the order they came.
    pub fields: Vec<Field>,
    /// Bytes of the head with its blank line.
    pub len: usize,
    /// How long the body is.
    pub body: ReplyLength,
    /// Whether the server lets the connection go on behind this answer (RFC 9112 §9.3).
    pub keep_alive: bool,
}

impl Default for ReplyHead {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplyHead {
    /// An empty head.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            status: StatusCode::OK,
            version: Version::Http11,
            fields: Vec::new(),
            len: 0,
            body: ReplyLength::None,
            keep_alive: true,
        }
    }
}

/// Reads a head at the beginning of `input`; false when it is not whole. `is_to_head`: it answers a
/// `HEAD`.
pub(super) fn receive(
    input: &[u8],
    limits: &Limits,
    scan: &mut HeadScan,
    head: &mut ReplyHead,
    is_to_head: bool,
) -> Result<bool, ReplyFault> {
    // Only a server may read over empty lines (RFC 9112 §2.2).
    if matches!(input.first(), Some(b'\r' | b'\n')) {
        return Err(ReplyFault::StatusLine);
    }
    let window = &input[..input.len().min(limits.head_window())];
    match scan.advance(window) {
        Scanned::Partial if window.len() >= limits.head_window() => {
            Err(Refusal::HeadTooLong.into())
        }
        Scanned::Partial => Ok(false),
        Scanned::WrongLineEnd => Err(Refusal::LineEnd.into()),
        Scanned::End => parse(window, limits, head, is_to_head).map(|()| true),
    }
}

fn parse(
    window: &[u8],
    limits: &Limits,
    head: &mut ReplyHead,
    is_to_head: bool,
) -> Result<(), ReplyFault> {
    let mut slots = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut reply = httparse::Response::new(&mut slots[..limits.field_slots()]);
    let len = match reply.parse(window) {
        Ok(httparse::Status::Complete(len)) => len,
        // Its blank line has been found.
        Ok(httparse::Status::Partial) => return Err(Refusal::LineEnd.into()),
        Err(error) => return Err(fault(error)),
    };
    let status = reply.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.filter(|status| status.as_u16() < 600).ok_or(ReplyFault::StatusLine)?;
    let base = window.as_ptr() as usize;
    head.status = status;
    head.version = if reply.version == Some(0) { Version::Http10 } else { Version::Http11 };
    head.len = len;
    head.fields.clear();
    for field in &*reply.headers {
        let (name, value) = (span(base, field.name.as_bytes()), span(base, field.value));
        head.fields.push(Field { name, value });
    }
    let framing = Framing::of_reply(&head.fields, window)?;
    let is_bodyless = is_to_head
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    (head.body, head.keep_alive) = framing.conclude_reply(head.version, is_bodyless)?;
    Ok(())
}

/// What httparse found wrong, in this crate's words.
fn fault(error: httparse::Error) -> ReplyFault {
    match error {
        httparse::Error::HeaderName => Refusal::FieldName.into(),
        httparse::Error::HeaderValue => Refusal::FieldValue.into(),
        httparse::Error::NewLine => Refusal::LineEnd.into(),
        httparse::Error::TooManyHeaders => Refusal::TooManyFields.into(),
        _ => ReplyFault::StatusLine,
    }
}

/// A field's bytes, for whoever has the input.
impl ReplyHead {
    /// The value of the first field of that name, compared without regard to case.
    #[must_use]
    pub fn field<'input>(&self, input: &'input [u8], name: &str) -> Option<&'input [u8]> {
        let is_its =
            |field: &&Field| Span::of(field.name, input).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().find(is_its).map(|field| field.value.of(input))
    }
}
