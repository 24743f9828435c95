//! The timers of futures on one shard: which is due next, and whom it wakes.
//! No waker is called, cloned or dropped here: those are code of the application.

use std::task::Waker;

use springtide_engine::Wheel;

use crate::table::{Place, Table};

/// The timers that are set.
pub(crate) struct Timers {
    set: Table<Timer>,
    wheel: Wheel,
    due: Vec<u32>,
}

struct Timer {
    at_ms: u64,
    waker: Option<Waker>,
}

impl Timers {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { set: Table::new(), wheel: Wheel::new(now_ms), due: Vec::new() }
    }

    pub(super) fn set(&mut self, at_ms: u64, waker: Waker) -> Place {
        let waker = Some(waker);
        let place = self.set.insert_with(|_| Timer { at_ms, waker });
        self.wheel.schedule(place.index(), at_ms);
        place
    }

    /// Wakes another one when its time has come; gives back whom it would have woken.
    pub(super) fn replace(&mut self, place: Place, waker: Waker) -> Option<Waker> {
        self.set.get_mut(place)?.waker.replace(waker)
    }

    /// Takes a timer back, with whom it would have woken.
    pub(super) fn remove(&mut self, place: Place) -> Option<Waker> {
        let timer = self.set.remove(place)?;
        self.wheel.remove(place.index());
        timer.waker
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.set.len() == 0
    }

    /// When the next one is due, at the soonest.
    #[inline]
    pub(crate) fn next_ms(&self) -> Option<u64> {
        if self.is_empty() { None } else { self.wheel.next_ms() }
    }

    /// Takes out whom those wake whose time has come.
    pub(crate) fn expire(&mut self, now_ms: u64, wakers: &mut Vec<Waker>) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(now_ms, &mut due);
        for index in due.drain(..) {
            let Some(place) = self.set.place_of(index) else { continue };
            let Some(timer) = self.set.get_mut(place) else { continue };
            if timer.at_ms <= now_ms {
                wakers.extend(timer.waker.take());
            } else {
                self.wheel.schedule(index, timer.at_ms);
            }
        }
        self.due = due;
    }

    #[cfg(test)]
    pub(crate) const fn pages_held(&self) -> usize {
        self.set.pages_held()
    }
}
