//! Datagrams: what comes to a UDP socket and what is sent there, as the application holds it.
//! Nothing is done here: the shard does it, in a turn.

mod post;

pub(crate) use post::{Asked, Letterbox, Outgoing, Post, PostAsk};

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use springtide_engine::{Address, DATAGRAM_BYTES_MAX};

use crate::current;
use crate::error::Error;
use crate::peer::{Peer, Reason};
use crate::server::{Server, addresses};
use crate::table::Place;
use crate::task::{Ask, Close, ReceiveFrom, SendTo, Task};

/// A datagram that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it, as far as one can believe that.
    pub from: SocketAddr,
    /// What was in it, or its first [`Limits::datagram_bytes_max`](crate::Limits::datagram_bytes_max)
    /// bytes.
    pub bytes: Bytes,
    length: usize,
}

impl Datagram {
    pub(crate) fn new(came: springtide_engine::Datagram) -> Self {
        Self { from: came.address, bytes: came.bytes.into(), length: came.length }
    }

    /// How many bytes were sent.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Whether more was sent than there is here: the rest is gone.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.length > self.bytes.len()
    }
}

/// A UDP socket of a shard: a small handle to be copied, which works in callbacks, handlers and futures
/// of that shard. It stays open until it is [closed](Self::close) or the shard stops; a handle whose
/// socket is closed is refused with [`Reason::Stale`].
///
/// The network promises nothing: a datagram may be lost, come twice, or overtake others.
///
/// ```
/// use std::time::Duration;
/// use springtide::{DatagramSocket, Peer, Server, timeout};
///
/// // Asks somebody else over UDP, twice at most, and tells what the answer was.
/// let server = Server::new().raw_async(async |peer: Peer| {
///     let socket = DatagramSocket::bind(([127, 0, 0, 1], 0))?;
///     for _ in 0..2 {
///         socket.send_to("the tide?", ([10, 0, 0, 1], 53)).await?;
///         if let Ok(answer) = timeout(Duration::from_secs(1), socket.receive_from()).await {
///             peer.push(answer.bytes).await?;
///             break;
///         }
///     }
///     socket.close().await?;
///     Ok(())
/// });
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let sage = world.correspondent(([10, 0, 0, 1], 53));
/// # let mut peer = world.connect();
/// # world.pass(Duration::from_millis(1500));
/// # let asked = [0; 2].map(|_| sage.receive_from().expect("it was asked twice"));
/// # sage.send_to(b"high", asked[1].address);
/// # world.settle();
/// # let mut received = Vec::new();
/// # peer.read(usize::MAX, &mut received);
/// # assert_eq!(received, b"high");
/// ```
#[derive(Clone, Copy)]
pub struct DatagramSocket {
    place: Place,
    /// It stays on its thread, and may be part of what a panic is caught around.
    stays: PhantomData<Rc<()>>,
}

impl std::panic::UnwindSafe for DatagramSocket {}
impl std::panic::RefUnwindSafe for DatagramSocket {}

impl DatagramSocket {
    pub(crate) const fn at(place: Place) -> Self {
        Self { place, stays: PhantomData }
    }

    /// A socket at an address, on the shard where this runs; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is busy or not ours (bind(2)), no descriptor is free, or no shard runs here.
    pub fn bind(address: impl Into<SocketAddr>) -> Result<Self, Reason> {
        let shared = current::shard().ok_or(Reason::Stale)?;
        let bound = shared.engine.borrow_mut().bind(address.into(), false);
        let descriptor = bound.map_err(Reason::of)?;
        Ok(Self::at(shared.post.insert(descriptor, None)))
    }

    /// Where it is, with its real port; none once it is closed.
    #[must_use]
    pub fn local_address(self) -> Option<SocketAddr> {
        let shared = current::shard()?;
        let descriptor = shared.post.descriptor(self.place)?;
        match shared.engine.borrow().local_address(descriptor) {
            Ok(Address::Internet(address)) => Some(address),
            _ => None,
        }
    }

