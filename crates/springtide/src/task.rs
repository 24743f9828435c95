//! Tasks: what the application has asked of a connection, and the ways to listen for its end.
//! Nothing of the application is called here: what is to be called waits for its turn.

mod desk;
mod dial;
mod elsewhere;
mod hatch;
mod operation;
mod order;
mod places;
mod polled;
mod timeout;

pub(crate) use desk::{Batches, Pass, Ready, Tasks, Told};
pub(crate) use dial::{Dial, Target};
pub use elsewhere::{Elsewhere, MayBlock, RemoteCanceller, Wait};
pub(crate) use hatch::{Asked, Book, Due, Hatch, OpenHatch, Saying};
pub(crate) use operation::Gone;
pub use operation::{
    Accept, Call, Change, Close, Connect, Ended, FileRead, Fired, Forward, Known, Linked, Names,
    OpenFile, OpenRemoteFile, Operation, Outgoing, Pull, Push, PushAll, ReadAll, ReceiveFrom,
    SendTo, Stands, WriteAll, Written,
};
pub(crate) use order::{Ask, Connecting, Order, Waiter};
pub use timeout::{Timeout, timeout};

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use springtide_engine::Callback;

use crate::current;
use crate::peer::{Peer, Reason};
use crate::request::Shared;
use crate::table::Place;
use desk::Listener;

/// Something that was asked of a connection: it goes on by itself, ends exactly once, and says how.
///
/// There are three ways to listen: [`then`](Self::then) calls back, `.await` waits in a future of the
/// shard, and a task that another thread holds can block. Whoever drops a task has lost interest: a
/// pull leaves its bytes to the next one, and a push is withdrawn while it has not begun to be sent.
/// [`detach`](Self::detach) lets it go on without anybody listening.
///
/// A task on its shard is a key and allocates nothing; a callback whose captures take up to 48 bytes
/// does not either.
#[must_use = "a task that is dropped is withdrawn; say `.detach()` to let it go on"]
pub struct Task<O: Operation, S = Here> {
    side: S,
    operation: PhantomData<O>,
}

/// On the connection's own shard.
pub struct Here {
    held: Held,
}

/// What a task leads to.
enum Held {
    /// What was asked, by its serial number.
    Fresh(Rc<Shared>, Peer, u64),
    /// A slot of its shard.
    Slot(Rc<Shared>, Place),
    /// It could not even begin.
    Lost(Peer, Reason),
    /// Nobody is to be told any more.
    Nothing,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has not ended.
    Pending,
    /// It has ended well, and what it gives has not been taken.
    Succeeded,
    /// It has ended otherwise.
    Failed,
}

/// Cancels a task that is listened to; see [`Task::canceller`].
#[derive(Clone, Copy)]
pub struct Canceller {
    peer: Peer,
    serial: u64,
}

impl<O: Operation> Task<O> {
    /// Asks something of a peer.
    pub(crate) fn ask(peer: Peer, ask: Ask) -> Self {
        Self::ask_with(peer, || ask)
    }

    /// The same of what is made where it waits: nothing of the application may be called for that.
    #[inline]
    pub(crate) fn ask_with(peer: Peer, ask: impl FnOnce() -> Ask) -> Self {
        let held = match current::shard() {
            Some(shared) => match shared.tasks.begin(peer, ask) {
                Some(serial) => Held::Fresh(shared, peer, serial),
                None => Held::Lost(peer, Reason::Stale),
            },
            None => Held::Lost(peer, Reason::Stale),
        };
        Self { side: Here { held }, operation: PhantomData }
    }

    /// One that could not even begin.
    pub(crate) const fn refused(reason: Reason) -> Self {
        let held = Held::Lost(Peer::nobody(), reason);
        Self { side: Here { held }, operation: PhantomData }
    }

    /// Calls back on the shard with what came of it, when it ends well, behind whatever is being
    /// handled. At the end of the peer's stream, and when the task fails, nothing is called: the
    /// connection's end is told where the server was given [`closed`](crate::Server::closed).
    pub fn then(self, callback: impl FnOnce(Peer, O::Value) + 'static) {
        let callback = Callback::new(move |(peer, ended): (Peer, Ended)| {
            if let Some(value) = O::output(ended).ok().and_then(O::value) {
                callback(peer, value);
            }
        });
        self.call_back(callback, false);
    }

