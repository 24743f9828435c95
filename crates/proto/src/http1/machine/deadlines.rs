//! When the peer of a machine is late, and what becomes of it then.
//! It reads no clock, and blames nobody for time that the caller took.

use super::{Deadline, Fault, Limits, Machine, Read, Reading, Refusal, UNKNOWN};

impl Machine {
    /// When [`on_deadline`](Self::on_deadline) is to be called, if nothing happens before. It may
    /// be a time that has passed: then call at once.
    ///
    /// While the caller itself holds up everything, no deadline is the peer's fault: do not ask.
    #[must_use]
    pub fn next_deadline_ms(&self, limits: &Limits) -> Option<u64> {
        let timeout_ms = match self.reading {
            Reading::Idle if self.exchanges_in_flight() > 0 => return None,
            Reading::Idle => limits.idle_timeout_ms,
            Reading::Head => limits.head_timeout_ms,
            // It waits to be told that its body is wanted.
            Reading::SizedBody | Reading::ChunkedBody if self.owes_continue => return None,
            // The caller is late.
            Reading::SizedBody | Reading::ChunkedBody if self.body.is_held_up() => return None,
            Reading::SizedBody | Reading::ChunkedBody => {
                return Some(self.body_deadline_ms(limits));
            }
            Reading::Undecided | Reading::Switched | Reading::Closed => return None,
        };
        if self.since_ms == UNKNOWN { Some(0) } else { self.since_ms.checked_add(timeout_ms) }
    }

    /// Holds the deadline. After [`Deadline::CloseIdle`] and [`Deadline::Refuse`] nothing more is
    /// read.
    pub fn on_deadline(&mut self, now_ms: u64, limits: &Limits) -> Deadline {
        match self.next_deadline_ms(limits) {
            None => return Deadline::None,
            Some(_) if self.since_ms == UNKNOWN => {
                self.since_ms = now_ms;
                return Deadline::None;
            }
            Some(deadline_ms) if now_ms < deadline_ms => return Deadline::None,
            Some(_) => {}
        }
        let is_body = matches!(self.reading, Reading::SizedBody | Reading::ChunkedBody);
        if is_body && self.body_is_fast(now_ms, limits) {
            return Deadline::None;
        }
        match self.reading {
            Reading::Head => Deadline::Refuse(self.blame(Fault::Head, Refusal::HeadTimeout)),
            Reading::SizedBody | Reading::ChunkedBody if !self.body.is_discarded() => {
                let is_idle = now_ms >= self.since_ms.saturating_add(limits.body_timeout_ms);
                let refusal = if is_idle { Refusal::BodyTimeout } else { Refusal::BodyTooSlow };
                Deadline::Refuse(self.blame(Fault::Body, refusal))
            }
            _ => {
                self.read(Read::Ended);
                if self.wants_close() { Deadline::CloseIdle } else { Deadline::None }
            }
        }
    }
}
