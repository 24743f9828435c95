//! Connections that stop speaking HTTP behind a reply, as the application holds them (RFC 9110 §7.8).
//! Nothing here touches a connection: what is read and written waits in pipes of bounded length.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{StatusCode, header};

use super::stream::produce;
use super::{Extras, Failure, Pipe, Response};
use crate::executor::Answering;
use crate::request::{Arriving, Request};
use crate::websocket::{Handler, Options};

/// A connection behind its `101 Switching Protocols`: bytes in, bytes out; see [`Request::upgrade`].
/// It stays on its shard. Reading and writing may be waited for at the same time, each once.
///
/// When the client has gone, the future that has it is dropped where it waits. When that future ends,
/// what was written is sent and the connection is closed behind that; what the client still sends then
/// is thrown away.
pub struct Upgraded {
    arriving: Arriving,
    pipe: Rc<Pipe>,
}

impl Upgraded {
    pub(crate) const fn new(arriving: Arriving, pipe: Rc<Pipe>) -> Self {
        Self { arriving, pipe }
    }

    /// The next bytes, at least one: those first that came right behind the request. None when the
    /// client has ended its side, and when the server has begun to stop; what is written is still sent.
    ///
    /// No more is received ahead of it than
    /// [`Limits::inbox_bytes_max`](crate::Limits::inbox_bytes_max).
    pub async fn read(&self) -> Option<Bytes> {
        poll_fn(|context| self.arriving.poll_next(context)).await.ok().flatten()
    }

    /// Sends bytes. While 256 KiB wait to be sent it waits before that, so that a slow client holds
    /// nothing up but this. Empty ones are nothing.
    pub async fn write(&self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        poll_fn(|context| self.pipe.poll_credit(context)).await;
        self.pipe.put(bytes).expect("only a body of declared length can be too long");
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").finish_non_exhaustive()
    }
}

/// What a connection is for behind its 101. Clones share it, and only one of them can be sent.
#[derive(Clone)]
pub(crate) struct Upgrade(Arc<Mutex<Option<Successor>>>);

/// Makes the future that has the connection, on its shard.
pub(crate) type Make = Box<dyn FnOnce(Upgraded) -> Answering + Send>;

impl Upgrade {
    fn new<F>(session: F) -> Self
    where
        F: AsyncFnOnce(Upgraded) -> Result<(), Failure> + Send + 'static,
    {
        let make: Make = Box::new(|upgraded| {
            let pipe = Rc::clone(&upgraded.pipe);
            Box::pin(produce(pipe, async move { session(upgraded).await }))
        });
        Self::of(Successor::Future(make))
    }

    fn of(successor: Successor) -> Self {
        Self(Arc::new(Mutex::new(Some(successor))))
    }

    /// Takes out what comes next; none when a clone of the response has it.
    pub(crate) fn take(&self) -> Option<Successor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What has a connection next. Dropping it drops what it captured.
pub(crate) enum Successor {
    /// Makes its future; no code of the application runs before that is polled.
    Future(Make),
    Socket(Opening),
}

/// What a WebSocket begins with.
pub(crate) struct Opening {
    pub(crate) handler: Handler,
    pub(crate) options: Options,
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").finish_non_exhaustive()
    }
}

impl Response {
    /// Whether it can be sent: what is interim is no reply, but where the connection goes on behind it.
    #[inline]
    pub(crate) fn is_reply(&self) -> bool {
        !self.status.is_informational() || self.upgrade().is_some()
    }

    /// The answer to a handshake behind which the connection is a WebSocket.
    pub(crate) fn to_socket(handler: Handler, options: Options) -> Self {
        Self::upgrading(Upgrade::of(Successor::Socket(Opening { handler, options })))
    }

    fn upgrading(upgrade: Upgrade) -> Self {
        let extras = Extras { upgrade: Some(upgrade), ..Extras::default() };
        let mut response = Self::empty(StatusCode::SWITCHING_PROTOCOLS);
        response.extras = Some(Box::new(extras));
        response
    }

    /// What its connection is for behind it, where it is a 101.
    pub(crate) fn upgrade(&self) -> Option<&Upgrade> {
        let upgrade = self.extras.as_ref().and_then(|extras| extras.upgrade.as_ref());
        upgrade.filter(|_| self.status == StatusCode::SWITCHING_PROTOCOLS)
    }
}

impl Request {
    /// Whether the client offers to speak this protocol from the reply on (`Upgrade` with
    /// `Connection: upgrade`, RFC 9110 §7.8), in any case. Clients of HTTP/1.0 cannot.
    ///
    /// ```
    /// use springtide::Request;
    /// fn page(request: Request) -> &'static str {
    ///     if request.offers("websocket") { "this page has no socket" } else { "a page" }
    /// }
    /// ```
    #[must_use]
    pub fn offers(&self, protocol: &str) -> bool {
        let fields = self.headers().filter(|(name, _)| name.eq_ignore_ascii_case("upgrade"));
        let mut offered = fields.flat_map(|(_, value)| value.split(|byte| *byte == b','));
        self.has_offer()
            && offered.any(|own| own.trim_ascii().eq_ignore_ascii_case(protocol.as_bytes()))
    }

    /// Answers `101 Switching Protocols` and hands the connection to `session`, an async closure that
    /// reads and writes what the protocol wants, until it returns: that ends the connection. A client
    /// that did not offer the protocol is answered `426 Upgrade Required`, and nothing of `session`
    /// runs. Fields that the protocol wants in the reply are added as to any other response.
    ///
    /// `session` begins when every reply before the 101 has gone out, with the bytes that came
    /// behind the request as the first it reads; while a request that offers an upgrade is not
    /// answered, nothing behind it is read as anything. A body of the request comes before: a handler
    /// that takes it piece by piece takes all of it, or gets a 500 in place of the 101.
    ///
    /// A `session` that fails or panics resets the connection; the reason stands on standard error. A
    /// client that goes drops it where it waits, and so does one that neither sends nor is sent
    /// anything for as long as an idle connection may last. The connection does not move between
    /// shards. When its shard is frozen, or patience is over with a server that stops, it is cut.
    ///
    /// ```
    /// use springtide::{Request, Server};
    ///
    /// let server = Server::new().get("/tide", |request: Request| {
    ///     request.upgrade("tide/2", async |upgraded| {
    ///         while let Some(bytes) = upgraded.read().await {
    ///             upgraded.write(bytes).await;
    ///         }
    ///         Ok(())
    ///     })
    /// });
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let offer = b"GET /tide HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: tide/2\r\n\r\nhigh";
    /// # let _ = peer.write(offer);
    /// # world.settle();
    /// # let mut received = Vec::new();
    /// # peer.read(usize::MAX, &mut received);
    /// # assert!(received.starts_with(b"HTTP/1.1 101 "));
    /// # assert!(received.ends_with(b"\r\n\r\nhigh"));
    /// ```
    ///
    /// # Panics
    /// When `protocol` has bytes that no field may have: the request is then answered with a 500.
    pub fn upgrade<F>(&self, protocol: &str, session: F) -> Response
    where
        F: AsyncFnOnce(Upgraded) -> Result<(), Failure> + Send + 'static,
    {
        if !self.offers(protocol) {
            let required = Response::said(StatusCode::UPGRADE_REQUIRED, None);
            return required.header(header::UPGRADE, protocol);
        }
        Response::upgrading(Upgrade::new(session)).header(header::UPGRADE, protocol)
    }
}
