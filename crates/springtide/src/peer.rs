//! Peers: connections as applications hold them, and their names that last.
//! A handle leads nowhere by itself: what is asked through it is done by its shard, in a turn.

mod pieces;
mod reason;
mod remote;

pub use pieces::{Pieces, Pushed};
pub use reason::Reason;
pub(crate) use remote::Link;
pub use remote::RemotePeer;

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use bytes::Bytes;
use springtide_engine::Address;

use crate::current;
use crate::session::peered::Want;
use crate::session::peered::forward::Forwarding;
use crate::table::Place;
use crate::task::{Ask, Close, Connect, Dial, Forward, Pull, Task};

/// Names one connection for its whole life, also when it moves to another shard. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(u64);

impl PeerId {
    /// As a number, which is nobody else's either.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Whether the connection was accepted on this shard; it may have moved since.
    pub(crate) const fn is_of(self, shard: usize) -> bool {
        self.0 >> COUNTER_BITS == shard as u64
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The low bits count what a shard has opened: at a million a second for eight years.
const COUNTER_BITS: u32 = 48;

const _: () = assert!(springtide_engine::SHARDS_MAX as u64 <= 1 << (u64::BITS - COUNTER_BITS));

/// The peer ids of one shard.
#[derive(Debug)]
pub(crate) struct PeerIds {
    next: u64,
}

impl PeerIds {
    pub(crate) const fn of(shard: usize) -> Self {
        Self { next: (shard as u64) << COUNTER_BITS }
    }

    /// One that was never given before.
    pub(crate) const fn next(&mut self) -> PeerId {
        let id = PeerId(self.next);
        self.next += 1;
        assert!(self.next & ((1 << COUNTER_BITS) - 1) != 0, "a shard opens fewer than 2^48");
        id
    }
}

/// A raw connection, as the code that runs on its shard holds it: a small handle to be copied.
///
/// What is asked through it starts at once and gives a [`Task`]; it works in callbacks, handlers and
/// futures on the connection's own shard. A handle whose connection is gone is refused with
/// [`Reason::Stale`], and so is one that is used where no shard runs, as in the `Drop` of a value that
/// outlived its server. It is never another connection's.
///
/// ```
/// use springtide::{Peer, Server};
///
/// fn intro(peer: Peer) {
///     peer.pull().then(|peer, bytes| peer.push(bytes).then(|peer, _| intro(peer)));
/// }
/// let server = Server::new().raw(intro);
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"high tide");
/// # world.settle();
/// # let mut received = Vec::new();
/// # peer.read(usize::MAX, &mut received);
/// # assert_eq!(received, b"high tide");
/// ```
#[derive(Clone, Copy)]
pub struct Peer {
    id: PeerId,
    place: Place,
    /// It stays on its thread, and may be part of what a panic is caught around.
    stays: PhantomData<Rc<()>>,
}

impl std::panic::UnwindSafe for Peer {}
impl std::panic::RefUnwindSafe for Peer {}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum PeerStatus {
    /// It is being made.
    Connecting,
    /// Both sides may speak.
    Open,
    /// One side has ended its stream, and the other has not.
    HalfClosed,
    /// What was pushed is being sent, and then it is closed.
    Closing,
    /// It is gone.
    Closed,
}

impl Peer {
    pub(crate) const fn new(id: PeerId, place: Place) -> Self {
        Self { id, place, stays: PhantomData }
    }

    /// Whom a task is for that has no connection yet.
    pub(crate) const fn nobody() -> Self {
        Self::new(PeerId(u64::MAX), Place::NONE)
    }

    pub(crate) const fn is_nobody(self) -> bool {
        self.id.0 == u64::MAX
    }

    pub(crate) const fn place(self) -> Place {
        self.place
    }

    /// Makes a connection to somebody else (connect(2)), on the shard where this runs, as callbacks,
    /// futures and async handlers do: over TCP, or to a Unix socket ([`Address::unix`]). One where too
    /// many wait to be accepted fails it at once (EAGAIN). What comes of it is a peer like any other. It takes at most
    /// [`Limits::connect_timeout_ms`](crate::Limits::connect_timeout_ms). The callback of
    /// [`then`](Task::then) gets the new peer twice.
    ///
    /// ```
    /// use springtide::{Peer, Server};
    ///
    /// let server = Server::new().raw_async(async |peer: Peer| {
    ///     let reason = Peer::connect(([127, 0, 0, 1], 7000)).await.expect_err("nobody is there");
    ///     peer.push(reason.to_string()).await?;
    ///     Ok(())
    /// });
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # world.settle();
    /// # let mut received = Vec::new();
    /// # peer.read(usize::MAX, &mut received);
    /// # assert_eq!(received, b"nobody listens at the address");
    /// ```
    pub fn connect(address: impl Into<Address>) -> Task<Connect> {
        Task::ask(Self::nobody(), Ask::Connect(Dial::to(address.into())))
    }

    /// Its name for ever, which is nobody else's and may go to any thread.
    #[must_use]
    pub const fn id(self) -> PeerId {
        self.id
    }

    /// How its connection stands.
    #[must_use]
    pub fn status(self) -> PeerStatus {
        let shared = current::shard();
        shared.map_or(PeerStatus::Closed, |shared| shared.tasks.places.status(self))
    }

