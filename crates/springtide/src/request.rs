//! Requests as handlers see them: views of the bytes they arrived in.
//! Nothing is copied or decoded before it is asked for, and nothing refers to the connection.

mod body;
mod convert;
mod extract;
mod freeze;
mod multipart;
mod origin;
mod shared;
mod target;

pub(crate) use body::{Arriving, Pipe};
pub use body::{Body, BodyError};
pub(crate) use freeze::FrozenRequest;
pub use multipart::{Multipart, Part};
pub(crate) use origin::Names;
pub(crate) use shared::Shared;
use target::{decode_query, split_target};

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use springtide_engine::{Address, Chunk, Descriptor};
use springtide_proto::http1::{BodyLength, Head};

use crate::executor::{Alarm, Closed};
use crate::problem::Form;
use crate::response::{IntoResponse, Response};
use crate::route::Routes;
use crate::state::{ShardStates, States};

/// One request. It belongs to its shard, or to the thread of the pool that handles it (`!Send`).
///
/// ```
/// use springtide::{Request, Server};
/// let server = Server::new().get("/tides/{harbour}", |request: Request| {
///     let day = request.query_value("day").unwrap_or_else(|| "today".into());
///     format!("{} {day}", request.param("harbour"))
/// });
/// ```
pub struct Request {
    data: Option<Box<RequestData>>,
}

/// Where the bytes of a head lie.
pub(crate) enum HeadBytes {
    None,
    /// In the chunk they arrived in, from an offset on.
    Chunk(Chunk, usize),
    /// Copied: the head was cut by a chunk's border, or its body took longer than the chunk.
    Copied,
}

/// A request's parts, used again for the next one.
pub(crate) struct RequestData {
    pub(crate) head: Head,
    bytes: HeadBytes,
    copied: Vec<u8>,
    /// The route's parameters in the path, in the order of its pattern.
    pub(crate) params: Vec<Range<u32>>,
    /// Which route; it knows the names of the parameters.
    pub(crate) route: usize,
    pub(crate) body: Bytes,
    /// The body of a request whose handler takes it while it arrives.
    pub(crate) arriving: Option<Arriving>,
    /// What stood behind a chunked body; of another request, where the body is not chunked.
    pub(crate) trailers: Option<Box<HeaderMap>>,
    pub(crate) socket: Option<Descriptor>,
    /// How long the path in the target is, once it was looked for; 0 until then.
    path_len: Cell<u32>,
    /// What names this request, once it has been asked for.
    number: Cell<u64>,
    /// The name that it was given on another shard; of another request, unless the number says so.
    carried_name: String,
    home: Home,
}

/// Where a request is handled.
enum Home {
    Shard(Rc<Shared>),
    /// On a shard as well, by a future that this alarm wakes, and that may outlive its connection.
    Awaited(Rc<Shared>, Arc<Alarm>, Ends),
    /// A thread of the pool, which asks no shard for anything.
    Pool {
        router: Arc<Routes>,
        ends: Ends,
        name: String,
    },
}

/// The other end of a connection, and whom a proxy there has named: kept where the descriptor may be
/// another connection's by the time that somebody asks.
pub(crate) type Ends = [Option<Address>; 2];

impl RequestData {
    fn new(home: Home) -> Self {
        Self {
            head: Head::new(),
            bytes: HeadBytes::None,
            copied: Vec::new(),
            params: Vec::new(),
            route: 0,
            body: Bytes::new(),
            arriving: None,
            trailers: None,
            socket: None,
            path_len: Cell::new(0),
            number: Cell::new(0),
            carried_name: String::new(),
            home,
        }
    }

    /// The parts of a request that is handled by the pool.
    pub(crate) fn on_pool(
        frozen: FrozenRequest,
        body: Bytes,
        router: Arc<Routes>,
        ends: Ends,
        name: String,
    ) -> Self {
        let mut own = Self::new(Home::Pool { router, ends, name });
        own.put_frozen(frozen);
        own.body = body;
        own
    }

    /// The request is a future's from now on. Its head is copied: the chunk belongs to the ring, and
    /// nobody knows how long this takes.
    pub(crate) fn await_with(&mut self, shared: &Rc<Shared>, alarm: Arc<Alarm>) {
        self.detach();
        self.home = Home::Awaited(Rc::clone(shared), alarm, self.ends());
    }

    /// Both as they are now.
    pub(crate) fn ends(&self) -> Ends {
        [self.peer_address(), self.peer()]
    }

    fn router(&self) -> &Routes {
        match &self.home {
            Home::Shard(shared) | Home::Awaited(shared, ..) => &shared.router,
            Home::Pool { router, .. } => router,
        }
    }

    /// The address of the other end: while the connection is there, or as it was then.
    pub(crate) fn peer_address(&self) -> Option<Address> {
        match &self.home {
            Home::Shard(shared) => {
                self.socket.and_then(|socket| shared.engine.borrow().peer_address(socket).ok())
            }
            Home::Awaited(_, _, [peer, _]) | Home::Pool { ends: [peer, _], .. } => peer.clone(),
        }
    }

