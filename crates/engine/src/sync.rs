//! The atomics and locks of the house: std's, or loom's when its model checker runs them.
//! Nothing but re-exports, and what both name differently.

use std::sync::PoisonError;
use std::time::Duration;

#[cfg(not(loom))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU8, Ordering},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU8, Ordering},
};

/// What a lock holds, also behind a thread that panicked: nothing that is locked here is left half
/// done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blocks while the condition holds, at most for so long.
#[cfg(not(loom))]
pub(crate) fn wait_while<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Option<Duration>,
    condition: impl Fn(&T) -> bool,
) -> MutexGuard<'a, T> {
    let Some(timeout) = timeout else {
        let waited = condvar.wait_while(guard, |own| condition(own));
        return waited.unwrap_or_else(PoisonError::into_inner);
    };
    let waited = condvar.wait_timeout_while(guard, timeout, |own| condition(own));
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// The same without time, which loom does not model.
#[cfg(loom)]
pub(crate) fn wait_while<'a, T>(
    condvar: &Condvar,
    mut guard: MutexGuard<'a, T>,
    _: Option<Duration>,
    condition: impl Fn(&T) -> bool,
) -> MutexGuard<'a, T> {
    while condition(&guard) {
        guard = condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
    guard
}
