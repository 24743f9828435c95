//! The fields that decide where a message ends and what becomes of its connection.
//! It must never accept two readings of one message: what others may read otherwise is refused.

use super::client::ReplyLength;
use super::head::{BodyLength, Field, Head, Span, Version};
use super::limits::Limits;
use super::marks::is_common_host;
use super::refusal::Refusal;

/// What the fields of one head have said so far.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Framing {
    pub(super) host: Option<Span>,
    /// Cookie pairs beyond the first of each field.
    cookies_more: u32,
    /// Where it was said.
    content_length: u64,
    said: Said,
}

/// What most heads do not say, one bit each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Said(u16);

impl Said {
    const CHUNKED: u16 = 1;
    const CLOSE: u16 = 1 << 1;
    const KEEP_ALIVE: u16 = 1 << 2;
    const UPGRADE: u16 = 1 << 3;
    const PROTOCOL: u16 = 1 << 4;
    const CONTINUE: u16 = 1 << 5;
    const OTHER_EXPECTATION: u16 = 1 << 6;
    const SIZED: u16 = 1 << 7;
    const COOKIES: u16 = 1 << 8;

    const fn add(&mut self, what: u16) {
        self.0 |= what;
    }

    const fn has(self, what: u16) -> bool {
        self.0 & what != 0
    }
}

impl Framing {
    /// What all fields of a head say.
    pub(crate) fn of(fields: &[Field], input: &[u8]) -> Result<Self, Refusal> {
        let mut own = Self::default();
        for field in fields {
            own.learn(field.name.of(input), field.value.of(input), field.value)?;
        }
        Ok(own)
    }

    /// What all fields of an answer's head say; `Host` says nothing there.
    pub(crate) fn of_reply(fields: &[Field], input: &[u8]) -> Result<Self, Refusal> {
        let mut own = Self::default();
        for field in fields {
            own.learn_other(field.name.of(input), field.value.of(input))?;
        }
        Ok(own)
    }

    /// Learns from one field line. A field without a part in framing costs one look at its length
    /// and first byte.
    #[inline]
    pub(crate) fn learn(&mut self, name: &[u8], value: &[u8], span: Span) -> Result<(), Refusal> {
        match (name.len(), name[0] | 0x20) {
            (4, b'h') if is_word(name, *b"host") => self.learn_host(value, span),
            (6, b'c' | b'e') | (7, b'u') | (10 | 14, b'c') | (17, b't') => {
                self.learn_other(name, value)
            }
            _ => Ok(()),
        }
    }

    #[inline]
    fn learn_host(&mut self, value: &[u8], span: Span) -> Result<(), Refusal> {
        if self.host.replace(span).is_some() {
            return Err(Refusal::HostRepeated);
        }
        let is_valid = is_common_host(value) || is_host(value);
        if is_valid { Ok(()) } else { Err(Refusal::HostInvalid) }
    }

    #[inline(never)]
    fn learn_other(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"connection") {
            self.learn_connection(value);
        } else if name.eq_ignore_ascii_case(b"cookie") {
            let more = memchr::memchr_iter(b';', value).count();
            self.cookies_more = self.cookies_more.saturating_add(more as u32);
            self.said.add(Said::COOKIES);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = decimal(value)?;
            if self.said.has(Said::SIZED) {
                return Err(Refusal::ContentLengthRepeated);
            }
            self.content_length = length;
            self.said.add(Said::SIZED);
        } else if name.eq_ignore_ascii_case(b"expect") {
            self.learn_expectations(value);
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            if !value.is_empty() {
                self.said.add(Said::PROTOCOL);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.said.has(Said::CHUNKED) {
                return Err(Refusal::TransferEncodingInvalid);
            }
            check_encoding(value)?;
            self.said.add(Said::CHUNKED);
        }
        Ok(())
    }

    /// Reads `Connection`, a list of tokens in any case (RFC 9110 §7.6.1).
    fn learn_connection(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"keep-alive") {
            return self.said.add(Said::KEEP_ALIVE);
        }
        for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if token.eq_ignore_ascii_case(b"close") {
                self.said.add(Said::CLOSE);
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                self.said.add(Said::UPGRADE);
            } else if token.eq_ignore_ascii_case(b"keep-alive") {
                self.said.add(Said::KEEP_ALIVE);
            }
        }
    }

    /// Reads `Expect`, a list whose elements may be empty (RFC 9110 §5.6.1.2, §10.1.1).
    fn learn_expectations(&mut self, value: &[u8]) {
        let expectations = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        for expectation in expectations.filter(|expectation| !expectation.is_empty()) {
            let is_continue = expectation.eq_ignore_ascii_case(b"100-continue");
            self.said.add(if is_continue { Said::CONTINUE } else { Said::OTHER_EXPECTATION });
        }
    }

    /// Draws the conclusions from all fields together and writes them to the head.
    #[inline]
    pub(crate) fn conclude(&self, head: &mut Head, limits: &Limits) -> Result<(), Refusal> {
        let is_http11 = head.version == Version::Http11;
        if self.host.is_none() && is_http11 {
            return Err(Refusal::HostMissing);
        }
        head.host = self.host;
        head.body = BodyLength::None;
        head.keep_alive = is_http11;
        head.expect_continue = false;
        head.upgrade = false;
        if self.said == Said::default() && head.fields.len() <= limits.fields_max {
            return Ok(());
        }
        self.conclude_further(head, limits)
    }

    #[inline(never)]
    fn conclude_further(&self, head: &mut Head, limits: &Limits) -> Result<(), Refusal> {
        let is_http11 = head.version == Version::Http11;
        if head.fields.len() + self.cookies_more as usize > limits.fields_max {
            return Err(Refusal::TooManyFields);
        }
        let is_chunked = self.said.has(Said::CHUNKED);
        if is_chunked && !is_http11 {
            return Err(Refusal::TransferEncodingOnHttp10);
        }
        if is_chunked && self.said.has(Said::SIZED) {
            return Err(Refusal::LengthWithEncoding);
        }
        // An expectation in HTTP/1.0 is to be ignored (RFC 9110 §10.1.1).
        if self.said.has(Said::OTHER_EXPECTATION) && is_http11 {
            return Err(Refusal::Expectation);
        }
        // What was not said is zero as well.
        head.body = match self.content_length {
            _ if is_chunked => BodyLength::Chunked,
            0 => BodyLength::None,
            len => BodyLength::Sized(len),
        };
        let is_kept_alive = is_http11 || self.said.has(Said::KEEP_ALIVE);
        head.keep_alive = is_kept_alive && !self.said.has(Said::CLOSE);
        let awaits_continue = self.said.has(Said::CONTINUE) && is_http11;
        head.expect_continue = awaits_continue && head.body != BodyLength::None;
        let offers_upgrade = self.said.has(Said::UPGRADE) && self.said.has(Said::PROTOCOL);
        head.upgrade = offers_upgrade && is_http11;
        Ok(())
    }
}

