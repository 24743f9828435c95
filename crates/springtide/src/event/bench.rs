//! The bench of a shard: who waits there for events.
//! An event that was meant for somebody who has gone is the next one's.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::{Core, Taken};
use crate::peer::{Peer, Reason};
use crate::table::{Place, Table};
use crate::task::{Ended, Hatch, Tasks, Waiter};

/// The bench.
pub(crate) struct Bench {
    sitting: RefCell<Table<Sitting>>,
    /// With so many it is looked who has gone.
    sweep_at: Cell<usize>,
}

/// Fewer are not looked at.
const SWEEP_MIN: usize = 64;

/// Somebody who waits.
pub(crate) struct Sitting {
    serial: u64,
    waiter: Waiter,
    core: Arc<Core>,
}

/// That an event has fired, on its way to the shard of who waits for it. Where that has ended, the next
/// one is called.
pub(crate) struct Ring {
    core: Option<Arc<Core>>,
    place: Place,
}

impl Ring {
    pub(super) const fn new(core: Arc<Core>, place: Place) -> Self {
        Self { core: Some(core), place }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if let Some(core) = self.core.take() {
            Core::pass_on(&core);
        }
    }
}

impl Bench {
    pub(crate) const fn new() -> Self {
        Self { sitting: RefCell::new(Table::new()), sweep_at: Cell::new(SWEEP_MIN) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sitting.borrow().len() == 0
    }

    /// Somebody waits for an event.
    pub(crate) fn sit(
        &self,
        core: Arc<Core>,
        serial: u64,
        waiter: Waiter,
        (hatch, tasks): (&Arc<Hatch>, &Tasks),
    ) {
        if !tasks.is_waiting(&waiter) {
            return;
        }
        if self.sitting.borrow().len() >= self.sweep_at.get() {
            self.sweep(hatch, tasks);
        }
        let place = self.sitting.borrow_mut().insert_with(|_| Sitting { serial, waiter, core });
        self.look(place, false, (hatch, tasks));
    }

    /// An event has fired, and somebody here was the first who waited for it.
    pub(crate) fn fired(&self, mut ring: Ring, hatch: &Arc<Hatch>, tasks: &Tasks) {
        let mut sitting = self.sitting.borrow_mut();
        let own = sitting.get_mut(ring.place);
        if own.is_some_and(|own| tasks.is_waiting(&own.waiter)) {
            drop(sitting);
            ring.core = None;
            self.look(ring.place, true, (hatch, tasks));
        } else {
            let gone = sitting.remove(ring.place);
            drop(sitting);
            drop(gone);
        }
    }

    fn look(&self, place: Place, was_called: bool, (hatch, tasks): (&Arc<Hatch>, &Tasks)) {
        let mut sitting = self.sitting.borrow_mut();
        let Some(own) = sitting.get_mut(place) else { return };
        let ended = match own.core.take(hatch, place, was_called) {
            Taken::Waits => return,
            Taken::Count(count) => Ended::Count(count),
            Taken::Closed => Ended::EndOfStream,
        };
        let own = sitting.remove(place);
        drop(sitting);
        if let Some(own) = own {
            tasks.end(Peer::nobody(), own.waiter, ended);
        }
    }

    /// Who has dropped his task takes no room.
    fn sweep(&self, hatch: &Arc<Hatch>, tasks: &Tasks) {
        let mut sitting = self.sitting.borrow_mut();
        for place in sitting.places() {
            if let Some(own) = sitting.get_mut(place)
                && !tasks.is_waiting(&own.waiter)
            {
                own.core.leave(hatch, place);
                sitting.remove(place);
            }
        }
        self.sweep_at.set(SWEEP_MIN.max(2 * sitting.len()));
    }

    /// Ends the task of a serial number, if it waits here.
    pub(crate) fn cancel(&self, serial: u64, (hatch, tasks): (&Arc<Hatch>, &Tasks)) {
        let mut sitting = self.sitting.borrow_mut();
        let mut places = sitting.places().into_iter();
        let is_it = |own: &mut Sitting| own.serial == serial;
        let place = places.find(|place| sitting.get_mut(*place).is_some_and(is_it));
        let own = place.and_then(|place| Some((place, sitting.remove(place)?)));
        drop(sitting);
        if let Some((place, own)) = own {
            own.core.leave(hatch, place);
            tasks.end(Peer::nobody(), own.waiter, Ended::Failed(Reason::Cancelled));
        }
    }

    /// The shard stops: nobody waits here any more.
    pub(crate) fn clear(&self, hatch: &Arc<Hatch>, tasks: &Tasks) {
        let places = self.sitting.borrow().places();
        for place in places {
            let own = self.sitting.borrow_mut().remove(place);
            if let Some(own) = own {
                own.core.leave(hatch, place);
                tasks.end(Peer::nobody(), own.waiter, Ended::Failed(Reason::Stopped));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::task::{Ask, Asked};
    use crate::tests::{Backend, Stage};
    use crate::{Server, Status};

    /// A bench that no shard turns, and who asks there.
    struct Own {
        bench: Bench,
        tasks: Tasks,
        hatch: Arc<Hatch>,
        _stage: Stage,
    }

    impl Own {
        fn new() -> Self {
            let mut stage = Stage::new(Backend::Simulated, Server::new().raw(|_| {}));
            let hatch = stage.link().hatch.clone();
            Self { bench: Bench::new(), tasks: Tasks::new(), hatch, _stage: stage }
        }

        /// Somebody asks, and has not sat down yet.
        fn ask(&self, event: &Event) -> (u64, Place) {
            self.tasks.ask_and_hold(Ask::Event(Arc::clone(&event.core))).unwrap()
        }

        fn sit(&self, event: &Event, (serial, task): (u64, Place)) {
            let who = (&self.hatch, &self.tasks);
            self.bench.sit(Arc::clone(&event.core), serial, Waiter::Held(task), who);
        }

        /// Looks at what has fired.
        fn take(&self) {
            for asked in self.hatch.take() {
                let Asked::Fired(ring) = asked else { panic!("nothing else is asked") };
                self.bench.fired(ring, &self.hatch, &self.tasks);
            }
        }
    }

    /// Between the end of a task's time and the withdrawal of what it asked for, all that comes is the
    /// next one's.
    #[test]
    fn who_has_ended_by_his_own_time_is_given_nothing() {
        let (own, event) = (Own::new(), Event::open());
        let [late, next] = [(); 2].map(|()| own.ask(&event));
        own.sit(&event, late);
        own.sit(&event, next);
        own.tasks.expire(late.1);
        event.trigger(5);
        // He is called, and then the next one.
        own.take();
        own.take();
        assert_eq!(own.tasks.status_of(late.1), Status::Failed);
        assert_eq!(own.tasks.status_of(next.1), Status::Succeeded);
        event.trigger(7);
        let late = own.ask(&event);
        own.tasks.expire(late.1);
        own.sit(&event, late);
        let last = own.ask(&event);
        own.sit(&event, last);
        assert_eq!(own.tasks.status_of(last.1), Status::Succeeded);
        assert!(own.bench.is_empty());
    }
}
