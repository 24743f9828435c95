//! The same bytes to many sockets: an entry for each and one enter for all, in which the kernel does them.
//! It returns when the kernel has done with the bytes, whatever came of them.
//!
//! A send that takes all has no completion (IOSQE_CQE_SKIP_SUCCESS); one that is to take all
//! (MSG_WAITALL) and takes less has failed and tells how much it took, and none waits in the kernel
//! (MSG_DONTWAIT). So what is in the queue behind the enter is all there is to know.

use io_uring::{opcode, squeue};

use super::arm::{SEND_FLAGS, fd, length};
use super::ring::SQ_ENTRIES_MAX;
use super::{DIRECT_SENDS_MAX, Uring};
use crate::ledger::Ledger;
use crate::op::Descriptor;
use crate::system;

/// The number of the first of such sends: they are fewer than the entries of a queue, and neither an
/// operation nor anything else has such a number.
const FIRST: u64 = u64::MAX - 8192;

const _: () = assert!(FIRST + (SQ_ENTRIES_MAX as u64) < super::ALARM_MOVED);

impl Uring {
    /// Sends what fits of the same bytes to each socket, unless a send is in flight there; tells which took
    /// less, and how much.
    pub(super) fn send_together(
        &mut self,
        ledger: &mut Ledger,
        sockets: &[Descriptor],
        bytes: &[u8],
        short: &mut Vec<(usize, usize)>,
    ) {
        let mut done = 0;
        while done < sockets.len() {
            let count = self.room().min(self.ring.free()).min(sockets.len() - done);
            let count = if count > DIRECT_SENDS_MAX { count } else { 1 };
            let some = &sockets[done..done + count];
            let mut tell = |place, sent| short.push((done + place, sent));
            match *some {
                [socket] => {
                    let is_free = !ledger.is_sending(socket);
                    let sent = if is_free { system::send(socket.number(), bytes) } else { Ok(0) };
                    match sent {
                        Ok(sent) if sent == bytes.len() => {}
                        sent => tell(0, sent.unwrap_or(0)),
                    }
                }
                _ => self.send_some(ledger, some, bytes, tell),
            }
            done += some.len();
        }
    }

    /// As many as find room in both queues.
    fn send_some(
        &mut self,
        ledger: &mut Ledger,
        sockets: &[Descriptor],
        bytes: &[u8],
        mut short: impl FnMut(usize, usize),
    ) {
        for (place, socket) in sockets.iter().enumerate() {
            if ledger.is_sending(*socket) {
                short(place, 0);
                continue;
            }
            let entry = opcode::Send::new(fd(*socket), bytes.as_ptr(), length(bytes.len()))
                .flags(SEND_FLAGS | libc::MSG_WAITALL)
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS)
                .user_data(FIRST + place as u64);
            // SAFETY: the bytes are lent until this returns; by then the kernel has done with the entry,
            // or never takes it.
            unsafe { self.ring.push(&entry) };
        }
        let untaken = self.ring.submit_now(&(FIRST..FIRST + sockets.len() as u64), |answer| {
            let place = usize::try_from(answer.number - FIRST).expect("fewer than a queue has");
            short(place, usize::try_from(answer.result).unwrap_or(0));
        });
        if untaken > 0 {
            let last = (0..sockets.len()).rev().filter(|place| !ledger.is_sending(sockets[*place]));
            last.take(untaken).for_each(|place| short(place, 0));
        }
    }
}
