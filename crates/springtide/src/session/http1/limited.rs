//! What becomes of a peer that breaks a limit or a rule, or lets a deadline pass.
//! No request that is answered by a handler comes here.

use springtide_proto::Outbox;
use springtide_proto::http1::{Deadline, Refusal};

use super::{Http1, Reading, Target};
use crate::limits::place_of;
use crate::peer::Reason;
use crate::request::BodyError;
use crate::room::Room;
use crate::session::Who;

impl Http1 {
    /// Answers what breaks the protocol's rules or a limit, and reads nothing behind it.
    #[inline(never)]
    pub(super) fn refuse(
        &mut self,
        refusal: Refusal,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        tell(refusal, who, room);
        if let Some(limit) = refusal.limit() {
            let name = limit.strip_suffix("_ms").unwrap_or(limit);
            let is_late = name != limit;
            room.blame(who.id, if is_late { Reason::TimedOut(name) } else { Reason::Limit(name) });
        }
        match self.busy.as_mut().and_then(|busy| busy.reading.take()) {
            // It gives the reply, and is told what for.
            Some(Reading { target: Target::Handler(pipe), .. }) => {
                pipe.fail(BodyError::of(refusal));
            }
            Some(Reading { exchange, target: Target::Whole { data, .. } }) => {
                self.refuse_body(exchange, data, refusal, who, outbox, room);
            }
            None => {
                self.keep_line(room);
                room.log_refusal(who.socket, refusal.status().as_u16());
                self.machine.refuse(refusal, room.date.opening(), outbox);
            }
        }
    }

    pub(crate) fn on_deadline(&mut self, who: Who, outbox: &mut Outbox, room: &mut Room) {
        match self.machine.on_deadline(room.now_ms, &room.limits.http1) {
            Deadline::None => {}
            Deadline::CloseIdle => {
                room.counts.deadlines_total += 1;
                room.met.count(const { place_of("idle_timeout_ms") });
                room.blame(who.id, Reason::TimedOut("idle_timeout"));
            }
            Deadline::Refuse(refusal) => {
                room.counts.deadlines_total += 1;
                self.refuse(refusal, who, outbox, room);
            }
        }
    }

    /// No further request is read before one is answered.
    #[cold]
    pub(super) fn paused(&self, room: &Room) {
        if self.machine.exchanges_in_flight() >= room.limits.http1.exchanges_max {
            room.met.count(const { place_of("exchanges_max") });
        }
    }

    pub(crate) fn bytes_held(&self) -> usize {
        let Some(busy) = &self.busy else { return self.machine.held_bytes() };
        let arriving = busy.reading.as_ref().map_or(0, |reading| reading.target.bytes_held());
        self.machine.held_bytes() + arriving + busy.untaken.bytes()
    }

    pub(crate) fn holds_replies(&self) -> bool {
        self.machine.held_bytes() > 0
    }

    pub(crate) fn resume(&mut self, now_ms: u64) {
        self.machine.resume(now_ms);
    }

    pub(crate) const fn end_with_next(&mut self) {
        self.machine.end_with_next();
    }

    pub(crate) const fn ends_with_next(&self) -> bool {
        self.machine.ends_with_next()
    }

    /// The connection ends: counts the limits that have ended it.
    pub(crate) fn ends(&self, room: &Room) {
        if self.machine.requests() >= room.limits.http1.requests_max {
            room.met.count(const { place_of("requests_max") });
        }
        if self.machine.leaves_a_body() {
            room.met.count(const { place_of("discard_bytes_max") });
        }
    }
}

/// Counts what broke a rule or a limit, and says which limit.
pub(super) fn tell(refusal: Refusal, who: Who, room: &mut Room) {
    room.counts.refusals_total += 1;
    if let Some(limit) = refusal.limit() {
        let status = refusal.status().as_u16();
        let what = format_args!("answered {status}, because {}", refusal.reason());
        room.tell_limit(place_of(limit), who.socket, what);
    }
}
