//! A pause in an async handler, on the time of its shard.
//! It holds up nothing but the future that waits for it.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::current;
use crate::request::Shared;
use crate::table::Place;

/// Ends when so much time has passed since it was first polled, to the millisecond above; at
/// once when that is none. In a
/// simulated world the time is the world's.
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
    Sleep { duration, timer: None }
}

/// A pause; see [`sleep`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    duration: Duration,
    timer: Option<Timer>,
}

struct Timer {
    shared: Rc<Shared>,
    place: Place,
    at_ms: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.duration.is_zero() {
            return Poll::Ready(());
        }
        let Some(timer) = &self.timer else {
            let shared = current::shard().expect("a sleep is awaited in an async handler");
            let at_ms = (shared.engine.borrow().now() + self.duration).nanoseconds();
            let at_ms = at_ms.div_ceil(1_000_000);
            let waker = context.waker().clone();
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
