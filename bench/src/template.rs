//! The shape of a response, learned from the first one, and the check of every other against it.
//! It must never accept a response of another length, status or first body bytes.

use std::fmt;

/// Longest head that is looked at while learning.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How much of each body is compared; the rest is checked by its length.
const BODY_CHECKED_MAX: usize = 64;
const STATUS: &[u8] = b"HTTP/1.1 200";

/// What every response of a run must look like.
#[derive(Debug, Clone)]
pub struct Template {
    /// Bytes of one whole response.
    total: usize,
    /// Two ranges of it that never change: status, and the end of the head with the first of the
    /// body. Headers in between may change (Date) as long as their length does not.
    fixed: [Fixed; 2],
}

#[derive(Debug, Clone)]
struct Fixed {
    start: usize,
    bytes: Vec<u8>,
}

/// Why a first response could not be learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    HeadTooLong,
    NotOk(String),
    NoContentLength,
}

/// A response that differs from the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// Where in the response the difference was seen.
    pub offset: usize,
}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::HeadTooLong => write!(formatter, "no end of the head in {HEAD_BYTES_MAX} B"),
            Unusable::NotOk(line) => write!(formatter, "not a 200 response: {line:?}"),
            Unusable::NoContentLength => write!(formatter, "a response without Content-Length"),
        }
    }
}

impl Template {
    /// Learns from the first bytes of a connection; `None` while the head is not complete.
    pub fn learn(bytes: &[u8]) -> Result<Option<Template>, Unusable> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            let too_long = bytes.len() > HEAD_BYTES_MAX;
            return if too_long { Err(Unusable::HeadTooLong) } else { Ok(None) };
        };
        let head = String::from_utf8_lossy(&bytes[..end]);
        if !bytes.starts_with(STATUS) {
            return Err(Unusable::NotOk(head.lines().next().unwrap_or("").to_owned()));
        }
        let length = content_length(&head).ok_or(Unusable::NoContentLength)?;
        let total = end + 4 + length;
        let checked = total.min(end + 4 + BODY_CHECKED_MAX);
        if bytes.len() < checked {
            return Ok(None);
        }
        let status = Fixed { start: 0, bytes: STATUS.to_vec() };
        let body = Fixed { start: end, bytes: bytes[end..checked].to_vec() };
        Ok(Some(Template { total, fixed: [status, body] }))
    }

    /// Where the whole response is known: a raw echo, a fixed reply.
    pub fn exactly(bytes: &[u8]) -> Template {
        let nothing = Fixed { start: bytes.len(), bytes: Vec::new() };
        let whole = Fixed { start: 0, bytes: bytes.to_vec() };
        Template { total: bytes.len(), fixed: [whole, nothing] }
    }

    /// Bytes of one whole response.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Consumes received bytes; `offset` is the connection's place within its current response.
    /// Returns how many responses ended in these bytes.
    pub fn consume(&self, offset: &mut usize, mut bytes: &[u8]) -> Result<u32, Mismatch> {
        let mut ended = 0;
        while !bytes.is_empty() {
            let part = bytes.len().min(self.total - *offset);
            let (now, rest) = bytes.split_at(part);
            for fixed in &self.fixed {
                fixed.check(*offset, now)?;
            }
            *offset += part;
            if *offset == self.total {
                *offset = 0;
                ended += 1;
            }
            bytes = rest;
        }
        Ok(ended)
    }
}

impl Fixed {
    /// Compares the part of `bytes`, which begin at `offset`, that falls into this range.
    fn check(&self, offset: usize, bytes: &[u8]) -> Result<(), Mismatch> {
        let start = self.start.max(offset);
        let end = (self.start + self.bytes.len()).min(offset + bytes.len());
        if start >= end {
            return Ok(());
        }
        let expected = &self.bytes[start - self.start..end - self.start];
        let got = &bytes[start - offset..end - offset];
        if expected == got {
            return Ok(());
        }
        let place = expected.iter().zip(got).position(|(one, other)| one != other);
        Err(Mismatch { offset: start + place.unwrap_or(0) })
    }
}

fn content_length(head: &str) -> Option<usize> {
    head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] =
        b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 08:00:00 GMT\r\ncontent-length: 5\r\n\r\nHello";
    const TWO: &[u8] =
        b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 09:11:11 GMT\r\ncontent-length: 5\r\n\r\nHello";

    fn learned() -> Template {
        Template::learn(ONE).expect("usable").expect("complete")
    }

    #[test]
    fn learns_only_from_enough() {
        for end in 0..ONE.len() {
            assert!(matches!(Template::learn(&ONE[..end]), Ok(None)), "{end}");
        }
        assert_eq!(learned().total(), ONE.len());
    }

    #[test]
    fn names_what_it_cannot_use() {
        let not_found = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(Template::learn(not_found), Err(Unusable::NotOk(_))));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(matches!(Template::learn(chunked), Err(Unusable::NoContentLength)));
        let endless = vec![b'a'; HEAD_BYTES_MAX + 1];
        assert!(matches!(Template::learn(&endless), Err(Unusable::HeadTooLong)));
    }

    #[test]
    fn counts_at_every_split() {
        let template = learned();
        let stream = [ONE, TWO, ONE].concat();
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let mut offset = 0;
                let mut ended = 0;
                for part in [&stream[..first], &stream[first..second], &stream[second..]] {
                    ended += template.consume(&mut offset, part).expect("three good ones");
                }
                assert_eq!((ended, offset), (3, 0), "{first} {second}");
            }
        }
    }

    #[test]
    fn counts_byte_by_byte() {
        let template = learned();
        let mut offset = 0;
        let mut ended = 0;
        for byte in [ONE, TWO].concat() {
            ended += template.consume(&mut offset, &[byte]).expect("two good ones");
        }
        assert_eq!((ended, offset), (2, 0));
    }

    /// Every altered byte of the status, the end of the head and the body is noticed, however the
    /// bytes are cut; and so is a byte too few or too many before the next response.
    #[test]
    fn notices_what_differs_at_every_split() {
        let template = learned();
        let end = ONE.len() - 9;
        for place in (0..STATUS.len()).chain(end..ONE.len()) {
            let mut stream = [ONE, ONE].concat();
            stream[ONE.len() + place] ^= 1;
            for split in 0..=stream.len() {
                let mut offset = 0;
                let first = template.consume(&mut offset, &stream[..split]);
                let both = first.and_then(|_| template.consume(&mut offset, &stream[split..]));
                assert_eq!(both, Err(Mismatch { offset: place }), "{place} {split}");
            }
        }
        for stream in [[&ONE[..ONE.len() - 1], ONE].concat(), [ONE, b"x", ONE].concat()] {
            assert!(template.consume(&mut 0, &stream).is_err());
        }
    }

    #[test]
    fn what_is_known_is_compared_whole() {
        let template = Template::exactly(b"abcdef");
        let mut offset = 0;
        assert_eq!(template.consume(&mut offset, b"abcdefabc"), Ok(1));
        assert_eq!(template.consume(&mut offset, b"def"), Ok(1));
        assert_eq!(template.consume(&mut offset, b"abxdef"), Err(Mismatch { offset: 2 }));
    }
}
