//! The desk of a shard: what was asked of its connections and not done yet, the tasks that somebody
//! holds, and what the application is to be told.
//! It calls and drops nothing of the application while anything of it is borrowed.

mod away;
mod batches;
mod held;
mod late;
mod looks;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::task::Waker;

use springtide_engine::Callback;

pub(crate) use batches::Batches;
use held::{Slot, State};

use super::hatch::Due;
use super::operation::{Ended, Stands};
use super::order::{Ask, Connecting, Order, Waiter};
use super::places::Places;
use super::polled::Polled;
use crate::datagram::Datagram;
use crate::events::Happened;
use crate::peer::{Peer, Reason};
use crate::session::peered::Busy;
use crate::table::{Place, Table};

/// The desk.
pub(crate) struct Tasks {
    orders: RefCell<Orders>,
    /// Tasks that somebody holds beyond the code that asked.
    slots: RefCell<Table<Slot>>,
    /// Where tasks stand that nobody had listened to when what they ask for was begun.
    unheard: RefCell<HashMap<u64, Place>>,
    ready: RefCell<Batches<Ready>>,
    /// For the next pass.
    pass: Cell<Option<Box<Pass>>>,
    /// Who is to be woken.
    woken: RefCell<Vec<Waker>>,
    /// The futures that are to be polled: most tasks are waited for by one of the shard's.
    futures: RefCell<Vec<Place>>,
    /// The future that is being polled.
    pub(crate) polled: Polled,
    /// Orders were taken out and are being done.
    is_obeyed: Cell<bool>,
    /// There are orders, news or wakers.
    has_work: Cell<bool>,
    pub(crate) places: Places,
    /// The ends of connections that are told when the futures that had them have ended.
    farewells: RefCell<HashMap<Place, (Peer, Reason)>>,
    /// Connections that are being made.
    pub(crate) connecting: RefCell<Table<Connecting>>,
    /// Names that are being resolved for them, and how many were so far.
    pub(crate) resolving: Cell<usize>,
    pub(crate) resolved: Cell<u64>,
    /// What busy sessions used, for the next.
    #[expect(clippy::vec_box, reason = "boxes move between here and sessions without a copy")]
    spare: RefCell<Vec<Box<Busy>>>,
}

/// What is done and told in one pass; the memory of it is for the next.
#[derive(Default)]
pub(crate) struct Pass {
    pub(crate) orders: Batches<Order>,
    pub(crate) ready: Batches<Ready>,
    pub(crate) woken: Vec<Waker>,
    pub(crate) futures: Vec<Place>,
}

struct Orders {
    waiting: Batches<Order>,
    /// The serial number of the first of them, and of the next one.
    first: u64,
    next: u64,
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
    /// A future of the shard, which needs no waker of its own to be woken.
    Future(Place),
    /// Nobody ever.
    Detached,
}

/// What is called with how a task has ended.
pub(crate) type Told = Callback<(Peer, Ended)>;

/// Something that the application is to be told.
pub(crate) enum Ready {
    /// A connection has come.
    Intro(Peer),
    /// A task has ended.
    Call(Told, Peer, Ended),
    /// A connection that was told of has ended: what its callbacks still ask is told first.
    Gone(Peer, Reason),
    /// The same, and the application is told now.
    Closed(Peer, Reason),
    /// Something that the server's events hear of.
    Happened(Peer, Happened),
    /// A datagram has come to a socket of a service.
    Datagram(Place, usize, Box<Datagram>),
}

/// Room for so many is kept for the next turn.
const KEPT_MAX: usize = 1024;
/// So many parts of busy sessions are kept for the next.
const SPARE_MAX: usize = 256;

impl Tasks {
    pub(crate) fn new() -> Self {
        let orders = RefCell::new(Orders { waiting: Batches::default(), first: 1, next: 1 });
        let (unheard, ready, pass, woken, futures, polled) = Default::default();
        let (is_obeyed, has_work, places, farewells, spare) = Default::default();
        let (slots, connecting) = (RefCell::new(Table::new()), RefCell::new(Table::new()));
        Self {
            orders,
            slots,
            unheard,
            ready,
            pass,
            woken,
            futures,
            polled,
            is_obeyed,
            has_work,
            places,
            farewells,
            connecting,
            resolving: Cell::new(0),
            resolved: Cell::new(0),
            spare,
        }
    }

    /// Whether nothing is to be done.
    #[inline]
    pub(crate) const fn is_at_rest(&self) -> bool {
        !self.has_work.get()
    }

