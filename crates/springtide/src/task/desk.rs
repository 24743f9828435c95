//! The desk of a shard: where its tasks stand, what was asked of its connections and not done yet, and
//! what the application is to be told.
//! It calls and drops nothing of the application while anything of it is borrowed.

mod away;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use springtide_engine::Callback;

use super::Status;
use super::hatch::{Due, Errand};
use super::operation::Ended;
use crate::peer::{Link, Peer, PeerStatus, Reason};
use crate::session::peered::Want;
use crate::table::{Place, Table};

/// The desk.
pub(crate) struct Tasks {
    slots: RefCell<Table<Slot>>,
    orders: RefCell<Vec<Order>>,
    ready: RefCell<Vec<Ready>>,
    /// Something stands in one of the two.
    has_work: Cell<bool>,
    /// By the index of a connection's place: its generation, and how it stands.
    standing: RefCell<Vec<(u32, PeerStatus)>>,
    /// Connections that other threads know of, by their places.
    links: RefCell<HashMap<Place, Arc<Link>>>,
    /// Who is to be woken when futures run next.
    woken: RefCell<Vec<Waker>>,
}

/// One task that somebody holds or listens to.
struct Slot {
    peer: Peer,
    is_pull: bool,
    /// Another pull waits behind it.
    is_followed: bool,
    state: State,
}

enum State {
    Pending(Listener),
    /// Nobody has taken what came of it.
    Ended(Ended),
    /// Another thread has what came of it and has not taken it; or it will say that it does not want
    /// it, and here it is.
    Away(Arc<Errand>, Option<Ended>),
}

/// Who is told of a task's end.
pub(crate) enum Listener {
    /// Nobody yet.
    None,
    /// `takes_end`: also where it does not end with a value.
    Callback {
        callback: Told,
        takes_end: bool,
    },
    Waker(Waker),
    /// Another thread.
    Elsewhere(Due),
    /// Nobody ever.
    Detached,
}

/// What is called with how a task has ended.
pub(crate) type Told = Callback<(Peer, Ended)>;

/// Something asked of a connection.
pub(crate) struct Order {
    pub(crate) peer: Peer,
    pub(crate) ask: Ask,
}

/// What is asked; each names the task it is for.
pub(crate) enum Ask {
    Pull(Place, Want),
    Push(Place, Bytes),
    Close(Place),
    ShutdownWrite(Place),
    Cancel(Place),
    /// The first pull has been taken: the next may be served.
    GoOn,
    /// What came for a pull that nobody wants: it is the first of what waits.
    Return(Bytes),
}

impl Ask {
    /// The task that waits for it.
    pub(crate) const fn task(&self) -> Option<Place> {
        match self {
            Self::Pull(task, _)
            | Self::Push(task, _)
            | Self::Close(task)
            | Self::ShutdownWrite(task) => Some(*task),
            Self::Cancel(_) | Self::GoOn | Self::Return(_) => None,
        }
    }
}

/// Something that the application is to be told.
pub(crate) enum Ready {
    /// A connection has come.
    Intro(Peer),
    /// A task has ended.
    Call(Told, Peer, Ended),
    /// A connection that was told of has ended.
    Closed(Peer, Reason),
}

/// Room for so many is kept for the next turn.
const KEPT_MAX: usize = 1024;

impl Tasks {
    pub(crate) fn new() -> Self {
        let (orders, ready, has_work, standing, links, woken) = Default::default();
        Self { slots: RefCell::new(Table::new()), orders, ready, has_work, standing, links, woken }
    }

    /// Whether nothing is to be done.
    #[inline]
    pub(crate) const fn is_at_rest(&self) -> bool {
        !self.has_work.get()
    }

    /// A task begins with an order; none when its peer is gone.
    pub(crate) fn begin(&self, peer: Peer, make: impl FnOnce(Place) -> Ask) -> Option<Place> {
        if self.status(peer) == PeerStatus::Closed {
            return None;
        }
        let task = self.slots.borrow_mut().insert_with(|_| Slot {
            peer,
            is_pull: false,
            is_followed: false,
            state: State::Pending(Listener::None),
        });
        let ask = make(task);
        if matches!(ask, Ask::Pull(..))
            && let Some(slot) = self.slots.borrow_mut().get_mut(task)
        {
            slot.is_pull = true;
        }
        self.order(Order { peer, ask });
        Some(task)
    }

