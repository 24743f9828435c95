//! Who waits for what at the desk, and what is told behind futures.
//! It only looks, but for what is told.

use super::{Listener, State, Tasks, Waiter};
use crate::peer::{Peer, Reason};
use crate::table::Place;
use crate::task::{Ended, Ready, Status};

impl Tasks {
    /// The end of a connection is told when the future that has it has ended.
    pub(crate) fn tell_behind(&self, future: Place, peer: Peer, reason: Reason) {
        self.farewells.borrow_mut().insert(future, (peer, reason));
    }

    /// A future has ended: what waited for that is told.
    #[inline]
    pub(crate) fn future_ended(&self, future: Place) {
        let mut farewells = self.farewells.borrow_mut();
        if farewells.is_empty() {
            return;
        }
        if let Some((peer, reason)) = farewells.remove(&future) {
            self.tell(Ready::Gone(peer, reason));
        }
    }

    /// No future that has lost its connection is left.
    pub(crate) fn tell_farewells(&self) {
        for (peer, reason) in self.farewells.take().into_values() {
            self.tell(Ready::Gone(peer, reason));
        }
    }

    /// Whether the application holds anything that a frozen shard must not lose.
    pub(crate) fn has_kept(&self) -> bool {
        let is_held = self.slots.borrow().len() > 0 || self.connecting.borrow().len() > 0;
        // What is not told yet stands here too, as the end of the last connection.
        let is_owed = self.has_work.get() || !self.farewells.borrow().is_empty();
        is_held || is_owed || self.places.has_frozen()
    }

    /// Whether somebody still wants what waits for him.
    #[inline]
    pub(crate) fn is_wanted(&self, waiter: &Waiter) -> bool {
        match waiter {
            Waiter::Held(task) => self.is_held(*task),
            Waiter::Callback { .. } | Waiter::Nobody => true,
            Waiter::Unheard | Waiter::Dropped => false,
        }
    }

    /// Whether somebody still holds or listens to a task.
    #[inline]
    pub(crate) fn is_held(&self, task: Place) -> bool {
        match self.slots.borrow_mut().get_mut(task).map(|slot| &slot.state) {
            Some(State::Pending(Listener::Elsewhere(due))) => due.errand().is_wanted(),
            Some(_) => true,
            None => false,
        }
    }

    /// Whether a task that is held is listened to by who wants values only.
    pub(crate) fn wants_values_only(&self, task: Place) -> bool {
        let mut slots = self.slots.borrow_mut();
        match slots.get_mut(task).map(|slot| &slot.state) {
            Some(State::Pending(Listener::Callback { takes_end, .. })) => !takes_end,
            Some(State::Pending(Listener::Elsewhere(due))) => due.errand().wants_values_only(),
            _ => false,
        }
    }

    /// Whether a task that is held has not ended.
    #[inline]
    pub(crate) fn is_pending(&self, task: Place) -> bool {
        match self.slots.borrow_mut().get_mut(task).map(|slot| &slot.state) {
            Some(State::Pending(Listener::Elsewhere(due))) => due.errand().is_wanted(),
            Some(State::Pending(_)) => true,
            _ => false,
        }
    }

    /// Whether somebody waits still: he is not told of anything else, as one whose time is over.
    pub(crate) fn is_waiting(&self, waiter: &Waiter) -> bool {
        match waiter {
            Waiter::Held(task) => self.is_pending(*task),
            waiter => self.is_wanted(waiter),
        }
    }

    /// Whether a task that is held has ended with nothing, and is held still.
    pub(crate) fn has_failed(&self, task: Place) -> bool {
        let mut slots = self.slots.borrow_mut();
        let state = slots.get_mut(task).map(|slot| &slot.state);
        matches!(state, Some(State::Ended(Ended::Failed(_))))
    }

    /// A pull stands behind another one.
    pub(crate) fn follow(&self, task: Place) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(task) {
            slot.is_followed = true;
        }
    }

    pub(crate) fn status_of(&self, task: Place) -> Status {
        match self.slots.borrow_mut().get_mut(task).map(|slot| &slot.state) {
            Some(State::Pending(_)) => Status::Pending,
            Some(State::Ended(Ended::Failed(_))) | None => Status::Failed,
            Some(State::Ended(_) | State::Away(..)) => Status::Succeeded,
        }
    }

    /// The same of one that is held by its serial number only.
    pub(in crate::task) fn status_of_first(&self, serial: u64) -> Status {
        if self.orders.borrow_mut().of(serial).is_some() {
            return Status::Pending;
        }
        let place = self.unheard.borrow().get(&serial).copied();
        place.map_or(Status::Failed, |place| self.status_of(place))
    }

    /// What names a task for who may cancel it.
    pub(in crate::task) fn name_of(&self, task: Place) -> Option<(Peer, u64)> {
        self.slots.borrow_mut().get_mut(task).map(|slot| (slot.peer, slot.serial))
    }
}
