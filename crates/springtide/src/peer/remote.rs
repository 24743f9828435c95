//! Peers for other threads: the same verbs, asked through the hatch of the connection's shard.
//! Nothing is done here: the shard does it, in a turn.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use bytes::Bytes;

use super::{Peer, PeerId, PeerStatus, Pieces, Reason};
use crate::current;
use crate::session::peered::Want;
use crate::session::peered::forward::Forwarding;
use crate::standalone::{Background, LobbyAsk};
use crate::table::Place;
use crate::task::{Ask, Asked, Close, Elsewhere, Forward, Hatch, Pull, Task};

/// A raw connection, as any thread holds it; see [`Peer::remote`].
///
/// What is asked through it starts as soon as its shard turns, in the order in which it was asked, and
/// gives a [`Task`] that may be waited for: in any thread but those of shards, or in a future of any
/// executor. Clones are the same connection. When that is gone, what is asked fails with
/// [`Reason::Stale`](crate::Reason::Stale), and nothing that was asked before waits for ever.
///
/// At most [`Limits::remote_tasks_max`](crate::Limits::remote_tasks_max) of these tasks are there at a
/// time on each shard; one more fails at once.
///
/// ```
/// use std::io::{Read, Write};
/// use std::sync::mpsc;
/// use springtide::{Address, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (sender, arrivals) = mpsc::channel();
/// let server = Server::new().raw(move |peer| sender.send(peer.remote()).expect("it is received"));
/// let running = server.workers(1).listen("127.0.0.1:0")?.start()?;
/// # let Address::Internet(address) = running.addresses()[0] else { unreachable!() };
/// let mut ship = std::net::TcpStream::connect(address)?;
/// ship.write_all(b"high tide")?;
///
/// // On this thread, which is none of the server's.
/// let peer = arrivals.recv()?;
/// assert_eq!(peer.pull_exact(4).wait()?.as_deref(), Some(&b"high"[..]));
/// peer.push("noted").wait()?;
/// peer.close().wait()?;
/// # let mut answer = String::new();
/// # ship.read_to_string(&mut answer)?;
/// # assert_eq!(answer, "noted");
/// # running.drain();
/// # drop(ship);
/// # Ok(running.join()?)
/// # }
/// ```
#[derive(Clone)]
pub struct RemotePeer {
    id: PeerId,
    /// None where no shard ran when it was made.
    link: Option<Arc<Link>>,
}

/// What all handles and tasks of one connection on other threads share.
pub(crate) struct Link {
    pub(crate) id: PeerId,
    pub(crate) place: Place,
    pub(crate) hatch: Arc<Hatch>,
    status: AtomicU8,
    /// The connection is nobody else's: it is closed when this goes.
    is_owner: bool,
    /// The number of the listener that it came to, and whether somebody has taken it.
    lobby: Option<u64>,
    is_taken: AtomicBool,
    /// What the shard goes on by, where it is no server's.
    _background: Option<Arc<Background>>,
}

/// By their numbers.
const STATUSES: [PeerStatus; 5] = [
    PeerStatus::Connecting,
    PeerStatus::Open,
    PeerStatus::HalfClosed,
    PeerStatus::Closing,
    PeerStatus::Closed,
];

impl Link {
    pub(crate) fn new(peer: Peer, hatch: Arc<Hatch>, status: PeerStatus) -> Self {
        Self::made(peer, hatch, status, false, None)
    }

    /// What closes the connection when nobody holds it any more; one that came to a listener goes back
    /// there unless somebody has taken it.
    pub(crate) fn owner(
        peer: Peer,
        hatch: Arc<Hatch>,
        status: PeerStatus,
        lobby: Option<u64>,
    ) -> Self {
        Self::made(peer, hatch, status, true, lobby)
    }

    fn made(
        peer: Peer,
        hatch: Arc<Hatch>,
        status: PeerStatus,
        is_owner: bool,
        lobby: Option<u64>,
    ) -> Self {
        let (status, _background) = (AtomicU8::new(status as u8), hatch.background());
        let (Peer { id, place, .. }, is_taken) = (peer, AtomicBool::new(false));
        Self { id, place, hatch, status, is_owner, lobby, is_taken, _background }
    }

    /// Whoever waited for it at its listener has it.
    pub(crate) fn be_taken(&self) {
        self.is_taken.store(true, Ordering::Relaxed);
    }

