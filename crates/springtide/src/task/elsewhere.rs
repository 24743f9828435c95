//! Tasks that any thread holds: waited for, awaited in any executor, or called back on the shard.
//! No thread that turns a shard is ever blocked here.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use springtide_engine::{Phase, time_until};

use super::hatch::{Asked, Called, Due, Ear, Errand};
use super::{Ask, Ended, Operation, Status, Task};
use crate::current;
use crate::peer::{Link, Peer, Reason};

/// On any thread: the side of tasks of a [`RemotePeer`](crate::RemotePeer).
pub struct Elsewhere {
    held: Held,
}

/// What a task leads to.
enum Held {
    Errand(Arc<Errand>),
    /// It could not even begin.
    Lost(Reason),
    /// Nobody is to be told any more.
    Nothing,
}

/// Why a wait has ended without what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The time is over, and the task goes on.
    Pending,
    /// The task has failed.
    Failed(Reason),
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("it has not ended yet"),
            Self::Failed(reason) => reason.fmt(f),
        }
    }
}

impl std::error::Error for Wait {}

/// Sides of tasks that may be waited for, blocking: not a shard's own.
///
/// ```compile_fail,E0277
/// fn intro(peer: springtide::Peer) {
///     peer.pull().wait(); // it would wait for what this thread is to do
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a task cannot be waited for on its own shard",
    label = "this would block the thread that is to end it",
    note = "call back with `.then(..)`, or `.await` it in an async handler",
    note = "`peer.remote()` gives tasks that other threads can wait for"
)]
pub trait MayBlock: sealed::Sealed {
    #[doc(hidden)]
    fn wait(&self, timeout: Option<Duration>) -> Result<Ended, Wait>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Elsewhere {}
}

impl MayBlock for Elsewhere {
    fn wait(&self, timeout: Option<Duration>) -> Result<Ended, Wait> {
        let errand = match &self.held {
            Held::Errand(errand) => errand,
            Held::Lost(reason) => return Err(Wait::Failed(*reason)),
            Held::Nothing => return Err(Wait::Failed(Reason::Stale)),
        };
        let is_simulated = errand.hatch().is_simulated();
        if current::is_turning() {
            return Err(Wait::Failed(Reason::Deadlock));
        }
        // What has come in a simulated world is there at once, or never.
        let timeout = if is_simulated { Some(Duration::ZERO) } else { timeout };
        match errand.promise.wait(timeout) {
            Phase::Ended(ended) => {
                errand.taken();
                Ok(ended)
            }
            Phase::Pending(_) if is_simulated => Err(Wait::Failed(Reason::Deadlock)),
            Phase::Pending(_) => Err(Wait::Pending),
            Phase::Over => Err(Wait::Failed(Reason::Stale)),
        }
    }
}

impl<O: Operation, S> Task<O, S> {
    /// Blocks this thread until it has ended.
    ///
    /// # Errors
    /// Why it failed; [`Reason::Deadlock`] on a thread that turns a shard, whatever came of the task,
    /// and where a simulated world would have to turn.
    pub fn wait(self) -> Result<O::Output, Reason>
    where
        S: MayBlock,
    {
        match self.side.wait(None) {
            Ok(ended) => O::output(ended),
            Err(Wait::Failed(reason)) => Err(reason),
            Err(Wait::Pending) => Err(Reason::Stale),
        }
    }

    /// Blocks this thread until it has ended, for so long at most: then the task goes on, and can be
    /// waited for again. What it gives is given once.
    ///
    /// # Errors
    /// The time is over, or it failed as [`wait`](Self::wait) does.
    pub fn wait_for(&self, time: Duration) -> Result<O::Output, Wait>
    where
        S: MayBlock,
    {
        O::output(self.side.wait(Some(time))?).map_err(Wait::Failed)
    }

    /// The same until an instant.
    ///
    /// # Errors
    /// As [`wait_for`](Self::wait_for).
    pub fn wait_until(&self, instant: Instant) -> Result<O::Output, Wait>
    where
        S: MayBlock,
    {
        self.wait_for(time_until(instant))
    }
}

impl<O: Operation> Task<O, Elsewhere> {
    /// Asks something of a connection, or fails where there is none.
    pub(crate) fn ask_elsewhere(link: Option<&Arc<Link>>, ask: Ask) -> Self {
        let begun = link.ok_or(Reason::Stale).and_then(|link| Errand::begin(link, ask));
        let held = begun.map_or_else(Held::Lost, Held::Errand);
        Self { side: Elsewhere { held }, operation: PhantomData }
    }

