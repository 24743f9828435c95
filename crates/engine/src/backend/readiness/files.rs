//! File operations of the readiness backend: at once from the cache, on a thread otherwise.
//! The shard itself never waits for a disk.

use super::Readiness;
use crate::backend::{cancelled, end_filled, end_open};
use crate::error::{Error, OpKind};
use crate::ledger::Ledger;
use crate::op::Op;
use crate::slots::Key;
use crate::system;

/// Where a read puts its bytes.
struct Target {
    address: *mut u8,
    length: usize,
}

// SAFETY: the memory belongs to an operation in flight, which nobody else touches until the job
// has ended (law 3).
unsafe impl Send for Target {}

impl Target {
    /// Reads there, waiting for the disk.
    fn read(self, file: i32, offset: u64) -> Result<usize, i32> {
        // SAFETY: the target is the spare capacity of an operation in flight (law 3).
        unsafe { system::read_at(file, self.address, self.length, offset, false) }
    }
}

impl Readiness {
    pub(super) fn open(&mut self, ledger: &mut Ledger, key: Key) {
        let Some(slot) = ledger.slots.get(key) else { return };
        let Op::Open { root, path } = &slot.op else { return };
        match system::open_beneath(root.number(), path, true) {
            Ok(fd) => end_open(ledger, key, fd),
            Err(system::EAGAIN) => {
                let (root, path) = (root.number(), path.clone());
                self.workers.start(key, move |_| {
                    let fd = system::open_beneath(root, &path, false)?;
                    Ok(usize::try_from(fd).expect("an open descriptor is not negative"))
                });
            }
            Err(errno) => ledger.fail_errno(key, OpKind::Open, errno),
        }
    }

    pub(super) fn read(&mut self, ledger: &mut Ledger, key: Key) {
        let Some(slot) = ledger.slots.get(key) else { return };
        let Op::Read { file, memory, offset } = &mut slot.op else { return };
        let (file, offset) = (file.number(), *offset);
        let spare = memory.spare_capacity_mut();
        let target = Target { address: spare.as_mut_ptr().cast(), length: spare.len() };
        // SAFETY: the spare capacity is the operation's own memory (law 3).
        let read = unsafe { system::read_at(file, target.address, target.length, offset, true) };
        match read {
            Ok(count) => end_filled(ledger, key, count),
            Err(system::EAGAIN) => self.workers.start(key, move |_| target.read(file, offset)),
            Err(errno) => ledger.fail_errno(key, OpKind::Read, errno),
        }
    }

    /// Ends what the threads have done.
    pub(super) fn end_jobs(&self, ledger: &mut Ledger) {
        while let Some((key, result)) = self.workers.next_ended() {
            let op = ledger.slots.get(key).map(|slot| &slot.op);
            let kind = op.map(Op::kind).expect("a job's operation lives until its job has ended");
            match (kind, result) {
                (_, Err(errno)) => ledger.fail_errno(key, kind, errno),
                (OpKind::Open, Ok(fd)) => {
                    let fd = i32::try_from(fd).expect("a descriptor");
                    if cancelled(ledger, key) {
                        system::close(fd);
                        ledger.fail(key, Error::Cancelled);
                    } else {
                        end_open(ledger, key, fd);
                    }
                }
                (_, Ok(count)) => end_filled(ledger, key, count),
            }
        }
    }
}
