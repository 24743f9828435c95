//! Futures of handlers: where they stand while they wait, and which are to be polled next.
//! Nothing is polled or dropped here but in a turn; see `shard/futures.rs`.

mod alarm;
mod closed;
mod interval;
mod sleep;
mod timers;

pub(crate) use alarm::{Alarm, Bell, Ring};
pub use closed::Closed;
pub(crate) use interval::at_ms;
pub use interval::{Interval, Timer, interval};
pub use sleep::{Sleep, sleep};
pub(crate) use timers::{Due, Timers, Whom};

use std::collections::HashSet;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use springtide_proto::http1::Exchange;

use crate::request::Shared;
use crate::response::Response;
use crate::table::{Place, Table};

/// What a handler's answer is made of that is not there yet.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Response>>>;

/// Alarms that are kept for the next future.
const SPARE_MAX: usize = 256;

/// The futures of a shard, and the exchanges that wait for its pool. There is one for each exchange
/// in flight at most, which limits bound for each connection.
pub(crate) struct Executor {
    waiting: Table<Waiting>,
    /// Those whose client is gone.
    pub(crate) gone: Vec<Place>,
    /// Producers that may go on.
    pub(crate) granted: Vec<Waker>,
    spare: Vec<Arc<Alarm>>,
    /// Futures that run on without their clients.
    alone: usize,
    shared: Rc<Shared>,
}

/// Where an answer comes from and goes to.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) connection: Place,
    /// Which route, to name it.
    pub(crate) route: u32,
    /// Whether the client takes gzip; nothing where the server does not compress.
    pub(crate) takes_gzip: Option<bool>,
}

/// An exchange that has no reply yet, or whose reply has no end. Where it comes from lies in pieces, as
/// those take less room.
pub(crate) struct Waiting {
    pub(crate) work: Work,
    pub(crate) connection: Place,
    pub(crate) route: u32,
    pub(crate) exchange: Exchange,
    takes_gzip: Option<bool>,
    /// It writes the body of a reply that has begun.
    pub(crate) is_producer: bool,
    pub(crate) end: End,
}

/// Who makes the reply.
pub(crate) enum Work {
    /// A future; none while it is polled.
    Future { polling: Option<Polling>, alarm: Arc<Alarm> },
    /// The pool, which rings when it is done.
    Away,
}

/// A future, and what its context is made of in each poll: nothing is counted then.
pub(crate) struct Polling {
    pub(crate) future: Answering,
    pub(crate) waker: Waker,
}

/// What becomes of a future whose client has gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// It is dropped.
    WithItsClient,
    /// It runs on; whether it does so without its client.
    ByItself { is_alone: bool },
}

const _: () = assert!(size_of::<Waiting>() <= 64, "thousands may wait");

impl Waiting {
    const fn new(origin: Origin, exchange: Exchange, is_producer: bool, work: Work) -> Self {
        let Origin { connection, route, takes_gzip } = origin;
        let end = End::WithItsClient;
        Self { work, connection, route, exchange, takes_gzip, is_producer, end }
    }

    pub(crate) const fn origin(&self) -> Origin {
        let Self { connection, route, takes_gzip, .. } = *self;
        Origin { connection, route, takes_gzip }
    }
}

impl Executor {
    pub(crate) fn new(shared: Rc<Shared>) -> Self {
        let (gone, granted, spare) = Default::default();
        Self { waiting: Table::new(), gone, granted, spare, alone: 0, shared }
    }