    pub(crate) fn order(&self, order: Order) {
        self.orders.borrow_mut().push(order);
        self.has_work.set(true);
    }

    pub(crate) fn tell(&self, ready: Ready) {
        self.ready.borrow_mut().push(ready);
        self.has_work.set(true);
    }

    /// Somebody listens to a task from here on; gives back who did before.
    pub(super) fn listen(&self, task: Place, listener: Listener) -> Option<Listener> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(task)?;
        if let State::Pending(own) = &mut slot.state {
            return Some(std::mem::replace(own, listener));
        }
        let slot = slots.remove(task)?;
        drop(slots);
        let State::Ended(ended) = slot.state else { return None };
        self.go_on_behind(slot.peer, slot.is_followed);
        match listener {
            Listener::Callback { callback, .. } => {
                self.tell(Ready::Call(callback, slot.peer, ended));
            }
            Listener::Detached | Listener::None | Listener::Waker(_) | Listener::Elsewhere(_) => {}
        }
        None
    }

    /// Wakes somebody when what was asked is done next: it may be code of the application.
    fn wake(&self, waker: Waker) {
        self.woken.borrow_mut().push(waker);
        self.has_work.set(true);
    }

    fn go_on_behind(&self, peer: Peer, is_followed: bool) {
        if is_followed {
            self.order(Order { peer, ask: Ask::GoOn });
        }
    }

    pub(super) fn poll(&self, task: Place, context: &Context<'_>) -> Poll<Ended> {
        let waker = context.waker().clone();
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(task) else {
            return Poll::Ready(Ended::Failed(Reason::Stale));
        };
        if let State::Pending(own) = &mut slot.state {
            let before = std::mem::replace(own, Listener::Waker(waker));
            drop(slots);
            drop(before);
            return Poll::Pending;
        }
        let slot = slots.remove(task);
        drop(slots);
        match slot {
            Some(Slot { peer, is_followed, state: State::Ended(ended), .. }) => {
                self.go_on_behind(peer, is_followed);
                Poll::Ready(ended)
            }
            _ => Poll::Ready(Ended::Failed(Reason::Stale)),
        }
    }

    /// Nobody wants a task any more; gives what is to be dropped.
    pub(super) fn give_up(&self, task: Place) -> Option<impl Sized> {
        let slot = self.slots.borrow_mut().remove(task)?;
        let Slot { peer, is_pull, is_followed, state } = slot;
        match state {
            State::Ended(Ended::Bytes(bytes)) | State::Away(_, Some(Ended::Bytes(bytes)))
                if is_pull =>
            {
                self.order(Order { peer, ask: Ask::Return(bytes) });
                None
            }
            state => {
                self.go_on_behind(peer, is_followed);
                Some(state)
            }
        }
    }

    /// A task has ended: whoever listens is told in the same turn. False when nobody wants it, and
    /// nothing was given: for a pull, its bytes are the next one's.
    pub(crate) fn end(&self, task: Place, make: impl FnOnce() -> Ended) -> bool {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(task) else { return false };
        let State::Pending(listener) = &mut slot.state else { return true };
        match std::mem::replace(listener, Listener::None) {
            Listener::Callback { callback, .. } => {
                let peer = slot.peer;
                slots.remove(task);
                self.tell(Ready::Call(callback, peer, make()));
            }
            Listener::Detached => {
                slots.remove(task);
                drop(slots);
                drop(make());
            }
            Listener::Elsewhere(due) => match self.give_away(&due, slot, make) {
                Some(state) => slot.state = state,
                None => _ = slots.remove(task),
            },
            listener => {
                slot.state = State::Ended(make());
                if let Listener::Waker(waker) = listener {
                    self.wake(waker);
                }
            }
        }
        true
    }

    /// Takes the callback out of a task that nobody else holds, and ends the task; its listener is told
    /// by whoever has the callback then.
    pub(crate) fn take_callback(&self, task: Place) -> Option<(Told, bool)> {
        let mut slots = self.slots.borrow_mut();
        let State::Pending(listener) = &mut slots.get_mut(task)?.state else { return None };
        if !matches!(listener, Listener::Callback { .. }) {
            return None;
        }
        let Listener::Callback { callback, takes_end } =
            std::mem::replace(listener, Listener::None)
        else {
            return None;
        };
        slots.remove(task);
        Some((callback, takes_end))
    }

    /// Whether somebody still holds or listens to a task.
    pub(crate) fn is_wanted(&self, task: Place) -> bool {
        match self.slots.borrow_mut().get_mut(task).map(|slot| &slot.state) {
            Some(State::Pending(Listener::Elsewhere(due))) => due.errand().is_wanted(),
            Some(_) => true,
            None => false,
        }
    }

    /// Whether a task is listened to by who wants values only.
    pub(crate) fn wants_values_only(&self, task: Place) -> bool {
        let mut slots = self.slots.borrow_mut();
        match slots.get_mut(task).map(|slot| &slot.state) {
            Some(State::Pending(Listener::Callback { takes_end, .. })) => !takes_end,
            Some(State::Pending(Listener::Elsewhere(due))) => due.errand().wants_values_only(),
            _ => false,
        }
    }

    /// Whether nobody is ever told of a task: then it needs no place here.
    pub(crate) fn forget_detached(&self, task: Place) -> bool {
        let mut slots = self.slots.borrow_mut();
        let state = slots.get_mut(task).map(|slot| &slot.state);
        let is_detached = matches!(state, Some(State::Pending(Listener::Detached)));
        if is_detached {
            slots.remove(task);
        }
        is_detached
    }

    /// Whether a task has not ended.
    pub(crate) fn is_pending(&self, task: Place) -> bool {
        match self.slots.borrow_mut().get_mut(task).map(|slot| &slot.state) {
            Some(State::Pending(Listener::Elsewhere(due))) => due.errand().is_wanted(),
            Some(State::Pending(_)) => true,
            _ => false,
        }
    }

    /// A pull stands behind another one.
    pub(crate) fn follow(&self, task: Place) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(task) {
            slot.is_followed = true;
        }
    }

    pub(super) fn status_of(&self, task: Place) -> Status {
        match self.slots.borrow_mut().get_mut(task).map(|slot| &slot.state) {
            Some(State::Pending(_)) => Status::Pending,
            Some(State::Ended(Ended::Failed(_))) | None => Status::Failed,
            Some(State::Ended(_) | State::Away(..)) => Status::Succeeded,
        }
    }

    pub(super) fn peer_of(&self, task: Place) -> Option<Peer> {
        self.slots.borrow_mut().get_mut(task).map(|slot| slot.peer)
    }

    /// How a connection stands.
    pub(crate) fn status(&self, peer: Peer) -> PeerStatus {
        let place = peer.place();
        match self.standing.borrow().get(place.index() as usize) {
            Some((generation, status)) if *generation == place.generation() => *status,
            _ => PeerStatus::Closed,
        }
    }

    /// A connection stands so from here on.
    pub(crate) fn stand(&self, place: Place, status: PeerStatus) {
        if !self.links.borrow().is_empty() {
            self.tell_link(place, status);
        }
        let (mut standing, index) = (self.standing.borrow_mut(), place.index() as usize);
        if standing.len() <= index {
            standing.resize(index + 1, (u32::MAX, PeerStatus::Closed));
        }
        standing[index] = (place.generation(), status);
    }

    pub(crate) fn take_orders(&self) -> Vec<Order> {
        self.orders.take()
    }

    pub(crate) fn take_ready(&self) -> Vec<Ready> {
        self.ready.take()
    }

    pub(crate) fn take_woken(&self) -> Vec<Waker> {
        self.woken.take()
    }

    /// Gives memory back in which orders and news stood, and notes whether there are others by now.
    pub(crate) fn put_back(&self, orders: Vec<Order>, ready: Vec<Ready>) {
        keep(&mut self.orders.borrow_mut(), orders);
        keep(&mut self.ready.borrow_mut(), ready);
        let is_empty = self.orders.borrow().is_empty()
            && self.ready.borrow().is_empty()
            && self.woken.borrow().is_empty();
        self.has_work.set(!is_empty);
    }
}

fn keep<T>(own: &mut Vec<T>, emptied: Vec<T>) {
    if own.is_empty() && emptied.capacity() <= KEPT_MAX {
        *own = emptied;
    }
}
