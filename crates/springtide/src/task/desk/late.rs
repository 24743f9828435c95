//! Tasks whose time is over, and what timers call.
//! What a task asked for is withdrawn as far as it can be; nothing of it is lost.

use springtide_engine::Callback;

use super::{Listener, Ready, State, Tasks, Waiter};
use crate::peer::{Peer, Reason};
use crate::table::Place;
use crate::task::{Ask, Ended};

impl Tasks {
    /// The place of a task that was held by its serial number only, with nobody who listens yet; none
    /// when it is gone.
    pub(in crate::task) fn stand(&self, serial: u64) -> Option<Place> {
        let mut orders = self.orders.borrow_mut();
        let Some(order) = orders.of(serial) else {
            drop(orders);
            return self.unheard.borrow_mut().remove(&serial);
        };
        let place = self.insert(order, serial, || Listener::None);
        order.waiter = Waiter::Held(place);
        Some(place)
    }

    /// Asks for something, and holds the task.
    #[cfg(test)]
    pub(crate) fn ask_and_hold(&self, ask: Ask) -> Option<(u64, Place)> {
        let serial = self.begin(Peer::nobody(), || ask)?;
        Some((serial, self.stand(serial)?))
    }

    /// The time of a task is over, unless it has ended: whoever listens is told.
    pub(crate) fn expire(&self, task: Place) {
        let mut slots = self.slots.borrow_mut();
        let pending = slots.get_mut(task).filter(|slot| matches!(slot.state, State::Pending(_)));
        let Some(slot) = pending else { return };
        let (peer, serial, is_followed) = (slot.peer, slot.serial, slot.is_followed);
        drop(slots);
        self.end_held(task, Ended::Failed(Reason::TimedOut("timeout")));
        self.order(peer, Ask::Cancel(serial), Waiter::Nobody);
        if !self.is_held(task) {
            self.go_on_behind(peer, is_followed);
        }
    }

    /// Calls something of the application that no connection waits for.
    pub(crate) fn call(&self, callback: impl FnOnce() + 'static) {
        let callback = Callback::new(move |_| callback());
        self.tell(Ready::Call(callback, Peer::nobody(), Ended::Done));
    }
}
