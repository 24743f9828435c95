//! Byte ranges (RFC 9110 §14.1.2): the parts of a file that a request asks for.
//! No byte is in two parts, however often it is asked for (§14.2).

use std::ops::Range;

/// What a `Range` field means for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing: another unit, too many ranges, not well-formed. The whole file is sent.
    Whole,
    /// This part of it, at least one byte.
    Part(Range<u64>),
    /// These parts of it, two at least, in the order in which they were asked for. They have at
    /// least one byte each, and one at least between them.
    Parts(Vec<Range<u64>>),
    /// No byte of it.
    Unsatisfiable,
}

/// Ranges that a request may ask for. One that asks for more gets the whole file.
const RANGES_MAX: usize = 16;

/// Whether the value of a `Range` field asks for no more ranges than are answered.
pub(crate) fn is_within_limit(value: &[u8]) -> bool {
    ranges_of(value).is_none_or(|ranges| ranges.count() <= RANGES_MAX)
}

/// Reads the value of a `Range` field for a file of `length` bytes.
pub(super) fn read(value: &[u8], length: u64) -> Asked {
    parts_of(value, length).unwrap_or(Asked::Whole)
}

fn parts_of(value: &[u8], length: u64) -> Option<Asked> {
    if !is_within_limit(value) {
        return None;
    }
    let mut parts = Vec::new();
    let mut ranges = ranges_of(value)?.peekable();
    ranges.peek()?;
    for range in ranges {
        if let Some(part) = part_of(range, length)? {
            add(&mut parts, part);
        }
    }
    Some(match parts.len() {
        0 => Asked::Unsatisfiable,
        1 => Asked::Part(parts.remove(0)),
        _ => Asked::Parts(parts),
    })
}

/// The ranges of a list, without the unit. Empty elements of a list count as nothing (§5.6.1).
fn ranges_of(value: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let (unit, list) = value.split_at_checked(6)?;
    let ranges = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    unit.eq_ignore_ascii_case(b"bytes=").then(|| ranges.filter(|range| !range.is_empty()))
}

/// Adds a part to others. What it overlaps or touches becomes one part with it, in the place of the
/// first of them.
fn add(parts: &mut Vec<Range<u64>>, mut part: Range<u64>) {
    let (mut place, mut before) = (None, 0);
    parts.retain(|other| {
        let is_apart = other.end < part.start || part.end < other.start;
        if is_apart {
            before += 1;
        } else {
            part = part.start.min(other.start)..part.end.max(other.end);
            place.get_or_insert(before);
        }
        is_apart
    });
    parts.insert(place.unwrap_or(before), part);
}

/// One range: none when it is not well-formed, no part when it is beyond the end.
fn part_of(range: &[u8], length: u64) -> Option<Option<Range<u64>>> {
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

fn span(start: u64, end: u64, length: u64) -> Option<Range<u64>> {
    (start < length).then(|| start..end.min(length))
}

/// The last bytes of a file. Of an empty one they are all its bytes, which no `Content-Range` can
/// say: it is sent whole.
fn suffix_of(count: u64, length: u64) -> Option<Option<Range<u64>>> {
    match (count, length) {
        (0, _) => Some(None),
        (_, 0) => None,
        _ => Some(Some(length.saturating_sub(count)..length)),
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
            ("bytes=0-0,2-2", Asked::Parts(vec![0..1, 2..3])),
            ("bytes=8-9, 0-0 ,,4-5", Asked::Parts(vec![8..10, 0..1, 4..6])),
            ("bytes=0-1,-2", Asked::Parts(vec![0..2, 8..10])),
            ("bytes=0-,0-,0-", part(0, 10)),
            ("bytes=0-4,5-9", part(0, 10)),
            ("bytes=0-1,1-2,2-3", part(0, 4)),
            ("bytes=4-5,0-1,3-3,2-2", part(0, 6)),
            ("bytes=8-8,0-1,4-5,1-4", Asked::Parts(vec![8..9, 0..6])),
            ("bytes=8-8,4-5,0-1,1-4", Asked::Parts(vec![8..9, 0..6])),
            ("bytes=0-0,10-,2-2", Asked::Parts(vec![0..1, 2..3])),
            ("bytes=10-,3-4,-0", part(3, 5)),
            ("bytes=10-,11-,-0", Asked::Unsatisfiable),
            ("bytes=0-0,2-1", Asked::Whole),
            ("bytes=0-0,x", Asked::Whole),
            ("bytes=0-0;2-2", Asked::Whole),
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

    #[test]
    fn ranges_have_a_greatest_number() {
        let list = |count: u64| {
            let ranges: Vec<String> = (0..count).map(|at| format!("{0}-{0}", 2 * at)).collect();
            format!("bytes={}", ranges.join(","))
        };
        let most = list(RANGES_MAX as u64);
        let expected = (0..RANGES_MAX as u64).map(|at| 2 * at..2 * at + 1).collect();
        assert_eq!(read(most.as_bytes(), 100), Asked::Parts(expected));
        assert!(
            is_within_limit(most.as_bytes()) && is_within_limit(b"items=,,,,,,,,,,,,,,,,,,1,2")
        );
        let over = list(RANGES_MAX as u64 + 1);
        assert_eq!(read(over.as_bytes(), 100), Asked::Whole);
        assert!(!is_within_limit(over.as_bytes()));
    }

    /// CVE-2017-7529 and its like: whatever is asked for, no byte is sent twice, none beyond the
    /// end, and each byte that was asked for is in a part.
    #[test]
    fn no_byte_is_in_two_parts() {
        let mut seed = 9_u64;
        let mut draw = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            (seed >> 33) % below
        };
        for _ in 0..5000 {
            let (mut list, mut wanted) = (Vec::new(), [false; 40]);
            for _ in 0..=draw(15) {
                let (start, more) = (draw(45), draw(12));
                match draw(3) {
                    0 => list.push(format!("{start}-")),
                    1 => list.push(format!("{start}-{}", start + more)),
                    _ => list.push(format!("-{more}")),
                }
                let asked = match list.last().unwrap() {
                    range if range.starts_with('-') => 40 - more..40,
                    range if range.ends_with('-') => start..40,
                    _ => start..start + more + 1,
                };
                asked.filter(|at| *at < 40).for_each(|at| wanted[at as usize] = true);
            }
            let value = format!("bytes={}", list.join(", "));
            let parts = match read(value.as_bytes(), 40) {
                Asked::Whole => panic!("{value} is well-formed"),
                Asked::Part(part) => vec![part],
                Asked::Parts(parts) => parts,
                Asked::Unsatisfiable => Vec::new(),
            };
            let mut sent = [false; 40];
            for at in parts.into_iter().flatten() {
                assert!(!std::mem::replace(&mut sent[at as usize], true), "{value}: {at} twice");
            }
            assert_eq!(sent, wanted, "{value}");
        }
    }
}
