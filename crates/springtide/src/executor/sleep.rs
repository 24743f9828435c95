//! A pause in an async handler, on the time of its shard.
//! It holds up nothing but the future that waits for it.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::timers::Whom;
use super::{Timer as Later, interval::at_ms};
use crate::current;
use crate::request::Shared;
use crate::table::Place;

/// Ends when so much time has passed since it was first polled, to the millisecond above; at
/// once when that is none. Where nothing is awaited it calls back: [`Sleep::then`]. In a simulated
/// world the time is the world's.
///
/// ```
/// use std::time::Duration;
/// use springtide::{Request, Server, sleep, test::World};
///
/// let mut world = World::new(1);
/// world.serve(Server::new().get("/", async |_: Request| {
///     sleep(Duration::from_secs(3600)).await;
///     "an hour later"
/// }));
/// let mut peer = world.connect();
/// let _ = peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// world.pass(Duration::from_secs(3599));
/// assert!(peer.reply().is_none());
/// world.pass(Duration::from_secs(1));
/// assert_eq!(peer.reply().expect("an answer").body(), b"an hour later");
/// ```
///
/// # Panics
/// When it is polled anywhere but in an async handler on its shard.
pub const fn sleep(duration: Duration) -> Sleep {
    Sleep { duration, at_ms: None, timer: None }
}

/// Ends at a time of the shard.
pub(super) const fn sleep_until(at_ms: u64) -> Sleep {
    Sleep { duration: Duration::ZERO, at_ms: Some(at_ms), timer: None }
}

/// A pause; see [`sleep`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    duration: Duration,
    /// Instead of the duration.
    at_ms: Option<u64>,
    timer: Option<Timer>,
}

struct Timer {
    shared: Rc<Shared>,
    place: Place,
    at_ms: u64,
}

impl Sleep {
    /// Calls back on the shard when the time has come, counted from now on, behind whatever is being
    /// handled then; gives what prevents that. A shard that stops drops what it would have called. A
    /// panic is counted, and ends no connection.
    ///
    /// ```
    /// use std::time::Duration;
    /// use springtide::{Peer, Server, sleep, test::World};
    ///
    /// let server = Server::new().raw(|peer: Peer| {
    ///     sleep(Duration::from_secs(5)).then(move || peer.push("five\n").detach());
    ///     let never = sleep(Duration::from_secs(1)).then(move || peer.push("one\n").detach());
    ///     never.cancel();
    /// });
    /// # let mut world = World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # world.pass(Duration::from_secs(6));
    /// # let mut received = Vec::new();
    /// # peer.read(usize::MAX, &mut received);
    /// # assert_eq!(received, b"five\n");
    /// ```
    ///
    /// # Panics
    /// Where no shard runs.
    pub fn then(self, callback: impl FnOnce() + 'static) -> Later {
        let shared = current::shard().expect("a timer is set on a shard");
        let at_ms = at_ms(&shared, self.duration);
        Later::set(&shared, at_ms, Whom::Callback(Box::new(callback)))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.duration.is_zero() && self.at_ms.is_none() {
            return Poll::Ready(());
        }
        let Some(timer) = &self.timer else {
            let shared = current::shard().expect("a sleep is awaited in an async handler");
            let at_ms = self.at_ms.unwrap_or_else(|| at_ms(&shared, self.duration));
            let waker = Whom::Waker(context.waker().clone());
            let place = shared.timers.borrow_mut().set(at_ms, waker);
            self.timer = Some(Timer { shared, place, at_ms });
            return Poll::Pending;
        };
        if timer.shared.engine.borrow().now().milliseconds() >= timer.at_ms {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let before = timer.shared.timers.borrow_mut().replace(timer.place, waker);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(Timer { shared, place, .. }) = self.timer.take() {
            let waker = shared.timers.borrow_mut().remove(place);
            drop(waker);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("duration", &self.duration).finish_non_exhaustive()
    }
}
