//! One message, sent in pieces as they are made.
//! It touches no connection: its session sends the pieces as fragments, with nothing but control frames
//! between them.

use std::fmt;

use bytes::Bytes;
use springtide_proto::websocket::Kind;

use super::desk::Said;
use super::message::Message;
use super::socket::Socket;
use crate::current;
use crate::peer::Reason;
use crate::task::{Ask, Close, Task};

/// A message that is sent in pieces; see [`Socket::stream`]. It stays on its shard.
///
/// Dropped before [`finish`](Self::finish), it has cut its message: the connection closes with 1011, so
/// that its peer never takes a part for the whole.
pub struct MessageWriter {
    socket: Socket,
    /// Its name on the shard.
    id: u64,
    /// What its first piece was.
    kind: Option<Kind>,
    /// Its first piece was sent.
    has_begun: bool,
    is_finished: bool,
}

/// A piece of a message, on its way to the session.
pub(crate) struct Piece {
    pub(crate) stream: u64,
    pub(crate) kind: Kind,
    pub(crate) payload: Bytes,
    pub(crate) is_last: bool,
}

/// What is waited for at a WebSocket.
pub(crate) enum Awaits {
    /// That less waits for its peer, in all.
    Room,
    /// The same of what is to be sent next only.
    Credit,
    /// That nothing waits, and no other message is sent in pieces: then this one begins.
    Turn(Piece),
}

impl MessageWriter {
    fn of(socket: Socket) -> Self {
        let id = current::shard().map_or(0, |shared| shared.sockets.name_stream());
        Self { socket, id, kind: None, has_begun: false, is_finished: false }
    }

    /// Sends a piece, as a fragment. The first decides what the message is: text, which has pieces of text
    /// only, or bytes. It waits until the messages said before have gone ahead, and then, as any other,
    /// until less than 256 KiB wait to be sent.
    ///
    /// One that is cancelled while it waits for that has sent its piece, unless it is the first and its
    /// turn has not come: then nothing was sent, and there is no message any more.
    ///
    /// # Errors
    /// The connection has ended, or is about to. [`Reason::Failed`]: bytes were to be a piece of text.
    /// [`Reason::Cancelled`]: the first write failed, or was cancelled before its turn came.
    pub async fn write(&mut self, piece: impl Into<Message>) -> Result<(), Reason> {
        let (kind, payload) = piece.into().into_parts();
        if self.kind == Some(Kind::Text) && kind == Kind::Binary {
            return Err(Reason::Failed);
        }
        self.send(kind, payload, false).await?;
        self.credit().await
    }

    /// Waits until more may be sent.
    async fn credit(&self) -> Result<(), Reason> {
        Task::<Close>::ask(self.socket.peer(), Ask::Await(Awaits::Credit)).await
    }

    /// Ends the message; one without a piece has no bytes. It is sent then, not yet taken by the peer.
    ///
    /// # Errors
    /// As of [`write`](Self::write).
    pub async fn finish(mut self) -> Result<(), Reason> {
        if self.has_begun {
            // What is said to a connection that has ended is lost, and nobody told.
            self.credit().await?;
        }
        self.send(Kind::Binary, Bytes::new(), true).await?;
        self.is_finished = true;
        Ok(())
    }

    async fn send(&mut self, kind: Kind, payload: Bytes, is_last: bool) -> Result<(), Reason> {
        let is_first = self.kind.is_none();
        if !is_first && !self.has_begun {
            return Err(Reason::Cancelled);
        }
        let kind = *self.kind.get_or_insert(kind);
        let piece = Piece { stream: self.id, kind, payload, is_last };
        if is_first {
            Task::<Close>::ask(self.socket.peer(), Ask::Await(Awaits::Turn(piece))).await?;
            self.has_begun = true;
            return Ok(());
        }
        self.socket.say(Said::Piece(piece));
        Ok(())
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if !self.is_finished && self.kind.is_some() {
            self.socket.say(Said::Cut(self.id));
        }
    }
}

impl fmt::Debug for MessageWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageWriter({})", self.socket.id())
    }
}

impl Socket {
    /// Sends one message in pieces as they are made, so that nobody has to hold the whole of it. What else
    /// is said to the connection meanwhile waits until it is finished; pings, pongs and closes that
    /// answer the peer's do not.
    ///
    /// ```
    /// use springtide::{Messages, Server, Socket};
    ///
    /// let server = Server::new().websocket_async("/tides", async |socket: Socket, _: Messages| {
    ///     let mut table = socket.stream();
    ///     for day in 1..=365 {
    ///         table.write(format!("day {day}: high at noon\n")).await?;
    ///     }
    ///     table.finish().await?;
    ///     Ok(())
    /// });
    /// ```
    #[must_use]
    pub fn stream(self) -> MessageWriter {
        MessageWriter::of(self)
    }
}
