//! What a WebSocket asks of its clients, and what becomes of messages that they do not take.
//! It only collects; the handshake and the session do what it says.

use std::fmt;
use std::sync::Arc;

use super::{Handler, WebSocket};

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
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) overflow: Overflow,
    pub(crate) message_bytes_max: Option<u64>,
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
        Self {
            handler: Arc::new(handler),
            origins: Origins::Same,
            protocols: Arc::new([]),
            options: Options::default(),
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
