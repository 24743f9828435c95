//! The body that the machine reads: what of it is reported, how long it may be, who wants it no more.
//! It reports nothing of a body that nobody wants.

use super::{
    Exchange, Fault, HeadScan, Limits, Machine, Read, Reading, Received, Refusal, Span, Step,
};

impl Machine {
    #[inline(never)]
    pub(super) fn receive_body(
        &mut self,
        input: &[u8],
        now_ms: u64,
        limits: &Limits,
    ) -> Result<Received, Refusal> {
        if self.body.is_held_up() {
            return Ok(Received::Paused);
        }
        // Spans are of 32 bits; what lies behind them comes with the next call.
        let input = &input[..input.len().min(u32::MAX as usize)];
        if !input.is_empty() {
            // The peer has not waited for it (RFC 9110 §10.1.1).
            self.owes_continue = false;
            self.since_ms = now_ms;
        }
        let step = match self.reading {
            Reading::SizedBody => self.body.step_sized(input),
            _ => self.body.step_chunked(input, &mut self.scan, limits),
        };
        if let Ok(step) = &step {
            self.body.pace.note(step.consumed(), now_ms, &mut self.window);
        }
        match step {
            Ok(Step::NeedBytes) => Ok(Received::NeedBytes),
            Ok(Step::Skipped { consumed }) => Ok(Received::Skipped { consumed }),
            Ok(Step::Data { consumed, .. }) if self.body.is_discarded() => {
                if self.reading == Reading::SizedBody && self.body.is_sized_end() {
                    self.end_request();
                }
                Ok(Received::Skipped { consumed })
            }
            Ok(Step::Data { start, consumed }) => {
                Ok(Received::Body { consumed, data: Span::new(start, consumed) })
            }
            Ok(Step::End { start, consumed }) => {
                self.scan = HeadScan::default();
                self.end_request();
                Ok(match self.body.is_discarded() {
                    true => Received::Skipped { consumed },
                    false => Received::BodyEnd { consumed, trailers: Span::new(start, consumed) },
                })
            }
            // Nobody waits for it: the reply it has or gets is the last one.
            Err(_) if self.body.is_discarded() => {
                self.read(Read::Ended);
                Ok(Received::Closed)
            }
            Err(refusal) => Err(self.blame(Fault::Body, refusal)),
        }
    }

    /// Sets how long the body of this exchange may be, when the route allows more or less than the
    /// default. Call it right after the head.
    ///
    /// # Errors
    /// When the announced length is longer already.
    pub fn body_bytes_max(&mut self, exchange: Exchange, max: u64) -> Result<(), Refusal> {
        if self.is_reading_body(exchange) && !self.body.is_discarded() {
            self.body.allow(max);
            if self.body.is_too_long() {
                return Err(self.blame(Fault::Body, Refusal::BodyTooLong));
            }
        }
        Ok(())
    }

    /// Reports no more of this exchange's body. It is read up to the limit for that; beyond the
    /// limit the connection ends with this exchange's reply (Pingora CVE-2025-4366).
    pub fn discard_body(&mut self, exchange: Exchange, limits: &Limits) {
        if !self.is_reading_body(exchange) || self.body.is_discarded() {
            return;
        }
        self.body.discard(limits);
        // A peer that waits for `100 Continue` may never send this body.
        if self.body.is_too_long() || self.owes_continue {
            self.read(Read::Ended);
        } else if self.reading == Reading::SizedBody && self.body.is_sized_end() {
            self.end_request();
        }
    }

    /// Whether the body that is being read is known to be longer than its limit: the next call refuses
    /// it.
    #[must_use]
    pub const fn is_body_too_long(&self) -> bool {
        matches!(self.reading, Reading::SizedBody) && self.body.is_too_long()
    }

    /// How many bytes are still to come of the body that is being read, where its length was
    /// announced, its limit allows it and it is wanted: all of them can be received at once, in one
    /// place.
    #[inline]
    #[must_use]
    pub fn sized_body_left(&self) -> Option<u64> {
        let is_unwanted = self.body.is_discarded() || self.body.is_held_up();
        let is_wanted = self.reading == Reading::SizedBody && !is_unwanted;
        (is_wanted && !self.body.is_too_long()).then(|| self.body.left())
    }

    /// Whether the body of this exchange is what the machine reads.
    #[inline]
    pub(crate) fn is_reading_body(&self, exchange: Exchange) -> bool {
        matches!(self.reading, Reading::SizedBody | Reading::ChunkedBody)
            && exchange.number + 1 == self.next
    }
}
