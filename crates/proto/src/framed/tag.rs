//! Ids in frames, by which replies are matched to requests.
//! It must never give an id out that is in use: who counts them looks.

use super::prefix::{number, write_number};

/// Where the id of a frame stands in its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    offset: usize,
    width: u8,
    is_big: bool,
}

impl Tag {
    /// An id of `width` bytes, `offset` bytes behind the payload's beginning; `is_big` when the most
    /// significant byte comes first.
    ///
    /// # Panics
    /// When the width is none of 1, 2, 4 and 8.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "8 at most")]
    pub const fn new(offset: usize, width: usize, is_big: bool) -> Self {
        assert!(matches!(width, 1 | 2 | 4 | 8), "an id has 1, 2, 4 or 8 bytes");
        Self { offset, width: width as u8, is_big }
    }

    /// The id of a payload; none when it is too short.
    #[must_use]
    pub fn of(self, payload: &[u8]) -> Option<u64> {
        let bytes = payload.get(self.offset..self.end())?;
        Some(number(bytes, self.is_big))
    }

    /// The most that an id can be.
    pub(super) const fn most(self) -> u64 {
        u64::MAX >> (64 - 8 * self.width as u32)
    }

    /// Where the id ends.
    pub(super) const fn end(self) -> usize {
        self.offset.saturating_add(self.width as usize)
    }

    /// Writes what of the payload stands before the id, and the id.
    pub(super) fn write(self, payload: &[u8], id: u64, into: &mut Vec<u8>) {
        into.extend_from_slice(&payload[..self.offset]);
        write_number(id, usize::from(self.width), self.is_big, into);
    }
}
