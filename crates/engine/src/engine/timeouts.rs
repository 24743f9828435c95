//! Timeouts of the engine: operations that end when their moment has come.
//! The kernel knows of none but the first of all.

use super::Engine;
use crate::clock::Moment;
use crate::completion::Outcome;
use crate::op::Op;
use crate::slots::Key;

impl Engine {
    pub(super) fn start_timeout(&mut self, key: Key, at: Moment) {
        let index = key.index();
        *self.timeouts.at(index as usize) = key;
        self.wheel.schedule(index, milliseconds_up(at));
    }

    #[inline]
    pub(super) fn expire(&mut self) {
        self.wheel.expire(self.now.milliseconds(), &mut self.due);
        if !self.due.is_empty() {
            self.end_due();
        }
    }

    fn end_due(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        for index in due.drain(..) {
            let key = self.timeouts[index as usize];
            let Some(slot) = self.ledger.slots.get(key) else { continue };
            let Op::Timeout { at } = slot.op else { continue };
            if at <= self.now {
                self.expired.push((at, key));
            } else {
                self.wheel.schedule(index, milliseconds_up(at));
            }
        }
        self.due = due;
        // A late turn takes several slots of the wheel at once, which are coarse far ahead.
        self.expired.sort_by_key(|(at, _)| *at);
        for (_, key) in self.expired.drain(..) {
            self.ledger.end(key, |_| Outcome::Expired);
        }
    }
}

/// The first whole millisecond that is not before a moment.
fn milliseconds_up(moment: Moment) -> u64 {
    moment.nanoseconds().div_ceil(1_000_000)
}
