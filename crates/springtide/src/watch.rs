//! Callbacks that hold up their shard: timed one by one, but for those of a shard that is busy and
//! was never late.
//! It reads no clock while turn follows turn: that would cost a tenth of a request, and a callback
//! that takes long shows as a late turn.

use std::time::Duration;

/// A callback that takes as long holds up all connections of its shard.
pub(crate) const SLOW_MS: u64 = 50;
/// How many callbacks are timed when a turn was late, or the shard has slept: little beside that.
const WATCHED: u32 = 1024;
/// One line in so much time is enough; all are counted.
const QUIET_MS: u64 = 1_000;

/// The watch over a shard's callbacks.
pub(crate) struct Watch {
    /// How many callbacks are to be timed yet.
    left: u32,
    turn_ms: u64,
    quiet_until_ms: u64,
}

impl Watch {
    pub(crate) const fn new(now_ms: u64) -> Self {
        Self { left: WATCHED, turn_ms: now_ms, quiet_until_ms: 0 }
    }

    /// A turn begins. When the one before was so long ago the shard has slept, or a callback has held
    /// it up: if it does so again it is found.
    #[inline]
    pub(crate) const fn begin_turn(&mut self, now_ms: u64) {
        if now_ms >= self.turn_ms + SLOW_MS {
            self.left = WATCHED;
        }
        self.turn_ms = now_ms;
    }

    /// Whether the next callback is to be timed.
    #[inline]
    pub(crate) const fn is_on(&self) -> bool {
        self.left > 0
    }

    /// The callback of a route took so long; true if that was too long.
    pub(crate) fn note(&mut self, took: Duration, route: &str) -> bool {
        self.left = self.left.saturating_sub(1);
        let is_slow = took >= Duration::from_millis(SLOW_MS);
        if is_slow && self.turn_ms >= self.quiet_until_ms {
            self.quiet_until_ms = self.turn_ms.saturating_add(QUIET_MS);
            crate::report::error(format_args!(
                "the handler of {route} held up its shard for {took:?}: let it wait, or `offload` it"
            ));
        }
        is_slow
    }
}
