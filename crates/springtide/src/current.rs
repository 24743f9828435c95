//! The shard that runs futures on this thread at the moment, and whether this is a shard's thread: the
//! one thread-local of the house. It keeps nothing alive.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::request::Shared;

thread_local! {
    /// Without a destructor: a thread that ends has nothing to do for it.
    static CURRENT: Seat = const { Seat { shared: Cell::new(None), turns: Cell::new(false) } };
}

/// What a thread knows of shards.
struct Seat {
    /// The one that runs futures: set by the turn, and empty in between.
    shared: Cell<Option<ManuallyDrop<Rc<Shared>>>>,
    /// A shard goes on by what this thread does: who blocks here blocks the shard.
    turns: Cell<bool>,
}

/// Ends it when dropped.
pub(crate) struct Turning {
    before: bool,
}

/// This thread turns a shard from here on.
pub(crate) fn turn() -> Turning {
    Turning { before: CURRENT.with(|seat| seat.turns.replace(true)) }
}

/// Whether this thread turns a shard, so that nothing may block it.
pub(crate) fn is_turning() -> bool {
    CURRENT.with(|seat| seat.turns.get())
}

impl Drop for Turning {
    fn drop(&mut self) {
        CURRENT.with(|seat| seat.turns.set(self.before));
    }
}

/// Ends it when dropped, also when a panic goes through.
pub(crate) struct Current {
    before: Option<ManuallyDrop<Rc<Shared>>>,
}

/// Futures of this shard run from here on.
pub(crate) fn enter(shared: &Rc<Shared>) -> Current {
    let own = ManuallyDrop::new(Rc::clone(shared));
    Current { before: CURRENT.with(|seat| seat.shared.replace(Some(own))) }
}

/// The shard that runs futures, if this thread is in the middle of that.
pub(crate) fn shard() -> Option<Rc<Shared>> {
    CURRENT.with(|seat| {
        let own = seat.shared.take()?;
        let shared = Rc::clone(&own);
        seat.shared.set(Some(own));
        Some(shared)
    })
}

impl Drop for Current {
    fn drop(&mut self) {
        if let Some(own) = CURRENT.with(|seat| seat.shared.replace(self.before.take())) {
            drop(ManuallyDrop::into_inner(own));
        }
    }
}