impl Framing {
    /// How long the body of an answer is, and whether its connection goes on (RFC 9112 §6.3, §9.3).
    pub(crate) fn conclude_reply(
        self,
        version: Version,
        is_bodyless: bool,
    ) -> Result<(ReplyLength, bool), Refusal> {
        let is_http11 = version == Version::Http11;
        let is_chunked = self.said.has(Said::CHUNKED);
        if is_chunked && !is_http11 {
            return Err(Refusal::TransferEncodingOnHttp10);
        }
        // Either alone would be believed by somebody.
        if is_chunked && self.said.has(Said::SIZED) {
            return Err(Refusal::LengthWithEncoding);
        }
        let length = match self.content_length {
            _ if is_bodyless => ReplyLength::None,
            _ if is_chunked => ReplyLength::Chunked,
            _ if !self.said.has(Said::SIZED) => ReplyLength::UntilClose,
            0 => ReplyLength::None,
            len => ReplyLength::Sized(len),
        };
        let is_kept_alive = is_http11 || self.said.has(Said::KEEP_ALIVE);
        Ok((length, is_kept_alive && !self.said.has(Said::CLOSE)))
    }
}

/// Whether a name of four bytes is this word of small letters, in any case.
#[inline]
fn is_word(name: &[u8], word: [u8; 4]) -> bool {
    // A letter differs from its capital in one bit, and from every other byte in another one.
    let case = u32::from_ne_bytes([0x20; 4]);
    let name = name.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes) | case);
    name == Some(u32::from_ne_bytes(word))
}

/// Reads `Content-Length`: digits and nothing else (RFC 9110 §8.6).
fn decimal(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() {
        return Err(Refusal::ContentLengthInvalid);
    }
    let mut number = 0_u64;
    for byte in value {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Refusal::ContentLengthInvalid);
        }
        number = number
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit)))
            .ok_or(Refusal::ContentLengthInvalid)?;
    }
    Ok(number)
}

/// Accepts `chunked` alone. A list that ends in its only `chunked` is well formed but not known
/// here; in any other the end of the message is unknown (RFC 9112 §6.3).
fn check_encoding(value: &[u8]) -> Result<(), Refusal> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut codings = value.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let is_last_chunked = codings.next().is_some_and(is_chunked);
    if is_last_chunked && codings.all(|coding| !coding.is_empty() && !is_chunked(coding)) {
        return Err(Refusal::TransferEncodingUnknown);
    }
    Err(Refusal::TransferEncodingInvalid)
}

/// Whether these bytes are a host with an optional port (RFC 3986 §3.2.2): not empty, no byte that
/// ends or decorates an authority, a port of digits.
///
/// ```
/// use springtide_proto::http1::is_host;
///
/// assert!(is_host(b"tide.example:8080") && is_host(b"[2001:db8::1]"));
/// assert!(!is_host(b"tide.example/high") && !is_host(b"tide.example:high"));
/// ```
#[inline(never)]
#[must_use]
pub fn is_host(authority: &[u8]) -> bool {
    (are_host_bytes(authority) && !authority.is_empty()) || is_host_with_port(authority)
}

#[inline]
fn are_host_bytes(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| IS_HOST_BYTE[*byte as usize])
}

fn is_host_with_port(authority: &[u8]) -> bool {
    let digits = authority.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let host = match authority[..authority.len() - digits].strip_suffix(b":") {
        Some(host) => host,
        None => authority,
    };
    (are_host_bytes(host) && !host.is_empty()) || is_literal(host)
}

/// Whether these bytes are an address in brackets (RFC 3986 §3.2.2).
fn is_literal(host: &[u8]) -> bool {
    let address = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let is_address = |byte: &u8| *byte == b':' || IS_HOST_BYTE[*byte as usize];
    address.is_some_and(|address| !address.is_empty() && address.iter().all(is_address))
}

/// The bytes of a host name: unreserved, sub-delims and `%`. The comma is left out: joined `Host`
/// fields would have one.
const IS_HOST_BYTE: [bool; 256] = {
    let mut is_host_byte = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        is_host_byte[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~!$&'()*+;=%";
    let mut index = 0;
    while index < others.len() {
        is_host_byte[others[index] as usize] = true;
        index += 1;
    }
    is_host_byte
};
