//! The head of a request: ranges into the bytes it arrived in, and what they say about framing.
//! It must never copy or allocate for what a peer sends, and never guess where a message ends.

use super::framing::Framing;
use super::limits::{FIELDS_MAX, Limits};
use super::plain;
use super::recalled::Recalled;
use super::refusal::Refusal;
use super::scan::{HeadScan, Scanned};
use http::Method;
use std::mem::MaybeUninit;

/// A range of the input that [`super::Machine::receive`] was given, from its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
}

impl Span {
    /// The range from `start` up to `end`, both less than 4 GiB.
    #[inline]
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= u32::MAX as usize);
        Self { start: start as u32, end: end as u32 }
    }

    /// The bytes of the range.
    ///
    /// # Panics
    /// When `input` is not the input the range was made for, and shorter.
    #[inline]
    #[must_use]
    pub fn of(self, input: &[u8]) -> &[u8] {
        &input[self.start as usize..self.end as usize]
    }

    /// How many bytes the range has.
    #[inline]
    #[must_use]
    pub const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the range has no byte.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end == self.start
    }
}

/// One field line: `name: value`, the value without blanks around it (RFC 9110 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name as sent; names compare without regard to case.
    pub name: Span,
    /// The value; it may be empty and may hold bytes from 0x80.
    pub value: Span,
}

const _: () = assert!(size_of::<Field>() == 16);

/// The version of a request (RFC 9110 §2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// How long a request's body is (RFC 9112 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyLength {
    /// There is no body, or an empty one: the head is the whole request.
    #[default]
    None,
    /// So many bytes, more than none.
    Sized(u64),
    /// Chunks, until the last one.
    Chunked,
}

/// The head of one request, filled in place. Its owner keeps it for the next request, so that the
/// room for fields is allocated once.
///
/// Every [`Span`] is a range of the input given to the call of
/// [`receive`](super::Machine::receive) that reported the head.
///
/// ```
/// use springtide_proto::http1::{Head, Limits, Machine, Received};
/// let input = b"GET /tide?high HTTP/1.1\r\nHost: sea.example\r\n\r\n";
/// let (limits, mut head) = (Limits::default(), Head::new());
/// let received = Machine::server(0, &limits).receive(input, 0, &limits, &mut head);
/// assert!(matches!(received, Ok(Received::Head { consumed: 46, .. })));
/// assert_eq!(head.target.of(input), b"/tide?high");
/// assert_eq!(head.field(input, "host"), Some(b"sea.example".as_slice()));
/// ```
#[derive(Debug, Clone)]
pub struct Head {
    /// The method, known or not (RFC 9110 §9).
    pub method: Method,
    /// The target in origin form, absolute form or `*` (RFC 9112 §3.2).
    pub target: Span,
    /// The version.
    pub version: Version,
    /// The field lines in the order they came.
    pub(super) fields: Vec<Field>,
    /// The lines they were read from, in case that they come again.
    pub(super) recalled: Recalled,
    /// Bytes of the head with its blank line and with empty lines before it.
    pub len: usize,
    /// How long the body is.
    pub body: BodyLength,
    /// Whether the peer wants the connection to go on after this exchange (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the peer waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub expect_continue: bool,
    /// Whether the peer offers to change the protocol (RFC 9110 §7.8). The machine pauses behind
    /// such a request until its reply says whether that happens.
    pub upgrade: bool,
    /// The host with its port: from the target in absolute form, otherwise from `Host`. Only a
    /// request of HTTP/1.0 can lack it.
    pub host: Option<Span>,
}

impl Default for Head {
    fn default() -> Self {
        Self::new()
    }
}

impl Head {
    /// A head with room for 32 fields.
    #[must_use]
    pub fn new() -> Self {
        Self {
            method: Method::GET,
            target: Span::default(),
            version: Version::Http11,
            fields: Vec::with_capacity(32),
            recalled: Recalled::default(),
            len: 0,
            body: BodyLength::None,
            keep_alive: true,
            expect_continue: false,
            upgrade: false,
            host: None,
        }
    }

    /// The field lines in the order they came.
    #[inline]
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Makes room for the fields of another head.
    #[inline]
    pub(super) fn begin_fields(&mut self) {
        self.fields.clear();
        self.recalled.forget();
    }