    /// One that could not even begin.
    pub(crate) const fn lost(reason: Reason) -> Self {
        Self { side: Elsewhere { held: Held::Lost(reason) }, operation: PhantomData }
    }

    /// One that whoever gets the duty ends, and nothing at the desk does.
    pub(crate) fn pledge(link: &Arc<Link>) -> Result<(Self, Due), Reason> {
        let (errand, due) = Errand::pledge(link)?;
        Ok((Self { side: Elsewhere { held: Held::Errand(errand) }, operation: PhantomData }, due))
    }

    /// Why it could not even begin.
    pub(crate) const fn refusal(&self) -> Option<Reason> {
        match self.side.held {
            Held::Lost(reason) => Some(reason),
            Held::Errand(_) | Held::Nothing => None,
        }
    }

    /// Calls back on the connection's shard with what came of it, when it ends well; see
    /// [`Task::then`]. Where the shard has ended nothing is called.
    pub fn then(self, callback: impl FnOnce(Peer, O::Value) + Send + 'static) {
        let callback = move |peer, ended| {
            if let Some(value) = O::output(ended).ok().and_then(O::value) {
                callback(peer, value);
            }
        };
        self.listen(Box::new(callback), false);
    }

    /// Calls back on the connection's shard with how it ended, however that was. Where the shard has
    /// ended, and where the task could not even begin, nothing is called.
    pub fn then_result(
        self,
        callback: impl FnOnce(Peer, Result<O::Output, Reason>) + Send + 'static,
    ) {
        self.listen(Box::new(move |peer, ended| callback(peer, O::output(ended))), true);
    }

    /// Lets it go on, with nobody who is told.
    pub fn detach(self) {
        self.listen(Box::new(|_, ended| drop(ended)), true);
    }

    fn listen(mut self, callback: Called, takes_end: bool) {
        let Held::Errand(errand) = std::mem::replace(&mut self.side.held, Held::Nothing) else {
            return;
        };
        match errand.promise.listen(Ear::Callback { callback, takes_end }) {
            Ok(before) => drop(before),
            Err((Some(ended), Ear::Callback { callback, .. })) => {
                errand.hatch().hand_in(Asked::Call(Arc::clone(&errand), callback, ended));
            }
            Err(_) => {}
        }
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        let Held::Errand(errand) = &self.side.held else { return Status::Failed };
        errand.promise.look(|phase| match phase {
            Phase::Pending(_) => Status::Pending,
            Phase::Ended(Ended::Failed(_)) | Phase::Over => Status::Failed,
            Phase::Ended(_) => Status::Succeeded,
        })
    }

    /// Asks it to end; see [`Task::cancel`].
    pub fn cancel(&self) {
        if let Held::Errand(errand) = &self.side.held {
            errand.cancel();
        }
    }

    /// What cancels it later, also when somebody listens to it; none when it could not even begin.
    #[must_use]
    pub fn canceller(&self) -> Option<RemoteCanceller> {
        match &self.side.held {
            Held::Errand(errand) => Some(RemoteCanceller { errand: Arc::clone(errand) }),
            Held::Lost(_) | Held::Nothing => None,
        }
    }
}

/// Cancels a task of another thread that is listened to; see [`Task::canceller`]. The task counts as
/// outstanding for as long as there is one.
#[derive(Clone)]
pub struct RemoteCanceller {
    errand: Arc<Errand>,
}

impl RemoteCanceller {
    /// Asks the task to end; one that has ended is left alone.
    pub fn cancel(&self) {
        self.errand.cancel();
    }
}

impl<O: Operation> Future for Task<O, Elsewhere> {
    type Output = Result<O::Output, Reason>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let errand = match &self.side.held {
            Held::Errand(errand) => errand,
            Held::Lost(reason) => return Poll::Ready(Err(*reason)),
            Held::Nothing => return Poll::Ready(Err(Reason::Stale)),
        };
        match errand.promise.listen(Ear::Waker(context.waker().clone())) {
            Ok(before) => {
                drop(before);
                Poll::Pending
            }
            Err((Some(ended), _)) => {
                errand.taken();
                Poll::Ready(O::output(ended))
            }
            Err((None, _)) => Poll::Ready(Err(Reason::Stale)),
        }
    }
}

impl<O: Operation> Unpin for Task<O, Elsewhere> {}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Held::Errand(errand) = std::mem::replace(&mut self.held, Held::Nothing) {
            Errand::leave(&errand);
        }
    }
}

impl<O: Operation> fmt::Debug for Task<O, Elsewhere> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elsewhere").finish_non_exhaustive()
    }
}

impl fmt::Debug for RemoteCanceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteCanceller").finish_non_exhaustive()
    }
}
