//! The field lines of the head before, so that the same lines are not read anew.
//! It must never take lines for the same that differ in a byte, nor tell by its time how many are.

use super::framing::Framing;
use super::head::{Field, Span};
use wide::{CmpEq, i8x16};

/// Longer field lines are read anew every time.
const BYTES_MAX: usize = 1024;
/// After so many heads in a row with other lines than the one before, the next ones are not compared.
const MISSES_MAX: u8 = 4;
/// How many of them.
const PASSED_BY: u8 = 60;

/// The field lines of the last head of the common form, with their line ends and the blank line.
///
/// Whoever asks on one connection again and again sends the same field lines each time, whatever the
/// target is: browsers, programs, and above all proxies. Other connections may send them, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Recalled {
    /// Empty when nothing is recalled.
    bytes: Vec<u8>,
    /// Where they stood.
    at: u32,
    /// What they said about framing.
    framing: Framing,
    /// Heads in a row whose lines were others.
    misses: u8,
    /// Heads that nothing is compared with or kept of, as it would be in vain.
    passing_by: u8,
}

impl Recalled {
    /// Forgets the lines, as the fields that belong to them are about to be written over.
    #[inline]
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
    }

    /// Keeps the lines at `input[start..end]`, to which the fields belong that were read last.
    #[inline]
    pub(super) fn keep(&mut self, input: &[u8], start: usize, end: usize, framing: Framing) {
        if self.passing_by == 0 && end - start <= BYTES_MAX {
            self.bytes.extend_from_slice(&input[start..end]);
            self.at = start as u32;
            self.framing = framing;
        }
    }

    /// If the same lines stand at `input[start..]`: moves `fields` there, and gives what they say
    /// about framing, and where they end.
    #[inline]
    pub(super) fn recall(
        &mut self,
        input: &[u8],
        start: usize,
        fields: &mut [Field],
    ) -> Option<(Framing, usize)> {
        if self.bytes.is_empty() {
            self.passing_by = self.passing_by.saturating_sub(1);
            return None;
        }
        let end = start + self.bytes.len();
        if !input.get(start..end).is_some_and(|lines| are_same(lines, &self.bytes)) {
            self.miss();
            return None;
        }
        self.misses = 0;
        let to = start as u32;
        if to != self.at {
            let by = to.wrapping_sub(self.at);
            for field in fields {
                *field = Field { name: field.name.moved(by), value: field.value.moved(by) };
            }
            self.framing.host = self.framing.host.map(|host| host.moved(by));
            self.at = to;
        }
        Some((self.framing, end))
    }

    #[inline(never)]
    fn miss(&mut self) {
        self.misses += 1;
        if self.misses == MISSES_MAX {
            self.misses = 0;
            self.passing_by = PASSED_BY;
        }
    }
}

impl Span {
    /// The same range, `by` bytes further on, or back.
    #[inline]
    const fn moved(self, by: u32) -> Self {
        Self { start: self.start.wrapping_add(by), end: self.end.wrapping_add(by) }
    }
}

/// Whether two texts of one length that end in a blank line are the same. Lines may hold a secret of
/// another peer: but for where they end, it takes the same time however much of it was guessed.
#[inline]
fn are_same(lines: &[u8], known: &[u8]) -> bool {
    let (Some(end), Some(known_end)) = (lines.last_chunk(), known.last_chunk()) else {
        // A head with so few is read fast enough.
        return false;
    };
    if end[12..] != known_end[12..] {
        return false;
    }
    let pairs = lines.as_chunks().0.iter().zip(known.as_chunks().0);
    let other = pairs
        .fold(others_in(end, known_end), |other, (part, known)| other | others_in(part, known));
    other.cmp_eq(i8x16::ZERO).move_mask() == 0xffff
}