    /// Whether there is nothing to do, at once or later. What is told of futures that have ended is
    /// to be thrown away too, and their timers may have been forgotten.
    #[inline]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.waiting.len() == 0 && !self.is_busy() && self.shared.timers.borrow().is_empty()
    }

    /// Whether there is something to do at once.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        !self.gone.is_empty() || !self.granted.is_empty() || self.shared.has_woken()
    }

    /// Puts a future in, which is polled in this turn or the next: `make` gets its alarm. What a
    /// producer gives in the end is nobody's.
    pub(crate) fn begin(
        &mut self,
        origin: Origin,
        exchange: Exchange,
        is_producer: bool,
        make: impl FnOnce(Arc<Alarm>) -> Answering,
    ) -> Place {
        let mut spare = self.spare.pop();
        let bell = &self.shared.bell;
        let place = self.waiting.insert_with(|place| {
            let reused = spare.as_mut().and_then(Arc::get_mut).map(|alarm| alarm.renew(place));
            let alarm = match (reused, spare) {
                (Some(()), Some(alarm)) => alarm,
                _ => Arc::new(Alarm::new(place, Arc::clone(bell))),
            };
            let future = make(Arc::clone(&alarm));
            let polling = Some(Polling { future, waker: Waker::from(Arc::clone(&alarm)) });
            Waiting::new(origin, exchange, is_producer, Work::Future { polling, alarm })
        });
        self.shared.wake(place);
        place
    }

    /// A future is not dropped when its client goes.
    pub(crate) fn run_to_the_end(&mut self, place: Place) {
        if let Some(Waiting { work: Work::Future { .. }, end, .. }) = self.get_mut(place) {
            *end = End::ByItself { is_alone: false };
        }
    }

    /// The client of a future has gone; true when that runs on.
    pub(crate) fn runs_on(&mut self, place: Place) -> bool {
        let Some(Waiting { end, .. }) = self.waiting.get_mut(place) else { return false };
        let End::ByItself { is_alone } = end else { return false };
        self.alone += usize::from(!std::mem::replace(is_alone, true));
        true
    }

    /// How many futures run on without their clients.
    #[inline]
    pub(crate) const fn alone(&self) -> usize {
        self.alone
    }

    /// An exchange begins to wait for the pool.
    pub(crate) fn begin_away(&mut self, origin: Origin, exchange: Exchange) -> Place {
        self.waiting.insert_with(|_| Waiting::new(origin, exchange, false, Work::Away))
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut Waiting> {
        self.waiting.get_mut(place)
    }

    /// A future is to be polled, without its waker.
    pub(crate) fn wake(&mut self, place: Place) {
        if let Some(Waiting { work: Work::Future { alarm, .. }, .. }) = self.waiting.get_mut(place)
            && alarm.rouse_here()
        {
            self.shared.wake(place);
        }
    }

    /// Takes an exchange out; dropping what comes is running code of the application.
    pub(crate) fn remove(&mut self, place: Place) -> Option<Waiting> {
        let waiting = self.waiting.remove(place)?;
        if waiting.end == (End::ByItself { is_alone: true }) {
            self.alone -= 1;
        }
        Some(waiting)
    }

    /// Keeps the alarm of a future that has ended, if nobody else holds it.
    pub(crate) fn put_alarm(&mut self, mut alarm: Arc<Alarm>) {
        alarm.forget();
        if self.spare.len() < SPARE_MAX && Arc::get_mut(&mut alarm).is_some() {
            self.spare.push(alarm);
        }
    }

    #[cfg(test)]
    pub(crate) const fn spare_alarms(&self) -> usize {
        self.spare.len()
    }

    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.waiting.len()
    }

    #[cfg(test)]
    pub(crate) const fn pages_held(&self) -> usize {
        self.waiting.pages_held()
    }
}

/// Runs code of the application that must not end anything else with a panic; none: it did panic.
pub(crate) fn apart<T>(code: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code)).ok()
}

impl Executor {
    /// The shard has ended or was frozen: what still waits is dropped, one by one.
    pub(crate) fn drop_all_but(&mut self, kept: &HashSet<Place>) {
        for place in self.waiting.places() {
            if kept.contains(&place) {
                continue;
            }
            let Some(Waiting { work, .. }) = self.remove(place) else { continue };
            let Work::Future { polling, alarm } = work else { continue };
            apart(|| drop(polling));
            alarm.forget();
        }
        self.gone.retain(|place| kept.contains(place));
        for waker in self.granted.drain(..) {
            apart(|| drop(waker));
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.drop_all_but(&HashSet::new());
    }
}
