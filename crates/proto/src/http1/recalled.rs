//! The field lines of the head before, so that the same lines are not read anew.
//! It must never take lines for the same that differ in a byte, nor tell by its time how many are.

use super::framing::Framing;
use super::head::{Field, Span};

/// Longer field lines are read anew every time.
const BYTES_MAX: usize = 1024;

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
        if end - start <= BYTES_MAX {
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
        let end = start + self.bytes.len();
        let lines = input.get(start..end)?;
        if !are_same(lines, &self.bytes) {
            return None;
        }
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
    let (Some((rest, end)), Some((known, known_end))) =
        (lines.split_last_chunk::<4>(), known.split_last_chunk::<4>())
    else {
        return false;
    };
    if end != known_end {
        return false;
    }
    let (words, tail) = rest.as_chunks::<8>();
    let (known_words, known_tail) = known.as_chunks::<8>();
    let pairs = words.iter().zip(known_words);
    let other = pairs.fold(0, |other, (word, known)| {
        other | (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(*known))
    });
    let tails = tail.iter().zip(known_tail);
    (tails.fold(0, |other, (byte, known)| other | (byte ^ known)) == 0) & (other == 0)
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, are_same};
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
    fn every_byte_makes_lines_others() {
        for len in 4..40 {
            let mut lines = vec![b'a'; len];
            lines[len - 4..].copy_from_slice(b"\r\n\r\n");
            assert!(are_same(&lines, &lines.clone()));
            for place in 0..len {
                let mut others = lines.clone();
                others[place] ^= 1;
                assert!(!are_same(&others, &lines), "{place} of {len}");
            }
        }
        assert!(!are_same(b"", b""), "nothing is recalled of nothing");
    }
}
