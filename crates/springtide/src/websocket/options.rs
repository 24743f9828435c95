//! What a WebSocket asks of its clients, and what becomes of messages that they do not take.
//! It only collects; the handshake and the session do what it says.

use std::fmt;
use std::sync::Arc;

use super::{Handler, Messages, Socket, WebSocket};
use crate::response::Failure;

/// What becomes of messages when so many bytes of them wait for a peer as
/// [`Limits::socket_queue_bytes_max`](crate::Limits::socket_queue_bytes_max) says. What was dropped is
/// counted; pings, pongs and closes never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The connection closes with 1013 behind what waits: its peer never misses one in between.
    #[default]
    Close,
    /// The message is dropped that did not fit.
    DropNewest,
    /// Those are dropped that have waited longest.
    DropOldest,
    /// All are dropped but the newest: for states, of which only the last one matters.
    KeepLatest,
}

/// By what the messages of a route are compressed for clients that take it (`permessage-deflate`,
/// RFC 7692). Compressed messages of clients are taken in either case, inflated to no more than a message
/// may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// By one compressor for all connections of a shard: each message is compressed by itself.
    Shared,
    /// By a compressor for each connection, which refers to what it has sent before: messages that are
    /// like each other become much smaller. Each takes 300 KiB, from the first message on that it
    /// compresses; where [`Limits::socket_compress_bytes_max`](crate::Limits::socket_compress_bytes_max)
    /// is reached, messages are sent as they are.
    Dedicated,
}

/// Messages shorter than this are sent as they are: they gain nothing to speak of.
const COMPRESS_BYTES_MIN: usize = 128;

/// A handler of WebSockets with what it asks of its clients. A handler alone asks that pages are of the
/// same origin as the server.
///
/// ```
/// use springtide::{Message, Overflow, Server, Socket, WebSockets};
///
/// let prices = WebSockets::new(|socket: Socket, message: Message| socket.send(message))
///     .origins(["https://tide.example"])
///     .protocols(["prices.2", "prices.1"])
///     .overflow(Overflow::KeepLatest);
/// let server = Server::new().websocket("/prices", prices);
/// ```
#[derive(Clone)]
pub struct WebSockets {
    pub(super) handler: Handler,
    pub(super) origins: Origins,
    pub(super) protocols: Arc<[String]>,
    pub(super) options: Options,
}

/// What a connection keeps of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) overflow: Overflow,
    pub(crate) message_bytes_max: Option<u64>,
    pub(crate) compression: Option<Compression>,
    pub(crate) compress_bytes_min: usize,
    /// Messages are given in parts of so many bytes at least.
    pub(crate) part_bytes_min: Option<u32>,
}

/// Of which origins pages may be (RFC 6454). Clients that are no browsers have none.
#[derive(Debug, Clone)]
pub(super) enum Origins {
    /// That of the server itself.
    Same,
    Any,
    These(Arc<[String]>),
}

impl WebSockets {
    /// A handler: one value for all connections that it is given.
    pub fn new(handler: impl WebSocket) -> Self {
        Self::of(Handler::Called(Arc::new(handler)))
    }

    /// A handler with a future for each connection; see
    /// [`Server::websocket_async`](crate::Server::websocket_async). Given to
    /// [`Request::websocket`](crate::Request::websocket), it may have captured what that has read.
    ///
    /// ```
    /// use springtide::{IntoResponse, Messages, Request, Server, Socket, StatusCode, WebSockets};
    ///
    /// let server = Server::new().get("/rooms/{room}", async |request: Request| {
    ///     let Some(name) = request.query_value("name").map(|name| name.into_owned()) else {
    ///         return StatusCode::FORBIDDEN.into_response();
    ///     };
    ///     request.websocket(WebSockets::new_async(async move |socket: Socket, mut messages: Messages| {
    ///         while let Some(message) = messages.next().await? {
    ///             socket.send(format!("{name}: {} bytes", message.len()));
    ///         }
    ///         Ok(())
    ///     }))
    /// });
    /// ```
    pub fn new_async<F>(handler: F) -> Self
    where
        F: AsyncFn(Socket, Messages) -> Result<(), Failure> + Send + Sync + 'static,
    {
        Self::of(Handler::awaited(handler))
    }

    pub(super) const fn given_in_parts(mut self, bytes_min: u32) -> Self {
        self.options.part_bytes_min = Some(bytes_min);
        self
    }

    pub(super) fn of(handler: Handler) -> Self {
        Self {
            handler,
            origins: Origins::Same,
            protocols: Arc::new([]),
            options: Options {
                overflow: Overflow::default(),
                message_bytes_max: None,
                compression: None,
                compress_bytes_min: COMPRESS_BYTES_MIN,
                part_bytes_min: None,
            },
        }
    }

    /// Takes pages of these origins only, each as browsers send it: `https://tide.example`, with a
    /// port where it is not the usual one. Any other is answered 403. Clients without an `Origin` are
    /// no browsers, and are taken.
    #[must_use]
    pub fn origins<I>(mut self, origins: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.origins = Origins::These(origins.into_iter().map(Into::into).collect());
        self
    }

    /// Takes pages of any origin: for what a page of anybody may do in the name of its user.
    #[must_use]
    pub fn any_origin(mut self) -> Self {
        self.origins = Origins::Any;
        self
    }

    /// The subprotocols that are spoken, the best first. The first of them that a client offers is
    /// agreed on; a client that offers others only gets a connection without one (RFC 6455 §4.2.2).
    #[must_use]
    pub fn protocols<I>(mut self, protocols: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// What becomes of messages that do not fit into the queue.
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.options.overflow = overflow;
        self
    }

    /// The longest message that is taken here, in place of
    /// [`socket_message_bytes_max`](crate::WebSocketLimits::socket_message_bytes_max).
    #[must_use]
    pub const fn message_bytes_max(mut self, bytes: u64) -> Self {
        self.options.message_bytes_max = Some(bytes);
        self
    }

    /// Compresses messages for clients that take it. Nothing is compressed otherwise.
    #[must_use]
    pub const fn compress(mut self, compression: Compression) -> Self {
        self.options.compression = Some(compression);
        self
    }

    /// The shortest message that is compressed; 128 bytes where nothing is said.
    #[must_use]
    pub const fn compress_bytes_min(mut self, bytes: usize) -> Self {
        self.options.compress_bytes_min = bytes;
        self
    }
}

impl<W: WebSocket> From<W> for WebSockets {
    fn from(handler: W) -> Self {
        Self::new(handler)
    }
}

impl fmt::Debug for WebSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSockets")
            .field("origins", &self.origins)
            .field("protocols", &self.protocols)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
