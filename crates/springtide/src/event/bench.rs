//! The bench of a shard: who waits there for events.
//! An event that was meant for somebody who has gone is the next one's.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Core, Taken, Ticket};
use crate::peer::{Peer, Reason};
use crate::task::{Ended, Hatch, Tasks, Waiter};

/// The bench.
pub(crate) struct Bench {
    /// By their serial numbers, in the order in which they asked.
    sitting: RefCell<BTreeMap<u64, Sitting>>,
    /// With so many it is looked who has gone.
    sweep_at: Cell<usize>,
}

/// Fewer are not looked at.
const SWEEP_MIN: usize = 64;

/// Somebody who waits.
pub(crate) struct Sitting {
    ticket: Ticket,
    waiter: Waiter,
    core: Arc<Core>,
}

/// That an event has fired, on its way to the shard of who waits for it. Where that has ended, the next
/// one is called.
pub(crate) struct Ring {
    core: Option<Arc<Core>>,
    serial: u64,
}

impl Ring {
    pub(super) const fn new(core: Arc<Core>, serial: u64) -> Self {
        Self { core: Some(core), serial }
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
        Self { sitting: RefCell::new(BTreeMap::new()), sweep_at: Cell::new(SWEEP_MIN) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sitting.borrow().is_empty()
    }

    /// Somebody waits for an event; false where as many wait as may, and nothing is there for him.
    pub(crate) fn sit(
        &self,
        core: Arc<Core>,
        serial: u64,
        waiter: Waiter,
        waits_max: usize,
        (hatch, tasks): (&Arc<Hatch>, &Tasks),
    ) -> bool {
        if !tasks.is_waiting(&waiter) {
            return true;
        }
        let waits = || self.sitting.borrow().len();
        if waits() >= self.sweep_at.get().min(waits_max) {
            self.sweep(tasks);
        }
        if waits() >= waits_max {
            let ended = core.take_now();
            let is_refused = ended.is_none();
            let refused = || Ended::Failed(Reason::Limit("event_waits_max"));
            tasks.end(Peer::nobody(), waiter, ended.unwrap_or_else(refused));
            return !is_refused;
        }
        let ticket = Ticket::default();
        self.sitting.borrow_mut().insert(serial, Sitting { ticket, waiter, core });
        self.look(serial, false, (hatch, tasks));
        true
    }

    /// An event has fired, and somebody here was the first who waited for it.
    pub(crate) fn fired(&self, mut ring: Ring, hatch: &Arc<Hatch>, tasks: &Tasks) {
        let mut sitting = self.sitting.borrow_mut();
        let is_of =
            |own: &&Sitting| ring.core.as_ref().is_some_and(|core| Arc::ptr_eq(core, &own.core));
        let Some(own) = sitting.get(&ring.serial).filter(is_of) else { return };
        if tasks.is_waiting(&own.waiter) {
            drop(sitting);
            ring.core = None;
            self.look(ring.serial, true, (hatch, tasks));
        } else {
            sitting.remove(&ring.serial);
        }
    }

    fn look(&self, serial: u64, was_called: bool, (hatch, tasks): (&Arc<Hatch>, &Tasks)) {
        let mut sitting = self.sitting.borrow_mut();
        let Some(own) = sitting.get_mut(&serial) else { return };
        let ended = match own.core.take(hatch, serial, was_called) {
            Taken::Waits(ticket) => return own.ticket = ticket,
            Taken::Ended(ended) => ended,
        };
        let own = sitting.remove(&serial);
        drop(sitting);
        if let Some(own) = own {
            tasks.end(Peer::nobody(), own.waiter, ended);
        }
    }

    /// Who has dropped his task takes no room.
    fn sweep(&self, tasks: &Tasks) {
        let mut sitting = self.sitting.borrow_mut();
        sitting.retain(|_, own| {
            let is_waiting = tasks.is_waiting(&own.waiter);
            if !is_waiting {
                own.core.leave(own.ticket);
            }
            is_waiting
        });
        self.sweep_at.set(SWEEP_MIN.max(2 * sitting.len()));
    }

    /// Ends the task of a serial number, if it waits here.
    pub(crate) fn cancel(&self, serial: u64, tasks: &Tasks) {
        let own = self.sitting.borrow_mut().remove(&serial);
        if let Some(own) = own {
            own.end(Reason::Cancelled, tasks);
        }
    }

    /// The shard stops: nobody waits here any more.
    pub(crate) fn clear(&self, tasks: &Tasks) {
        for own in self.sitting.take().into_values() {
            own.end(Reason::Stopped, tasks);
        }
    }
}

impl Sitting {
    fn end(self, reason: Reason, tasks: &Tasks) {
        self.core.leave(self.ticket);
        tasks.end(Peer::nobody(), self.waiter, Ended::Failed(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::table::Place;
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
            let _ = self.bench.sit(Arc::clone(&event.core), serial, Waiter::Held(task), 64, who);
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

    /// Whoever leaves is taken out of the line by his own name, wherever he stands in it, and nobody else.
    #[test]
    fn who_leaves_keeps_no_place_in_the_line() {
        let (own, event) = (Own::new(), Event::open());
        let asked = [(); 5].map(|()| own.ask(&event));
        asked.iter().for_each(|asked| own.sit(&event, *asked));
        let in_line = || -> Vec<u64> {
            event.core.lock().waiting.values().map(|(_, serial)| *serial).collect()
        };
        own.bench.cancel(asked[1].0, &own.tasks);
        own.bench.cancel(asked[3].0, &own.tasks);
        assert_eq!(in_line(), [asked[0].0, asked[2].0, asked[4].0]);
        // Called in vain, he is the first again.
        event.trigger(1);
        event.core.lock().count = 0;
        own.take();
        assert_eq!(in_line(), [asked[0].0, asked[2].0, asked[4].0]);
        own.tasks.expire(asked[2].1);
        own.bench.sweep(&own.tasks);
        assert_eq!(in_line(), [asked[0].0, asked[4].0]);
        own.bench.clear(&own.tasks);
        assert_eq!((in_line(), own.bench.is_empty()), (Vec::new(), true));
    }
}
