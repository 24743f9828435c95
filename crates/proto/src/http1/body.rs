//! The body of the request that is being read: its length, its limit, and whether anybody wants it.
//! It must never take a byte behind its end, nor more than its limit.

use super::chunked::{Amount, Chunked, Step};
use super::head::BodyLength;
use super::limits::Limits;
use super::pace::Pace;
use super::refusal::Refusal;
use super::scan::HeadScan;

/// The state of one body between two inputs.
#[derive(Debug, Default)]
pub(crate) struct Body {
    amount: Amount,
    chunked: Chunked,
    taken: Taken,
    /// How much of it came lately.
    pub(crate) pace: Pace,
}

/// What becomes of what comes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Taken {
    #[default]
    Now,
    /// The caller takes nothing of it for now.
    Later,
    /// Nobody wants it.
    Never,
}

impl Body {
    /// The body that a head announced.
    #[inline]
    pub(crate) fn begin(&mut self, length: BodyLength, bytes_max: u64) {
        let left = if let BodyLength::Sized(len) = length { len } else { 0 };
        let amount = Amount { left, room: bytes_max };
        *self = Self { amount, ..Self::default() };
    }

    /// Whether nobody wants this body.
    #[inline]
    pub(crate) const fn is_discarded(&self) -> bool {
        matches!(self.taken, Taken::Never)
    }

    /// Whether it waits for the caller.
    #[inline]
    pub(crate) const fn is_held_up(&self) -> bool {
        matches!(self.taken, Taken::Later)
    }

    /// The caller takes nothing of it for now, or takes it again; unless nobody wants it.
    pub(crate) const fn hold_up(&mut self, is_held_up: bool) {
        if !self.is_discarded() {
            self.taken = if is_held_up { Taken::Later } else { Taken::Now };
        }
    }

    /// Allows `bytes_max` bytes from here on.
    pub(crate) const fn allow(&mut self, bytes_max: u64) {
        self.amount.room = bytes_max;
    }

    /// Whether a sized body is already known to be longer than allowed.
    #[inline]
    pub(crate) const fn is_too_long(&self) -> bool {
        self.amount.left > self.amount.room
    }

    /// Reads on for the sake of the connection only, up to the limit for that.
    pub(crate) fn discard(&mut self, limits: &Limits) {
        self.taken = Taken::Never;
        self.amount.room = limits.discard_bytes_max;
    }

    /// Whether a sized body has come whole.
    #[inline]
    pub(crate) const fn is_sized_end(&self) -> bool {
        self.amount.left == 0
    }

    /// How much of a sized body is still to come.
    #[inline]
    pub(crate) const fn left(&self) -> u64 {
        self.amount.left
    }

    /// Takes the next bytes of a sized body. Its length is held against the limit before any byte
    /// is taken (RUSTSEC-2022-0035).
    #[inline]
    pub(crate) fn step_sized(&mut self, input: &[u8]) -> Result<Step, Refusal> {
        if self.is_too_long() {
            return Err(Refusal::BodyTooLong);
        }
        if self.amount.left == 0 {
            return Ok(Step::End { start: 0, consumed: 0 });
        }
        if input.is_empty() {
            return Ok(Step::NeedBytes);
        }
        let taken =
            usize::try_from(self.amount.left).map_or(input.len(), |left| left.min(input.len()));
        self.amount.left -= taken as u64;
        self.amount.room -= taken as u64;
        Ok(Step::Data { start: 0, consumed: taken })
    }

    /// Takes the next bytes of a chunked body.
    #[inline]
    pub(crate) fn step_chunked(
        &mut self,
        input: &[u8],
        scan: &mut HeadScan,
        limits: &Limits,
    ) -> Result<Step, Refusal> {
        self.chunked.step(input, &mut self.amount, scan, limits)
    }
}
