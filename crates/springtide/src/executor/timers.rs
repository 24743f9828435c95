//! The timers of one shard: which is due next, and who is told.
//! Nobody is woken, called or dropped here: those are code of the application.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;

use springtide_engine::Wheel;

use crate::table::{Place, Table};

/// The timers that are set.
pub(crate) struct Timers {
    set: Table<Timer>,
    wheel: Wheel,
    due: Vec<u32>,
    /// How many of them call back, and so must outlive a freeze.
    callbacks: usize,
}

struct Timer {
    at_ms: u64,
    /// None once it has been told, where somebody holds the timer.
    whom: Option<Whom>,
}

/// Who is told.
pub(crate) enum Whom {
    Waker(Waker),
    /// Called, and forgotten.
    Callback(Box<dyn FnOnce()>),
    /// Called each time.
    Ticks(Box<Ticks>),
    /// The task of this place has had its time.
    Task(Place),
}

/// What is called again and again.
pub(crate) struct Ticks {
    /// At least one.
    pub(crate) period_ms: u64,
    pub(crate) callback: TickCallback,
}

/// Is called with how many times were missed.
pub(crate) type TickCallback = Rc<RefCell<dyn FnMut(u64)>>;

/// Somebody whose time has come.
pub(crate) enum Due {
    Once(Whom),
    Tick { timer: Place, callback: TickCallback, missed: u64 },
}

impl Timers {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { set: Table::new(), wheel: Wheel::new(now_ms), due: Vec::new(), callbacks: 0 }
    }

    pub(crate) fn set(&mut self, at_ms: u64, whom: Whom) -> Place {
        self.callbacks += usize::from(whom.calls_back());
        let whom = Some(whom);
        let place = self.set.insert_with(|_| Timer { at_ms, whom });
        self.wheel.schedule(place.index(), at_ms);
        place
    }

    /// Wakes another one when its time has come; gives back whom it would have told.
    pub(super) fn replace(&mut self, place: Place, waker: Waker) -> Option<Whom> {
        self.set.get_mut(place)?.whom.replace(Whom::Waker(waker))
    }

    /// Takes a timer back, with whom it would have told.
    pub(crate) fn remove(&mut self, place: Place) -> Option<Whom> {
        let timer = self.set.remove(place)?;
        self.wheel.remove(place.index());
        self.callbacks -= usize::from(timer.whom.as_ref().is_some_and(Whom::calls_back));
        timer.whom
    }

    /// Whether it is set still.
    pub(crate) fn is_set(&mut self, place: Place) -> bool {
        self.set.get_mut(place).is_some()
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.set.len() == 0
    }

    pub(crate) const fn has_callbacks(&self) -> bool {
        self.callbacks > 0
    }

    /// When the next one is due, at the soonest.
    #[inline]
    pub(crate) fn next_ms(&self) -> Option<u64> {
        if self.is_empty() { None } else { self.wheel.next_ms() }
    }

    /// Takes out who is to be told, as their time has come: in the order of their times, however late
    /// this is.
    pub(crate) fn expire(&mut self, now_ms: u64, told: &mut Vec<Due>) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(now_ms, &mut due);
        if due.len() > 1 {
            due.sort_by_key(|index| self.at_ms(*index));
        }
        for index in due.drain(..) {
            let Some(place) = self.set.place_of(index) else { continue };
            let Some(timer) = self.set.get_mut(place) else { continue };
            if timer.at_ms > now_ms {
                self.wheel.schedule(index, timer.at_ms);
            } else if let Some(Whom::Ticks(ticks)) = &timer.whom {
                let missed = (now_ms - timer.at_ms) / ticks.period_ms;
                let callback = Rc::clone(&ticks.callback);
                timer.at_ms += (missed + 1) * ticks.period_ms;
                self.wheel.schedule(index, timer.at_ms);
                told.push(Due::Tick { timer: place, callback, missed });
            } else if let Some(Whom::Callback(_)) = &timer.whom {
                told.extend(self.remove(place).map(Due::Once));
            } else {
                told.extend(timer.whom.take().map(Due::Once));
            }
        }
        self.due = due;
    }

    fn at_ms(&mut self, index: u32) -> Option<u64> {
        let place = self.set.place_of(index)?;
        self.set.get_mut(place).map(|timer| timer.at_ms)
    }

    /// The shard has ended: takes out everybody who would have been told.
    pub(crate) fn end(&mut self) -> Vec<Whom> {
        let places = self.set.places();
        places.into_iter().filter_map(|place| self.remove(place)).collect()
    }

    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.set.len()
    }

    #[cfg(test)]
    pub(crate) const fn pages_held(&self) -> usize {
        self.set.pages_held()
    }
}

impl Whom {
    const fn calls_back(&self) -> bool {
        matches!(self, Self::Callback(_) | Self::Ticks(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_due_together_are_told_in_the_order_of_their_times() {
        for start in [0, 59, 4_090] {
            let (mut timers, told) = (Timers::new(start), Rc::new(RefCell::new(Vec::new())));
            for ahead in [300, 30, 5, 70, 5_000, 1, 64] {
                let told = Rc::clone(&told);
                let callback = Box::new(move || told.borrow_mut().push(ahead));
                timers.set(start + ahead, Whom::Callback(callback));
            }
            let mut due = Vec::new();
            timers.expire(start + 5_000, &mut due);
            for one in due {
                let Due::Once(Whom::Callback(callback)) = one else { panic!("callbacks only") };
                callback();
            }
            assert_eq!(*told.borrow(), [1, 5, 30, 64, 70, 300, 5_000], "from {start}");
        }
    }
}
