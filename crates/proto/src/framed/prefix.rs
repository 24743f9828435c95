//! A length before each frame. It must never wait for the bytes of a frame that is too long, and
//! never take a length that could be written shorter.

use super::codec::{PayloadError, Refusal, Scan};

/// A length, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) width: Width,
    pub(super) is_big: bool,
    /// Whether it counts its own bytes.
    pub(super) is_counted: bool,
}

/// How many bytes a length has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    U8,
    U16,
    U32,
    Varint,
}

/// The most bytes that a varint has: as many as 32 bits need.
const VARINT_BYTES_MAX: usize = 5;

impl Prefix {
    #[inline]
    pub(super) fn read(self, input: &[u8], bytes_max: usize) -> Result<Scan, Refusal> {
        let Some((value, width)) = self.value(input)? else {
            return Ok(Scan::NeedBytes { at_least: self.bytes_at_least(input) });
        };
        let counted = if self.is_counted { width } else { 0 };
        let len = usize::try_from(value).unwrap_or(usize::MAX);
        let len = len.checked_sub(counted).ok_or(Refusal::LengthBelowPrefix)?;
        if len > bytes_max {
            return Err(Refusal::TooLong { bytes_max });
        }
        let end = width.saturating_add(len);
        Ok(match input.len() < end {
            true => Scan::NeedBytes { at_least: end },
            false => Scan::Whole { consumed: end, payload: width..end },
        })
    }

    /// The number that stands there and how many bytes it has; none when it is not whole.
    #[inline]
    fn value(self, input: &[u8]) -> Result<Option<(u64, usize)>, Refusal> {
        let width = match self.width {
            Width::U8 => 1,
            Width::U16 => 2,
            Width::U32 => 4,
            Width::Varint => return varint(input),
        };
        let Some(bytes) = input.get(..width) else { return Ok(None) };
        Ok(Some((number(bytes, self.is_big), width)))
    }

    const fn bytes_at_least(self, input: &[u8]) -> usize {
        match self.width {
            Width::U8 => 1,
            Width::U16 => 2,
            Width::U32 => 4,
            Width::Varint => input.len() + 1,
        }
    }

    /// Writes the length of a payload.
    #[inline]
    pub(super) fn write(self, len: usize, into: &mut Vec<u8>) -> Result<(), PayloadError> {
        let (width, value_max) = match self.width {
            Width::U8 => (1, u64::from(u8::MAX)),
            Width::U16 => (2, u64::from(u16::MAX)),
            Width::U32 => (4, u64::from(u32::MAX)),
            Width::Varint => (self.varint_bytes(len), u64::from(u32::MAX)),
        };
        let counted = if self.is_counted { width } else { 0 };
        let value = (len as u64).saturating_add(counted as u64);
        if value > value_max {
            let bytes_max = usize::try_from(value_max).unwrap_or(usize::MAX) - counted;
            return Err(PayloadError::TooLong { bytes_max });
        }
        match self.width {
            Width::Varint => write_varint(value, into),
            _ => write_number(value, width, self.is_big, into),
        }
        Ok(())
    }

    /// How many bytes the varint of a payload of `len` bytes has, itself counted or not.
    fn varint_bytes(self, len: usize) -> usize {
        let sum = |width: usize| len.saturating_add(if self.is_counted { width } else { 0 });
        (1..VARINT_BYTES_MAX)
            .find(|width| (sum(*width) as u64) < 1 << (7 * width))
            .unwrap_or(VARINT_BYTES_MAX)
    }
}

/// A varint of 32 bits at most, the shortest that says its number.
fn varint(input: &[u8]) -> Result<Option<(u64, usize)>, Refusal> {
    let mut value = 0_u64;
    for (index, byte) in input.iter().take(VARINT_BYTES_MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let is_shortest = index == 0 || *byte != 0;
            let is_whole = is_shortest && value <= u64::from(u32::MAX);
            return if is_whole {
                Ok(Some((value, index + 1)))
            } else {
                Err(Refusal::LengthOverlong)
            };
        }
    }
    if input.len() >= VARINT_BYTES_MAX { Err(Refusal::LengthOverlong) } else { Ok(None) }
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits of it")]
fn write_varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// A number of up to eight bytes.
#[inline]
pub(super) fn number(bytes: &[u8], is_big: bool) -> u64 {
    let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    if is_big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
}

/// Writes the lowest `width` bytes of a number.
#[inline]
pub(super) fn write_number(value: u64, width: usize, is_big: bool, into: &mut Vec<u8>) {
    match is_big {
        true => into.extend_from_slice(&value.to_be_bytes()[8 - width..]),
        false => into.extend_from_slice(&value.to_le_bytes()[..width]),
    }
}
