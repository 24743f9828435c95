//! The end of a ring that may not be entered any more: everything in flight ends here.
//! It does not enter the ring, and frees nothing that the kernel may still have.
//!
//! The ring defers its work to the enter (DEFER_TASKRUN), so nothing is received, accepted or sent
//! behind the last one: what that one did lies in the completion queue, or, where that had no room,
//! in a list that the kernel shows ([`Ring::overflowed`](super::ring::Ring::overflowed)). No send is
//! in that list ([`Uring::room`]), and none waits in the kernel: what has not gone at once waits for
//! room first, so its progress is what its completions have told. What is armed the kernel cancels
//! when the ring is gone, some milliseconds later and without doing it. The ring is gone when it is
//! dropped here; where io_uring_register is refused as well its descriptor stays registered, and it
//! goes with the thread. Until then it holds every socket that something is armed on.
//!
//! Where the list may not be read, or the kernel has dropped completions for want of memory (EBADR),
//! what may have moved bytes of a stream unseen fails (EIO), so that none is lost or doubled
//! silently. What cannot be known then, or not at all, is which descriptors the kernel opened, and
//! they stay open until the process ends: one connection for each listener, because an accept whose
//! completion finds no room ends, and a file for each open in flight, also of those that a thread of
//! the kernel's still works on, because they wait for a disk.

use super::{Uring, leave_to_the_kernel};
use crate::completion::Outcome;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::op::Op;
use crate::slots::{Asked, Key, Slot};
use crate::system;

impl Uring {
    /// Ends everything that was asked of the ring; gives what the turn says.
    #[cold]
    pub(super) fn salvage(&mut self, ledger: &mut Ledger, refused: Error) -> Error {
        self.ring.leave();
        while self.ring.has_completions() {
            self.drain(ledger);
        }
        let is_whole = self.take_overflowed(ledger) && refused.errno() != Some(system::EBADR);
        let untaken = self.ring.untaken();
        for key in ledger.slots.keys() {
            end(ledger, key, !untaken.contains(&key.raw()), is_whole);
        }
        self.starved.clear();
        self.ended_early.clear();
        self.buffers.leave();
        leave_to_the_kernel(std::mem::take(&mut self.woken));
        self.wake_armed = false;
        Error::LateRefusal { errno: refused.errno().unwrap_or(system::EIO) }
    }

    /// Takes the completions that found no room in the queue, and says whether it has them all.
    fn take_overflowed(&mut self, ledger: &mut Ledger) -> bool {
        let Some(overflowed) = self.ring.overflowed() else { return false };
        self.batch.extend(overflowed);
        self.take_batch(ledger);
        true
    }
}

/// The last completion of one operation. `taken`: the kernel has it, if it was given to the ring.
/// `is_whole`: every completion has been seen.
fn end(ledger: &mut Ledger, key: Key, taken: bool, is_whole: bool) {
    let Some(slot) = ledger.slots.get(key) else { return };
    let in_system = slot.marks.asked != Asked::Nothing;
    let may_be_done = taken && !is_whole && moves_bytes(slot);
    let error =
        if may_be_done { Error::system(slot.op.kind(), system::EIO) } else { Error::Cancelled };
    match &mut slot.op {
        // The engine's own, or waiting for others: started when those have ended.
        Op::Timeout { .. } | Op::Shutdown { .. } => return,
        op if op.is_for_workers() => return,
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
    ledger.fail(key, error);
}

/// Whether the kernel has been asked to move bytes of a stream, which cannot go on without those that
/// nobody has seen, nor with some of them twice.
fn moves_bytes(slot: &Slot) -> bool {
    match slot.op {
        Op::Receive { .. } | Op::ReceiveInto { .. } => slot.marks.asked != Asked::Nothing,
        Op::Send { .. } => slot.marks.asked == Asked::Operation,
        _ => false,
    }
}

/// A thread of the kernel may be reading into it: the caller gets a copy, and the kernel keeps it.
fn leave_memory(memory: &mut Vec<u8>) {
    let mut copy = Vec::with_capacity(memory.capacity());
    copy.extend_from_slice(memory);
    leave_to_the_kernel(std::mem::replace(memory, copy));
}
