//! The end of a ring that may not be entered any more: everything in flight ends here.
//! It does not enter the ring, and frees nothing that the kernel may still have.
//!
//! No byte is lost on the way. The ring defers its work to the enter (DEFER_TASKRUN), so nothing is
//! received, accepted or sent behind the last one: what that one did lies in the completion queue.
//! What is armed the kernel cancels when the ring is gone, some milliseconds later and without
//! doing it. No send waits in the kernel: what has not gone at once waits for room first, so its
//! progress is what its completions have told. The ring is gone when it is dropped here; where
//! io_uring_register is refused as well its descriptor stays registered, and it goes with the
//! thread. Until then it holds every socket that something is armed on.

use super::{Uring, leave_to_the_kernel};
use crate::completion::Outcome;
use crate::error::{Error, OpKind};
use crate::ledger::Ledger;
use crate::op::Op;
use crate::slots::{Asked, Key};
use crate::system;

impl Uring {
    /// Ends everything that was asked of the ring; gives what the turn says.
    #[cold]
    pub(super) fn salvage(&mut self, ledger: &mut Ledger, refused: Error) -> Error {
        while self.ring.has_completions() {
            self.drain(ledger);
        }
        let untaken = self.ring.untaken();
        // Completions that found no room in the queue come with the next enter only: never.
        let overflowed = self.ring.has_overflowed();
        for key in ledger.slots.keys() {
            let taken = !untaken.contains(&key.raw());
            if taken && overflowed && is_receive(ledger, key) {
                // It may have had bytes: its stream cannot go on without them.
                ledger.fail_errno(key, OpKind::Receive, system::EIO);
            } else {
                end(ledger, key, taken);
            }
        }
        self.starved.clear();
        self.ended_early.clear();
        self.buffers.leave();
        leave_to_the_kernel(std::mem::take(&mut self.woken));
        self.wake_armed = false;
        Error::LateRefusal { errno: refused.errno().unwrap_or(system::EIO) }
    }
}

fn is_receive(ledger: &mut Ledger, key: Key) -> bool {
    ledger.slots.get(key).is_some_and(|slot| {
        let receives = matches!(slot.op, Op::Receive { .. } | Op::ReceiveInto { .. });
        receives && slot.marks.asked != Asked::Nothing
    })
}

/// The last completion of one operation. `taken`: the kernel has it, if it was given to the ring.
fn end(ledger: &mut Ledger, key: Key, taken: bool) {
    let Some(slot) = ledger.slots.get(key) else { return };
    let in_system = slot.marks.asked != Asked::Nothing;
    match &mut slot.op {
        // The engine's own, or waiting for others: started when those have ended.
        Op::Timeout { .. } | Op::Shutdown { .. } => return,
        Op::Close { .. } if !in_system => return,
        Op::Close { descriptor } => {
            // The kernel closes within the enter that takes the entry, or on a thread of its own.
            if !taken {
                system::close(descriptor.number());
            }
            return ledger.end(key, |_| Outcome::Done);
        }
        Op::Connect { .. } => {
            system::close(i32::try_from(slot.progress).expect("a socket's descriptor"));
        }
        Op::Read { memory, .. } | Op::ReceiveInto { memory, .. } if in_system && taken => {
            leave_memory(memory);
        }
        _ => {}
    }
    ledger.fail(key, Error::Cancelled);
}

/// A thread of the kernel may be reading into it: the caller gets a copy, and the kernel keeps it.
fn leave_memory(memory: &mut Vec<u8>) {
    let mut copy = Vec::with_capacity(memory.capacity());
    copy.extend_from_slice(memory);
    leave_to_the_kernel(std::mem::replace(memory, copy));
}