    /// What leads to a shard, and to none of its connections.
    pub(crate) fn to(hatch: Arc<Hatch>) -> Arc<Self> {
        Arc::new(Self::new(Peer::nobody(), hatch, PeerStatus::Connecting))
    }

    /// It, as it is held on its shard.
    pub(crate) const fn peer(&self) -> Peer {
        Peer::new(self.id, self.place)
    }

    /// The connection stands so from here on.
    pub(crate) fn stand(&self, status: PeerStatus) {
        self.status.store(status as u8, Ordering::Release);
    }

    pub(crate) fn status(&self) -> PeerStatus {
        let number = usize::from(self.status.load(Ordering::Acquire));
        STATUSES.get(number).copied().unwrap_or(PeerStatus::Closed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.is_owner || self.status() == PeerStatus::Closed {
            return;
        }
        self.hatch.hand_in(match self.lobby {
            Some(lobby) if !*self.is_taken.get_mut() => {
                Asked::Tell(Ask::Lobby(lobby, LobbyAsk::TakeBack(self.id, self.place)))
            }
            _ => Asked::Close(self.id, self.place),
        });
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("id", &self.id).finish_non_exhaustive()
    }
}

impl RemotePeer {
    pub(super) fn of(peer: Peer) -> Self {
        let shared = current::shard();
        let link = shared.map(|shared| shared.tasks.places.link(peer, &shared.hatch));
        Self { id: peer.id, link }
    }

    /// A connection that is closed when nobody holds it any more.
    pub(crate) fn by(link: Arc<Link>) -> Self {
        Self { id: link.id, link: Some(link) }
    }

    fn ask<O: crate::Operation>(&self, ask: Ask) -> Task<O, Elsewhere> {
        Task::ask_elsewhere(self.link.as_ref(), ask)
    }

    /// Its name for ever, which is nobody else's.
    #[must_use]
    pub const fn id(&self) -> PeerId {
        self.id
    }

    /// How its connection stood a moment ago.
    #[must_use]
    pub fn status(&self) -> PeerStatus {
        self.link.as_ref().map_or(PeerStatus::Closed, |link| link.status())
    }

    /// As [`Peer::pull`].
    pub fn pull(&self) -> Task<Pull, Elsewhere> {
        self.ask(Ask::Pull(Want::Some))
    }

    /// As [`Peer::pull_exact`].
    pub fn pull_exact(&self, count: usize) -> Task<Pull, Elsewhere> {
        self.ask(Ask::Pull(Want::Exact(count)))
    }

    /// As [`Peer::pull_until`].
    pub fn pull_until(
        &self,
        delimiter: impl Into<Bytes>,
        bytes_max: usize,
    ) -> Task<Pull, Elsewhere> {
        let want = Want::Until { delimiter: delimiter.into(), bytes_max, searched: 0 };
        self.ask(Ask::Pull(want))
    }

    /// As [`Peer::push`]: a task that is dropped is withdrawn while it waits.
    pub fn push<P: Pieces>(&self, pieces: P) -> Task<P::Operation, Elsewhere> {
        self.ask(Ask::Push(pieces.into_pushed()))
    }

    /// As [`Peer::forward`], for two connections of one shard; of different ones it fails with
    /// [`Reason::Elsewhere`].
    pub fn forward(&self, sink: &Self) -> Task<Forward, Elsewhere> {
        let (Some(own), Some(other)) = (&self.link, &sink.link) else {
            return Task::lost(Reason::Stale);
        };
        if !Arc::ptr_eq(&own.hatch, &other.hatch) {
            return Task::lost(Reason::Elsewhere);
        }
        self.ask(Ask::Pull(Want::Forward(Forwarding::new(own.peer(), other.peer()))))
    }

    /// As [`Peer::close`].
    pub fn close(&self) -> Task<Close, Elsewhere> {
        self.ask(Ask::Close)
    }

    /// As [`Peer::shutdown_write`].
    pub fn shutdown_write(&self) -> Task<Close, Elsewhere> {
        self.ask(Ask::ShutdownWrite)
    }
}

impl fmt::Debug for RemotePeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemotePeer({})", self.id)
    }
}

const _: () = {
    const fn goes_anywhere<T: Send + Sync>() {}
    goes_anywhere::<RemotePeer>();
    goes_anywhere::<Task<Pull, Elsewhere>>();
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_number() {
        for (number, status) in STATUSES.into_iter().enumerate() {
            assert_eq!(number, status as usize);
        }
    }
}