    /// Says where the head's bytes lie: `message` are the same bytes.
    #[inline]
    pub(crate) fn place(&mut self, bytes: HeadBytes, message: &[u8]) {
        if matches!(bytes, HeadBytes::Copied) {
            self.copied.clear();
            self.copied.extend_from_slice(&message[..self.head.len]);
        }
        self.bytes = bytes;
        self.params.clear();
        self.path_len.set(0);
        self.number.set(0);
    }

    #[inline]
    pub(crate) fn message(&self) -> &[u8] {
        match &self.bytes {
            HeadBytes::None => &[],
            HeadBytes::Chunk(chunk, offset) => &chunk.as_slice()[*offset..],
            HeadBytes::Copied => &self.copied,
        }
    }

    /// The target's bytes; they are UTF-8, as the machine refuses any other target.
    #[inline]
    pub(crate) fn target(&self) -> &[u8] {
        self.head.target.of(self.message())
    }

    pub(crate) fn path_bytes(&self) -> &[u8] {
        let target = self.target();
        let known = self.path_len.get() as usize;
        if known > 0 && target.first() == Some(&b'/') {
            return &target[..known];
        }
        let path = split_target(target).0;
        self.path_len.set(span_number(path.len()));
        path
    }

    pub(crate) fn path(&self) -> &str {
        std::str::from_utf8(self.path_bytes()).unwrap_or_default()
    }

    fn query(&self) -> Option<&str> {
        split_target(self.target()).1.map(|query| std::str::from_utf8(query).unwrap_or_default())
    }

    /// A parameter of the route, as it was sent.
    #[inline]
    pub(crate) fn param(&self, position: usize) -> Option<&str> {
        let range = self.params.get(position)?;
        self.path().get(range.start as usize..range.end as usize)
    }

    /// The values of all fields of a name, in order.
    pub(crate) fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let message = self.message();
        let named = self.head.fields().iter();
        let named =
            named.filter(move |field| field.name.of(message).eq_ignore_ascii_case(name.as_bytes()));
        named.map(move |field| field.value.of(message))
    }

    /// How an error is to be said.
    pub(crate) fn form(&self) -> Form {
        Form::of(self.fields("accept"))
    }

    /// The value of the field of a name, when there is one and only one.
    pub(crate) fn only_field<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        let mut values = self.fields(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    #[inline]
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        self.head.field(self.message(), name)
    }
}

pub(crate) fn span_number(offset: usize) -> u32 {
    u32::try_from(offset).expect("a head is far shorter than 4 GiB")
}

impl Request {
    #[inline]
    pub(crate) fn new(data: Box<RequestData>) -> Self {
        Self { data: Some(data) }
    }

    /// Its parts, which are its own no more.
    pub(crate) fn into_data(mut self) -> Box<RequestData> {
        self.data.take().expect("taken by drop only")
    }

    #[inline]
    fn data(&self) -> &RequestData {
        self.data.as_ref().expect("taken by drop only")
    }

    pub(crate) fn error_form(&self) -> Form {
        self.data().form()
    }

    /// Whether it offers to speak another protocol.
    pub(crate) fn has_offer(&self) -> bool {
        self.data().head.upgrade
    }

    pub(crate) fn states(&self) -> &States {
        &self.data().router().states
    }

    /// Those of its shard, if it is on one.
    /// What requests of its shard share; none on the pool.
    pub(crate) fn shared(&self) -> Option<&Rc<Shared>> {
        match &self.data().home {
            Home::Shard(shared) | Home::Awaited(shared, ..) => Some(shared),
            Home::Pool { .. } => None,
        }
    }

    pub(crate) fn shard_states(&self) -> Option<&ShardStates> {
        self.shared().map(|shared| &shared.states)
    }

