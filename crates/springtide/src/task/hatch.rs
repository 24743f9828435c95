//! The hatch of a shard: what other threads ask of its raw connections, and how they are told.
//! What was handed in ends, whatever becomes of the shard: nobody waits for ever.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;

use bytes::Bytes;
use springtide_engine::{Intake, Phase, Promise};

use super::{Ask, Ended};
use crate::event::Ring;
use crate::executor::apart;
use crate::limits::place_of;
use crate::mailbox::{Mailbox, Message};
use crate::metrics::ShardCounts;
use crate::peer::{Link, Peer, PeerId, Reason};
use crate::standalone::Background;
use crate::table::Place;
use crate::websocket::Said;

/// The hatch. It is the shard's for its whole life, whatever engine and thread that has.
pub(crate) struct Hatch {
    asked: Intake<Asked>,
    mailbox: Arc<Mailbox>,
    counts: Arc<ShardCounts>,
    /// Errands that somebody holds or that are under way.
    outstanding: AtomicUsize,
    outstanding_max: usize,
    /// How many listeners the application had so far.
    listeners: AtomicU64,
    /// Nobody turns the shard but a test: who waits for it waits for ever.
    is_simulated: bool,
    /// The background that the shard is, where it is no server's.
    background: OnceLock<Weak<Background>>,
}

/// A hatch as its shard has it: closed when that ends.
pub(crate) struct OpenHatch(Arc<Hatch>);

/// What another thread says. Each errand stands here four times at most: when it begins, is
/// cancelled, is told of again, and is left.
pub(crate) enum Asked {
    Begin(Due, Ask),
    Cancel(Arc<Errand>),
    /// It had ended: this is to be called with it.
    Call(Arc<Errand>, Called, Ended),
    /// Nobody wants it any more; what came of it and was not taken.
    Leave(Arc<Errand>, Option<Ended>),
    /// Something for a WebSocket, which nobody waits for.
    Say(Saying),
    /// The addresses of a name that a connection is to lead to, none where it has none; by the number
    /// of what was asked.
    Resolved(Place, u64, Vec<SocketAddr>),
    /// Nobody holds this connection any more, which is nobody else's.
    Close(PeerId, Place),
    /// An event has fired for who waits for it here.
    Fired(Ring),
    /// Something that no task is for, of no connection.
    Tell(Ask),
    /// This is to be called with this connection.
    Do(PeerId, Place, Called),
}

/// What another thread says to a WebSocket, until its shard looks at it.
pub(crate) struct Saying {
    link: Arc<Link>,
    said: Said,
}

/// A task of another thread: what it shares with the shard.
pub(crate) struct Errand {
    pub(super) promise: Promise<Ended, Ear>,
    link: Arc<Link>,
    is_pull: bool,
    spot: OnceLock<Spot>,
    is_cancelled: AtomicBool,
}

/// Where an errand stands.
enum Spot {
    /// Its task at the desk of the shard, which alone knows.
    Desk(Place),
    /// In the book of who has pledged it, by this number.
    Book(Weak<dyn Book>, u64),
}

/// Whoever has pledged errands, and has the duties to end them.
pub(crate) trait Book: Send + Sync {
    /// Nobody wants the errand of this number any more.
    fn forget(&self, number: u64);
}

/// Who is told of an errand's end.
pub(crate) enum Ear {
    Waker(Waker),
    /// Called on the shard; `takes_end`: also where it does not end with a value.
    Callback {
        callback: Called,
        takes_end: bool,
    },
}

/// What is called on the shard with how an errand has ended.
pub(crate) type Called = Box<dyn FnOnce(Peer, Ended) + Send>;

/// The duty to end an errand: one that is dropped has ended, as its connection is gone.
pub(crate) struct Due(Arc<Errand>);

