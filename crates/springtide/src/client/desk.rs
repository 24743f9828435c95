//! What the clients of one shard share: connections being made, connections at rest, bodies that wait
//! to be passed on.
//! It opens and closes nothing itself: the shard does, in its turn.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use springtide_engine::Key;

use super::line::Line;
use super::url::Origin;
use super::{ClientBody, Settings};
use crate::executor::apart;
use crate::table::{Place, Table};

/// The desk.
pub(crate) struct Desk {
    connecting: RefCell<Table<Rc<Line>>>,
    /// The one that came to rest last stands last.
    idle: RefCell<Vec<Rc<Line>>>,
    parked: RefCell<Table<ClientBody>>,
    withdrawn: RefCell<Vec<Key>>,
    /// Connections that are open or being made.
    open: Cell<usize>,
    /// Those of them that are open.
    standing: Cell<usize>,
    /// The shard ends: nothing comes to rest any more.
    is_draining: Cell<bool>,
    /// It ends now: nothing is connected any more.
    is_cut: Cell<bool>,
}

impl Desk {
    pub(crate) const fn new() -> Self {
        Self {
            connecting: RefCell::new(Table::new()),
            idle: RefCell::new(Vec::new()),
            parked: RefCell::new(Table::new()),
            withdrawn: RefCell::new(Vec::new()),
            open: Cell::new(0),
            standing: Cell::new(0),
            is_draining: Cell::new(false),
            is_cut: Cell::new(false),
        }
    }

    pub(super) fn begin(&self, line: Rc<Line>) -> Place {
        self.enter();
        self.connecting.borrow_mut().insert_with(|_| line)
    }

    /// A connection that was being made stands, or failed.
    pub(crate) fn take_connecting(&self, place: Place) -> Option<Rc<Line>> {
        self.connecting.borrow_mut().remove(place)
    }

    /// The operation is not wanted any more.
    pub(crate) fn cancel(&self, key: Key) {
        self.withdrawn.borrow_mut().push(key);
    }

    /// Operations to be cancelled.
    pub(crate) fn take_withdrawn(&self) -> Vec<Key> {
        self.withdrawn.take()
    }

    pub(crate) const fn open(&self) -> usize {
        self.open.get()
    }

    /// So many were open before the shard was frozen, and are to be closed.
    pub(crate) fn carry(&self, count: usize) {
        self.open.set(count);
        self.standing.set(count);
    }

    /// One begins to be made.
    pub(crate) fn enter(&self) {
        self.open.set(self.open.get() + 1);
    }

    pub(crate) fn leave(&self) {
        self.open.set(self.open.get() - 1);
    }

    /// One that was being made is open.
    pub(crate) fn stand(&self) {
        self.standing.set(self.standing.get() + 1);
    }

    /// One that was open has ended.
    pub(crate) fn end_one(&self) {
        self.standing.set(self.standing.get() - 1);
        self.leave();
    }

    /// How many are open.
    pub(crate) const fn standing(&self) -> usize {
        self.standing.get()
    }

    pub(crate) fn drain(&self) {
        self.is_draining.set(true);
    }

    /// Whether the shard ends when what has begun is done.
    pub(crate) const fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Patience with what the shard still does is over: no connect that is on its way holds up its end.
    pub(crate) fn cut(&self) {
        self.is_cut.set(true);
        self.connecting.borrow().iter().for_each(|line| line.cut());
    }

    pub(super) const fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// A connection that takes the next request to this host: the one that rests for the shortest time.
    pub(super) fn take_idle(&self, settings: &Arc<Settings>, origin: &Origin) -> Option<Rc<Line>> {
        let mut idle = self.idle.borrow_mut();
        let fits = |line: &Rc<Line>| Self::is_alike(line, settings, origin);
        let found = idle.iter().rposition(fits)?;
        Some(idle.remove(found))
    }

    fn is_alike(line: &Line, settings: &Arc<Settings>, origin: &Origin) -> bool {
        Arc::ptr_eq(&line.settings, settings) && line.origin == *origin
    }

    /// A connection waits for its next request; false when there is no room for it.
    pub(crate) fn put_idle(&self, line: &Rc<Line>) -> bool {
        let (mut idle, limits) = (self.idle.borrow_mut(), &line.settings.limits);
        let alike = idle.iter().filter(|own| Self::is_alike(own, &line.settings, &line.origin));
        let is_full = self.is_draining.get()
            || idle.len() >= limits.idle_max
            || alike.count() >= limits.idle_per_host_max;
        if !is_full {
            idle.push(Rc::clone(line));
        }
        !is_full
    }

    /// Whether a connection waits for its next request.
    pub(crate) fn is_idle(&self, line: &Rc<Line>) -> bool {
        self.idle.borrow().iter().any(|own| Rc::ptr_eq(own, line))
    }

    /// A connection ends.
    pub(crate) fn forget(&self, line: &Rc<Line>) {
        self.idle.borrow_mut().retain(|own| !Rc::ptr_eq(own, line));
    }

    pub(super) fn park(&self, body: ClientBody) -> Place {
        self.parked.borrow_mut().insert_with(|_| body)
    }

    pub(crate) fn unpark(&self, place: Place) -> Option<ClientBody> {
        self.parked.borrow_mut().remove(place)
    }

    /// The shard has ended: what stands here refers back to it and would keep all of it.
    pub(crate) fn end(&self) {
        let lines = self.connecting.replace(Table::new());
        let (idle, parked) = (self.idle.take(), self.parked.replace(Table::new()));
        self.drain();
        drop((lines, idle));
        // A stream that was being sent is the application's.
        apart(|| drop(parked));
    }

    /// How many wait for something, for tests.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> [usize; 4] {
        let [connecting, parked] = [self.connecting.borrow().len(), self.parked.borrow().len()];
        [self.open.get(), connecting, self.idle.borrow().len(), parked]
    }
}
