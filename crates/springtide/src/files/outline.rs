//! What a body is made of: text and ranges of a file in turn (RFC 9110 §14.6).
//! It holds no byte of a file, and names no file.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

/// Bytes of a file that are read at a time.
pub(super) const PIECE_BYTES_MAX: u64 = 256 << 10;
/// Bytes behind what is passed of a range: its last piece is read, so that there is one.
const PIECE_BEHIND_BYTES: u64 = 4 << 10;
/// Bytes of a file that are passed at a time: what one connection holds the others up with, as with
/// nginx.
const PASSED_BYTES_MAX: u64 = 2 << 20;
/// Fewer are read.
const PASSED_BYTES_MIN: u64 = 64 << 10;
/// The last bytes of a body are read, as many as two systems keep between them (`tcp_wmem` and
/// `tcp_rmem` of Linux allow 4 and 6 MiB, of which a part is not bytes): when the file is looked at
/// for the last time the peer has what was passed.
const READ_AT_LAST_BYTES: u64 = 8 << 20;

/// What is still to be sent of a body.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    sections: VecDeque<Section>,
    /// Behind the last section.
    tail: Bytes,
}

/// Text, and behind it bytes of the file: at least one.
#[derive(Debug, Clone)]
struct Section {
    lead: Bytes,
    range: Range<u64>,
}

/// How parts of a file are told from each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Multipart<'a> {
    /// What stands in no part, as far as one can tell.
    pub(super) boundary: &'a str,
    /// The fields of every part but its range, each with its line end.
    pub(super) fields: &'a str,
    /// Of the whole file, in bytes.
    pub(super) length: u64,
}

impl Outline {
    /// One range and nothing else.
    pub(super) fn of(range: Range<u64>) -> Self {
        let section = Section { lead: Bytes::new(), range };
        Self { sections: VecDeque::from([section]), tail: Bytes::new() }
    }

    /// Several ranges, each with its own head.
    pub(super) fn multipart(ranges: &[Range<u64>], how: Multipart<'_>) -> Self {
        let Multipart { boundary, fields, length } = how;
        let section = |(index, range): (usize, &Range<u64>)| {
            let line_end = if index == 0 { "" } else { "\r\n" };
            let (start, last) = (range.start, range.end - 1);
            let lead = format!(
                "{line_end}--{boundary}\r\n{fields}content-range: bytes {start}-{last}/{length}\r\n\r\n"
            );
            Section { lead: lead.into(), range: range.clone() }
        };
        let sections = ranges.iter().enumerate().map(section).collect();
        Self { sections, tail: format!("\r\n--{boundary}--\r\n").into() }
    }

