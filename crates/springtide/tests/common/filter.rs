//! A filter that refuses system calls to a thread, as containers and sandboxes do (seccomp(2)).
//! It never goes away: it stays with the thread and with those that it starts.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// The calling thread is answered with `errno` from now on when it makes one of these calls.
pub(crate) fn refuse_calls(calls: &[i64], errno: i32) {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let refusal = SeccompAction::Errno(u32::try_from(errno).unwrap());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}
