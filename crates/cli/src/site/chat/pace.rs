//! How often a guest may ask for something: what one asks for, all others are told.
//! It reads no clock.

use std::collections::VecDeque;

use super::rooms::Refusal;

/// So many times …
const ASKS_MAX: usize = 20;
/// … within so long.
const WITHIN_MS: u64 = 10_000;

/// When a guest asked for something lately.
#[derive(Default)]
pub(super) struct Pace {
    asked: VecDeque<u64>,
}

impl Pace {
    /// The guest asks, now.
    pub(super) fn ask(&mut self, now_ms: u64) -> Result<(), Refusal> {
        self.asked.retain(|at_ms| at_ms + WITHIN_MS > now_ms);
        if self.asked.len() == ASKS_MAX {
            return Err(Refusal::TooFast);
        }
        self.asked.push_back(now_ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_too_fast_waits() {
        let mut pace = Pace::default();
        for at_ms in 0..ASKS_MAX as u64 {
            assert_eq!(pace.ask(at_ms), Ok(()));
        }
        assert_eq!(pace.ask(WITHIN_MS - 1), Err(Refusal::TooFast));
        assert_eq!(pace.ask(WITHIN_MS), Ok(()), "the first is long ago by now");
        assert_eq!(pace.ask(WITHIN_MS), Err(Refusal::TooFast), "the second is not");
    }
}
