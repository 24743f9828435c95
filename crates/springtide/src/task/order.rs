//! Orders: what was asked of a connection and is not done yet, and who waits for it.
//! They are data; the shard does what they say.

use bytes::Bytes;
use springtide_engine::{Address, Key};

use super::desk::Told;
use crate::datagram::PostAsk;
use crate::peer::{Peer, Pushed, Reason};
use crate::session::peered::Want;
use crate::table::Place;
use crate::websocket::Said;

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
    pub(crate) address: Address,
    pub(crate) serial: u64,
    pub(crate) waiter: Waiter,
    pub(crate) connect: Key,
    /// What ends it when it takes too long.
    pub(crate) timeout: Key,
    /// Why it was told to end, if it was.
    pub(crate) cut: Option<Reason>,
}

/// What is asked.
pub(crate) enum Ask {
    Pull(Want),
    Push(Pushed),
    Close,
    ShutdownWrite,
    /// A connection to this address, of nobody yet.
    Connect(Address),
    /// Something of a socket for datagrams.
    Post(Place, Box<PostAsk>),
    /// The task of this serial number is to end.
    Cancel(u64),
    /// The first pull has been taken: the next may be served.
    GoOn,
    /// What came for a pull that nobody wants: it is the first of what waits.
    Return(Bytes),
    /// To a WebSocket.
    Say(Said),
}

impl Waiter {
    /// Takes out who waits.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Dropped)
    }
}
