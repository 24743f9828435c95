//! A client of HTTP for handlers: requests to other servers over the shard's own engine.
//! It starts no thread but to resolve names, and its connections never leave their shard.

mod body;
mod connect;
mod desk;
mod error;
mod exchange;
mod forward;
mod limits;
mod line;
mod redirect;
mod request;
mod resolve;
mod response;
mod url;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use http::{HeaderMap, Method};
use springtide_proto::http1;

pub(crate) use desk::Desk;
pub use error::ClientError;
pub use limits::ClientLimits;
pub(crate) use line::{Answer, Call, Line};
pub use request::ClientRequest;
pub use response::{ClientBody, ClientResponse};
use url::Url;

/// Asks other servers by HTTP/1.1, from async handlers, on the shard of the handler.
///
/// Connections are kept for the next request to the same host and port, on each shard for itself;
/// clones share them. A connection takes one request at a time. A request that goes over a kept
/// connection and finds it closed before a byte of an answer is sent once more over a fresh one, if its
/// method is idempotent and its body is in memory (RFC 9110 §9.2.2). Only `http://` is spoken.
///
/// When a shard is frozen (io_uring is refused while it runs), futures of handlers are dropped, and
/// requests of theirs with them.
///
/// ```
/// use springtide::{ClientError, HttpClient, Request, Response, Server};
/// # use springtide::test::World;
///
/// let client = HttpClient::new();
/// let server = Server::new()
///     .get("/depth", || "7 fathoms")
///     .get("/report", async move |_: Request| -> Result<String, ClientError> {
///         let depth = client.get("http://127.0.0.1:8080/depth").send().await?.text().await?;
///         Ok(format!("the depth is {depth}"))
///     });
/// # let mut world = World::new(1);
/// # world.serve(server.listen("127.0.0.1:8080").expect("an address"));
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET /report HTTP/1.1\r\nHost: a\r\n\r\n");
/// # world.settle();
/// # assert_eq!(peer.reply().unwrap().body(), b"the depth is 7 fathoms");
/// ```
#[derive(Clone)]
pub struct HttpClient {
    settings: Arc<Settings>,
}

/// What all clones of a client share.
pub(crate) struct Settings {
    limits: ClientLimits,
    machine: http1::Limits,
    /// Names that are being resolved.
    resolving: AtomicUsize,
}

impl Settings {
    fn new(limits: ClientLimits) -> Arc<Self> {
        let machine = limits.of_machine();
        Arc::new(Self { limits, machine, resolving: AtomicUsize::new(0) })
    }

    /// What the machine of each connection holds.
    pub(crate) const fn machine(&self) -> &http1::Limits {
        &self.machine
    }

    /// Bytes of a body that wait for whoever takes it.
    pub(crate) const fn inbox_bytes_max(&self) -> usize {
        self.limits.inbox_bytes_max
    }
}

impl HttpClient {
    /// A client with the limits that are on by default.
    #[must_use]
    pub fn new() -> Self {
        Self { settings: Settings::new(ClientLimits::default()) }
    }

    /// A client with these limits, and connections of its own.
    #[must_use]
    pub fn limits(self, limits: ClientLimits) -> Self {
        Self { settings: Settings::new(limits) }
    }

    /// `GET` of a URL: `http://host:port/path?query`. What is wrong with it is told by
    /// [`send`](ClientRequest::send).
    pub fn get(&self, url: &str) -> ClientRequest {
        self.request(Method::GET, url)
    }

    /// `HEAD` of a URL.
    pub fn head(&self, url: &str) -> ClientRequest {
        self.request(Method::HEAD, url)
    }

    /// `POST` to a URL.
    pub fn post(&self, url: &str) -> ClientRequest {
        self.request(Method::POST, url)
    }

    /// `PUT` to a URL.
    pub fn put(&self, url: &str) -> ClientRequest {
        self.request(Method::PUT, url)
    }

    /// `DELETE` of a URL.
    pub fn delete(&self, url: &str) -> ClientRequest {
        self.request(Method::DELETE, url)
    }

    /// A request by any method but `CONNECT`.
    pub fn request(&self, method: Method, url: &str) -> ClientRequest {
        ClientRequest::new(Arc::clone(&self.settings), method, Url::parse(url), HeaderMap::new())
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("limits", &self.settings.limits).finish()
    }
}
