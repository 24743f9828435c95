//! The start of a ring: made, proved and, where little memory may be locked, made smaller.
//! It tells apart what refuses io_uring from what is merely spent.

use std::io;
use std::ptr::{null, null_mut};
use std::time::Duration;

use io_uring::{opcode, squeue, types};

use super::buffers::{self, BufferRing};
use super::ring::Ring;
use crate::chunk::Chunks;
use crate::error::Error;
use crate::options::EngineOptions;
use crate::refusal::Refusal;
use crate::system;

const SETUP: &str = "io_uring_setup";
const REGISTER: &str = "io_uring_register";
const ENTER: &str = "io_uring_enter";
const SYSCTL: &str = "/proc/sys/kernel/io_uring_disabled";

/// The memory of a ring that has ended is released 12 to 14 ms later: a restart waits for it, and so
/// does the last and smallest try, because larger ones may have made a ring and failed behind it.
const TRIES_MAX: u32 = 4;
const TRY_AGAIN: Duration = Duration::from_millis(6);
/// How long a kernel may take for the first proof; none takes a millisecond.
const PROOF_MAX: Duration = Duration::from_secs(1);
/// What a ring is not made smaller than. It is 16 KiB of locked memory then.
const CQ_ENTRIES_MIN: u32 = 256;
const CHUNKS_MIN: u16 = 64;

/// A ring with its buffers for the calling thread, as large as asked for or as may be.
pub(super) fn start(
    options: &EngineOptions,
    chunks: &mut Chunks,
) -> Result<(Ring, BufferRing), Error> {
    let mut entries = options.cq_entries.next_power_of_two();
    let mut count = options.ring_chunks;
    let mut tries = TRIES_MAX;
    loop {
        match make(entries, count, chunks) {
            Err(Error::Refused(Refusal::LockedMemory)) if tries > 0 => {
                tries -= 1;
                // Nothing to wait for but time. An interruption is as good.
                let _ = system::poll(&mut [], Some(TRY_AGAIN));
            }
            Err(Error::Refused(Refusal::LockedMemory)) if entries > CQ_ENTRIES_MIN => {
                entries /= 2;
                count = (count / 2).max(CHUNKS_MIN.min(count));
                tries = if entries > CQ_ENTRIES_MIN { 0 } else { TRIES_MAX };
            }
            made => return made,
        }
    }
}

fn make(entries: u32, count: u16, chunks: &mut Chunks) -> Result<(Ring, BufferRing), Error> {
    let mut ring = Ring::new(entries).map_err(|error| refused(SETUP, &error))?;
    ring.enable().map_err(|error| refused(REGISTER, &error))?;
    prove(&mut ring)?;
    let buffers = BufferRing::new(&ring, count, chunks);
    Ok((ring, buffers.map_err(|error| refused(REGISTER, &error))?))
}

/// What an error of one of the three calls means.
fn refused(call: &'static str, error: &io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    Error::Refused(match errno {
        libc::EMFILE | libc::ENFILE => return Error::from_start(error),
        libc::ENOMEM if call != ENTER => Refusal::LockedMemory,
        libc::ENOSYS if call == SETUP => Refusal::Absent,
        libc::EPERM if call == SETUP && is_disabled() => Refusal::Sysctl,
        libc::EPERM | libc::EACCES | libc::ENOSYS => Refusal::Filtered { call, errno },
        libc::EINVAL => Refusal::OldKernel,
        _ => Refusal::Other { call, errno },
    })
}

fn is_disabled() -> bool {
    std::fs::read_to_string(SYSCTL).is_ok_and(|value| value.trim() != "0")
}

/// A ring may be made and yet refuse to be entered, or lack an operation: each of them is tried
/// with no descriptor, which a kernel that knows it answers with EBADF or the like.
fn prove(ring: &mut Ring) -> Result<(), Error> {
    let trials = trials();
    for ((_, entry), number) in trials.iter().zip(0..) {
        // SAFETY: no entry points to anything.
        unsafe { ring.push(&entry.clone().user_data(number)) };
    }
    let mut answers = Vec::new();
    // Mostly once: a signal or a small queue of completions ends a wait early.
    for _ in &trials {
        if answers.len() < trials.len() {
            let entered = ring.submit_and_wait(1, Some(PROOF_MAX));
            entered.map_err(|error| refused(ENTER, &error))?;
            ring.drain(&mut answers, trials.len());
        }
    }
    for ((name, _), number) in trials.iter().zip(0..) {
        let answer = answers.iter().find(|answer| answer.number == number);
        let missing = [libc::EINVAL, libc::EACCES, libc::EPERM, libc::ENOSYS, libc::EOPNOTSUPP];
        if answer.is_none_or(|answer| missing.contains(&-answer.result)) {
            return Err(Error::Refused(Refusal::Operation(name)));
        }
    }
    Ok(())
}