    /// A task begins with an order, whose serial number is its name; none when its peer is gone.
    #[inline(always)]
    pub(super) fn begin(&self, peer: Peer, ask: impl FnOnce() -> Ask) -> Option<u64> {
        let is_possible = peer.is_nobody() || !self.places.is_closed(peer);
        is_possible.then(|| self.order_with(|| Order { peer, ask: ask(), waiter: Waiter::Unheard }))
    }

    /// Asks for something that no task is for.
    pub(crate) fn order(&self, peer: Peer, ask: Ask, waiter: Waiter) -> u64 {
        self.order_with(|| Order { peer, ask, waiter })
    }

    #[inline(always)]
    fn order_with(&self, make: impl FnOnce() -> Order) -> u64 {
        let mut orders = self.orders.borrow_mut();
        let serial = orders.next;
        orders.next += 1;
        orders.waiting.push_with(make);
        self.has_work.set(true);
        serial
    }

    pub(crate) fn tell(&self, ready: Ready) {
        self.ready.borrow_mut().piece_with_room().push(ready);
        self.has_work.set(true);
    }

    /// Calls back with how something has ended.
    #[inline(always)]
    pub(crate) fn call_back(&self, callback: Told, peer: Peer, ended: Ended) {
        self.ready.borrow_mut().piece_with_room().push(Ready::Call(callback, peer, ended));
        self.has_work.set(true);
    }

    /// A callback listens to a task that was held by its serial number only: mostly it is what was asked
    /// last, and then the callback goes where that waits.
    #[inline(always)]
    pub(super) fn call_first(&self, serial: u64, callback: Told, takes_end: bool) {
        let mut orders = self.orders.borrow_mut();
        if let Some(order) = orders.newest(serial) {
            order.waiter = Waiter::Callback { callback, takes_end };
            return;
        }
        drop(orders);
        self.call_first_late(serial, callback, takes_end);
    }

    #[inline(never)]
    fn call_first_late(&self, serial: u64, callback: Told, takes_end: bool) {
        drop(self.listen_first(serial, Listener::Callback { callback, takes_end }));
    }

    /// Somebody listens to a task that was held by its serial number only; gives what is to be dropped.
    #[inline(always)]
    pub(super) fn listen_first(&self, serial: u64, listener: Listener) -> Option<Listener> {
        let mut orders = self.orders.borrow_mut();
        let Some(order) = orders.of(serial) else {
            drop(orders);
            return self.listen_unheard(serial, listener);
        };
        order.waiter = match listener {
            Listener::Callback { callback, takes_end } => Waiter::Callback { callback, takes_end },
            Listener::None
            | Listener::Waker(_)
            | Listener::Future(_)
            | Listener::Elsewhere(_)
            | Listener::Detached => Waiter::Nobody,
        };
        None
    }

    #[cold]
    fn listen_unheard(&self, serial: u64, listener: Listener) -> Option<Listener> {
        let place = self.unheard.borrow_mut().remove(&serial);
        match place {
            Some(place) => self.listen(place, listener),
            None => Some(listener),
        }
    }

    /// What is asked is about to be begun: whoever holds its task finds it from here on.
    pub(crate) fn settle(&self, order: &mut Order, serial: u64) {
        let has_task = !matches!(order.ask, Ask::Cancel(_) | Ask::GoOn | Ask::Return(_));
        if let (Ask::Return(_), Waiter::Held(task)) = (&order.ask, &order.waiter) {
            let task = *task;
            order.waiter = Waiter::Nobody;
            let slot = self.slots.borrow_mut().remove(task);
            drop(slot);
        }
        if has_task && matches!(order.waiter, Waiter::Unheard) {
            let place = self.insert(order, serial, || Listener::None);
            self.unheard.borrow_mut().insert(serial, place);
            order.waiter = Waiter::Held(place);
        }
    }

    /// Nobody wants a task any more that was held by its serial number only.
    pub(super) fn give_up_first(&self, serial: u64) -> Option<impl Sized> {
        let mut orders = self.orders.borrow_mut();
        if let Some(order) = orders.of(serial) {
            order.waiter = Waiter::Dropped;
            return None;
        }
        drop(orders);
        let place = self.unheard.borrow_mut().remove(&serial);
        place.and_then(|place| self.give_up(place))
    }