impl Hatch {
    pub(crate) fn open(
        mailbox: Arc<Mailbox>,
        counts: Arc<ShardCounts>,
        outstanding_max: usize,
        is_simulated: bool,
    ) -> OpenHatch {
        let (asked, outstanding) = (Intake::new(), AtomicUsize::new(0));
        OpenHatch(Arc::new(Self {
            asked,
            mailbox,
            counts,
            outstanding,
            outstanding_max,
            listeners: AtomicU64::new(0),
            is_simulated,
            background: OnceLock::new(),
        }))
    }

    /// Whether waiting for the shard is of no use.
    pub(super) const fn is_simulated(&self) -> bool {
        self.is_simulated
    }

    /// The shard is that of a background.
    pub(crate) fn belong_to(&self, background: Weak<Background>) {
        // It is one from its start on.
        let _ = self.background.set(background);
    }

    /// What must go on for the shard to do so, where that is nobody's server.
    pub(crate) fn background(&self) -> Option<Arc<Background>> {
        self.background.get().and_then(Weak::upgrade)
    }

    /// The number of a further listener.
    pub(crate) fn next_listener(&self) -> u64 {
        self.listeners.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the shard has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.counts.has_ended()
    }

    /// Tells the shard. Where that has ended, what it would end has ended as well.
    pub(crate) fn hand_in(&self, asked: Asked) {
        match self.asked.push(asked) {
            Ok(true) => self.mailbox.send(Message::Asked),
            Ok(false) => {}
            Err(asked) => drop(asked),
        }
    }

    /// What was handed in.
    pub(crate) fn take(&self) -> Vec<Asked> {
        self.asked.take()
    }

    fn enter(&self) -> Result<(), Reason> {
        let before = self.outstanding.fetch_add(1, Ordering::Relaxed);
        if before < self.outstanding_max {
            return Ok(());
        }
        self.leave();
        self.counts.meet(const { place_of("remote_tasks_max") });
        Err(Reason::Limit("remote_tasks_max"))
    }

    fn leave(&self) {
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Saying {
    /// Hands it in.
    ///
    /// # Errors
    /// The shard has too much to look at.
    pub(crate) fn hand_in(link: &Arc<Link>, said: Said) -> Result<(), Reason> {
        link.hatch.enter()?;
        link.hatch.hand_in(Asked::Say(Self { link: Arc::clone(link), said }));
        Ok(())
    }

    /// What is said, and to whom.
    pub(super) fn take(mut self) -> (Peer, Said) {
        let said = std::mem::replace(&mut self.said, Said::Ping(Bytes::new()));
        (Peer::new(self.link.id, self.link.place), said)
    }
}

impl Drop for Saying {
    fn drop(&mut self) {
        self.link.hatch.leave();
    }
}

impl OpenHatch {
    pub(crate) fn share(&self) -> Arc<Hatch> {
        Arc::clone(&self.0)
    }
}

impl Drop for OpenHatch {
    /// What is asked from here on fails; what was asked and not looked at ends here.
    fn drop(&mut self) {
        for asked in self.0.asked.close() {
            apart(|| drop(asked));
        }
    }
}

impl Errand {
    /// Sends one off.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn begin(link: &Arc<Link>, what: Ask) -> Result<Arc<Self>, Reason> {
        let errand = Self::made(link, matches!(what, Ask::Pull(_)))?;
        link.hatch.hand_in(Asked::Begin(Due(Arc::clone(&errand)), what));
        Ok(errand)
    }

    pub(super) fn hatch(&self) -> &Arc<Hatch> {
        &self.link.hatch
    }

    pub(super) fn peer(&self) -> Peer {
        self.link.peer()
    }

    fn made(link: &Arc<Link>, is_pull: bool) -> Result<Arc<Self>, Reason> {
        link.hatch.enter()?;
        Ok(Arc::new(Self {
            promise: Promise::new(),
            link: Arc::clone(link),
            is_pull,
            spot: OnceLock::new(),
            is_cancelled: AtomicBool::new(false),
        }))
    }

    /// One that no task at the desk is for: who gets the duty ends it.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn pledge(link: &Arc<Link>) -> Result<(Arc<Self>, Due), Reason> {
        let errand = Self::made(link, false)?;
        Ok((Arc::clone(&errand), Due(errand)))
    }

