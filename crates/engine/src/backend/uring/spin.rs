//! Spinning before sleep: worth it only while waits are shorter than the window.
//! It never spins when it is not asked to.

use std::time::Duration;

use super::Uring;
use crate::error::Error;
use crate::system;

impl Uring {
    /// Spins as long as it pays; true when something came.
    pub(super) fn spun(&mut self, began: u64, timeout: Option<Duration>) -> Result<bool, Error> {
        if !self.spin.pays() {
            return Ok(false);
        }
        let window = timeout
            .map_or(u64::MAX, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        let end = began.saturating_add(window.min(self.spin.window_ns));
        loop {
            self.enter(0, None)?;
            if self.ring.has_completions() || self.waker.signal().is_notified() {
                return Ok(true);
            }
            if system::monotonic_ns() >= end {
                return Ok(false);
            }
        }
    }
}

/// Whether to spin before sleeping: as long as waits have lately been shorter than the window.
pub(super) struct Spin {
    pub(super) window_ns: u64,
    average_ns: u64,
}

impl Spin {
    pub(super) fn new(spin_us: u32) -> Self {
        Self { window_ns: u64::from(spin_us) * 1000, average_ns: 0 }
    }

    const fn pays(&self) -> bool {
        self.window_ns > 0 && self.average_ns <= self.window_ns
    }

    /// Learns how long the shard had nothing to do.
    pub(super) const fn learn(&mut self, waited_ns: u64) {
        let capped = if waited_ns > 8 * self.window_ns { 8 * self.window_ns } else { waited_ns };
        self.average_ns = (7 * self.average_ns + capped) / 8;
    }
}
