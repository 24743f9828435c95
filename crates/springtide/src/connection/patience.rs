//! Patience with a peer that takes slowly what is sent to it, or nothing.
//! It keeps no time and asks no engine: it is shown what is seen of the send in flight.

use crate::limits::Limits;

/// How often a send in flight is looked at within its timeout. What the peer took between two
/// looks, it took at the second one: so much of the timeout a peer may have more.
const LOOKS: u8 = 8;

/// What was seen of the send in flight; nothing, while none is in flight.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    /// How many bytes of it the peer had taken, at first; see `Handle::send_progress`.
    taken: i64,
    /// How many looks in a row have seen too little more; none yet at a send that has only begun.
    looks: u8,
}

impl Patience {
    /// How long from one look to the next, and from the beginning of a send to the first one.
    pub(crate) const fn step_ms(send_timeout_ms: u64) -> u64 {
        send_timeout_ms.div_ceil(LOOKS as u64)
    }

    /// What a peer has to take within the timeout, in bytes.
    pub(crate) fn least(limits: &Limits) -> i64 {
        let bytes = limits.send_rate_min.saturating_mul(limits.send_timeout_ms) / 1000;
        i64::try_from(bytes).unwrap_or(i64::MAX).max(1)
    }

    /// One look; true when the peer has taken less than so many bytes in the whole timeout.
    pub(crate) fn is_over(&mut self, taken: i64, least: i64) -> bool {
        if self.looks == 0 || taken - self.taken >= least {
            *self = Self { taken, looks: 1 };
            return false;
        }
        self.looks += 1;
        self.looks > LOOKS
    }

    /// Whether no more was taken than at the first of the looks in a row.
    pub(crate) const fn has_seen(&self, taken: i64) -> bool {
        self.taken == taken
    }

    /// Whether the send in flight was looked at.
    pub(crate) const fn has_begun(&self) -> bool {
        self.looks > 0
    }

    /// The send was cut behind so many bytes: the next one begins with the rest of it.
    pub(crate) fn cut(&mut self, sent: usize) {
        self.taken -= i64::try_from(sent).expect("a length in memory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_when_too_little_is_taken_within_the_timeout() {
        let mut patience = Patience::default();
        // Nothing is known before the first look.
        assert!(!patience.is_over(0, 10));
        for _ in 1..LOOKS {
            assert!(!patience.is_over(0, 10));
        }
        assert!(!patience.is_over(10, 10), "enough is enough");
        for taken in 11..10 + i64::from(LOOKS) {
            assert!(!patience.is_over(taken, 10));
        }
        assert!(patience.is_over(19, 10), "one byte too few");
    }

    #[test]
    fn a_cut_is_no_progress() {
        let mut patience = Patience::default();
        assert!(!patience.is_over(70, 1));
        patience.cut(100);
        for _ in 1..LOOKS {
            assert!(!patience.is_over(-30, 1));
        }
        assert!(patience.is_over(-30, 1));
    }
}
