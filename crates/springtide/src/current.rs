//! The shard that runs futures on this thread at the moment: the one thread-local of the house.
//! It is set by the turn, empty in between, and keeps nothing alive.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::request::Shared;

thread_local! {
    /// Without a destructor: a thread that ends has nothing to do for it.
    static CURRENT: Cell<Option<ManuallyDrop<Rc<Shared>>>> = const { Cell::new(None) };
}

/// Ends it when dropped, also when a panic goes through.
pub(crate) struct Current {
    before: Option<ManuallyDrop<Rc<Shared>>>,
}

/// Futures of this shard run from here on.
pub(crate) fn enter(shared: &Rc<Shared>) -> Current {
    let own = ManuallyDrop::new(Rc::clone(shared));
    Current { before: CURRENT.replace(Some(own)) }
}

/// The shard that runs futures, if this thread is in the middle of that.
pub(crate) fn shard() -> Option<Rc<Shared>> {
    let own = CURRENT.take()?;
    let shared = Rc::clone(&own);
    CURRENT.set(Some(own));
    Some(shared)
}

impl Drop for Current {
    fn drop(&mut self) {
        if let Some(own) = CURRENT.replace(self.before.take()) {
            drop(ManuallyDrop::into_inner(own));
        }
    }
}
