//! WebSockets: what handles their messages, what is asked of a handshake, and what leads to them.
//! Nothing here touches a connection: what is said to a socket is done by its session.

mod close;
mod coders;
mod desk;
mod handler;
mod handshake;
mod message;
mod messages;
mod options;
mod parts;
mod remote;
mod socket;
mod writer;

pub use close::{CloseReason, ClosedBy};
pub(crate) use coders::{Compressing, Dedicated};
pub(crate) use desk::{Desk, Said};
pub(crate) use handler::{Handler, Make};
pub use message::{Message, Text};
pub(crate) use messages::Inlet;
pub use messages::Messages;
pub(crate) use options::Options;
pub use options::{Compression, Overflow, WebSockets};
pub use parts::{MessagePart, MessageParts};
pub use remote::RemoteSocket;
pub use socket::Socket;
pub use springtide_proto::websocket::{CloseFrame, CloseFrameError, Limits, code};
pub use writer::MessageWriter;
pub(crate) use writer::{Awaits, Piece};

/// What an application does with the messages of a WebSocket. Each callback runs on the connection's
/// shard, in a turn, one at a time for a connection; one that panics ends its own connection with 1011.
///
/// A function `Fn(Socket, Message)` is one as well, where messages are all that matters.
///
/// ```
/// use springtide::{CloseReason, Message, Server, Socket, WebSocket};
///
/// struct Chat;
///
/// impl WebSocket for Chat {
///     fn opened(&self, socket: Socket) {
///         socket.send("high tide at noon");
///     }
///
///     fn message(&self, socket: Socket, message: Message) {
///         match message.as_text() {
///             Some("bye") => socket.close(),
///             _ => socket.send(message),
///         }
///     }
///
///     fn closed(&self, _: Socket, reason: CloseReason) {
///         println!("it ended with {}", reason.code());
///     }
/// }
///
/// let server = Server::new().websocket("/chat", Chat);
/// ```
pub trait WebSocket: Send + Sync + 'static {
    /// A connection has been upgraded. Nothing of it was told before.
    fn opened(&self, socket: Socket) {
        let _ = socket;
    }

    /// A whole message has come.
    fn message(&self, socket: Socket, message: Message);

    /// A pong has come, to a ping of the application's own or of the server's.
    fn pong(&self, socket: Socket, payload: bytes::Bytes) {
        let _ = (socket, payload);
    }

    /// The connection has ended, for whatever reason: exactly once, and nothing is told behind it.
    fn closed(&self, socket: Socket, reason: CloseReason) {
        let _ = (socket, reason);
    }
}

impl<F: Fn(Socket, Message) + Send + Sync + 'static> WebSocket for F {
    fn message(&self, socket: Socket, message: Message) {
        self(socket, message);
    }
}

/// A close that says that all is well.
pub(crate) fn normal() -> CloseFrame {
    CloseFrame::new(code::NORMAL, "").expect("a code that may be sent, and no reason")
}
