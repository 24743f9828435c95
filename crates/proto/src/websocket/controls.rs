//! How many pings, and pongs that nobody had asked for, a peer sends in a second.
//! It must never count what was held back here as if it came when it is read.

use super::limits::Limits;
use super::refusal::Refusal;

/// The count of a second, or of what came while nothing was read.
#[derive(Debug)]
pub(super) struct Controls {
    count: u32,
    since_ms: u64,
    /// For how long nothing was read before that: what came meanwhile is counted now.
    held_ms: u64,
}

impl Controls {
    pub(super) const fn since(now_ms: u64) -> Self {
        Self { count: 0, since_ms: now_ms, held_ms: 0 }
    }

    /// One more.
    pub(super) fn add(&mut self, now_ms: u64, limits: &Limits) -> Result<(), Refusal> {
        self.begin_anew(now_ms);
        self.count = self.count.saturating_add(1);
        let most = u64::from(limits.socket_controls_max);
        let held = most.saturating_mul(self.held_ms) / 1_000;
        if u64::from(self.count) > most.saturating_add(held) {
            return Err(Refusal::Controls);
        }
        Ok(())
    }

    /// Nothing was read between these.
    pub(super) const fn hold(&mut self, heard_ms: u64, now_ms: u64) {
        self.begin_anew(heard_ms);
        let held_ms = now_ms.saturating_sub(heard_ms);
        self.since_ms = self.since_ms.saturating_add(held_ms);
        self.held_ms = self.held_ms.saturating_add(held_ms);
    }

    /// Begins another count, where the second of the last one was over by then.
    const fn begin_anew(&mut self, now_ms: u64) {
        if now_ms >= self.since_ms.saturating_add(1_000) {
            (self.since_ms, self.count, self.held_ms) = (now_ms, 0, 0);
        }
    }
}
