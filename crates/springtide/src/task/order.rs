//! Orders: what was asked of a connection and is not done yet, and who waits for it.
//! They are data; the shard does what they say.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use springtide_engine::{Key, Moment};

use super::desk::Told;
use super::dial::{Dial, Target};
use crate::datagram::PostAsk;
use crate::event::Core;
use crate::fs::FileAsk;
use crate::peer::{Peer, PeerId, Pushed, Reason};
use crate::session::peered::Want;
use crate::standalone::LobbyAsk;
use crate::table::Place;
use crate::topic::Local;
use crate::websocket::{Awaits, Said};

/// Something asked of a connection, and for whom.
pub(crate) struct Order {
    pub(crate) peer: Peer,
    pub(crate) ask: Ask,
    pub(crate) waiter: Waiter,
}

/// Who waits for what was asked.
pub(crate) enum Waiter {
    /// Whoever asked has not said yet.
    Unheard,
    Callback {
        callback: Told,
        takes_end: bool,
    },
    /// A task that is held.
    Held(Place),
    /// It goes on with nobody who is told.
    Nobody,
    /// Nobody wants it any more.
    Dropped,
}

/// A connection that is being made.
pub(crate) struct Connecting {
    /// Where it is to lead: the one whose turn it is, and those that come behind.
    pub(crate) targets: VecDeque<Target>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) serial: u64,
    pub(crate) waiter: Waiter,
    /// None while a name is being resolved, or nothing has begun.
    pub(crate) connect: Option<Key>,
    /// The name that is being resolved, by its number.
    pub(crate) asked: Option<u64>,
    /// What ends the present target's share of the time, and when that is, once it has begun.
    pub(crate) timeout: Key,
    pub(crate) share_until: Option<Moment>,
    /// That share is over.
    pub(crate) is_late: bool,
    /// How long all targets may take, and when that is over, once the first has begun.
    pub(crate) limit: Duration,
    pub(crate) until: Option<Moment>,
    /// What came of the target before.
    pub(crate) failed: Reason,
    /// Why it was told to end, if it was.
    pub(crate) cut: Option<Reason>,
}

/// What is asked.
pub(crate) enum Ask {
    Pull(Want),
    /// What has come for a forward may be carried on; the shard does it, which has both ends.
    Carry,
    /// What waits for room here may be carried on.
    GiveRoom,
    /// The connection has ended that a forward leads to.
    LoseSink(PeerId, Reason),
    Push(Pushed),
    Close,
    ShutdownWrite,
    /// To be told of the end of the connection.
    Watch,
    /// A connection, of nobody yet.
    Connect(Box<Dial>),
    /// Something of the listener of this number.
    Lobby(u64, LobbyAsk),
    /// Something of a socket for datagrams.
    Post(Place, Box<PostAsk>),
    /// Something of a file or a path.
    File(Box<FileAsk>),
    /// What an event has counted.
    Event(Arc<Core>),
    /// The task of this serial number is to end.
    Cancel(u64),
    /// The first pull has been taken: the next may be served.
    GoOn,
    /// What came for a pull that nobody wants: it is the first of what waits.
    Return(Bytes),
    /// To a WebSocket.
    Say(Said),
    /// To whoever has subscribed.
    Publish(Box<Local>),
    /// A limit of what it asked for was met, by its name.
    Met(&'static str),
    /// To be told when a WebSocket's peer is not behind.
    Await(Awaits),
}

impl Waiter {
    /// The task that is held, where it is one.
    pub(crate) const fn task(&self) -> Option<Place> {
        if let Self::Held(task) = self { Some(*task) } else { None }
    }

    /// Takes out who waits.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Dropped)
    }
}
