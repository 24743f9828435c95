//! How fast a body must come: each byte pays for a while, and what is paid for may run out.
//! It must never count the time in which nothing comes: that is another deadline's business.

use super::limits::Limits;

/// Until when what has come of a body pays, in the low bits of the time: only differences count.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace(u32);

impl Pace {
    /// A body begins, or is taken again: it has the whole window.
    pub(crate) const fn begin(now_ms: u64, limits: &Limits) -> Self {
        Self(low(now_ms.saturating_add(limits.body_rate_window_ms)))
    }

    /// Counts bytes that came now. False when what came before was too little by the time its last
    /// byte, at `before_ms`, came. What comes at one moment is one arrival, however it is cut.
    pub(crate) fn holds(
        &mut self,
        before_ms: u64,
        now_ms: u64,
        count: usize,
        limits: &Limits,
    ) -> bool {
        if limits.body_rate_min == 0 {
            return true;
        }
        if before_ms < now_ms && is_behind(self.0, low(before_ms)) {
            return false;
        }
        // A byte pays for a millisecond at least, so that single ones are not rounded away.
        let pays_ms = (count as u64).saturating_mul(1000).div_ceil(limits.body_rate_min);
        let most = Self::begin(now_ms, limits).0;
        let paid = self.0.wrapping_add(low(pays_ms.min(1 << 30)));
        self.0 = if is_behind(most, paid) { most } else { paid };
        true
    }
}

/// Whether `one` lies before `other`, less than 25 days apart.
const fn is_behind(one: u32, other: u32) -> bool {
    let apart = other.wrapping_sub(one);
    apart != 0 && apart < 1 << 31
}

#[expect(clippy::cast_possible_truncation, reason = "only differences of less than 25 days count")]
const fn low(ms: u64) -> u32 {
    ms as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a body that comes like this is too slow: so many bytes each so many milliseconds.
    fn ends(bytes: usize, every_ms: u64) -> Option<u64> {
        let (limits, begin) = (Limits::default(), u64::from(u32::MAX) - 5_000);
        let mut pace = Pace::begin(begin, &limits);
        let mut before = begin;
        for arrival in 1..1000 {
            let now = begin + arrival * every_ms;
            if !pace.holds(before, now, bytes, &limits) {
                return Some(now - begin);
            }
            before = now;
        }
        None
    }

    #[test]
    fn what_comes_too_slowly_is_found() {
        for (bytes, every_ms, end) in [
            (1, 1_000, Some(12_000)),
            (1, 29_000, Some(58_000)),
            (1_000, 1_000, Some(436_000)),
            (1_024, 1_000, None),
            (1, 1, None),
            (100, 25_000, Some(50_000)),
            // Long pauses with enough behind each.
            (25_600, 25_000, None),
        ] {
            assert_eq!(ends(bytes, every_ms), end, "{bytes} bytes each {every_ms} ms");
        }
    }
}
