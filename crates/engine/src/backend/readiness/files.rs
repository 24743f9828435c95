//! File operations of the readiness backend: at once from the cache, on a thread otherwise.
//! The shard itself never waits for a disk.

use super::Readiness;
use super::pool::{Job, Target};
use crate::backend::{cancelled, end_filled, end_open};
use crate::error::{Error, OpKind};
use crate::ledger::Ledger;
use crate::op::Op;
use crate::slots::Key;
use crate::system;

impl Readiness {
    pub(super) fn open(&mut self, ledger: &mut Ledger, key: Key) {
        let Some(slot) = ledger.slots.get(key) else { return };
        let Op::Open { root, path } = &slot.op else { return };
        match system::open_beneath(root.number(), path, true) {
            Ok(fd) => end_open(ledger, key, fd),
            Err(system::EAGAIN) => {
                let job = Job::Open { root: root.number(), path: path.clone() };
                self.pool.start(key, job);
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
            Err(system::EAGAIN) => self.pool.start(key, Job::Read { file, target, offset }),
            Err(errno) => ledger.fail_errno(key, OpKind::Read, errno),
        }
    }

    /// Ends what the threads have done.
    pub(super) fn end_jobs(&self, ledger: &mut Ledger) {
        while let Some((key, result)) = self.pool.next_ended() {
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
