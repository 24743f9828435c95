//! The events of a server: one trait that is told of everything which happens to its connections.
//! It is told beside whoever else listens, and decides nothing about a connection.

mod told;

pub(crate) use told::{Happened, Told};

use std::fmt;

use bytes::Bytes;
use http::StatusCode;

use crate::current;
use crate::peer::{Peer, PeerId, Reason};
use crate::request::Request;
use crate::response::{IntoResponse, Response};
use crate::server::Server;
use crate::task::{FileRead, Fired, Task};
use crate::websocket::{CloseReason, Message, Socket};

/// Is told of everything that happens to the connections which a server accepts; see
/// [`Server::events`]. One value serves all shards: a callback runs on the shard of its connection, in
/// a turn, one at a time there, and each does nothing by itself.
///
/// Of a connection [`accepted`](Self::accepted) is told first, when its protocol is known, and one of
/// [`raw_closed`](Self::raw_closed), [`http_closed`](Self::http_closed) and
/// [`websocket_closed`](Self::websocket_closed) last, each exactly once, also when it moves to another
/// shard in between. Nobody is told of one that ends before its protocol is known, nor of one that was
/// made from here.
/// Of each connection the rest is told in the order in which it happened, at the end of its turn; only
/// [`request`](Self::request), which answers, is called as soon as a request is there. A callback that
/// panics ends its own connection, with [`Reason::Panicked`]; a request is answered 500.
///
/// ```
/// use springtide::events::Events;
/// use springtide::{Bytes, Peer, Reason, Server, events};
///
/// /// Says back what comes, without asking for it.
/// struct Echo;
///
/// impl Events for Echo {
///     fn raw_read(&self, peer: Peer, bytes: Bytes) {
///         peer.push(bytes).detach();
///     }
///
///     fn raw_closed(&self, peer: Peer, reason: Reason) {
///         println!("{}: {reason}", peer.id());
///     }
/// }
///
/// let server = Server::new().raw(events::pull).events(Echo);
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"high tide");
/// # world.settle();
/// # let mut received = Vec::new();
/// # peer.read(usize::MAX, &mut received);
/// # assert_eq!(received, b"high tide");
/// ```
pub trait Events: Send + Sync + 'static {
    /// It is known what is spoken on a connection that was accepted. Of one that becomes a WebSocket this
    /// is told while it is one of HTTP. What is asked of a peer of another protocol than
    /// [`Protocol::Raw`] fails.
    fn accepted(&self, peer: Peer, protocol: Protocol) {
        let _ = (peer, protocol);
    }

    /// Bytes of a raw connection were given to a [`pull`](Peer::pull), whoever began it; [`pull`] begins
    /// one after the other. What a dropped task has given back is told again with what comes next.
    fn raw_read(&self, peer: Peer, bytes: Bytes) {
        let _ = (peer, bytes);
    }

    /// A read of a file has ended that was begun for the events
    /// ([`tell_events`](Task::<FileRead>::tell_events)), with the name that it was given there.
    fn file_read(&self, name: u64, bytes: Bytes) {
        let _ = (name, bytes);
    }

    /// A whole request has come that no route and no fallback answers, on a server that has any; where it
    /// has none, [`answer`] is one. The reply is 404 by itself.
    fn request(&self, request: Request) -> Response {
        drop(request);
        StatusCode::NOT_FOUND.into_response()
    }

    /// A whole message has come to a WebSocket, behind its own handler. Not of one that takes messages in
    /// parts.
    fn message(&self, socket: Socket, message: Message) {
        let _ = (socket, message);
    }

    /// A wait for an event has ended that was begun for the events
    /// ([`tell_events`](Task::<Fired>::tell_events)): with its name, and what was added.
    fn event_fired(&self, name: u64, count: u64) {
        let _ = (name, count);
    }

    /// The system has taken so many bytes of what was pushed to a raw connection, or of replies to frames.
    fn raw_written(&self, peer: Peer, bytes: usize) {
        let _ = (peer, bytes);
    }

    /// The same of replies to requests, and of what is sent behind another upgrade than a WebSocket's.
    fn http_written(&self, id: PeerId, bytes: usize) {
        let _ = (id, bytes);
    }

    /// The same of frames to a WebSocket, and of the reply to its handshake.
    fn websocket_written(&self, socket: Socket, bytes: usize) {
        let _ = (socket, bytes);
    }

    /// A raw connection has ended, or one of frames.
    fn raw_closed(&self, peer: Peer, reason: Reason) {
        let _ = (peer, reason);
    }

    /// A connection of HTTP has ended, or one behind another upgrade than a WebSocket's.
    fn http_closed(&self, id: PeerId, reason: Reason) {
        let _ = (id, reason);
    }

    /// A WebSocket has ended; its own handler was told before.
    fn websocket_closed(&self, socket: Socket, reason: CloseReason) {
        let _ = (socket, reason);
    }

    /// An operation has failed. Where that ends a connection, its end is told behind it.
    fn failed(&self, failed: Failed) {
        let _ = failed;
    }
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Requests and replies, and whatever is agreed on behind them.
    Http,
    /// The application's own bytes ([`Server::raw`]).
    Raw,
    /// Frames ([`Server::framed`]).
    Framed,
}