    /// Asks for the next datagram. Those that come while nobody asks wait, up to
    /// [`Limits::datagrams_waiting_max`](crate::Limits::datagrams_waiting_max) of them, and then in the
    /// system's buffer, which drops what it has no room for. So many tasks may wait as well. One that a
    /// dropped task was given is lost.
    ///
    /// A socket that a server was given ([`Server::datagrams`]) gives none: they are its handler's.
    pub fn receive_from(self) -> Task<ReceiveFrom> {
        self.ask(PostAsk::Receive)
    }

    /// Sends a datagram, behind those that wait for room. The task ends when the system has taken it,
    /// and gives its bytes back: whether it arrives nobody knows. Dropping the task withdraws it while it
    /// waits; say [`detach`](Task::detach) to send it without waiting.
    ///
    /// One that is too long (65,507 bytes over IPv4) or leads nowhere fails with [`Reason::System`], and
    /// the socket goes on. While as many wait as may
    /// ([`Limits::datagrams_waiting_max`](crate::Limits::datagrams_waiting_max)) it fails with
    /// [`Reason::Limit`].
    pub fn send_to(self, bytes: impl Into<Bytes>, to: impl Into<SocketAddr>) -> Task<SendTo> {
        self.ask(PostAsk::Send(bytes.into(), to.into()))
    }

    /// Closes the socket; what waits on it fails with [`Reason::Closed`].
    pub fn close(self) -> Task<Close> {
        self.ask(PostAsk::Close)
    }

    fn ask<O: crate::Operation>(self, ask: PostAsk) -> Task<O> {
        Task::ask(Peer::nobody(), Ask::Post(self.place, Box::new(ask)))
    }
}

impl fmt::Debug for DatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramSocket").finish_non_exhaustive()
    }
}

/// What is done with the datagrams of an address.
pub(crate) struct DatagramService {
    pub(crate) address: SocketAddr,
    pub(crate) handler: DatagramHandler,
}

type DatagramHandler = Arc<dyn Fn(DatagramSocket, Datagram) + Send + Sync>;

impl Server {
    /// Calls `handler` with each datagram that comes to a UDP address: on each shard, which has a socket
    /// of its own there; the system deals by where datagrams come from (SO_REUSEPORT). Several addresses
    /// may have a handler each; where they are, with the real ports,
    /// [`Running::datagram_addresses`](crate::Running::datagram_addresses) tells. A panic is counted, and
    /// the socket goes on. What waits in the system when a shard stops is lost.
    ///
    /// # Errors
    /// The address names nothing, or no UDP address.
    ///
    /// ```
    /// use springtide::Server;
    ///
    /// # fn main() -> Result<(), springtide::Error> {
    /// let server = Server::new().datagrams("127.0.0.1:0", |socket, datagram| {
    ///     if !datagram.is_cut() {
    ///         socket.send_to(datagram.bytes, datagram.from).detach();
    ///     }
    /// })?;
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let client = world.correspondent(([10, 0, 0, 1], 0));
    /// # client.send_to(b"high tide", world.datagram_addresses()[0]);
    /// # world.settle();
    /// # assert_eq!(client.receive_from().expect("an echo").bytes, b"high tide");
    /// # Ok(())
    /// # }
    /// ```
    pub fn datagrams(
        mut self,
        address: &str,
        handler: impl Fn(DatagramSocket, Datagram) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let wrong = || {
            let reason = "datagrams have no Unix sockets here".to_owned();
            Error::Address { address: address.to_owned(), reason }
        };
        let handler: DatagramHandler = Arc::new(handler);
        for resolved in addresses(address)? {
            let Address::Internet(address) = resolved else { return Err(wrong()) };
            let handler = Arc::clone(&handler);
            self.routes.datagrams.push(DatagramService { address, handler });
        }
        Ok(self)
    }
}

const _: () = assert!(DATAGRAM_BYTES_MAX == 65_535, "the limit says so");
