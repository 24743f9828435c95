//! The body of the request that is being read: its length, its limit, and whether anybody wants it.
//! It must never take a byte behind its end, nor more than its limit.

use super::chunked::{Chunked, Step};
use super::head::BodyLength;
use super::limits::Limits;
use super::refusal::Refusal;

/// The state of one body between two inputs.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// Bytes of a sized body still to come.
    left: u64,
    /// Bytes still allowed.
    room: u64,
    chunked: Chunked,
    is_discarded: bool,
}

impl Body {
    /// The body that a head announced.
    #[inline]
    pub(crate) fn begin(&mut self, length: BodyLength, bytes_max: u64) {
        let left = if let BodyLength::Sized(len) = length { len } else { 0 };
        *self = Self { left, room: bytes_max, chunked: Chunked::default(), is_discarded: false };
    }

    /// Whether nobody wants this body.
    #[inline]
    pub(crate) const fn is_discarded(&self) -> bool {
        self.is_discarded
    }

    /// Allows `bytes_max` bytes from here on.
    pub(crate) const fn allow(&mut self, bytes_max: u64) {
        self.room = bytes_max;
    }

    /// Whether a sized body is already known to be longer than allowed.
    #[inline]
    pub(crate) const fn is_too_long(&self) -> bool {
        self.left > self.room
    }

    /// Reads on for the sake of the connection only, up to the limit for that.
    pub(crate) fn discard(&mut self, limits: &Limits) {
        self.is_discarded = true;
        self.room = limits.discard_bytes_max;
    }

    /// Whether a sized body has come whole.
    #[inline]
    pub(crate) const fn is_sized_end(&self) -> bool {
        self.left == 0
    }

    /// Takes the next bytes of a sized body. Its length is held against the limit before any byte
    /// is taken (RUSTSEC-2022-0035).
    #[inline]
    pub(crate) fn step_sized(&mut self, input: &[u8]) -> Result<Step, Refusal> {
        if self.is_too_long() {
            return Err(Refusal::BodyTooLong);
        }
        if self.left == 0 {
            return Ok(Step::End { consumed: 0 });
        }
        if input.is_empty() {
            return Ok(Step::NeedBytes);
        }
        let taken = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
        self.left -= taken as u64;
        self.room -= taken as u64;
        Ok(Step::Data { start: 0, consumed: taken })
    }

    /// Takes the next bytes of a chunked body.
    #[inline]
    pub(crate) fn step_chunked(&mut self, input: &[u8], limits: &Limits) -> Result<Step, Refusal> {
        self.chunked.step(input, &mut self.room, limits)
    }
}