/// What was asked of the system, or of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// To accept connections (accept4(2)): it goes on in a while.
    Accept,
    /// To make a connection (connect(2)) to one of its addresses; the next is tried.
    Connect,
    /// To receive (recv(2)).
    Receive,
    /// To send (sendmsg(2)).
    Send,
    /// To close a connection that has ended (close(2)): it is closed all the same.
    Close,
    /// A read of a file that was begun for the events.
    FileRead,
    /// A wait for an event that was begun for the events.
    EventWait,
}

/// An operation that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed {
    /// Which one.
    pub operation: Operation,
    /// Why.
    pub reason: Reason,
    /// What the system said, if it was the system (errno(3)).
    pub errno: Option<i32>,
    /// The connection that it was for, if that was told of.
    pub peer: Option<PeerId>,
    /// The name that it was given, if it was begun for the events.
    pub name: Option<u64>,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.operation {
            Operation::Accept => "accept",
            Operation::Connect => "connect",
            Operation::Receive => "receive",
            Operation::Send => "send",
            Operation::Close => "close",
            Operation::FileRead => "read of a file",
            Operation::EventWait => "wait for an event",
        };
        write!(f, "{name}: {}", self.reason)
    }
}

/// Pulls all that comes on a raw connection, for the events only: `Server::new().raw(events::pull)`.
pub fn pull(peer: Peer) {
    peer.pull().then(|peer, _| pull(peer));
}

/// Answers a request by [`Events::request`], as a fallback or on a route:
/// `Server::new().fallback(events::answer)`. Without events, and on the pool, it says 404.
///
/// ```
/// use springtide::events::Events;
/// use springtide::{IntoResponse, Request, Response, Server, events};
///
/// struct Paths;
///
/// impl Events for Paths {
///     fn request(&self, request: Request) -> Response {
///         format!("nobody knows {}", request.path()).into_response()
///     }
/// }
///
/// let server = Server::new().fallback(events::answer).events(Paths);
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET /ebb HTTP/1.1\r\nHost: a\r\n\r\n");
/// # world.settle();
/// # assert_eq!(peer.reply().unwrap().body(), b"nobody knows /ebb");
/// ```
#[must_use]
pub fn answer(request: Request) -> Response {
    let shared = request.shared().cloned();
    let events = shared.as_ref().and_then(|shared| shared.events.listener());
    match (&shared, events) {
        (Some(shared), Some(events)) => {
            let current = current::enter(shared);
            let response = events.request(request);
            drop(current);
            response
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Server {
    /// Has everything that happens to the server's connections told to one value, beside whatever else
    /// listens. It changes nothing of what the server speaks, but that requests which no route answers
    /// come to [`Events::request`]. Raw connections come by [`raw`](Self::raw), where [`pull`] asks for
    /// all that comes; on a server that has nothing else this carries everything:
    ///
    /// ```
    /// use springtide::events::{self, Events};
    /// use springtide::{Message, Server, Socket};
    ///
    /// struct Everything;
    /// impl Events for Everything {}
    ///
    /// let server = Server::new()
    ///     .raw(events::pull)
    ///     .fallback(events::answer)
    ///     .websocket("/live", |_: Socket, _: Message| {})
    ///     .events(Everything);
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"GET /ebb HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # world.settle();
    /// # assert_eq!(peer.reply().unwrap().status(), 404);
    /// ```
    #[must_use]
    pub fn events(mut self, events: impl Events) -> Self {
        self.routes.events = Some(std::sync::Arc::new(events));
        self
    }
}

impl Task<FileRead> {
    /// Tells the server's events what was read, by a name of choice: [`Events::file_read`], or
    /// [`Events::failed`].
    ///
    /// ```
    /// use springtide::events::Events;
    /// use springtide::{Bytes, Peer, Server, fs};
    ///
    /// struct Tides;
    ///
    /// impl Events for Tides {
    ///     fn file_read(&self, name: u64, bytes: Bytes) {
    ///         println!("{name} has {} bytes", bytes.len());
    ///     }
    /// }
    ///
    /// let server = Server::new()
    ///     .raw(|peer: Peer| fs::read("/tides").tell_events(peer.id().number()))
    ///     .events(Tides);
    /// ```
    pub fn tell_events(self, name: u64) {
        self.then_result(move |_, read| match read {
            Ok(bytes) => told::call(|events| events.file_read(name, bytes)),
            Err(reason) => told::fail(Operation::FileRead, reason, name),
        });
    }
}

impl Task<Fired> {
    /// Tells the server's events what was added, by a name of choice: [`Events::event_fired`], or
    /// [`Events::failed`]. Nobody is told of one that is closed.
    ///
    /// ```
    /// use springtide::event::Event;
    /// use springtide::events::Events;
    /// use springtide::{Peer, Server};
    ///
    /// struct Alarms;
    ///
    /// impl Events for Alarms {
    ///     fn event_fired(&self, name: u64, count: u64) {
    ///         println!("{name} has fired {count} times");
    ///     }
    /// }
    ///
    /// let flood = Event::open();
    /// let server = Server::new()
    ///     .raw(move |_: Peer| flood.wait().tell_events(1))
    ///     .events(Alarms);
    /// ```
    pub fn tell_events(self, name: u64) {
        self.then_result(move |_, fired| match fired {
            Ok(Some(count)) => told::call(|events| events.event_fired(name, count)),
            Ok(None) => {}
            Err(reason) => told::fail(Operation::EventWait, reason, name),
        });
    }
}