/// What differs.
#[inline]
fn others_in(part: &[u8; 16], known: &[u8; 16]) -> i8x16 {
    let [part, known] = [part, known].map(|bytes| i8x16::new(bytes.map(u8::cast_signed)));
    part ^ known
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, MISSES_MAX, PASSED_BY, are_same};
    use crate::http1::head::{Head, Progress, receive};
    use crate::http1::{Limits, Refusal, scan::HeadScan};
    use proptest::prelude::*;

    /// What one reads out of a head.
    fn read(input: &[u8], head: &mut Head) -> Result<String, Refusal> {
        match receive(input, &Limits::default(), &mut HeadScan::default(), head)? {
            Progress::Complete => {
                let said = (head.body, head.keep_alive, head.expect_continue, head.upgrade);
                let lines = (&head.method, head.target, head.version, head.len, head.host);
                Ok(format!("{lines:?} {said:?} {:?}", head.fields()))
            }
            progress => Ok(format!("{progress:?}")),
        }
    }

    const LINES: [&str; 4] = [
        "GET / HTTP/1.1",
        "GET /tide/high?sea=north HTTP/1.1",
        "HEAD /a HTTP/1.1",
        "GET / HTTP/1.0",
    ];
    const BLOCKS: [&str; 7] = [
        "Host: a.example\r\n\r\n",
        "Host: b.example\r\n\r\n",
        "Host: a.example\r\nConnection: close\r\n\r\n",
        "Host: a.example\r\nContent-Length: 5\r\n\r\nhello",
        "Host: a.example\r\nContent-Length: 6\r\n\r\nhello!",
        "Host:a.example\r\nAccept: \u{e9}\r\n\r\n",
        "Accept: */*\r\n\r\n",
    ];

    proptest! {
        #[test]
        fn a_head_reads_the_same_whatever_was_read_before_it(
            heads in prop::collection::vec(
                (0..LINES.len(), 0..BLOCKS.len(), prop::option::of((any::<prop::sample::Index>(), any::<u8>()))),
                1..12,
            ),
        ) {
            let mut used = Head::new();
            for (line, block, changed) in heads {
                let mut input = format!("{}\r\n{}", LINES[line], BLOCKS[block]).into_bytes();
                if let Some((place, byte)) = changed {
                    let place = place.index(input.len());
                    input[place] = byte;
                }
                prop_assert_eq!(read(&input, &mut used), read(&input, &mut Head::new()));
            }
        }
    }

    #[test]
    fn same_lines_are_recalled_and_moved_up_to_a_size() {
        for (value_len, is_kept) in [(10, true), (900, true), (BYTES_MAX, false)] {
            let fields = format!("Host: a\r\nX: {}\r\n\r\n", "v".repeat(value_len));
            let mut head = Head::new();
            for target in ["/", "/longer", "/"] {
                let input = format!("GET {target} HTTP/1.1\r\n{fields}");
                assert_eq!(
                    read(input.as_bytes(), &mut head),
                    read(input.as_bytes(), &mut Head::new())
                );
                let start = input.len() - fields.len();
                let found =
                    head.recalled.clone().recall(input.as_bytes(), start, &mut head.fields.clone());
                assert_eq!(found.map(|(_, end)| end), is_kept.then_some(input.len()));
            }
        }
    }

    #[test]
    fn lines_that_are_others_each_time_are_passed_by_for_a_while() {
        let mut head = Head::new();
        let mut kept = 0;
        for number in 0..640 {
            let input = format!("GET / HTTP/1.1\r\nHost: a.example\r\nX: {number:08}\r\n\r\n");
            read(input.as_bytes(), &mut head).unwrap();
            kept += usize::from(!head.recalled.bytes.is_empty());
        }
        assert_eq!(kept, 640 / usize::from(MISSES_MAX + PASSED_BY) * usize::from(MISSES_MAX));
        let input = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        for _ in 0..=usize::from(PASSED_BY) + 1 {
            read(input, &mut head).unwrap();
        }
        assert!(!head.recalled.bytes.is_empty(), "the same lines are found again");
    }

    #[test]
    fn every_byte_makes_lines_others() {
        for len in 16..70 {
            let mut lines = vec![b'a'; len];
            lines[len - 4..].copy_from_slice(b"\r\n\r\n");
            assert!(are_same(&lines, &lines.clone()));
            for place in 0..len {
                let mut others = lines.clone();
                others[place] ^= 1;
                assert!(!are_same(&others, &lines), "{place} of {len}");
            }
        }
        let few = b"Host: a\r\n\r\n";
        assert!(!are_same(b"", b"") && !are_same(few, few));
    }
}
