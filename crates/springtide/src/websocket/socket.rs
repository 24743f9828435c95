//! A WebSocket as the code of its shard holds it.
//! A handle leads nowhere by itself: what is said through it is done by its shard, in a turn.

use std::fmt;

use bytes::Bytes;
use springtide_proto::websocket::CloseFrame;

use super::desk::Said;
use super::message::Message;
use super::normal;
use super::remote::RemoteSocket;
use super::writer::Awaits;
use crate::current;
use crate::peer::{Peer, PeerId, PeerStatus, Reason};
use crate::task::{Ask, Close, Task};

/// A WebSocket, as the code that runs on its shard holds it: a small handle to be copied and kept.
///
/// What is said through it leaves at the end of the turn, in order. What is said to a connection that
/// is gone goes nowhere, as does what is said where no shard runs.
///
/// It stays on its shard, and has no raw bytes: those would break the frames.
///
/// ```compile_fail
/// fn break_frames(socket: springtide::Socket) {
///     socket.push("raw");
/// }
/// ```
///
/// ```compile_fail
/// fn is_send<T: Send>() {}
/// is_send::<springtide::Socket>();
/// ```
#[derive(Clone, Copy)]
pub struct Socket {
    peer: Peer,
}

impl Socket {
    pub(crate) const fn new(peer: Peer) -> Self {
        Self { peer }
    }

    pub(crate) const fn peer(self) -> Peer {
        self.peer
    }

    /// Its name for ever, which is nobody else's and may go to any thread.
    #[must_use]
    pub const fn id(self) -> PeerId {
        self.peer.id()
    }

    /// Whether it can be spoken to.
    #[must_use]
    pub fn is_open(self) -> bool {
        self.peer.status() == PeerStatus::Open
    }

    /// The same connection for other threads.
    #[must_use]
    pub fn remote(self) -> RemoteSocket {
        RemoteSocket::of(self.peer)
    }

    /// Sends a message: text where it is a string, bytes otherwise. Where its peer is too far behind,
    /// the queue is full and its policy decides; see [`Overflow`](super::Overflow).
    #[inline]
    pub fn send(self, message: impl Into<Message>) {
        self.say(Said::Message(message.into()));
    }

    /// Waits until its peer has taken so much of what was said to it that less than 256 KiB wait, or half
    /// of [`socket_queue_bytes_max`](crate::Limits::socket_queue_bytes_max) where that is less. Who
    /// waits so behind each message never fills the queue.
    ///
    /// # Errors
    /// The connection has ended, or is about to.
    ///
    /// ```
    /// use springtide::{Messages, Server, Socket};
    ///
    /// let server = Server::new().websocket_async("/numbers", async |socket: Socket, _: Messages| {
    ///     for number in 0..1_000_000 {
    ///         socket.send(number.to_string());
    ///         socket.ready().await?;
    ///     }
    ///     Ok(())
    /// });
    /// ```
    pub async fn ready(self) -> Result<(), Reason> {
        Task::<Close>::ask(self.peer, Ask::Await(Awaits::Room)).await
    }

    /// Sends a ping of at most 125 bytes; a longer one is not sent, nor one to a peer for which more
    /// than `outbox_bytes_max` waits. The handler is told of the pong.
    ///
    /// The server pings silent peers by itself.
    pub fn ping(self, payload: impl Into<Bytes>) {
        self.say(Said::Ping(payload.into()));
    }

    /// Closes normally (code 1000) behind what was sent before.
    pub fn close(self) {
        self.close_with(normal());
    }

    /// Closes with a code and a reason, behind what was sent before. Messages that come from then on
    /// are thrown away.
    ///
    /// ```
    /// use springtide::{CloseFrame, Message, Socket};
    ///
    /// fn message(socket: Socket, message: Message) {
    ///     if let Ok(close) = CloseFrame::new(4000, "nothing is understood here") {
    ///         socket.close_with(close);
    ///     }
    /// }
    /// # let _ = springtide::Server::new().websocket("/", message);
    /// ```
    pub fn close_with(self, close: CloseFrame) {
        self.say(Said::Close(close));
    }

    #[inline]
    pub(super) fn say(self, said: Said) {
        if let Some(shared) = current::shard() {
            shared.sockets.say(self.peer, said, &shared);
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.id())
    }
}