    /// Somebody listens to a task from here on; gives who did before.
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
                let peer = ended.whom(slot.peer);
                self.tell(Ready::Call(callback, peer, ended));
            }
            Listener::Detached
            | Listener::None
            | Listener::Waker(_)
            | Listener::Future(_)
            | Listener::Elsewhere(_) => self.leave_alone(ended),
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
            self.order(peer, Ask::GoOn, Waiter::Nobody);
        }
    }

    /// Nobody wants a task any more; gives what is to be dropped. A pull that was given bytes stands here
    /// until they are back: who asked meanwhile must not be served before.
    pub(super) fn give_up(&self, task: Place) -> Option<impl Sized> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(task)?;
        if slot.is_pull
            && let State::Ended(ended) | State::Away(_, Some(ended)) = &mut slot.state
            && let Ended::Bytes(bytes) = ended
        {
            let (peer, bytes) = (slot.peer, std::mem::take(bytes));
            *ended = Ended::Done;
            drop(slots);
            self.order(peer, Ask::Return(bytes), Waiter::Held(task));
            return None;
        }
        if let State::Ended(Ended::Connected(Stands(id, place, _))) = slot.state {
            slots.remove(task);
            drop(slots);
            self.close(Peer::new(id, place));
            return None;
        }
        let slot = slots.remove(task)?;
        drop(slots);
        self.go_on_behind(slot.peer, slot.is_followed);
        Some(slot.state)
    }

    /// What was asked has ended: whoever waits is told in the same turn.
    #[inline(never)]
    pub(crate) fn end(&self, peer: Peer, waiter: Waiter, ended: Ended) {
        self.end_here(peer, waiter, ended);
    }

    /// The same in the place of who asks, for what every message does.
    #[inline(always)]
    pub(crate) fn end_here(&self, peer: Peer, waiter: Waiter, ended: Ended) {
        match waiter {
            Waiter::Callback { callback, .. } => self.call_back(callback, peer, ended),
            Waiter::Held(task) => _ = self.end_held(task, ended),
            Waiter::Unheard | Waiter::Nobody | Waiter::Dropped => self.leave_alone(ended),
        }
    }

    /// Takes out what was asked, if anything was, and gives the serial number of the first; until
    /// [`orders_done`](Self::orders_done) it is being done.
    #[inline]
    pub(crate) fn take_orders(&self, emptied: &mut Batches<Order>) -> Option<u64> {
        let mut orders = self.orders.borrow_mut();
        if orders.waiting.is_empty() {
            return None;
        }
        self.is_obeyed.set(true);
        let first = orders.first;
        orders.first = orders.next;
        std::mem::swap(&mut orders.waiting, emptied);
        Some(first)
    }

    /// What was taken out has been done.
    #[inline]
    pub(crate) fn orders_done(&self) {
        self.is_obeyed.set(false);
    }

    /// Takes out who is to be told what, and which wakers and futures are to be woken; whether
    /// anybody is told or woken by that.
    #[inline]
    pub(crate) fn take_news(&self, pass: &mut Pass) -> bool {
        let (ready, woken) = (&mut *self.ready.borrow_mut(), &mut *self.woken.borrow_mut());
        let futures = &mut *self.futures.borrow_mut();
        if !futures.is_empty() {
            std::mem::swap(futures, &mut pass.futures);
        }
        if !woken.is_empty() {
            pass.woken = std::mem::take(woken);
        }
        if !ready.is_empty() {
            std::mem::swap(ready, &mut pass.ready);
        }
        !(pass.ready.is_empty() && pass.woken.is_empty())
    }

    /// Begins passes, in the memory of those before.
    #[inline]
    pub(crate) fn take_pass(&self) -> Box<Pass> {
        self.pass.take().unwrap_or_default()
    }

    /// Gives memory back, with nothing in it, and notes whether something is left to be done.
    #[inline]
    pub(crate) fn put_pass(&self, mut pass: Box<Pass>) {
        let mut due = self.futures.borrow_mut();
        // Either may be the one that was filled.
        for futures in [&mut pass.futures, &mut *due] {
            if futures.is_empty() && futures.capacity() > KEPT_MAX {
                *futures = Vec::new();
            }
        }
        let wakes = !(due.is_empty() && self.woken.borrow().is_empty());
        self.pass.set(Some(pass));
        let has_others =
            !(self.orders.borrow().waiting.is_empty() && self.ready.borrow().is_empty());
        self.has_work.set(has_others || wakes);
    }

    /// What a session needs that becomes busy.
    #[inline]
    pub(crate) fn take_busy(&self) -> Box<Busy> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes back what a busy session had, with nothing in it.
    #[inline]
    pub(crate) fn put_busy(&self, busy: Box<Busy>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(busy);
        }
    }
}

impl Orders {
    /// What was listed last, where it has this serial number.
    #[inline]
    fn newest(&mut self, serial: u64) -> Option<&mut Order> {
        if serial + 1 == self.next { self.waiting.last_mut() } else { None }
    }

    #[inline]
    fn of(&mut self, serial: u64) -> Option<&mut Order> {
        let index = serial.checked_sub(self.first)?;
        self.waiting.get_mut(usize::try_from(index).ok()?)
    }
}
