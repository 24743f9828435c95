//! WebSockets for other threads: what is said goes in through the hatch of the connection's shard.
//! Nothing is done here: the shard does it, in a turn.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use springtide_proto::websocket::CloseFrame;

use super::desk::Said;
use super::message::Message;
use super::normal;
use crate::current;
use crate::peer::{Link, Peer, PeerId, PeerStatus, Reason};
use crate::task::Saying;

/// A WebSocket, as any thread holds it; see [`Socket::remote`](super::Socket::remote). Clones are the
/// same connection.
///
/// What is said leaves in the order in which it was said here, as soon as the shard turns.
///
/// ```
/// use std::sync::mpsc;
/// use springtide::{Message, RemoteSocket, Server, Socket, WebSocket};
///
/// struct Arrivals(mpsc::Sender<RemoteSocket>);
///
/// impl WebSocket for Arrivals {
///     fn opened(&self, socket: Socket) {
///         let _ = self.0.send(socket.remote());
///     }
///
///     fn message(&self, _: Socket, _: Message) {}
/// }
///
/// let (sender, arrivals) = mpsc::channel();
/// let server = Server::new().websocket("/", Arrivals(sender));
/// std::thread::spawn(move || {
///     for socket in arrivals {
///         if let Err(reason) = socket.send("high tide") {
///             eprintln!("{reason}");
///         }
///     }
/// });
/// ```
#[derive(Clone)]
pub struct RemoteSocket {
    id: PeerId,
    /// None where no shard ran when it was made.
    link: Option<Arc<Link>>,
}

impl RemoteSocket {
    pub(super) fn of(peer: Peer) -> Self {
        let shared = current::shard();
        let link = shared.map(|shared| shared.tasks.places.link(peer, &shared.hatch));
        Self { id: peer.id(), link }
    }

    /// Its name for ever, which is nobody else's.
    #[must_use]
    pub const fn id(&self) -> PeerId {
        self.id
    }

    /// Whether it could be spoken to a moment ago.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.status() == PeerStatus::Open)
    }

    /// As [`Socket::send`](super::Socket::send).
    ///
    /// # Errors
    /// [`Reason::Stale`] when the connection is gone; [`Reason::Limit`] when so much was said to
    /// connections of its shard that that has not looked at yet as
    /// [`Limits::remote_tasks_max`](crate::Limits::remote_tasks_max) says.
    pub fn send(&self, message: impl Into<Message>) -> Result<(), Reason> {
        self.say(Said::Message(message.into()))
    }

    /// As [`Socket::ping`](super::Socket::ping).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn ping(&self, payload: impl Into<Bytes>) -> Result<(), Reason> {
        self.say(Said::Ping(payload.into()))
    }

    /// As [`Socket::close`](super::Socket::close).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn close(&self) -> Result<(), Reason> {
        self.close_with(normal())
    }

    /// As [`Socket::close_with`](super::Socket::close_with).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn close_with(&self, close: CloseFrame) -> Result<(), Reason> {
        self.say(Said::Close(close))
    }

    fn say(&self, said: Said) -> Result<(), Reason> {
        let link = self.link.as_ref().filter(|link| link.status() != PeerStatus::Closed);
        link.map_or(Err(Reason::Stale), |link| Saying::hand_in(link, said))
    }
}

impl fmt::Debug for RemoteSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteSocket({})", self.id)
    }
}

const _: () = {
    const fn goes_anywhere<T: Send + Sync>() {}
    goes_anywhere::<RemoteSocket>();
};
