//! Waking a shard from other threads: a mailbox with a sleeping flag.
//! A sender pays for a system call only when the shard sleeps, and never blocks.

use std::sync::Arc;

use crate::sync::{AtomicU8, Ordering};

const AWAKE: u8 = 0;
const SLEEPING: u8 = 1;
const NOTIFIED: u8 = 2;

/// The flag between a shard and those who send to it.
///
/// A sender puts its message where the shard will look, then notifies. The shard announces its
/// sleep, and does not sleep when a notice came since it last woke; after waking it looks.
#[derive(Debug)]
pub struct Signal(AtomicU8);

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}

impl Signal {
    /// The signal of a shard that is awake.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicU8::new(AWAKE))
    }

    /// Says that something was sent. True: the shard sleeps and the caller must wake it.
    #[inline]
    #[must_use]
    pub fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == SLEEPING
    }

    /// Announces sleep. False: something was sent meanwhile, do not sleep.
    #[inline]
    #[must_use]
    pub fn prepare_sleep(&self) -> bool {
        let result = self.0.compare_exchange(AWAKE, SLEEPING, Ordering::AcqRel, Ordering::Acquire);
        result.is_ok()
    }

    /// Whether a notice has come since the shard last woke.
    #[inline]
    #[must_use]
    pub fn is_notified(&self) -> bool {
        self.0.load(Ordering::Acquire) == NOTIFIED
    }

    /// Says that the shard is awake and will look at what was sent. True: a notice had come.
    #[inline]
    pub fn awake(&self) -> bool {
        self.0.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }
}

/// Ends the sleep of one shard, from any thread.
#[derive(Clone, Debug)]
pub struct Waker {
    signal: Arc<Signal>,
    event: Option<Arc<crate::system::Event>>,
}

impl Waker {
    /// A waker with the event that ends a system's wait; a simulated shard has none.
    pub(crate) fn new(event: Option<Arc<crate::system::Event>>) -> Self {
        Self { signal: Arc::default(), event }
    }

    /// Makes the shard's present or next wait end at once.
    pub fn wake(&self) {
        if self.signal.notify()
            && let Some(event) = &self.event
        {
            event.trigger();
        }
    }

    pub(crate) fn event(&self) -> Option<&Arc<crate::system::Event>> {
        self.event.as_ref()
    }

    pub(crate) fn signal(&self) -> &Signal {
        &self.signal
    }
}
