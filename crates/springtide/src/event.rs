//! Events: counters that any thread adds to and tasks wait for, without a descriptor.
//! Nobody is called here: who waits is told by the shard where he asked.

mod bench;

pub use crate::task::Fired;
pub(crate) use bench::{Bench, Ring};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::current;
use crate::peer::{Link, Peer, Reason};
use crate::standalone::Background;
use crate::task::{Ask, Asked, Elsewhere, Ended, Hatch, Task};

/// A counter that any thread adds to ([`trigger`](Self::trigger)), and whose [`wait`](Self::wait) gives
/// what was added since the last one, as eventfd(2) does: many triggers between two waits are one. Its
/// clones are the same event, and it needs no descriptor.
///
/// Of several that wait the one who came first is called, and given everything that is there when his
/// shard looks. Whoever begins to wait while that call is on its way takes what is there before him; he
/// is the first again for what comes then. A wait that is dropped or cancelled takes nothing with it, but
/// for what it was given already.
///
/// ```
/// use springtide::{Peer, Server, event::Event};
///
/// let event = Event::open();
/// let own = event.clone();
/// let server = Server::new().raw_async(async move |peer: Peer| {
///     while let Some(count) = own.wait().await? {
///         peer.push(format!("{count} ")).await?;
///     }
///     peer.push("closed").await?;
///     Ok(())
/// });
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # world.settle();
/// event.trigger(1); // from any thread
/// # world.settle();
/// event.trigger(2);
/// event.trigger(3);
/// # world.settle();
/// event.close();
/// # world.settle();
/// # let mut received = Vec::new();
/// # peer.read(usize::MAX, &mut received);
/// # assert_eq!(received, b"1 5 closed");
/// ```
#[derive(Clone)]
pub struct Event {
    core: Arc<Core>,
}

impl Event {
    /// One with nothing in it.
    #[must_use]
    pub fn open() -> Self {
        Self { core: Arc::new(Core { state: Mutex::default() }) }
    }

    /// Adds so many, up to `u64::MAX` together, and wakes who waits first; false once it is closed, when
    /// nothing is added. It never blocks.
    pub fn trigger(&self, count: u64) -> bool {
        let mut state = self.core.lock();
        if state.is_closed {
            return false;
        }
        state.count = state.count.saturating_add(count);
        Core::call_next(&self.core, state);
        true
    }

    /// Ends it: who waits, and whoever does so later, is given what is in it and then none.
    pub fn close(&self) {
        self.core.lock().is_closed = true;
        while Core::call_next(&self.core, self.core.lock()) {}
    }

    /// Waits, on the shard whose callbacks and futures run here, for what is added; gives it all, at once
    /// where there is something. None at its end, when [`then`](Task::then) calls nobody. A server that
    /// stops ends it with [`Reason::Stopped`], and one more than
    /// [`Limits::event_waits_max`](crate::Limits::event_waits_max) on a shard fails.
    pub fn wait(&self) -> Task<Fired> {
        Task::ask(Peer::nobody(), Ask::Event(Arc::clone(&self.core)))
    }

    /// The same for any thread.
    ///
    /// # Errors
    /// The system refuses a thread, an engine or descriptors for a shard in the background, which is
    /// where it waits unless this runs on another.
    ///
    /// ```
    /// use springtide::event::Event;
    ///
    /// # fn main() -> Result<(), springtide::Reason> {
    /// let event = Event::open();
    /// let waiting = event.remote()?.wait();
    /// std::thread::spawn(move || event.trigger(7));
    /// assert_eq!(waiting.wait()?, Some(7));
    /// # Ok(())
    /// # }
    /// ```
    pub fn remote(&self) -> Result<RemoteEvent, Reason> {
        let link = match current::shard() {
            Some(shared) => Link::to(shared.hatch.clone()),
            None => Background::shared()?.link(),
        };
        Ok(RemoteEvent { core: Arc::clone(&self.core), link })
    }
}

/// An event as any thread waits for it; see [`Event::remote`].
#[derive(Clone)]
pub struct RemoteEvent {
    core: Arc<Core>,
    link: Arc<Link>,
}

impl RemoteEvent {
    /// As [`Event::wait`].
    pub fn wait(&self) -> Task<Fired, Elsewhere> {
        Task::ask_elsewhere(Some(&self.link), Ask::Event(Arc::clone(&self.core)))
    }
}

/// What all handles of an event share.
pub(crate) struct Core {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    count: u64,
    is_closed: bool,
    /// Where somebody waits, by his ticket, and by what serial number: the lowest ticket is the first.
    /// Whoever leaves is found by it, however many wait.
    waiting: BTreeMap<Ticket, (Arc<Hatch>, u64)>,
    /// The tickets that were given last, before and behind all others.
    ends: (Ticket, Ticket),
}

/// Names a wait in the line of its event.
pub(crate) type Ticket = i64;

/// What a look at an event comes to.
pub(crate) enum Taken {
    /// So many were added since the last.
    Ended(Ended),
    /// Nothing: who looked is called when there is something, and has this ticket.
    Waits(Ticket),
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes everything, or waits for it: behind all others, or before them who was called in vain.
    pub(crate) fn take(&self, hatch: &Arc<Hatch>, serial: u64, was_called: bool) -> Taken {
        let mut state = self.lock();
        let ticket = match (std::mem::take(&mut state.count), state.is_closed, was_called) {
            (0, true, _) => return Taken::Ended(Ended::EndOfStream),
            (0, false, true) => {
                state.ends.0 -= 1;
                state.ends.0
            }
            (0, false, false) => {
                state.ends.1 += 1;
                state.ends.1
            }
            (count, ..) => return Taken::Ended(Ended::Count(count)),
        };
        state.waiting.insert(ticket, (Arc::clone(hatch), serial));
        Taken::Waits(ticket)
    }

    /// Takes everything, if there is anything or it is closed.
    pub(crate) fn take_now(&self) -> Option<Ended> {
        let mut state = self.lock();
        match (std::mem::take(&mut state.count), state.is_closed) {
            (0, is_closed) => is_closed.then_some(Ended::EndOfStream),
            (count, _) => Some(Ended::Count(count)),
        }
    }

    /// Calls who waits first, if there is something for him; false when nobody is called.
    fn call_next(own: &Arc<Self>, mut state: MutexGuard<'_, State>) -> bool {
        if state.count == 0 && !state.is_closed {
            return false;
        }
        let Some((_, (hatch, serial))) = state.waiting.pop_first() else { return false };
        drop(state);
        hatch.hand_in(Asked::Fired(Ring::new(Arc::clone(own), serial)));
        true
    }

    /// Who has this ticket does not wait any more.
    pub(crate) fn leave(&self, ticket: Ticket) {
        self.lock().waiting.remove(&ticket);
    }

    /// Somebody who was called wants nothing: the next one may.
    pub(crate) fn pass_on(own: &Arc<Self>) {
        Self::call_next(own, own.lock());
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").finish_non_exhaustive()
    }
}

impl fmt::Debug for RemoteEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteEvent").finish_non_exhaustive()
    }
}
