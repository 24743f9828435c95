//! Where the bytes lie that a head is cut at, found for many bytes at once.
//! It must never look outside its input, and never take a byte for visible that is not.

use wide::{CmpEq, CmpGt, i8x16};

/// Bytes looked at together, one to a bit.
const BLOCK: usize = 64;

/// A walk along the bytes of an input that are neither visible ASCII nor a space, forward only.
pub(super) struct Ends<'input> {
    input: &'input [u8],
    /// Where the block begins that is looked at.
    base: usize,
    /// Its bytes, from the lowest bit on.
    ends: u64,
}

impl<'input> Ends<'input> {
    /// A walk that begins at `input[start..]`.
    #[inline]
    pub(super) fn new(input: &'input [u8], start: usize) -> Self {
        Self { input, base: start, ends: ends_at(input, start) }
    }

    /// The first one at or behind `from`. None, or a place behind the input, when there is none.
    #[inline]
    pub(super) fn next(&mut self, mut from: usize) -> Option<usize> {
        loop {
            let offset = from - self.base;
            if offset < BLOCK {
                let ends = self.ends >> offset;
                if ends != 0 {
                    return Some(from + ends.trailing_zeros() as usize);
                }
                from = self.base + BLOCK;
            }
            self.base += BLOCK;
            self.ends = next_ends(self.input, self.base)?;
        }
    }
}

#[inline(never)]
fn next_ends(input: &[u8], start: usize) -> Option<u64> {
    (start < input.len()).then(|| ends_at(input, start))
}

/// The ends in the block that begins at `start`; what lies behind the input counts as one.
#[inline]
fn ends_at(input: &[u8], start: usize) -> u64 {
    let rest = &input[start..];
    match rest.first_chunk() {
        Some(bytes) => ends_in(bytes),
        None => ends_in_rest(rest),
    }
}

#[inline(never)]
fn ends_in_rest(rest: &[u8]) -> u64 {
    let mut bytes = [0; BLOCK];
    bytes[..rest.len()].copy_from_slice(rest);
    ends_in(&bytes)
}

#[inline]
fn ends_in(bytes: &[u8; BLOCK]) -> u64 {
    let parts = bytes.as_chunks::<16>().0.iter().enumerate();
    !parts.fold(0, |visible, (part, bytes)| {
        // As signed numbers, bytes from 0x80 on are less than all others.
        let bytes = i8x16::new(bytes.map(u8::cast_signed));
        let mask = bytes.cmp_gt(i8x16::splat(0x1f)) & !bytes.cmp_eq(i8x16::splat(0x7f));
        visible | (u64::from(mask.move_mask().cast_unsigned()) << (16 * part))
    })
}

/// How many bytes from the beginning on are letters, digits or hyphens; sixteen at a time.
#[inline]
pub(super) fn name_len(bytes: &[u8]) -> usize {
    let mut len = 0;
    while let Some(part) = bytes[len..].first_chunk() {
        let others = !names_in(part);
        if others != 0 {
            return len + others.trailing_zeros() as usize;
        }
        len += 16;
    }
    len + rest_len(&bytes[len..])
}

#[inline(never)]
fn rest_len(bytes: &[u8]) -> usize {
    let mut part = [0; 16];
    part[..bytes.len()].copy_from_slice(bytes);
    (!names_in(&part)).trailing_zeros() as usize
}

#[inline]
fn names_in(bytes: &[u8; 16]) -> u16 {
    let bytes = i8x16::new(bytes.map(u8::cast_signed));
    let small = bytes | i8x16::splat(0x20);
    let hyphens = bytes.cmp_eq(i8x16::splat(b'-'.cast_signed()));
    (among(small, b'a', 26) | among(bytes, b'0', 10) | hyphens).move_mask() as u16
}

/// Whether these are 8 to 32 bytes, all of them letters, digits, hyphens or dots: both ends are
/// looked at, which meet or overlap.
#[inline]
pub(super) fn is_common_host(bytes: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<16>(), bytes.last_chunk::<16>()) {
        return bytes.len() <= 32 && hosts_in(first) & hosts_in(last) == u16::MAX;
    }
    let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) else {
        return false;
    };
    let mut both = [0; 16];
    both[..8].copy_from_slice(first);
    both[8..].copy_from_slice(last);
    hosts_in(&both) == u16::MAX
}

