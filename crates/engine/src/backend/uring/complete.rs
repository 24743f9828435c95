//! What each completion of the kernel's queue means for its operation.
//! What the kernel ended early is armed again here, and nobody above notices.

use io_uring::cqueue;

use super::Uring;
use super::arm::{ROOM_OR_GONE, has_come, has_more_behind};
use super::ring::Answer;
use crate::backend::{cancelled, datagrams, end_filled, end_open};
use crate::completion::Outcome;
use crate::error::{Error, OpKind};
use crate::ledger::Ledger;
use crate::op::{Descriptor, Op, Piece};
use crate::slots::{Asked, Key, receiving};
use crate::system;

impl Uring {
    #[inline]
    pub(super) fn completed(&mut self, ledger: &mut Ledger, key: Key, answer: Answer) {
        let Answer { result, flags, .. } = answer;
        let slot = ledger.slots.get(key).expect("the kernel has live operations only (law 3)");
        let more = cqueue::more(flags);
        let asked = slot.marks.asked;
        if !more {
            slot.marks.asked = Asked::Nothing;
        }
        match &slot.op {
            Op::Receive { .. } => {
                let token = slot.token;
                self.received(ledger, key, token, answer);
            }
            // Mostly everything has gone at once.
            Op::Send { pieces, .. } if asked == Asked::Operation => {
                match is_rest(pieces, slot.sent(), result) {
                    true => ledger.end_sent(key),
                    false => self.sent(ledger, key, result),
                }
            }
            Op::Send { .. } => self.asked_for_room(ledger, key, result, more),
            op => {
                let kind = op.kind();
                self.completed_other(ledger, key, kind, answer);
            }
        }
    }

    /// Anything but what comes and goes on connections.
    #[inline(never)]
    fn completed_other(&mut self, ledger: &mut Ledger, key: Key, kind: OpKind, answer: Answer) {
        let (result, more) = (answer.result, cqueue::more(answer.flags));
        match kind {
            OpKind::Accept => self.accepted(ledger, key, result, more),
            OpKind::WatchBytes => self.watched(ledger, key, result, more),
            OpKind::ReceiveFrom | OpKind::SendTo => self.polled(ledger, key, kind, result),
            OpKind::ReceiveInto | OpKind::Read | OpKind::Open
                if is_again(result) && !cancelled(ledger, key) =>
            {
                self.counts.rearmed += 1;
                self.arm(ledger, key);
            }
            _ => Self::ended(ledger, key, kind, result),
        }
    }

    #[inline]
    fn received(&mut self, ledger: &mut Ledger, key: Key, token: u64, answer: Answer) {
        let Answer { result, flags, .. } = answer;
        let number = cqueue::buffer_select(flags);
        if let Some(number) = number {
            let buffer = self.buffers.take(number);
            match usize::try_from(result) {
                Ok(length) if length > 0 => {
                    let chunk = ledger.chunks.lend(buffer, length, number, key);
                    ledger.deliver_to(key, token, Outcome::Received(chunk));
                }
                _ => self.buffers.provide(number, buffer),
            }
        }
        if !cqueue::more(flags) {
            self.received_last(ledger, key, result);
        }
    }

    /// The kernel has ended a receive, early or for good.
    #[inline(never)]
    fn received_last(&mut self, ledger: &mut Ledger, key: Key, result: i32) {
        match result {
            0 => ledger.end(key, |_| Outcome::EndOfStream),
            _ if cancelled(ledger, key) => ledger.fail(key, Error::Cancelled),
            // Whoever gets these bytes may end the receive before the next turn.
            result if result > 0 => {
                if let Some(slot) = ledger.slots.get(key)
                    && slot.progress == receiving::FRESH
                {
                    slot.progress = receiving::ALONE;
                }
                self.ended_early.push(key);
            }
            result if is_again(result) => {
                self.counts.rearmed += 1;
                self.arm(ledger, key);
            }
            result if -result == system::ENOBUFS => {
                self.counts.starved += 1;
                self.starved.push(key);
            }
            result => ledger.fail_errno(key, OpKind::Receive, -result),
        }
    }