    /// The same connection for other threads: its tasks can be waited for there.
    #[must_use]
    pub fn remote(self) -> RemotePeer {
        RemotePeer::of(self)
    }

    /// Asks for the next bytes, at least one and as many as have come. At most one pull is served at a
    /// time, further ones wait behind it in order, up to
    /// [`Limits::pulls_waiting_max`](crate::Limits::pulls_waiting_max).
    ///
    /// What comes while nobody pulls waits for the next pull, up to
    /// [`Limits::inbox_bytes_max`](crate::Limits::inbox_bytes_max); beyond it nothing more is received.
    pub fn pull(self) -> Task<Pull> {
        Task::ask_with(self, || Ask::Pull(Want::Some))
    }

    /// Asks for so many bytes, which come together. None of them is taken when the stream ends before:
    /// the task then gives none, and a [`pull`](Self::pull) what there was.
    ///
    /// More than [`Limits::pull_bytes_max`](crate::Limits::pull_bytes_max) is refused at once.
    pub fn pull_exact(self, count: usize) -> Task<Pull> {
        Task::ask(self, Ask::Pull(Want::Exact(count)))
    }

    /// Asks for everything up to and with a delimiter, at most `bytes_max` bytes of it all. A stream
    /// with more bytes and no delimiter among them fails the task with [`Reason::Limit`], and the
    /// bytes stay for the next pull, as they do when the stream ends before.
    ///
    /// An empty delimiter, one longer than `bytes_max`, and more than
    /// [`Limits::pull_bytes_max`](crate::Limits::pull_bytes_max) are refused at once.
    pub fn pull_until(self, delimiter: impl Into<Bytes>, bytes_max: usize) -> Task<Pull> {
        let want = Want::Until { delimiter: delimiter.into(), bytes_max, searched: 0 };
        Task::ask(self, Ask::Pull(want))
    }

    /// Sends bytes behind everything that was pushed before: one piece, or several that leave together
    /// ([`Pieces`]). The task ends when the system has taken them, and gives them back.
    ///
    /// Dropping the task withdraws what is not being sent yet: `let _ = peer.push(bytes)` sends
    /// nothing. Say [`detach`](Task::detach) to send it without waiting.
    ///
    /// While more than [`Limits::outbox_bytes_max`](crate::Limits::outbox_bytes_max) wait to be sent,
    /// it fails with [`Reason::Limit`] and nothing of it is sent.
    pub fn push<P: Pieces>(self, pieces: P) -> Task<P::Operation> {
        let pieces = pieces.into_pushed();
        Task::ask_with(self, move || Ask::Push(pieces))
    }

    /// Forwards everything that comes from this connection to another one of the same shard, until the
    /// peer ends its stream: the task then gives the number of bytes, and `sink` is as it was, so that
    /// [`shutdown_write`](Self::shutdown_write) of it passes the end on. Whoever wants both directions
    /// forwards twice.
    ///
    /// It stands where a [`pull`](Self::pull) stands: behind those that were asked for before, and in
    /// front of later ones. The slower side holds the faster one back: while `sink` has no room nothing
    /// more is taken than [`Limits::inbox_bytes_max`](crate::Limits::inbox_bytes_max). Long runs of bytes
    /// are passed on by the system, without a copy (splice(2)); short messages, and all where the system
    /// does not do that, are received and sent.
    ///
    /// It fails with the reason when either connection ends before, and with [`Reason::Closed`] when
    /// `sink` has ended its stream. Dropped or cancelled it takes nothing more, and what it has taken is
    /// sent.
    ///
    /// ```
    /// use springtide::{Peer, Server};
    ///
    /// let server = Server::new().raw(|peer: Peer| {
    ///     // An echo: what comes goes back.
    ///     peer.forward(peer).then(|peer, bytes| {
    ///         peer.push(format!(" ({bytes} bytes)")).then(|peer, _| peer.close().detach());
    ///     });
    /// });
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"high tide");
    /// # peer.shutdown();
    /// # world.settle();
    /// # let mut received = Vec::new();
    /// # peer.read(usize::MAX, &mut received);
    /// # assert_eq!(received, b"high tide (9 bytes)");
    /// ```
    pub fn forward(self, sink: Self) -> Task<Forward> {
        Task::ask(self, Ask::Pull(Want::Forward(Forwarding::new(self, sink))))
    }

    /// Closes the connection when everything pushed before has been sent; pulls that wait end with
    /// [`Reason::Closed`].
    pub fn close(self) -> Task<Close> {
        Task::ask(self, Ask::Close)
    }

    /// Ends the stream to the peer when everything pushed before has been sent (shutdown(2)). What the
    /// peer sends still comes.
    pub fn shutdown_write(self) -> Task<Close> {
        Task::ask(self, Ask::ShutdownWrite)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_are_alike() {
        let mut shards = [PeerIds::of(0), PeerIds::of(1), PeerIds::of(1023)];
        let ids = shards.iter_mut().flat_map(|shard| [0; 100].map(|_| shard.next()));
        assert_eq!(ids.collect::<HashSet<_>>().len(), 300);
    }
}
