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
    /// Learns from one field line. Fields without a part in framing cost one look at their length.
    #[inline]
    pub(crate) fn learn(&mut self, name: &[u8], value: &[u8], span: Span) -> Result<(), Refusal> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if self.host.replace(span).is_some() {
                    return Err(Refusal::HostRepeated);
                }
                if !is_host(value) {
                    return Err(Refusal::HostInvalid);
                }
            }
            6 | 7 | 10 | 14 | 17 => return self.learn_more(name, value),
            _ => {}
        }
        Ok(())
    }

    fn learn_more(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"cookie") {
            self.cookies_more += memchr::memchr_iter(b';', value).count();
        } else if name.eq_ignore_ascii_case(b"expect") {
            let is_continue = value.eq_ignore_ascii_case(b"100-continue");
            self.expects_continue |= is_continue;
            self.expects_other |= !is_continue;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.names_protocol = !value.is_empty();
        } else if name.eq_ignore_ascii_case(b"connection") {
            self.learn_connection(value);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if self.content_length.is_some() {
                return Err(Refusal::ContentLengthRepeated);
            }
            self.content_length = Some(decimal(value)?);
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
    fn learn_connection(&mut self, value: &[u8]) {
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
    let kinds = authority.iter().fold(0, |kinds, byte| kinds | HOST_BYTES[*byte as usize]);
    match kinds {
        PLAIN => !authority.is_empty(),
        PUNCTUATED => is_host_with_port(authority),
        _ => false,
    }
}

fn is_host_with_port(authority: &[u8]) -> bool {
    let (host, port) = match authority.strip_prefix(b"[") {
        Some(rest) => match rest.iter().position(|byte| *byte == b']') {
            Some(host_len) => (&rest[..host_len], &rest[host_len + 1..]),
            None => return false,
        },
        None => authority.split_at(memchr::memchr(b':', authority).unwrap_or(authority.len())),
    };
    let is_port = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    !host.is_empty()
        && !host.iter().any(|byte| b"[]".contains(byte))
        && (port.is_empty() || port.strip_prefix(b":").is_some_and(is_port))
}

const PLAIN: u8 = 0;
const PUNCTUATED: u8 = 1;
const FOREIGN: u8 = 2;

/// The kind of each byte in a host and port: unreserved, sub-delims and `%` are plain; `:`, `[` and
/// `]` need a closer look. The comma is foreign: joined `Host` fields would have one.
const HOST_BYTES: [u8; 256] = {
    let mut kinds = [FOREIGN; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            kinds[byte] = PLAIN;
        }
        byte += 1;
    }
    let plain = b"-._~!$&'()*+;=%";
    let mut index = 0;
    while index < plain.len() {
        kinds[plain[index] as usize] = PLAIN;
        index += 1;
    }
    kinds[b':' as usize] = PUNCTUATED;
    kinds[b'[' as usize] = PUNCTUATED;
    kinds[b']' as usize] = PUNCTUATED;
    kinds
};