/// Every operation of this backend, harmless.
fn trials() -> [(&'static str, squeue::Entry); 11] {
    let none = types::Fd(-1);
    let receive = opcode::Recv::new(none, null_mut(), 0).buf_group(buffers::GROUP).build();
    [
        ("accept", opcode::AcceptMulti::new(none).build()),
        ("connect", opcode::Connect::new(none, null(), 0).build()),
        ("receive", receive.flags(squeue::Flags::BUFFER_SELECT)),
        ("multishot receive", opcode::RecvMulti::new(none, buffers::GROUP).build()),
        ("send", opcode::Send::new(none, null(), 0).build()),
        ("sendmsg", opcode::SendMsg::new(none, null()).build()),
        ("poll", opcode::PollAdd::new(none, 0).build()),
        ("read", opcode::Read::new(none, null_mut(), 0).build()),
        ("openat2", opcode::OpenAt2::new(none, null(), null()).build()),
        ("close", opcode::Close::new(none).build()),
        ("cancel", opcode::AsyncCancel::new(u64::MAX).build()),
    ]
}

#[cfg(test)]
mod tests {
    use io_uring::register::Restriction;

    use super::*;

    /// A ring on which all operations but these may be asked for.
    fn proved_without(missing: &[u8]) -> Result<(), Error> {
        let mut ring = Ring::new(8).unwrap();
        let enable = Restriction::register_op(12);
        let flags = Restriction::sqe_flags_allowed(u8::MAX);
        let allowed = (0..50).filter(|code| !missing.contains(code)).map(Restriction::sqe_op);
        let mut all: Vec<Restriction> = allowed.chain([enable, flags]).collect();
        ring.submitter().register_restrictions(&mut all).unwrap();
        ring.enable().unwrap();
        prove(&mut ring)
    }

    #[test]
    fn a_missing_operation_is_named() {
        if std::env::var_os("SPRINGTIDE_WITHOUT_URING").is_some_and(|yes| yes == "1") {
            return;
        }
        assert_eq!(proved_without(&[]), Ok(()));
        for (code, name) in [
            (opcode::AcceptMulti::CODE, "accept"),
            (opcode::Send::CODE, "send"),
            (opcode::SendMsg::CODE, "sendmsg"),
            (opcode::PollAdd::CODE, "poll"),
            (opcode::OpenAt2::CODE, "openat2"),
            (opcode::Close::CODE, "close"),
            (opcode::AsyncCancel::CODE, "cancel"),
        ] {
            let refused = proved_without(&[code]);
            assert_eq!(refused, Err(Error::Refused(Refusal::Operation(name))));
        }
    }

    #[test]
    fn errors_of_the_start_have_their_causes() {
        let cause = |call, errno| refused(call, &io::Error::from_raw_os_error(errno));
        for (call, errno, refusal) in [
            (SETUP, libc::ENOSYS, Refusal::Absent),
            (SETUP, libc::EINVAL, Refusal::OldKernel),
            (SETUP, libc::ENOMEM, Refusal::LockedMemory),
            (SETUP, libc::EACCES, Refusal::Filtered { call: SETUP, errno: libc::EACCES }),
            (REGISTER, libc::EPERM, Refusal::Filtered { call: REGISTER, errno: libc::EPERM }),
            (ENTER, libc::ENOSYS, Refusal::Filtered { call: ENTER, errno: libc::ENOSYS }),
            (REGISTER, libc::ENOMEM, Refusal::LockedMemory),
            (ENTER, libc::ENOMEM, Refusal::Other { call: ENTER, errno: libc::ENOMEM }),
            (SETUP, libc::EIO, Refusal::Other { call: SETUP, errno: libc::EIO }),
        ] {
            assert_eq!(cause(call, errno), Error::Refused(refusal));
        }
        assert!(matches!(cause(SETUP, libc::EMFILE), Error::Limit(_)));
    }
}