    /// Ends it, from any thread, unless it has: who listens is told, callbacks by the shard.
    pub(super) fn end(own: &Arc<Self>, ended: Ended) {
        let (mut told, mut left) = (None, Some(ended));
        own.promise.end(|ear| {
            told = ear;
            // A callback gets it by the hatch.
            left.take_if(|_| !matches!(told, Some(Ear::Callback { .. })))
        });
        match (told, left) {
            (Some(Ear::Waker(waker)), _) => _ = apart(|| waker.wake()),
            (Some(Ear::Callback { callback, .. }), Some(ended)) => {
                own.hatch().hand_in(Asked::Call(Arc::clone(own), callback, ended));
            }
            _ => {}
        }
    }

    pub(super) fn cancel(self: &Arc<Self>) {
        if self.is_cancelled.swap(true, Ordering::Relaxed) {
            return;
        }
        if matches!(self.spot.get(), Some(Spot::Book(..))) {
            Self::end(self, Ended::Failed(Reason::Cancelled));
            self.leave_book();
        } else {
            self.hatch().hand_in(Asked::Cancel(Arc::clone(self)));
        }
    }

    /// What came of it was taken: the pull behind it may be served.
    pub(super) fn taken(self: &Arc<Self>) {
        if self.is_pull {
            self.hatch().hand_in(Asked::Leave(Arc::clone(self), None));
        }
    }

    /// Its holder has lost interest. A pull gives its bytes back, and a push is withdrawn while it
    /// waits; one that has ended is no more at the desk.
    pub(super) fn leave(own: &Arc<Self>) {
        let left = match own.promise.leave() {
            Phase::Pending(ear) => {
                drop(ear);
                None
            }
            Phase::Ended(ended) if own.is_pull => Some(ended),
            Phase::Ended(_) | Phase::Over => return,
        };
        if !own.leave_book() {
            own.hatch().hand_in(Asked::Leave(Arc::clone(own), left));
        }
    }

    /// Whether somebody holds it or listens to it.
    pub(super) fn is_wanted(&self) -> bool {
        self.promise.look(|phase| !matches!(phase, Phase::Over))
    }

    /// Whether what listens to it is called with values only.
    pub(super) fn wants_values_only(&self) -> bool {
        let is_so = |phase: &Phase<Ended, Ear>| {
            matches!(phase, Phase::Pending(Some(Ear::Callback { takes_end: false, .. })))
        };
        self.promise.look(is_so)
    }

    pub(super) fn slot(&self) -> Option<Place> {
        match self.spot.get() {
            Some(Spot::Desk(slot)) => Some(*slot),
            Some(Spot::Book(..)) | None => None,
        }
    }

    pub(super) fn stand_at(&self, slot: Place) {
        // An errand begins once.
        let _ = self.spot.set(Spot::Desk(slot));
    }

    /// Whether it stands in somebody's book, and does no more.
    fn leave_book(&self) -> bool {
        let Some(Spot::Book(book, number)) = self.spot.get() else { return false };
        if let Some(book) = book.upgrade() {
            book.forget(*number);
        }
        true
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.link.hatch.leave();
    }
}

impl Due {
    pub(super) const fn errand(&self) -> &Arc<Errand> {
        &self.0
    }

    /// Whether somebody still wants it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }

    /// It stands in a book from here on.
    pub(crate) fn enter(&self, book: Weak<dyn Book>, number: u64) {
        // It is entered once.
        let _ = self.0.spot.set(Spot::Book(book, number));
    }

    /// Ends it so.
    pub(crate) fn end(self, ended: Ended) {
        Errand::end(&self.0, ended);
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        let mut told = None;
        self.0.promise.end(|ear| {
            told = ear;
            Some(Ended::Failed(Reason::Stale))
        });
        match told {
            Some(Ear::Waker(waker)) => _ = apart(|| waker.wake()),
            callback => _ = apart(|| drop(callback)),
        }
    }
}
