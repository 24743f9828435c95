//! The fields that decide where a message ends and what becomes of its connection.
//! It must never accept two readings of one message: what others may read otherwise is refused.

use super::head::{BodyLength, Head, Span, Version};
use super::limits::Limits;
use super::refusal::Refusal;

/// What the fields of one head have said so far.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    host: Option<Span>,
    content_length: Option<u64>,
    is_chunked: bool,
    is_closing: bool,
    is_kept_alive: bool,
    offers_upgrade: bool,
    names_protocol: bool,
    expects_continue: bool,
    expects_other: bool,
    /// Cookie pairs beyond the first of each field.
    cookies_more: usize,
}

impl Framing {
    /// Learns from one field line. A field without a part in framing costs one look at its length
    /// and first byte.
    #[inline]
    pub(crate) fn learn(&mut self, name: &[u8], value: &[u8], span: Span) -> Result<(), Refusal> {
        match (name.len(), name[0] | 0x20) {
            (4, b'h') if is_word(name, *b"host") => self.learn_host(value, span),
            (10, b'c') if name.eq_ignore_ascii_case(b"connection") => {
                self.learn_connection(value);
                Ok(())
            }
            (6, b'c') if name.eq_ignore_ascii_case(b"cookie") => {
                self.cookies_more += memchr::memchr_iter(b';', value).count();
                Ok(())
            }
            (14, b'c') if name.eq_ignore_ascii_case(b"content-length") => {
                match self.content_length.replace(decimal(value)?) {
                    Some(_) => Err(Refusal::ContentLengthRepeated),
                    None => Ok(()),
                }
            }
            (6, b'e') | (7, b'u') | (17, b't') => self.learn_rare(name, value),
            _ => Ok(()),
        }
    }

    #[inline]
    fn learn_host(&mut self, value: &[u8], span: Span) -> Result<(), Refusal> {
        if self.host.replace(span).is_some() {
            return Err(Refusal::HostRepeated);
        }
        if is_host(value) { Ok(()) } else { Err(Refusal::HostInvalid) }
    }

    fn learn_rare(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"expect") {
            let is_continue = value.eq_ignore_ascii_case(b"100-continue");
            self.expects_continue |= is_continue;
            self.expects_other |= !is_continue;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.names_protocol = !value.is_empty();
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.is_chunked {
                return Err(Refusal::TransferEncodingInvalid);
            }
            check_encoding(value)?;
            self.is_chunked = true;
        }
        Ok(())
    }

    /// Reads `Connection`, a list of tokens in any case (RFC 9110 §7.6.1).
    #[inline]
    fn learn_connection(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"keep-alive") {
            self.is_kept_alive = true;
        } else {
            self.learn_connection_list(value);
        }
    }

    fn learn_connection_list(&mut self, value: &[u8]) {
        for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            match token.len() {
                5 => self.is_closing |= token.eq_ignore_ascii_case(b"close"),
                7 => self.offers_upgrade |= token.eq_ignore_ascii_case(b"upgrade"),
                10 => self.is_kept_alive |= token.eq_ignore_ascii_case(b"keep-alive"),
                _ => {}
            }
        }
    }

    /// Draws the conclusions from all fields together and writes them to the head.
    #[inline]
    pub(crate) fn conclude(self, head: &mut Head, limits: &Limits) -> Result<(), Refusal> {
        let is_http11 = head.version == Version::Http11;
        if self.host.is_none() && is_http11 {
            return Err(Refusal::HostMissing);
        }
        if head.fields.len() + self.cookies_more > limits.fields_max {
            return Err(Refusal::TooManyFields);
        }
        if self.is_chunked {
            if !is_http11 {
                return Err(Refusal::TransferEncodingOnHttp10);
            }
            if self.content_length.is_some() {
                return Err(Refusal::LengthWithEncoding);
            }
        }
        // An expectation in HTTP/1.0 is to be ignored (RFC 9110 §10.1.1).
        if self.expects_other && is_http11 {
            return Err(Refusal::Expectation);
        }
        head.host = self.host;
        head.body = match self.content_length {
            _ if self.is_chunked => BodyLength::Chunked,
            None | Some(0) => BodyLength::None,
            Some(len) => BodyLength::Sized(len),
        };
        head.keep_alive = !self.is_closing && (is_http11 || self.is_kept_alive);
        head.expect_continue = self.expects_continue && is_http11 && head.body != BodyLength::None;
        head.upgrade = self.offers_upgrade && self.names_protocol && is_http11;
        Ok(())
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
#[inline]
pub(crate) fn is_host(authority: &[u8]) -> bool {
    let is_plain = authority.iter().fold(true, |all, byte| all & IS_HOST_BYTE[*byte as usize]);
    (is_plain && !authority.is_empty()) || is_host_with_port(authority)
}

fn is_host_with_port(authority: &[u8]) -> bool {
    let digits = authority.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let host = match authority[..authority.len() - digits].strip_suffix(b":") {
        Some(host) => host,
        None => authority,
    };
    let is_plain = host.iter().fold(true, |all, byte| all & IS_HOST_BYTE[*byte as usize]);
    (is_plain && !host.is_empty()) || is_literal(host)
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
