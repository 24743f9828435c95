//! Promises: what one thread gives another once, which waits for it, listens, or loses interest.
//! Nothing of the application is called or dropped here while the lock is held.

use std::fmt;
use std::time::Duration;

use crate::sync::{Condvar, Mutex, lock, wait_while};

/// A value that is to come, once, and whoever listens to that: `L` says who is told, and how, by
/// whoever keeps the promise.
///
/// ```
/// use springtide_engine::{Phase, Promise};
/// let promise = Promise::<u32, &str>::new();
/// assert_eq!(promise.listen("harbour"), Ok(None));
/// let is_kept = promise.end(|listener| {
///     assert_eq!(listener, Some("harbour"), "it is told by whoever ends it");
///     Some(3)
/// });
/// assert!(is_kept);
/// assert!(matches!(promise.wait(None), Phase::Ended(3)));
/// assert!(matches!(promise.wait(None), Phase::Over), "it is given once");
/// ```
pub struct Promise<T, L> {
    phase: Mutex<Phase<T, L>>,
    ended: Condvar,
}

/// How far a promise is.
#[derive(Debug)]
pub enum Phase<T, L> {
    /// The value has not come; who listens, if anybody does.
    Pending(Option<L>),
    /// It has come, and nobody has taken it.
    Ended(T),
    /// It was taken, or nobody wants it.
    Over,
}

impl<T, L> Promise<T, L> {
    /// One that is pending, with nobody who listens.
    #[must_use]
    pub fn new() -> Self {
        Self { phase: Mutex::new(Phase::Pending(None)), ended: Condvar::new() }
    }

    /// Keeps the promise: `settle` gets whoever listens, and gives the value unless that was given
    /// there; it is called with the lock held, and only moves what it has. False when nothing is
    /// waited for any more, and `settle` is not called.
    pub fn end(&self, settle: impl FnOnce(Option<L>) -> Option<T>) -> bool {
        let mut phase = lock(&self.phase);
        let Phase::Pending(listener) = &mut *phase else { return false };
        let listener = listener.take();
        *phase = settle(listener).map_or(Phase::Over, Phase::Ended);
        drop(phase);
        self.ended.notify_all();
        true
    }

    /// Somebody listens from here on: gives who did before.
    ///
    /// # Errors
    /// It is not pending: the value, unless it is over, and who wanted to listen. It is over then.
    pub fn listen(&self, listener: L) -> Result<Option<L>, (Option<T>, L)> {
        let mut phase = lock(&self.phase);
        if let Phase::Pending(own) = &mut *phase {
            return Ok(own.replace(listener));
        }
        match std::mem::replace(&mut *phase, Phase::Over) {
            Phase::Ended(value) => Err((Some(value), listener)),
            Phase::Pending(_) | Phase::Over => Err((None, listener)),
        }
    }

    /// Blocks until the value has come, at most for so long, and takes it; pending where it has not.
    pub fn wait(&self, timeout: Option<Duration>) -> Phase<T, L> {
        let is_pending = |phase: &Phase<T, L>| matches!(phase, Phase::Pending(_));
        let mut phase = wait_while(&self.ended, lock(&self.phase), timeout, is_pending);
        match &mut *phase {
            Phase::Pending(_) => Phase::Pending(None),
            _ => std::mem::replace(&mut *phase, Phase::Over),
        }
    }

    /// Nobody wants it any more: gives what there is.
    pub fn leave(&self) -> Phase<T, L> {
        std::mem::replace(&mut *lock(&self.phase), Phase::Over)
    }

    /// Looks how far it is.
    pub fn look<R>(&self, see: impl FnOnce(&Phase<T, L>) -> R) -> R {
        see(&lock(&self.phase))
    }
}

impl<T, L> Default for Promise<T, L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, L> fmt::Debug for Promise<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_runs_out_leaves_it_pending() {
        let promise = Promise::<u8, ()>::new();
        assert!(matches!(promise.wait(Some(Duration::ZERO)), Phase::Pending(None)));
        assert!(promise.end(|_| Some(7)));
        assert!(matches!(promise.wait(Some(Duration::ZERO)), Phase::Ended(7)));
    }

    #[test]
    fn what_was_left_is_not_given() {
        let promise = Promise::<u8, ()>::new();
        assert!(matches!(promise.leave(), Phase::Pending(None)));
        assert!(!promise.end(|_| panic!("nobody wants it")));
    }
}
