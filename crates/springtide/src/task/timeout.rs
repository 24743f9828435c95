//! Tasks with a time of their own, by the shard's wheel.
//! Only the wait has an end: what a task was for is withdrawn where it still can be.

use std::fmt;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Canceller, Held, Operation, Status, Task};
use crate::executor::{Whom, at_ms};
use crate::peer::{Peer, Reason};
use crate::request::Shared;
use crate::table::Place;

/// Gives a task of the shard so much time from now on, to the millisecond above. When it has not ended
/// by then it fails with [`Reason::TimedOut`], and what it asked for goes as that of a task that is
/// dropped: the bytes of a pull are the next one's, a push is withdrawn unless it is being sent, and a
/// connection that is being made is given up. The connection goes on.
///
/// Tasks of other threads have [`wait_for`](Task::wait_for).
///
/// ```
/// use std::time::Duration;
/// use springtide::{Peer, Reason, Server, test::World, timeout};
///
/// let server = Server::new().raw(|peer: Peer| {
///     timeout(Duration::from_secs(5), peer.pull()).then_result(|peer, bytes| {
///         if let Err(Reason::TimedOut(_)) = bytes {
///             peer.push("are you there?\n").then(|peer, _| peer.close().detach());
///         }
///     });
/// });
/// # let mut world = World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # world.pass(Duration::from_secs(6));
/// # let mut received = Vec::new();
/// # peer.read(usize::MAX, &mut received);
/// # assert_eq!(received, b"are you there?\n");
/// ```
pub fn timeout<O: Operation>(duration: Duration, mut task: Task<O>) -> Timeout<O> {
    if let Held::Fresh(shared, _, serial) = &task.side.held
        && let Some(place) = shared.tasks.stand(*serial)
    {
        task.side.held = Held::Slot(Rc::clone(shared), place);
    }
    let Held::Slot(shared, place) = &task.side.held else { return Timeout { task, clock: None } };
    let at_ms = at_ms(shared, duration);
    let timer = shared.timers.borrow_mut().set(at_ms, Whom::Task(*place));
    let clock = Some(Clock { shared: Rc::downgrade(shared), timer });
    Timeout { task, clock }
}

/// A task with a time of its own; see [`timeout`]. It is listened to as the task would be.
#[must_use = "a task that is dropped is withdrawn; say `.detach()` to let it go on"]
pub struct Timeout<O: Operation> {
    task: Task<O>,
    clock: Option<Clock>,
}

/// The timer, which goes with whoever waits.
struct Clock {
    shared: Weak<Shared>,
    timer: Place,
}

impl Drop for Clock {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            // It would have told the desk, and has nothing of the application.
            let whom = shared.timers.borrow_mut().remove(self.timer);
            drop(whom);
        }
    }
}

impl<O: Operation> Timeout<O> {
    /// As [`Task::then`].
    pub fn then(self, callback: impl FnOnce(Peer, O::Value) + 'static) {
        let Self { task, clock } = self;
        task.then(move |peer, value| {
            drop(clock);
            callback(peer, value);
        });
    }

    /// As [`Task::then_result`].
    pub fn then_result(self, callback: impl FnOnce(Peer, Result<O::Output, Reason>) + 'static) {
        let Self { task, clock } = self;
        task.then_result(move |peer, result| {
            drop(clock);
            callback(peer, result);
        });
    }

    /// As [`Task::detach`]: what is not done in time is withdrawn all the same.
    pub fn detach(self) {
        self.then_result(|_, result| drop(result));
    }

    /// As [`Task::status`].
    #[must_use]
    pub fn status(&self) -> Status {
        self.task.status()
    }

    /// As [`Task::cancel`].
    pub fn cancel(&self) {
        self.task.cancel();
    }

    /// As [`Task::canceller`].
    #[must_use]
    pub fn canceller(&self) -> Option<Canceller> {
        self.task.canceller()
    }
}

impl<O: Operation> Future for Timeout<O> {
    type Output = Result<O::Output, Reason>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.task).poll(context);
        if polled.is_ready() {
            self.clock = None;
        }
        polled
    }
}

impl<O: Operation> fmt::Debug for Timeout<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("task", &self.task).finish_non_exhaustive()
    }
}
