//! What a body is made of: text and ranges of a file in turn (RFC 9110 §14.6).
//! It holds no byte of a file, and names no file.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

/// Bytes of a file that are read at a time.
pub(super) const PIECE_BYTES_MAX: u64 = 256 << 10;

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
    pub(super) fn next(&self) -> Option<(Vec<u8>, u64)> {
        let Section { lead, range } = self.sections.front()?;
        let bytes = (range.end - range.start).min(PIECE_BYTES_MAX);
        let bytes = usize::try_from(bytes).expect("a piece has a length in memory");
        let mut memory = Vec::with_capacity(lead.len() + bytes);
        memory.extend_from_slice(lead);
        Some((memory, range.start))
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
        while let Some((mut memory, offset)) = outline.next() {
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
    fn parts_that_are_read() {
        for step in 1..12 {
            assert_eq!(read(outline(), step), WHOLE.as_bytes(), "{step}");
            assert_eq!(read(Outline::of(3..9), step), b"345678", "{step}");
        }
        assert_eq!(outline().length(), WHOLE.len() as u64);
        assert_eq!(Outline::of(3..9).length(), 6);
    }
}
