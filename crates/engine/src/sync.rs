//! The atomics of the house: std's, or loom's when its model checker runs them.
//! Nothing but re-exports.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU8, Ordering};