    /// The value of the first field of that name, compared without regard to case.
    #[must_use]
    pub fn field<'input>(&self, input: &'input [u8], name: &str) -> Option<&'input [u8]> {
        self.fields
            .iter()
            .find(|field| field.name.of(input).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| field.value.of(input))
    }
}

/// How far a head has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing but empty lines: no head has begun.
    Waiting,
    /// A head has begun.
    Partial,
    /// The head is complete and has been written.
    Complete,
}

/// How many empty lines may stand before a request line (RFC 9112 §2.2 asks for at least one).
const EMPTY_LINES_MAX: usize = 2;

/// Reads a head at the beginning of `input`, whole or in parts.
#[inline]
pub(crate) fn receive(
    input: &[u8],
    limits: &Limits,
    scan: &mut HeadScan,
    head: &mut Head,
) -> Result<Progress, Refusal> {
    let start = match input.first() {
        None => return Ok(Progress::Waiting),
        Some(b'\r' | b'\n') => match skip_empty_lines(input)? {
            None => return Ok(Progress::Waiting),
            Some(start) => start,
        },
        Some(_) => 0,
    };
    let end = input.len().min(start + limits.head_window());
    let window = &input[start..end];
    let found = if scan.is_attempted() { Some(scan.advance(window)) } else { None };
    if found == Some(Scanned::Partial) {
        return check_partial(window.len(), scan, limits);
    }
    scan.attempt();
    if parse(input, start, end, limits, head)? {
        return Ok(Progress::Complete);
    }
    match found.unwrap_or_else(|| scan.advance(window)) {
        Scanned::Partial => check_partial(window.len(), scan, limits),
        Scanned::WrongLineEnd => Err(Refusal::LineEnd),
        Scanned::End => Err(Refusal::RequestLine),
    }
}

/// Where the request line begins, behind at most two empty lines; none when that is not known yet.
#[cold]
fn skip_empty_lines(input: &[u8]) -> Result<Option<usize>, Refusal> {
    for start in [0, 2, 4] {
        match input.get(start..) {
            Some([]) | Some([b'\r']) if start < 2 * EMPTY_LINES_MAX => return Ok(None),
            Some([]) => return Ok(None),
            Some([b'\r', b'\n', ..]) if start < 2 * EMPTY_LINES_MAX => {}
            Some([b'\r' | b'\n', ..]) | None => return Err(Refusal::LineEnd),
            Some(_) => return Ok(Some(start)),
        }
    }
    Err(Refusal::LineEnd)
}

/// Holds the limits for a head of `len` bytes so far, of which no end is known.
#[cold]
fn check_partial(len: usize, scan: &HeadScan, limits: &Limits) -> Result<Progress, Refusal> {
    // Two bytes of the line end may be among those that came.
    let line_len = scan.line_len().unwrap_or_else(|| len.saturating_sub(1));
    if line_len > limits.request_line_bytes_max {
        return Err(Refusal::RequestLineTooLong);
    }
    if len >= limits.head_window() {
        // A target that fills a whole head is too long as a target (RFC 9112 §3).
        let is_all_line = scan.line_len().is_none();
        return Err(if is_all_line { Refusal::RequestLineTooLong } else { Refusal::HeadTooLong });
    }
    Ok(Progress::Partial)
}

/// Parses `input[start..end]` once. True when the head was complete and is written to `head`.
#[inline]
fn parse(
    input: &[u8],
    start: usize,
    end: usize,
    limits: &Limits,
    head: &mut Head,
) -> Result<bool, Refusal> {
    let mut framing = Framing::default();
    let plain = plain::read(&input[..end], start, limits.field_slots(), head, &mut framing);
    let (line_len, authority) = match plain {
        Some(line_len) => (line_len, None),
        None => match parse_any(input, start, end, limits, head)? {
            Some(parsed) => {
                framing = Framing::of(&head.fields, input)?;
                parsed
            }
            None => return Ok(false),
        },
    };
    if line_len > limits.request_line_bytes_max {
        return Err(Refusal::RequestLineTooLong);
    }
    framing.conclude(head, limits)?;
    if authority.is_some() {
        head.host = authority;
    }
    Ok(true)
}

