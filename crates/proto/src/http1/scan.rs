//! The search for the end of a head that comes in parts.
//! It must never look at a byte twice: a head sent one byte at a time costs linear time.

use memchr::memchr_iter;

/// How far a head that is not complete has been searched.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HeadScan {
    /// Bytes searched so far.
    scanned: u32,
    /// Length of the first line without its line end; zero until it is known.
    line_len: u32,
    /// How often the head was parsed: at its first bytes and at its end.
    attempts: u8,
}

/// What the search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// No blank line yet.
    Partial,
    /// The blank line that ends the head.
    End,
    /// A line that ends in LF without CR, or an empty one with a second CR, behind which its peer
    /// says nothing more; such a head is refused (RFC 9112 §2.2).
    WrongLineEnd,
}

impl HeadScan {
    /// Whether a parse has been tried, so that only a blank line makes another one worth it.
    #[inline]
    pub(crate) const fn is_attempted(&self) -> bool {
        self.attempts > 0
    }

    /// Counts one parse of the head.
    #[inline]
    pub(crate) fn attempt(&mut self) {
        assert!(self.attempts < 2, "a head is parsed at its first bytes and at its end, not again");
        self.attempts += 1;
    }

    /// Length of the first line without its line end, once that has been seen.
    pub(crate) const fn line_len(&self) -> Option<usize> {
        if self.line_len == 0 { None } else { Some(self.line_len as usize) }
    }

    /// Searches the bytes that are new since the last call. `window` begins at the head's first
    /// byte every time.
    #[cold]
    pub(crate) fn advance(&mut self, window: &[u8]) -> Scanned {
        let scanned = self.scanned as usize;
        assert!(scanned <= window.len(), "input that was not consumed is given again");
        self.scanned = u32::try_from(window.len()).expect("the head limit is at most 1 GiB");
        for offset in memchr_iter(b'\n', &window[scanned..]) {
            let line_feed = scanned + offset;
            if line_feed == 0 || window[line_feed - 1] != b'\r' {
                return Scanned::WrongLineEnd;
            }
            if self.line_len == 0 {
                self.line_len = u32::try_from(line_feed - 1).expect("a window fits u32");
            }
            let before = &window[..line_feed];
            if before.ends_with(b"\r\n\r") {
                return Scanned::End;
            }
            if before.ends_with(b"\n\r\r") || before == b"\r\r" {
                return Scanned::WrongLineEnd;
            }
        }
        Scanned::Partial
    }
}

#[cfg(test)]
mod tests {
    use super::{HeadScan, Scanned};

    #[test]
    fn every_split_finds_the_same_end() {
        let cases: [(&[u8], Scanned); 10] = [
            (b"GET / HTTP/1.1\r\n\r\n", Scanned::End),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Scanned::End),
            (b"GET / HTTP/1.1\r\nHost: a\r\n", Scanned::Partial),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r", Scanned::Partial),
            (b"GET / HTTP/1.1\n\r\n", Scanned::WrongLineEnd),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n", Scanned::WrongLineEnd),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n", Scanned::WrongLineEnd),
            (b"GET / HTTP/1.1\r\n\r\r\n", Scanned::WrongLineEnd),
            (b"GET / HTTP/1.1\r\nHost: a\r\r\n", Scanned::Partial),
            (b"\n", Scanned::WrongLineEnd),
        ];
        for (head, expected) in cases {
            for split in 0..=head.len() {
                let mut scan = HeadScan::default();
                let first = scan.advance(&head[..split]);
                let found = if first == Scanned::Partial { scan.advance(head) } else { first };
                assert_eq!(found, expected, "{head:?} split at {split}");
            }
        }
    }

    #[test]
    fn a_head_byte_by_byte_is_searched_once() {
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        head.extend_from_slice(&b"name: value\r\n".repeat(1000));
        head.extend_from_slice(b"\r\n");
        let mut scan = HeadScan::default();
        let mut examined = 0;
        for len in 1..=head.len() {
            let before = scan.scanned as usize;
            let expected = if len == head.len() { Scanned::End } else { Scanned::Partial };
            assert_eq!(scan.advance(&head[..len]), expected);
            examined += len - before;
        }
        assert_eq!(examined, head.len());
        assert_eq!(scan.line_len(), Some(14));
    }
}
