//! Times that come again and again, awaited or called back, and what takes a callback back.
//! A time that was missed is skipped and counted, never made up for.

use std::cell::RefCell;
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::sleep::sleep_until;
use super::timers::{Ticks, Whom};
use crate::current;
use crate::request::Shared;
use crate::table::Place;

/// When so much time has passed, to the millisecond above.
pub(crate) fn at_ms(shared: &Shared, duration: Duration) -> u64 {
    (shared.engine.borrow().now() + duration).nanoseconds().div_ceil(1_000_000)
}

/// Times that come again and again, a millisecond apart at least. The first comes one period behind the
/// first [`tick`](Interval::tick), and all others whole periods behind that one, however late each is
/// noticed. Those that have gone by meanwhile are skipped, and counted.
///
/// ```
/// use std::time::Duration;
/// use springtide::{Peer, Server, interval, test::World};
///
/// let server = Server::new().raw_async(async |peer: Peer| {
///     let mut ticks = interval(Duration::from_secs(1));
///     for number in 1..=3 {
///         ticks.tick().await;
///         peer.push(format!("{number} ")).await?;
///     }
///     Ok(())
/// });
/// # let mut world = World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # world.pass(Duration::from_secs(3));
/// # let mut received = Vec::new();
/// # peer.read(usize::MAX, &mut received);
/// # assert_eq!(received, b"1 2 3 ");
/// ```
pub const fn interval(period: Duration) -> Interval {
    Interval { period, next_ms: None }
}

/// Times that come again and again; see [`interval`].
#[must_use = "an interval does nothing unless its ticks are awaited or called back"]
#[derive(Debug)]
pub struct Interval {
    period: Duration,
    next_ms: Option<u64>,
}

impl Interval {
    fn period_ms(&self) -> u64 {
        u64::try_from(self.period.as_millis()).unwrap_or(u64::MAX / 2).max(1)
    }

    /// Waits for the next time, and gives how many were missed before it. One that is dropped has
    /// missed nothing.
    ///
    /// # Panics
    /// When it is polled anywhere but on a shard.
    pub async fn tick(&mut self) -> u64 {
        let shared = current::shard().expect("an interval is awaited on a shard");
        let period_ms = self.period_ms();
        let next_ms = *self.next_ms.get_or_insert_with(|| at_ms(&shared, self.period));
        sleep_until(next_ms).await;
        let now_ms = shared.engine.borrow().now().milliseconds();
        let missed = now_ms.saturating_sub(next_ms) / period_ms;
        self.next_ms = Some(next_ms.saturating_add((missed + 1).saturating_mul(period_ms)));
        missed
    }

    /// Calls back on the shard each time from now on, with how many times were missed before; gives what
    /// ends that. So does the shard's stop. A panic is counted, and the next time comes all the same.
    ///
    /// ```
    /// use std::time::Duration;
    /// use springtide::{Peer, Server, interval, test::World};
    ///
    /// let server = Server::new().raw(|peer: Peer| {
    ///     let beat = interval(Duration::from_secs(10)).each(move |_| peer.push("beat ").detach());
    ///     peer.pull().then_result(move |peer, _| {
    ///         beat.cancel();
    ///         peer.close().detach();
    ///     });
    /// });
    /// # let mut world = World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # world.pass(Duration::from_secs(25));
    /// # let mut received = Vec::new();
    /// # peer.read(usize::MAX, &mut received);
    /// # assert_eq!(received, b"beat beat ");
    /// ```
    ///
    /// # Panics
    /// Where no shard runs.
    pub fn each(self, callback: impl FnMut(u64) + 'static) -> Timer {
        let shared = current::shard().expect("a timer is set on a shard");
        let (period_ms, callback) = (self.period_ms(), Rc::new(RefCell::new(callback)));
        let first_ms = self.next_ms.unwrap_or_else(|| at_ms(&shared, self.period));
        Timer::set(&shared, first_ms, Whom::Ticks(Box::new(Ticks { period_ms, callback })))
    }
}

/// A callback whose time is to come; see [`Sleep::then`](crate::Sleep::then) and [`Interval::each`].
/// Dropping it changes nothing.
#[derive(Clone)]
pub struct Timer {
    shared: Weak<Shared>,
    place: Place,
}

impl Timer {
    pub(super) fn set(shared: &Rc<Shared>, at_ms: u64, whom: Whom) -> Self {
        let place = shared.timers.borrow_mut().set(at_ms, whom);
        Self { shared: Rc::downgrade(shared), place }
    }

    /// Takes the callback back, and drops it; one that has been called for the last time is left alone.
    pub fn cancel(&self) {
        if let Some(shared) = self.shared.upgrade() {
            let whom = shared.timers.borrow_mut().remove(self.place);
            drop(whom);
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}
