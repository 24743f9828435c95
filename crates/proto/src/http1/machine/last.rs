//! How long a body may take, and what is known of the last request of a connection.
//! No transition stands here.

use super::{Exchange, Limits, Machine, Reading, UNKNOWN};

impl Machine {
    #[cold]
    pub(super) fn body_deadline_ms(&self, limits: &Limits) -> u64 {
        if self.since_ms == UNKNOWN {
            return 0;
        }
        let idle_ms = self.since_ms.saturating_add(limits.body_timeout_ms);
        let window_ms = self.body.pace.ends_ms(self.window, self.since_ms, limits);
        window_ms.map_or(idle_ms, |window_ms| idle_ms.min(window_ms))
    }

    /// Reads nothing of the body until [`resume_body`](Self::resume_body): whoever takes it is behind. Meanwhile it
    /// has no deadline.
    pub fn hold_body(&mut self) {
        if matches!(self.reading, Reading::SizedBody | Reading::ChunkedBody) {
            self.body.hold_up(true);
        }
    }

    /// Whoever takes the body is not behind any more: its peer has all its time again.
    pub fn resume_body(&mut self, now_ms: u64) {
        self.body.hold_up(false);
        self.resume(now_ms);
    }

    /// The caller did not receive for a while and does so again: that time is not the peer's who
    /// sends a body.
    pub fn resume(&mut self, now_ms: u64) {
        if matches!(self.reading, Reading::SizedBody | Reading::ChunkedBody) {
            self.since_ms = now_ms;
            self.body.pace.begin_again(now_ms, &mut self.window);
        }
    }

    /// Whether 101 may answer this exchange: it offers an upgrade that is not decided, and was read to
    /// its end (RFC 9110 §7.8).
    #[must_use]
    pub fn may_switch(&self, exchange: Exchange) -> bool {
        let is_newest = exchange.number + 1 == self.next;
        is_newest && self.has_offer && self.reading == Reading::Undecided
    }

    /// The next request is the last one: its reply says `Connection: close`.
    pub const fn end_with_next(&mut self) {
        self.is_draining = true;
    }

    /// Whether no request is taken behind the next one.
    #[must_use]
    pub const fn ends_with_next(&self) -> bool {
        self.is_draining
    }

    /// How many requests have come.
    #[must_use]
    pub const fn requests(&self) -> u32 {
        self.next
    }

    /// Whether nothing more is read because a body that nobody wants is too long.
    #[must_use]
    pub const fn leaves_a_body(&self) -> bool {
        self.body.is_discarded() && self.body.is_too_long()
    }

    /// Whether only a window is over, in which enough has come.
    pub(super) fn body_is_fast(&mut self, now_ms: u64, limits: &Limits) -> bool {
        let is_idle = now_ms >= self.since_ms.saturating_add(limits.body_timeout_ms);
        let is_fast = !is_idle && self.body.pace.is_enough(limits);
        if is_fast {
            self.body.pace.begin_again(now_ms, &mut self.window);
        }
        is_fast
    }
}
