//! How operations end in a world otherwise than as soon as they are done: told later, cancelled,
//! or all at once. No byte that has gone or come is lost on the way.

use super::chance::Fault;
use super::network::Ready;
use super::operations::{Simulated, Step};
use crate::backend::Until;
use crate::error::{Error, OpKind};
use crate::ledger::Ledger;
use crate::op::Op;
use crate::slots::Key;
use crate::system;

impl Simulated {
    /// The last completion of an operation, as cancelled or with what it has first.
    pub(super) fn end_now(&mut self, ledger: &mut Ledger, key: Key, has_result: bool) {
        let is_ready = has_result && self.ready(ledger, key) == Ready::Now;
        if is_ready && self.perform(ledger, key) == Step::Untold {
            return ledger.end_sent(key);
        }
        ledger.fail(key, Error::Cancelled);
    }

    /// Sends that nobody waits for are told of when the turn ends anyway: somebody waits for what
    /// it brings, its deadline has come, or it was woken. They came before all that or behind it;
    /// one that was left behind ends a turn by itself, as one does that had to wait for room.
    pub(super) fn tell_untold(&mut self, ledger: &mut Ledger, until: Until) {
        if !self.pending.iter().any(|one| one.is_untold) {
            return;
        }
        let now = self.now();
        let is_due = match until {
            Until::Now => true,
            Until::Moment(moment) => moment.nanoseconds() <= now,
            Until::Forever => false,
        };
        let is_over = is_due || ledger.awaited || self.waker.signal().is_notified();
        let before = ledger.completions.len();
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain_mut(|one| {
            let is_late = one.not_before > 0;
            if is_over && one.is_untold && !is_late && self.strikes(Fault::LeftBehind) {
                one.not_before = now + self.delay();
            }
            let is_told = if one.not_before > 0 { one.not_before <= now } else { is_over };
            let stays = !(one.is_untold && is_told);
            if !stays {
                ledger.end_sent(one.key);
            }
            stays
        });
        self.pending = pending;
        if self.below(2) == 0 {
            ledger.completions.rotate_left(before);
        }
    }

    /// The engine is refused: everything in flight ends, with what it has or as cancelled. What
    /// ends a descriptor's life is done, as it is where the system is called at once.
    pub(super) fn salvage(&mut self, ledger: &mut Ledger) -> Error {
        for one in std::mem::take(&mut self.pending) {
            let op = ledger.slots.get(one.key).map(|slot| &slot.op).map(Op::kind);
            let is_call = matches!(op, Some(OpKind::Close | OpKind::Shutdown));
            if one.is_untold {
                ledger.end_sent(one.key);
            } else {
                let has_result = is_call || self.below(2) == 0;
                self.end_now(ledger, one.key, has_result);
            }
        }
        Error::LateRefusal { errno: system::EPERM }
    }
}