    /// The method (RFC 9110 §9).
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.data().head.method
    }

    /// The path as it was sent, percent-encoded, without the query. An empty path is `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        match self.data().path() {
            "" => "/",
            path => path,
        }
    }

    /// A parameter of the route, percent-decoded; bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Panics
    /// When the route has no parameter of that name: the request is then answered with a 500.
    #[must_use]
    pub fn param(&self, name: &str) -> Cow<'_, str> {
        let data = self.data();
        let position = data.router().param_names(data.route).iter().position(|own| own == name);
        let value = position.and_then(|position| data.param(position));
        let Some(value) = value else { panic!("the route has no parameter {name:?}") };
        percent_encoding::percent_decode_str(value).decode_utf8_lossy()
    }

    /// The query as it was sent, without the question mark.
    #[must_use]
    pub fn query_string(&self) -> Option<&str> {
        self.data().query()
    }

    /// The first value of a name in the query, decoded: `+` is a blank, `%41` is `A`.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// All names and values of the query, decoded, in order.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let pairs = self.query_string().unwrap_or_default().split('&');
        pairs.filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_query(name), decode_query(value))
        })
    }

    /// The first field of that name, regardless of case, when it is visible ASCII or UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.data().field(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All fields in the order they came.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let data = self.data();
        let message = data.message();
        data.head.fields().iter().map(move |field| {
            let name = std::str::from_utf8(field.name.of(message)).unwrap_or_default();
            (name, field.value.of(message))
        })
    }

    /// The address of the other end of the connection (getpeername(2)), unless that was gone when the
    /// handler began.
    #[must_use]
    pub fn peer_address(&self) -> Option<Address> {
        self.data().peer_address()
    }

    /// A future that ends when the client has gone: the connection was reset, could not be sent to,
    /// or was closed from here. It can be kept beside the request, and also on other threads.
    ///
    /// A client that only ends its side of the stream is not gone: it may wait for its reply (RFC
    /// 9112 §9.6). One that closes the whole connection while nothing is sent to it, or vanishes,
    /// looks the same to any server, until its system is asked whether it is there: after a minute, or
    /// what [`Limits::keepalive_ms`](crate::Limits::keepalive_ms) says. What is not to wait for that
    /// sets itself a time with [`sleep`](crate::sleep()).
    ///
    /// An async handler that suspends itself is dropped when its client has gone; one that waits
    /// for this has one more poll, to finish what it would not leave behind. Handlers of other shapes
    /// wait for nothing, and there it never ends.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::Poll;
    /// use springtide::{Request, Server};
    ///
    /// let server = Server::new().get("/tide", async |request: Request| {
    ///     let (mut closed, mut tide) = (pin!(request.closed()), pin!(std::future::pending::<()>()));
    ///     std::future::poll_fn(|context| match closed.as_mut().poll(context) {
    ///         Poll::Ready(()) => Poll::Ready("gone"),
    ///         Poll::Pending => tide.as_mut().poll(context).map(|()| "high water"),
    ///     })
    ///     .await
    /// });
    /// ```
    pub fn closed(&self) -> Closed {
        Closed::new(match &self.data().home {
            Home::Awaited(_, alarm, _) => Some(Arc::clone(alarm)),
            Home::Shard(_) | Home::Pool { .. } => None,
        })
    }

    /// The whole body.
    ///
    /// # Panics
    /// On a route made with [`streamed`](crate::streamed), whose handler waits for
    /// [`body`](Self::body): the request is then answered with a 500.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        let data = self.data();
        assert!(
            data.arriving.is_none(),
            "the body of a streamed route is waited for: `body().await`"
        );
        &data.body
    }

    /// The whole body, in an async handler of any kind: on a route made with
    /// [`streamed`](crate::streamed) it waits until the body has come, elsewhere it has.
    ///
    /// # Errors
    /// The body does not come whole; see [`BodyError`].
    pub async fn body(&self) -> Result<Bytes, BodyError> {
        match &self.data().arriving {
            Some(arriving) => arriving.whole().await,
            None => Ok(self.data().body.clone()),
        }
    }

    /// Takes the body out of the request, to have it piece by piece; see [`Body`]. The request goes on
    /// with an empty one.
    pub fn take_body(&mut self) -> Body {
        let trailers = self.trailers();
        let data = self.data.as_mut().expect("taken by drop only");
        match data.arriving.take() {
            Some(arriving) => Body::arriving(arriving),
            None => Body::whole(std::mem::take(&mut data.body), trailers),
        }
    }

    /// The fields behind a chunked body (RFC 9110 §6.5), when the body has come: none before. Those that
    /// belong in a head are left out.
    #[must_use]
    pub fn trailers(&self) -> HeaderMap {
        let data = self.data();
        match (&data.arriving, &data.trailers) {
            (Some(arriving), _) => arriving.trailers(),
            (None, Some(trailers)) if data.head.body == BodyLength::Chunked => (**trailers).clone(),
            _ => HeaderMap::new(),
        }
    }

    /// The whole body as text.
    ///
    /// # Errors
    /// A body that is not UTF-8: a response with status 400, to be returned as it is.
    pub fn text(&self) -> Result<&str, Response> {
        std::str::from_utf8(self.bytes())
            .map_err(|_| (StatusCode::BAD_REQUEST, "the body is not UTF-8 text").into_response())
    }
}

impl Drop for Request {
    /// The parts are used again; the chunk goes home.
    #[inline]
    fn drop(&mut self) {
        let Some(data) = self.data.take() else { return };
        if std::thread::panicking() {
            data.panicked();
        }
        if let Home::Shard(shared) = &data.home {
            let shared = Rc::clone(shared);
            shared.put(data);
        } else {
            put_elsewhere(data);
        }
    }
}

/// The parts of a request that was not answered at once.
#[inline(never)]
fn put_elsewhere(mut data: Box<RequestData>) {
    if let Home::Awaited(shared, ..) = &data.home {
        let shared = Rc::clone(shared);
        data.arriving = None;
        data.home = Home::Shard(Rc::clone(&shared));
        shared.put(data);
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", self.method())
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