    /// Not all of a send has gone, or nothing.
    #[inline(never)]
    fn sent(&mut self, ledger: &mut Ledger, key: Key, result: i32) {
        let Some(slot) = ledger.slots.get(key) else { return };
        let Ok(count) = usize::try_from(result) else {
            match is_again(result) {
                true if cancelled(ledger, key) => ledger.fail(key, Error::Cancelled),
                true => self.await_room(ledger, key),
                false => ledger.fail_errno(key, OpKind::Send, -result),
            }
            return;
        };
        slot.add_sent(count);
        let Op::Send { pieces, .. } = &slot.op else { return };
        if Ledger::unsent_of(pieces, slot.sent()) == 0 {
            ledger.end_sent(key);
        } else if cancelled(ledger, key) {
            ledger.fail(key, Error::Cancelled);
        } else {
            self.await_room(ledger, key);
        }
    }

    /// An answer to the question for room. Who has ended its own side is no reason to try again.
    #[inline(never)]
    fn asked_for_room(&mut self, ledger: &mut Ledger, key: Key, result: i32, more: bool) {
        let may_go_on = result > 0 && result & ROOM_OR_GONE != 0;
        match result {
            _ if more && may_go_on => self.withdraw(key),
            _ if more => {}
            _ if cancelled(ledger, key) => ledger.fail(key, Error::Cancelled),
            // Withdrawn, because there was room.
            result if may_go_on || -result == system::ECANCELED => self.arm_send(ledger, key),
            result if result > 0 => self.await_room_again(ledger, key),
            result if is_again(result) => self.await_room(ledger, key),
            result => ledger.fail_errno(key, OpKind::Send, -result),
        }
    }

    /// Something has come. Where there is something behind it already of which whoever takes it would not
    /// be told, the watch ends, and who asks anew is.
    fn watched(&mut self, ledger: &mut Ledger, key: Key, result: i32, more: bool) {
        match result {
            _ if cancelled(ledger, key) && more => {}
            _ if cancelled(ledger, key) => ledger.fail(key, Error::Cancelled),
            result if more && has_more_behind(result) => self.withdraw(key),
            result if more && has_come(result) => ledger.deliver(key, Outcome::Done),
            _ if more => {}
            // Withdrawn, or its answer found no room.
            result if result >= 0 || -result == system::ECANCELED => {
                ledger.end(key, |_| Outcome::Done);
            }
            result if is_again(result) => self.arm(ledger, key),
            result => ledger.fail_errno(key, OpKind::WatchBytes, -result),
        }
    }

    /// A socket for datagrams has some, or room for one.
    fn polled(&mut self, ledger: &mut Ledger, key: Key, kind: OpKind, result: i32) {
        if cancelled(ledger, key) {
            ledger.fail(key, Error::Cancelled);
        } else if result < 0 && !is_again(result) {
            ledger.fail_errno(key, kind, -result);
        } else if kind == OpKind::SendTo || datagrams::receive_from(ledger, key) {
            self.arm(ledger, key);
        }
    }

    fn accepted(&mut self, ledger: &mut Ledger, key: Key, result: i32, more: bool) {
        if result >= 0 {
            ledger.deliver(key, Outcome::Accepted(Descriptor(result)));
        }
        if more {
            return;
        }
        if cancelled(ledger, key) {
            ledger.fail(key, Error::Cancelled);
        } else if result >= 0 || system::is_passing(-result) {
            self.counts.rearmed += 1;
            self.arm(ledger, key);
        } else {
            ledger.fail_errno(key, OpKind::Accept, -result);
        }
    }

    /// Operations that complete once.
    fn ended(ledger: &mut Ledger, key: Key, kind: OpKind, result: i32) {
        let progress = ledger.slots.get(key).map_or(0, |slot| slot.progress);
        if result < 0 {
            if kind == OpKind::Connect {
                system::close(i32::try_from(progress).expect("a socket's descriptor"));
            }
            ledger.fail_errno(key, kind, -result);
            return;
        }
        if kind == OpKind::Open {
            end_open(ledger, key, result);
            return;
        }
        match kind {
            OpKind::ReceiveInto | OpKind::Read => {
                end_filled(ledger, key, usize::try_from(result).expect("checked above"));
            }
            OpKind::Connect => {
                let socket = Descriptor(i32::try_from(progress).expect("a socket's descriptor"));
                ledger.end(key, |_| Outcome::Connected(socket));
            }
            _ => ledger.end(key, |_| Outcome::Done),
        }
    }
}

/// Whether this many bytes are all that a send had left, of which so many have gone before.
#[inline]
fn is_rest(pieces: &[Piece], sent: usize, count: i32) -> bool {
    usize::try_from(count) == Ok(Ledger::unsent_of(pieces, sent))
}

/// Whether the kernel says that nothing was done and all can be asked again.
const fn is_again(result: i32) -> bool {
    -result == system::EINTR || -result == system::EAGAIN
}