#[inline]
fn hosts_in(bytes: &[u8; 16]) -> u16 {
    let dots = i8x16::new(bytes.map(u8::cast_signed)).cmp_eq(i8x16::splat(b'.'.cast_signed()));
    names_in(bytes) | dots.move_mask() as u16
}

/// Which bytes are among the `count` from `first` on: shifted so that `first` is the lowest of all
/// signed numbers, one comparison tells.
#[inline]
fn among(bytes: i8x16, first: u8, count: u8) -> i8x16 {
    let shifted = bytes + i8x16::splat(i8::MIN.wrapping_sub_unsigned(first));
    i8x16::splat(i8::MIN.wrapping_add_unsigned(count)).cmp_gt(shifted)
}

/// Whether a space is among bytes of visible ASCII; eight at a time.
#[inline]
pub(super) fn has_space(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = 0x80 * ONES;
    // Of these bytes only the space has no high bit when 0x5f is added.
    let has = |word: &[u8; 8]| (u64::from_ne_bytes(*word) + 0x5f * ONES) & HIGH != HIGH;
    match bytes.last_chunk() {
        Some(last) => bytes.as_chunks().0.iter().any(has) || has(last),
        None => bytes.contains(&b' '),
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Ends, has_space, is_common_host, name_len};

    #[test]
    fn every_byte_is_an_end_or_is_not() {
        for byte in 0..=u8::MAX {
            for place in (0..3 * BLOCK).step_by(7) {
                let mut bytes = vec![b'~'; 3 * BLOCK + 5];
                bytes[place] = byte;
                let found = Ends::new(&bytes, 0).next(0).filter(|found| *found < bytes.len());
                let expected = (!matches!(byte, b' '..=b'~')).then_some(place);
                assert_eq!(found, expected, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn ends_are_found_one_after_the_other_from_anywhere() {
        let input: Vec<u8> = (0..400_u32).map(|n| if n * n % 7 == 2 { 9 } else { b' ' }).collect();
        for start in 0..input.len() {
            let mut ends = Ends::new(&input, start);
            let mut from = start;
            while let Some(found) = ends.next(from).filter(|found| *found < input.len()) {
                let expected = input[from..].iter().position(|byte| *byte == 9);
                assert_eq!(Some(found - from), expected, "from {from}, begun at {start}");
                from = found + 1;
            }
            assert!(!input[from..].contains(&9));
        }
    }

    #[test]
    fn every_byte_ends_a_name_or_does_not() {
        for byte in 0..=u8::MAX {
            for len in 0..40 {
                let is_name = byte.is_ascii_alphanumeric() || byte == b'-';
                for rest in [0, 3, 20] {
                    let bytes = [vec![b'a'; len], vec![byte], vec![b'-'; rest]].concat();
                    let expected = if is_name { len + 1 + rest } else { len };
                    assert_eq!(name_len(&bytes), expected, "{byte} behind {len}");
                }
            }
        }
    }

    #[test]
    fn a_common_host_has_common_bytes_only() {
        for len in 0..50 {
            assert_eq!(is_common_host(&vec![b'h'; len]), (8..=32).contains(&len), "{len}");
            for place in 0..len {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'h'; len];
                    bytes[place] = byte;
                    let is_common = byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
                    let expected = is_common && (8..=32).contains(&len);
                    assert_eq!(is_common_host(&bytes), expected, "{byte} at {place} of {len}");
                }
            }
        }
    }

    #[test]
    fn a_space_is_found_wherever_it_stands() {
        for len in 0..40 {
            for byte in b'!'..=b'~' {
                assert!(!has_space(&vec![byte; len]));
            }
            for place in 0..len {
                let mut bytes = vec![b'~'; len];
                bytes[place] = b' ';
                assert!(has_space(&bytes), "{place} of {len}");
            }
        }
    }
}
