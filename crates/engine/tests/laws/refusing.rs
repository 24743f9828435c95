//! Filters that refuse system calls to one thread, as containers and sandboxes do (seccomp(2)).
//! A filter never goes away: whoever takes one is a thread that ends.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

pub(crate) const SETUP: i64 = libc::SYS_io_uring_setup;
pub(crate) const ENTER: i64 = libc::SYS_io_uring_enter;
pub(crate) const REGISTER: i64 = libc::SYS_io_uring_register;

/// The calling thread is answered with `errno` from now on when it makes one of these calls.
pub(crate) fn refuse(calls: &[i64], errno: i32) {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let refusal = SeccompAction::Errno(u32::try_from(errno).unwrap());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

/// Runs a test on a thread of its own, which takes its filters with it.
pub(crate) fn on_a_thread(test: impl FnOnce() + Send + 'static) {
    let ended = std::thread::spawn(test).join();
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}