/// Parses a head of any form: the length of its request line, and the authority that its target
/// names; or nothing, when it is not complete.
#[inline(never)]
fn parse_any(
    input: &[u8],
    start: usize,
    end: usize,
    limits: &Limits,
    head: &mut Head,
) -> Result<Option<(usize, Option<Span>)>, Refusal> {
    let mut slots = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let window = &input[start..end];
    let slots = &mut slots[..limits.field_slots()];
    let len = match request.parse_with_uninit_headers(window, slots) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(refusal(error, window)),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(Refusal::RequestLine);
    };
    let base = input.as_ptr() as usize;
    let end = start + len;
    head.len = end;
    head.version = if version == 0 { Version::Http10 } else { Version::Http11 };
    head.target = span(base, target.as_bytes());
    // httparse takes a bare LF for a line end. Each line's end is the two bytes before the next
    // line, so one look at each finds it.
    if input[end - 4..end] != *b"\r\n\r\n" {
        return Err(Refusal::LineEnd);
    }
    head.begin_fields();
    for field in &*request.headers {
        let (name, value) = (span(base, field.name.as_bytes()), span(base, field.value));
        if input[name.start as usize - 2] != b'\r' {
            return Err(Refusal::LineEnd);
        }
        head.fields.push(Field { name, value });
    }
    let first = head.fields.first().map_or(end - 2, |field| field.name.start as usize);
    let authority = check_target(method, target.as_bytes())?;
    head.method = Method::from_bytes(method.as_bytes()).map_err(|_| Refusal::RequestLine)?;
    Ok(Some((first - 2 - start, authority.map(|authority| span(base, authority)))))
}

/// The place of `part` in the input that begins at the address `base`.
#[inline]
fn span(base: usize, part: &[u8]) -> Span {
    let start = part.as_ptr() as usize - base;
    Span::new(start, start + part.len())
}

/// Checks that the target has a form that fits the method (RFC 9112 §3.2), and gives the authority
/// that an absolute form names.
#[inline]
fn check_target<'input>(
    method: &str,
    target: &'input [u8],
) -> Result<Option<&'input [u8]>, Refusal> {
    // What is not ASCII has to be encoded (RFC 3986 §2.1).
    if !target.is_ascii() {
        return Err(Refusal::Target);
    }
    if target[0] == b'/' && method != "CONNECT" {
        return Ok(None);
    }
    check_other_target(method, target)
}

#[cold]
fn check_other_target<'input>(
    method: &str,
    target: &'input [u8],
) -> Result<Option<&'input [u8]>, Refusal> {
    if method == "CONNECT" {
        return Err(Refusal::Connect);
    }
    if target == b"*" {
        return if method == "OPTIONS" { Ok(None) } else { Err(Refusal::Target) };
    }
    let scheme_len = memchr::memmem::find(target, b"://").ok_or(Refusal::Target)?;
    let (scheme, rest) = (&target[..scheme_len], &target[scheme_len + 3..]);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    let authority_len = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let authority = &rest[..authority_len];
    if is_scheme && super::framing::is_host(authority) {
        Ok(Some(authority))
    } else {
        Err(Refusal::Target)
    }
}

/// What httparse found wrong, in this crate's words.
#[cold]
fn refusal(error: httparse::Error, window: &[u8]) -> Refusal {
    match error {
        httparse::Error::HeaderName => Refusal::FieldName,
        httparse::Error::HeaderValue => Refusal::FieldValue,
        httparse::Error::NewLine => Refusal::LineEnd,
        httparse::Error::TooManyHeaders => Refusal::TooManyFields,
        httparse::Error::Version if names_other_version(window) => Refusal::Version,
        _ => Refusal::RequestLine,
    }
}

/// Whether the request line ends in a version that is well formed but not ours (RFC 9112 §2.3).
fn names_other_version(window: &[u8]) -> bool {
    let line_len = memchr::memchr(b'\r', window).unwrap_or(window.len());
    let version = window[..line_len].splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default();
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor, ..] => minor.is_ascii_digit(),
        [b'H', b'T', b'T', b'P', b'/', b'1', ..] => false,
        [b'H', b'T', b'T', b'P', b'/', major, ..] => major.is_ascii_digit(),
        _ => false,
    }
}