    /// Calls back on the shard with how it ended, however that was.
    pub fn then_result(self, callback: impl FnOnce(Peer, Result<O::Output, Reason>) + 'static) {
        let callback = Callback::new(move |(peer, ended): (Peer, Ended)| {
            callback(peer, O::output(ended));
        });
        self.call_back(callback, true);
    }

    /// Lets it go on, with nobody who is told.
    pub fn detach(mut self) {
        self.side.held.take().listen(Listener::Detached);
    }

    #[inline]
    fn call_back(mut self, callback: Told, takes_end: bool) {
        match self.side.held.take() {
            Held::Fresh(shared, _, serial) => shared.tasks.call_first(serial, callback, takes_end),
            held => held.call_late(callback, takes_end),
        }
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.side.held {
            Held::Fresh(shared, _, serial) => shared.tasks.status_of_first(*serial),
            Held::Slot(shared, task) => shared.tasks.status_of(*task),
            Held::Lost(..) | Held::Nothing => Status::Failed,
        }
    }

    /// Asks it to end: a pull, and a push that has not begun to be sent, then fail with
    /// [`Reason::Cancelled`]. Whoever listens is told how it ended all the same.
    pub fn cancel(&self) {
        if let Some(canceller) = self.canceller() {
            canceller.cancel();
        }
    }

    /// What cancels it later, also when somebody listens to it; none when it could not even begin.
    #[must_use]
    pub fn canceller(&self) -> Option<Canceller> {
        match &self.side.held {
            Held::Fresh(_, peer, serial) => Some(Canceller { peer: *peer, serial: *serial }),
            Held::Slot(shared, task) => {
                let name = shared.tasks.name_of(*task);
                name.map(|(peer, serial)| Canceller { peer, serial })
            }
            Held::Lost(..) | Held::Nothing => None,
        }
    }
}

impl Held {
    #[inline]
    const fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Nothing)
    }

    #[inline]
    fn listen(self, listener: Listener) {
        match self {
            Self::Fresh(shared, _, serial) => drop(shared.tasks.listen_first(serial, listener)),
            Self::Slot(shared, task) => drop(shared.tasks.listen(task, listener)),
            Self::Lost(peer, reason) => {
                if let (Listener::Callback { callback, takes_end: true }, Some(shared)) =
                    (listener, current::shard())
                {
                    shared.tasks.tell(Ready::Call(callback, peer, Ended::Failed(reason)));
                }
            }
            Self::Nothing => {}
        }
    }

    /// It was held for a while, or is nothing.
    #[inline(never)]
    fn call_late(self, callback: Told, takes_end: bool) {
        self.listen(Listener::Callback { callback, takes_end });
    }
}

impl Canceller {
    /// Asks the task to end; one that has ended is left alone.
    pub fn cancel(self) {
        if let Some(shared) = current::shard() {
            shared.tasks.order(self.peer, Ask::Cancel(self.serial), Waiter::Nobody);
        }
    }
}

impl<O: Operation> Future for Task<O> {
    type Output = Result<O::Output, Reason>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Held::Fresh(_, peer, serial) = self.side.held
            && let Held::Fresh(shared, ..) = self.side.held.take()
        {
            self.side.held = match shared.tasks.hold(serial, context) {
                Some((task, true)) => {
                    self.side.held = Held::Slot(shared, task);
                    return Poll::Pending;
                }
                Some((task, false)) => Held::Slot(shared, task),
                None => Held::Lost(peer, Reason::Stale),
            };
        }
        match &self.side.held {
            Held::Fresh(..) => Poll::Pending,
            Held::Slot(shared, task) => match shared.tasks.poll(*task, context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(ended) => {
                    self.side.held = Held::Nothing;
                    Poll::Ready(O::output(ended))
                }
            },
            Held::Lost(_, reason) => Poll::Ready(Err(*reason)),
            Held::Nothing => Poll::Ready(Err(Reason::Stale)),
        }
    }
}

impl<O: Operation> Unpin for Task<O> {}

impl Drop for Here {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.held, Held::Nothing) {
            self.give_up();
        }
    }
}

impl Here {
    /// Nobody listens any more.
    #[inline(never)]
    fn give_up(&mut self) {
        match self.held.take() {
            Held::Fresh(shared, _, serial) => drop(shared.tasks.give_up_first(serial)),
            Held::Slot(shared, task) => drop(shared.tasks.give_up(task)),
            Held::Lost(..) | Held::Nothing => {}
        }
    }
}

impl<O: Operation> fmt::Debug for Task<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Here {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Here").finish_non_exhaustive()
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("peer", &self.peer).finish_non_exhaustive()
    }
}