    /// In bytes.
    pub(super) fn length(&self) -> u64 {
        let of = |section: &Section| {
            section.lead.len() as u64 + (section.range.end - section.range.start)
        };
        self.sections.iter().map(of).sum::<u64>() + self.tail.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// The whole body out of a file that is in memory, which is shared and not copied.
    pub(super) fn pieces(self, file: &Bytes) -> Vec<Bytes> {
        let index = |at| usize::try_from(at).expect("a file in memory has a length in memory");
        let of = |Section { lead, range }| [lead, file.slice(index(range.start)..index(range.end))];
        let pieces = self.sections.into_iter().flat_map(of).chain([self.tail]);
        pieces.filter(|piece| !piece.is_empty()).collect()
    }

    /// Memory for the next piece, with room for what is to be read behind the text in it, and
    /// where in the file to read from. None when nothing is left.
    pub(super) fn next(&self, bytes_max: u64) -> Option<(Vec<u8>, u64)> {
        let Section { lead, range } = self.sections.front()?;
        let bytes = (range.end - range.start).min(bytes_max);
        let bytes = usize::try_from(bytes).expect("a piece has a length in memory");
        let mut memory = Vec::with_capacity(lead.len() + bytes);
        memory.extend_from_slice(lead);
        Some((memory, range.start))
    }

    /// What may be passed from the file to the socket: what lies behind it is left to be read.
    pub(super) fn passable(&self) -> Option<(u64, usize)> {
        let Section { lead, range } = self.sections.front()?;
        let of_section = (range.end - range.start).saturating_sub(PIECE_BEHIND_BYTES);
        let bytes = of_section.min(self.length().saturating_sub(READ_AT_LAST_BYTES));
        let is_worth_it = lead.is_empty() && bytes >= PASSED_BYTES_MIN;
        let bytes = usize::try_from(bytes.min(PASSED_BYTES_MAX)).ok()?;
        is_worth_it.then_some((range.start, bytes))
    }

    /// So much of what [`passable`](Self::passable) gave has been passed.
    pub(super) fn pass(&mut self, bytes: usize) {
        if let Some(section) = self.sections.front_mut() {
            section.range.start += bytes as u64;
            assert!(!section.range.is_empty(), "the last piece of a range is read");
        }
    }

    /// Whether nothing was read into what [`next`](Self::next) gave.
    pub(super) fn is_unread(&self, memory: &[u8]) -> bool {
        let lead = self.sections.front().map_or(0, |section| section.lead.len());
        memory.len() <= lead
    }

    /// What [`next`](Self::next) gave has been read, as a whole or in part: it is left no more.
    /// What ends the body is added to its last piece.
    pub(super) fn take(&mut self, memory: &mut Vec<u8>) {
        if let Some(section) = self.sections.front_mut() {
            section.range.start += (memory.len() - section.lead.len()) as u64;
            section.lead = Bytes::new();
            if section.range.is_empty() {
                self.sections.pop_front();
            }
        }
        if self.sections.is_empty() {
            memory.extend_from_slice(&std::mem::take(&mut self.tail));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"0123456789abcdefghij";
    const WHOLE: &str = "--B\r\ncontent-type: a/b\r\ncontent-range: bytes 2-4/20\r\n\r\n234\
                         \r\n--B\r\ncontent-type: a/b\r\ncontent-range: bytes 0-0/20\r\n\r\n0\
                         \r\n--B\r\ncontent-type: a/b\r\ncontent-range: bytes 10-19/20\r\n\r\nabcdefghij\
                         \r\n--B--\r\n";

    fn outline() -> Outline {
        let how = Multipart { boundary: "B", fields: "content-type: a/b\r\n", length: 20 };
        Outline::multipart(&[2..5, 0..1, 10..20], how)
    }

    #[test]
    fn parts_of_a_file_in_memory() {
        let file = Bytes::from_static(FILE);
        let pieces = outline().pieces(&file);
        assert_eq!(pieces.concat(), WHOLE.as_bytes());
        assert_eq!(pieces[1].as_ptr(), file[2..].as_ptr(), "it is shared");
        assert_eq!(Outline::of(3..6).pieces(&file), [&b"345"[..]]);
    }

    /// Read `step` bytes at a time, as a disk may give them.
    fn read(mut outline: Outline, step: usize) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some((mut memory, offset)) = outline.next(PIECE_BYTES_MAX) {
            assert!(outline.is_unread(&memory));
            let room = (memory.capacity() - memory.len()).min(step);
            let offset = usize::try_from(offset).unwrap();
            memory.extend_from_slice(&FILE[offset..offset + room]);
            assert!(!outline.is_unread(&memory));
            outline.take(&mut memory);
            body.extend(memory);
        }
        assert!(outline.is_empty());
        body
    }

    #[test]
    fn what_is_passed_leaves_the_end_to_be_read() {
        const END: u64 = 20 << 20;
        let mut outline = Outline::of(5..END);
        let mut at = 5;
        while let Some((offset, bytes)) = outline.passable() {
            assert_eq!(offset, at);
            assert!((PASSED_BYTES_MIN..=PASSED_BYTES_MAX).contains(&(bytes as u64)), "{bytes}");
            outline.pass(bytes / 2 + 1);
            at += bytes as u64 / 2 + 1;
        }
        assert!(at <= END - READ_AT_LAST_BYTES, "passed to {at}");
        assert!(at > END - READ_AT_LAST_BYTES - PASSED_BYTES_MIN, "passed to {at} only");
        let ranges = [0..1 << 20, 5 << 20..30 << 20, 90 << 20..91 << 20];
        let how = Multipart { boundary: "B", fields: "", length: 1 << 30 };
        let mut outline = Outline::multipart(&ranges, how);
        assert_eq!(outline.passable(), None, "a part's head is read with its first bytes");
        let (mut memory, _) = outline.next(PIECE_BYTES_MAX).unwrap();
        memory.resize(memory.capacity(), 0);
        outline.take(&mut memory);
        assert_eq!(outline.passable(), Some((256 << 10, (768 << 10) - 4096)));
    }

    #[test]
    fn parts_that_are_read() {
        for step in 1..12 {
            assert_eq!(read(outline(), step), WHOLE.as_bytes(), "{step}");
            assert_eq!(read(Outline::of(3..9), step), b"345678", "{step}");
        }
        assert_eq!(outline().length(), WHOLE.len() as u64);
        assert_eq!(Outline::of(3..9).length(), 6);
    }
}
