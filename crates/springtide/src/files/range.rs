//! Byte ranges (RFC 9110 §14.1.2): the one part of a file that a request asks for.
//! Several ranges are never answered: a reply to them costs more than they are worth (§14.2).

use std::ops::Range;

/// What a `Range` field means for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing: another unit, several ranges, not well-formed. The whole file is sent.
    Whole,
    /// This part of it, at least one byte.
    Part(Range<u64>),
    /// No byte of it.
    Unsatisfiable,
}

/// Reads the value of a `Range` field for a file of `length` bytes.
pub(super) fn read(value: &[u8], length: u64) -> Asked {
    only_one(value).and_then(|range| part_of(range, length)).unwrap_or(Asked::Whole)
}

/// The only range of a list, without the unit. Empty elements of a list count as nothing (§5.6.1).
fn only_one(value: &[u8]) -> Option<&[u8]> {
    let (unit, list) = value.split_at_checked(6)?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let mut ranges =
        list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|range| !range.is_empty());
    let first = ranges.next()?;
    ranges.next().is_none().then_some(first)
}

fn part_of(range: &[u8], length: u64) -> Option<Asked> {
    let dash = range.iter().position(|byte| *byte == b'-')?;
    match (&range[..dash], &range[dash + 1..]) {
        ([], suffix) => suffix_of(number(suffix)?, length),
        (first, []) => Some(span(number(first)?, length, length)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| span(first, last.saturating_add(1), length))
        }
    }
}

const fn span(start: u64, end: u64, length: u64) -> Asked {
    if start >= length {
        return Asked::Unsatisfiable;
    }
    Asked::Part(start..if end < length { end } else { length })
}

/// The last bytes of a file. Of an empty one they are all its bytes, which no `Content-Range` can
/// say: it is sent whole.
fn suffix_of(count: u64, length: u64) -> Option<Asked> {
    match (count, length) {
        (0, _) => Some(Asked::Unsatisfiable),
        (_, 0) => None,
        _ => Some(Asked::Part(length.saturating_sub(count)..length)),
    }
}

/// A number of digits only. One that is too great is as good as the greatest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREAT: &str = "99999999999999999999999";

    #[test]
    fn ranges_of_ten_bytes() {
        let part = |start, end| Asked::Part(start..end);
        let table = [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-", part(0, 10)),
            ("bytes=0-9", part(0, 10)),
            ("bytes=0-10", part(0, 10)),
            ("bytes=3-5", part(3, 6)),
            ("bytes=9-", part(9, 10)),
            ("bytes=9-9", part(9, 10)),
            ("bytes=10-", Asked::Unsatisfiable),
            ("bytes=10-12", Asked::Unsatisfiable),
            ("bytes=-1", part(9, 10)),
            ("bytes=-10", part(0, 10)),
            ("bytes=-11", part(0, 10)),
            ("bytes=-0", Asked::Unsatisfiable),
            ("BYTES=1-2", part(1, 3)),
            ("bytes= 1-2 ", part(1, 3)),
            ("bytes=,1-2,", part(1, 3)),
            ("bytes=007-008", part(7, 9)),
            ("bytes=5-3", Asked::Whole),
            ("bytes=0-0,2-2", Asked::Whole),
            ("bytes=0-,0-,0-", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes=,", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=1", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=1-b", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=1 - 2", Asked::Whole),
            ("bytes=--1", Asked::Whole),
            ("bytes=1-2-3", Asked::Whole),
            ("bytes 1-2", Asked::Whole),
            ("bytes =1-2", Asked::Whole),
            ("items=1-2", Asked::Whole),
            ("", Asked::Whole),
            ("0-1", Asked::Whole),
        ];
        for (value, asked) in table {
            assert_eq!(read(value.as_bytes(), 10), asked, "{value:?}");
        }
    }

    #[test]
    fn numbers_that_are_too_great() {
        let table = [
            (format!("bytes={GREAT}-"), Asked::Unsatisfiable),
            (format!("bytes=0-{GREAT}"), Asked::Part(0..10)),
            (format!("bytes=-{GREAT}"), Asked::Part(0..10)),
            (format!("bytes={GREAT}-{GREAT}"), Asked::Unsatisfiable),
            (format!("bytes=0-{}", u64::MAX), Asked::Part(0..10)),
        ];
        for (value, asked) in table {
            assert_eq!(read(value.as_bytes(), 10), asked, "{value:?}");
        }
    }

    #[test]
    fn ranges_of_nothing() {
        assert_eq!(read(b"bytes=0-", 0), Asked::Unsatisfiable);
        assert_eq!(read(b"bytes=0-0", 0), Asked::Unsatisfiable);
        assert_eq!(read(b"bytes=-1", 0), Asked::Whole);
        assert_eq!(read(b"bytes=-0", 0), Asked::Unsatisfiable);
    }
}
