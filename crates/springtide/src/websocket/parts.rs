//! Messages that come in parts, for handlers that need not have the whole of them.
//! Nothing is kept of a message but the parts that nobody has taken.

use std::fmt;
use std::sync::Arc;

use super::close::CloseReason;
use super::handler::Handler;
use super::message::Message;
use super::messages::Messages;
use super::options::WebSockets;
use super::socket::Socket;
use crate::response::Failure;

/// A part of a message. Text is never cut within a character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePart {
    /// What has come of it; the last part may be empty.
    pub piece: Message,
    /// Whether the message ends with it.
    pub is_last: bool,
}

/// What comes from the peer, in parts, as an async handler takes it; see [`WebSockets::in_parts`]. It
/// stays on its shard, and holds its peer up as [`Messages`] does.
pub struct MessageParts {
    messages: Messages,
}

impl MessageParts {
    /// Waits for the next part of a message; none when either side has closed.
    ///
    /// # Errors
    /// How the connection was lost. Behind a part that was not the last one nothing more comes of its
    /// message then.
    pub async fn next(&mut self) -> Result<Option<MessagePart>, CloseReason> {
        self.messages.next_part().await
    }

    /// How the connection has ended, once it has.
    #[must_use]
    pub fn reason(&self) -> Option<CloseReason> {
        self.messages.reason()
    }
}

impl fmt::Debug for MessageParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageParts").finish_non_exhaustive()
    }
}

impl WebSockets {
    /// A handler with a future for each connection, which is given messages in parts: as soon as so many
    /// bytes of one have come, and what is left at its end. Shorter ones come whole. While parts wait,
    /// nothing more is received, so that a message of any length takes no more memory than a few of them.
    ///
    /// How long a message may be says [`message_bytes_max`](Self::message_bytes_max) all the same; it may
    /// have any number of fragments. Messages are not compressed in either direction.
    ///
    /// ```
    /// use springtide::{MessageParts, Server, Socket, WebSockets};
    ///
    /// let sockets = WebSockets::in_parts(16 * 1024, async |socket: Socket, mut parts: MessageParts| {
    ///     let mut bytes = 0;
    ///     while let Some(part) = parts.next().await? {
    ///         bytes += part.piece.len();
    ///         if part.is_last {
    ///             socket.send(format!("{bytes} bytes"));
    ///             bytes = 0;
    ///         }
    ///     }
    ///     Ok(())
    /// });
    /// let server = Server::new().websocket("/upload", sockets.message_bytes_max(1 << 30));
    /// ```
    pub fn in_parts<F>(bytes_min: u32, handler: F) -> Self
    where
        F: AsyncFn(Socket, MessageParts) -> Result<(), Failure> + Send + Sync + 'static,
    {
        let handler = Arc::new(handler);
        let handler = Handler::awaited(move |socket, messages| {
            let own = Arc::clone(&handler);
            async move { own(socket, MessageParts { messages }).await }
        });
        Self::of(handler).given_in_parts(bytes_min)
    }
}
