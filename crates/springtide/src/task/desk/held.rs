//! Tasks that somebody holds beyond the code that asked: how they stand, are waited for, and end.
//! What ends is told elsewhere: nothing of the application is called or dropped while they are borrowed.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Listener, Ready, Tasks};
use crate::peer::{Peer, Reason};
use crate::table::Place;
use crate::task::hatch::{Due, Errand};
use crate::task::{Ask, Ended, Order, Waiter};

/// One task that somebody holds.
pub(super) struct Slot {
    pub(super) peer: Peer,
    pub(super) serial: u64,
    pub(super) is_pull: bool,
    /// Another pull waits behind it.
    pub(super) is_followed: bool,
    pub(super) state: State,
}

pub(super) enum State {
    Pending(Listener),
    /// Nobody has taken what came of it.
    Ended(Ended),
    /// Another thread has what came of it and has not taken it; or it will say that it does not want
    /// it, and here it is.
    Away(Arc<Errand>, Option<Ended>),
}

impl Tasks {
    /// The place of a task that is held from here on, and whether it is surely not at its end and its
    /// context is waited with; none when it is gone.
    #[inline]
    pub(in crate::task) fn hold(
        &self,
        serial: u64,
        context: &Context<'_>,
    ) -> Option<(Place, bool)> {
        match self.polled.woken_by(context.waker()) {
            Some(future) => self.hold_as(serial, || Listener::Future(future)),
            None => {
                let waker = context.waker().clone();
                self.hold_as(serial, || Listener::Waker(waker))
            }
        }
    }

    #[inline]
    fn hold_as(&self, serial: u64, listener: impl FnOnce() -> Listener) -> Option<(Place, bool)> {
        let mut orders = self.orders.borrow_mut();
        let Some(order) = orders.of(serial) else {
            drop(orders);
            return self.unheard.borrow_mut().remove(&serial).map(|task| (task, false));
        };
        let place = self.insert(order, serial, listener);
        order.waiter = Waiter::Held(place);
        Some((place, true))
    }

    /// The place of a task that another thread holds, which was asked for just now.
    pub(super) fn hold_for(&self, serial: u64, due: Due) -> Option<Place> {
        let mut orders = self.orders.borrow_mut();
        let order = orders.of(serial)?;
        let place = self.insert(order, serial, || Listener::Elsewhere(due));
        order.waiter = Waiter::Held(place);
        Some(place)
    }

    #[inline]
    pub(super) fn insert(
        &self,
        order: &Order,
        serial: u64,
        listener: impl FnOnce() -> Listener,
    ) -> Place {
        self.slots.borrow_mut().insert_with(|_| Slot {
            peer: order.peer,
            serial,
            is_pull: matches!(order.ask, Ask::Pull(_)),
            is_followed: false,
            state: State::Pending(listener()),
        })
    }

    #[inline]
    pub(in crate::task) fn poll(&self, task: Place, context: &Context<'_>) -> Poll<Ended> {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(task) else {
            return Poll::Ready(Ended::Failed(Reason::Stale));
        };
        match &mut slot.state {
            State::Ended(ended) => {
                let ended = std::mem::replace(ended, Ended::Done);
                let (peer, is_followed) = (slot.peer, slot.is_followed);
                slots.forget(task);
                drop(slots);
                self.go_on_behind(peer, is_followed);
                Poll::Ready(ended)
            }
            State::Pending(_) => {
                drop(slots);
                self.wait_on(task, context);
                Poll::Pending
            }
            State::Away(..) => {
                let slot = slots.remove(task);
                drop(slots);
                drop(slot);
                Poll::Ready(Ended::Failed(Reason::Stale))
            }
        }
    }

    /// A task that has not ended is waited for with this context.
    fn wait_on(&self, task: Place, context: &Context<'_>) {
        let own = self.polled.woken_by(context.waker());
        let listener =
            own.map_or_else(|| Listener::Waker(context.waker().clone()), Listener::Future);
        let mut slots = self.slots.borrow_mut();
        if let Some(Slot { state: State::Pending(own), .. }) = slots.get_mut(task) {
            let before = std::mem::replace(own, listener);
            drop(slots);
            drop(before);
        }
    }

    /// A task that is held has ended; whether it is held still, with what came of it.
    pub(crate) fn end_held(&self, task: Place, ended: Ended) -> bool {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(task) else {
            drop(slots);
            self.leave_alone(ended);
            return false;
        };
        if let State::Pending(Listener::Future(future)) = slot.state {
            slot.state = State::Ended(ended);
            self.futures.borrow_mut().push(future);
            self.has_work.set(true);
            return true;
        }
        let State::Pending(listener) = &mut slot.state else {
            // Its time was over before.
            drop(slots);
            self.leave_alone(ended);
            return true;
        };
        match std::mem::replace(listener, Listener::None) {
            Listener::Callback { callback, .. } => {
                let peer = ended.whom(slot.peer);
                slots.remove(task);
                self.tell(Ready::Call(callback, peer, ended));
                false
            }
            Listener::Detached => {
                slots.remove(task);
                drop(slots);
                self.leave_alone(ended);
                false
            }
            Listener::Elsewhere(due) => match self.give_away(&due, slot, ended) {
                Some(state) => {
                    slot.state = state;
                    true
                }
                None => {
                    slots.remove(task);
                    false
                }
            },
            Listener::None | Listener::Future(_) => {
                slot.state = State::Ended(ended);
                true
            }
            Listener::Waker(waker) => {
                slot.state = State::Ended(ended);
                self.wake(waker);
                true
            }
        }
    }
}
