//! Clients: connections to others, as any thread holds them.
//! What is asked is done by the shard that has the connection.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use springtide_engine::Address;

use super::{Connector, FramedClient};
use crate::framed::{Codec, Limits};
use crate::peer::{Link, PeerId, PeerStatus, Pieces, RemotePeer};
use crate::task::{Close, Elsewhere, Outgoing, Pull, Task};

/// A connection to somebody else, for any thread.
///
/// What is asked through it starts at once and gives a [`Task`], to be waited for in any thread but
/// those of shards, awaited in any executor, or called back from on the connection's shard. Clones are
/// the same connection. It is closed, behind what was written, when the last of them is dropped and no
/// task of theirs is left. It does not connect again by itself.
///
/// In async handlers and callbacks of a server it is a connection of their shard; everywhere else it is
/// one of a shard in the background, which the first use starts and which ends with the last handle.
/// The process may end before: what must be sent is waited for.
///
/// ```
/// use std::time::Duration;
/// use springtide::{Client, Wait};
/// # use springtide::{Address, Peer, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::new().raw_async(async |peer: Peer| {
/// #     while let Some(bytes) = peer.pull().await? {
/// #         peer.push(bytes).await?;
/// #     }
/// #     Ok(())
/// # });
/// # let running = server.workers(1).listen("127.0.0.1:0")?.start()?;
/// # let address = running.addresses()[0].clone();
/// let client = Client::connect(address).wait()?;
/// let read = client.read_exact(9);
/// client.write("high tide").wait()?;
/// match read.wait_for(Duration::from_secs(5)) {
///     Ok(bytes) => assert_eq!(bytes.as_deref(), Some(&b"high tide"[..])),
///     Err(Wait::Pending) => read.cancel(),
///     Err(Wait::Failed(reason)) => return Err(reason.into()),
/// }
/// # running.drain();
/// # Ok(running.join()?)
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    link: Arc<Link>,
    peer: RemotePeer,
}

impl Client {
    pub(crate) fn of(link: Arc<Link>) -> Self {
        Self { peer: RemotePeer::by(Arc::clone(&link)), link }
    }

    /// What all handles of it share.
    pub(super) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// Makes a connection: to `127.0.0.1:7000`, `[::1]:7000`, or `name:7000`, all of whose addresses are
    /// tried; to `unix:` and a path, or an abstract name behind `unix:@`. [`connector`](Self::connector)
    /// says more of how.
    pub fn connect(address: impl ToString) -> Task<Outgoing, Elsewhere> {
        Self::connector().address(address).connect()
    }

    /// Makes a connection to a Unix socket by its path, or with `@` in front by its abstract name.
    ///
    /// ```
    /// use springtide::{Client, Reason};
    ///
    /// let nobody = Client::unix("@springtide-nobody").wait();
    /// assert_eq!(nobody.err(), Some(Reason::Refused));
    /// ```
    pub fn unix(path: impl AsRef<Path>) -> Task<Outgoing, Elsewhere> {
        Self::connector().at(Address::unix(path)).connect()
    }

    /// What makes connections: to several addresses, within a time of one's own.
    pub fn connector() -> Connector {
        Connector::default()
    }

    /// Its name for ever, which is nobody else's on its server or in the background.
    #[must_use]
    pub const fn id(&self) -> PeerId {
        self.peer.id()
    }

    /// How its connection stood a moment ago.
    #[must_use]
    pub fn status(&self) -> PeerStatus {
        self.peer.status()
    }

    /// Asks for the next bytes, at least one and as many as have come; none at the end of the stream.
    /// See [`Peer::pull`](crate::Peer::pull).
    pub fn read(&self) -> Task<Pull, Elsewhere> {
        self.peer.pull()
    }

    /// Asks for so many bytes, which come together; see [`Peer::pull_exact`](crate::Peer::pull_exact).
    pub fn read_exact(&self, count: usize) -> Task<Pull, Elsewhere> {
        self.peer.pull_exact(count)
    }

    /// Asks for everything up to and with a delimiter, at most `bytes_max` bytes of it all; see
    /// [`Peer::pull_until`](crate::Peer::pull_until).
    pub fn read_until(
        &self,
        delimiter: impl Into<Bytes>,
        bytes_max: usize,
    ) -> Task<Pull, Elsewhere> {
        self.peer.pull_until(delimiter, bytes_max)
    }

    /// Sends bytes behind everything that was written before, and gives them back when the system has
    /// taken them. Dropping the task withdraws what is not being sent yet; see
    /// [`Peer::push`](crate::Peer::push).
    pub fn write<P: Pieces>(&self, bytes: P) -> Task<P::Operation, Elsewhere> {
        self.peer.push(bytes)
    }

    /// Speaks frames from here on: each [`call`](FramedClient::call) is one, and so is its reply. What
    /// came before and was not read is the first of it. Whoever still reads from a clone takes bytes of
    /// replies away, which nobody finds again.
    ///
    /// ```
    /// use springtide::{Client, Framed, Reason};
    /// # use springtide::{Address, Bytes, Reply, Server};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::new().framed(Framed::lines(), |line: Bytes, reply: Reply| reply.send(line));
    /// # let running = server.workers(1).listen("127.0.0.1:0")?.start()?;
    /// # let address = running.addresses()[0].clone();
    /// let client = Client::connect(address).wait()?.framed(Framed::lines());
    /// let calls = ["low", "high"].map(|tide| client.call(tide));
    /// for (call, tide) in calls.into_iter().zip(["low", "high"]) {
    ///     assert_eq!(call.wait()?, tide);
    /// }
    /// # drop(client);
    /// # running.drain();
    /// # Ok(running.join()?)
    /// # }
    /// ```
    pub fn framed(self, codec: impl Codec + Send + Sync + 'static) -> FramedClient {
        self.framed_within(codec, Limits::default())
    }

    /// The same with limits of one's own: `in_flight_max` calls and `in_flight_bytes_max` bytes of theirs
    /// may wait for their replies at a time; a further call fails at once. The times among them are a
    /// server's.
    pub fn framed_within(
        self,
        codec: impl Codec + Send + Sync + 'static,
        limits: Limits,
    ) -> FramedClient {
        FramedClient::begin(self, Box::new(codec), limits)
    }

    /// Closes the connection when everything written before has been sent.
    pub fn close(&self) -> Task<Close, Elsewhere> {
        self.peer.close()
    }

    /// Ends the stream to the peer when everything written before has been sent (shutdown(2)). What the
    /// peer sends still comes.
    pub fn shutdown_write(&self) -> Task<Close, Elsewhere> {
        self.peer.shutdown_write()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.id())
    }
}
