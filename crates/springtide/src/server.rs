//! Servers: what is to be served, where and how; started, counted and stopped.
//! It sets shards up and takes no part in any request.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;

use http::Method;
use springtide_engine::{Address, Choice, Mechanism};

use crate::access::AccessLog;
use crate::error::Error;
use crate::files::Files;
use crate::handler::Handler;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::route::{RouteError, Router};
use crate::running::{self, Running};
use crate::session::Session;
use crate::transport::Stage;

/// A server, to be configured and then started.
///
/// ```no_run
/// use springtide::{Request, Server};
///
/// # fn main() -> Result<(), springtide::Error> {
/// Server::new()
///     .get("/", |_: Request| "Hello, World!")
///     .get("/users/{id}", |request: Request| format!("user {}", request.param("id")))
///     .files("/", "site")
///     .listen("127.0.0.1:8080")?
///     .run()
/// # }
/// ```
#[derive(Default)]
pub struct Server {
    pub(crate) router: Router,
    pub(crate) addresses: Vec<Address>,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) admin: Vec<Address>,
    pub(crate) access_log: Option<AccessLog>,
    /// The first route that could not be added; [`Server::listen`] reports it.
    route_error: Option<RouteError>,
}

/// How shards are made.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) mechanism: Option<Mechanism>,
    pub(crate) workers: Option<usize>,
    pub(crate) spin_us: u32,
    pub(crate) accepting: Accepting,
    pub(crate) limits: Limits,
    pub(crate) stage: Option<fn() -> Box<dyn Stage>>,
    pub(crate) session: Option<fn() -> Session>,
}

/// How connections come to shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accepting {
    /// Every shard has a listener of its own on the same port; the system deals (SO_REUSEPORT).
    /// Unix sockets do not have this: they are dealt as with [`Accepting::OneShard`].
    #[default]
    EveryShard,
    /// One shard accepts and gives each connection to the least loaded one.
    OneShard,
}

/// Which mechanism of the system the engine uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// The fastest that works here, found out by trying.
    #[default]
    Auto,
    /// io_uring, or nothing.
    Uring,
    /// epoll, or nothing.
    Epoll,
    /// poll(2), where epoll is not to be had: what it costs grows with the connections.
    Poll,
}

impl Engine {
    /// Tries whether it works here, as a server does when it starts.
    ///
    /// # Errors
    /// It does not: the error names the cause and the cure.
    ///
    /// ```
    /// if let Err(error) = springtide::Engine::Uring.probe() {
    ///     println!("io_uring does not work: {error}");
    /// }
    /// ```
    pub fn probe(self) -> Result<(), springtide_engine::Error> {
        Choice::probe(self.mechanism()).map(|_| ())
    }

    const fn mechanism(self) -> Option<Mechanism> {
        match self {
            Self::Auto => None,
            Self::Uring => Some(Mechanism::Uring),
            Self::Epoll => Some(Mechanism::Epoll),
            Self::Poll => Some(Mechanism::Poll),
        }
    }
}

impl std::str::FromStr for Engine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Auto),
            "uring" => Ok(Self::Uring),
            "epoll" => Ok(Self::Epoll),
            "poll" => Ok(Self::Poll),
            _ => Err(Error::UnknownEngine(text.to_owned())),
        }
    }
}

/// The microseconds that `latency` lets a shard spin before it sleeps.
const SPIN_US: u32 = 50;

impl Server {
    /// A server without routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers `GET` (and `HEAD`) on a path: `/users/{id}` has a parameter, `/docs/{*rest}` takes
    /// everything behind.
    #[must_use]
    pub fn get<Kind>(self, pattern: &str, handler: impl Handler<Kind>) -> Self {
        self.route(Method::GET, pattern, handler)
    }

    /// Answers `POST` on a path.
    #[must_use]
    pub fn post<Kind>(self, pattern: &str, handler: impl Handler<Kind>) -> Self {
        self.route(Method::POST, pattern, handler)
    }

    /// Answers `PUT` on a path.
    #[must_use]
    pub fn put<Kind>(self, pattern: &str, handler: impl Handler<Kind>) -> Self {
        self.route(Method::PUT, pattern, handler)
    }

    /// Answers `PATCH` on a path.
    #[must_use]
    pub fn patch<Kind>(self, pattern: &str, handler: impl Handler<Kind>) -> Self {
        self.route(Method::PATCH, pattern, handler)
    }

    /// Answers `DELETE` on a path.
    #[must_use]
    pub fn delete<Kind>(self, pattern: &str, handler: impl Handler<Kind>) -> Self {
        self.route(Method::DELETE, pattern, handler)
    }

    /// Answers any one method on a path.
    #[must_use]
    pub fn route<Kind>(
        mut self,
        method: Method,
        pattern: &str,
        handler: impl Handler<Kind>,
    ) -> Self {
        let added = self.router.add(Some(method), pattern, handler.into_any());
        self.remember(added);
        self
    }

    /// Answers every method on a path that has no handler of its own.
    #[must_use]
    pub fn any<Kind>(mut self, pattern: &str, handler: impl Handler<Kind>) -> Self {
        let added = self.router.add(None, pattern, handler.into_any());
        self.remember(added);
        self
    }

    /// Answers what no route matches.
    #[must_use]
    pub fn fallback<Kind>(mut self, handler: impl Handler<Kind>) -> Self {
        self.router.set_fallback(handler.into_any());
        self
    }

    /// Serves the files of a directory beneath a path, where no handler answers. A path is enough;
    /// [`Files`] says more.
    #[must_use]
    pub fn files(mut self, prefix: &str, files: impl Into<Files>) -> Self {
        let added = self.router.add_files(prefix, files.into());
        self.remember(added);
        self
    }

    /// Replaces the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Adds an address, as [`listen`](Self::listen) takes it, at which the server tells of itself:
    /// `/metrics` for Prometheus, `/healthz` (200, and 503 once it drains), `/connections` as JSON.
    /// It has a thread of its own and goes on until the last shard has ended. Whoever reaches it
    /// sees addresses of clients: do not put it on the open internet.
    ///
    /// # Errors
    /// The address names nothing.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), springtide::Error> {
    /// let server = springtide::Server::new().listen("0.0.0.0:8080")?.admin("127.0.0.1:9090")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn admin(mut self, address: &str) -> Result<Self, Error> {
        self.admin.extend(addresses(address)?);
        Ok(self)
    }

    /// Keeps an access log: a line for each request that was answered. There is none by default.
    #[must_use]
    pub fn access_log(mut self, log: AccessLog) -> Self {
        self.access_log = Some(log);
        self
    }

    /// How many shards, each a thread; by default one per processor that the process may use.
    #[must_use]
    pub const fn workers(mut self, count: usize) -> Self {
        self.settings.workers = Some(count);
        self
    }

    /// Which mechanism of the system to use; by default the fastest that works.
    #[must_use]
    pub const fn engine(mut self, engine: Engine) -> Self {
        self.settings.mechanism = engine.mechanism();
        self
    }

    /// Spins up to 50 µs before sleeping while little time passes between requests: less latency
    /// for the processor's whole time (io_uring only).
    #[must_use]
    pub const fn latency(mut self, is_wanted: bool) -> Self {
        self.settings.spin_us = if is_wanted { SPIN_US } else { 0 };
        self
    }

    /// How connections come to shards.
    #[must_use]
    pub const fn accepting(mut self, accepting: Accepting) -> Self {
        self.settings.accepting = accepting;
        self
    }

    /// What the server counts; also for its own handlers.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Adds an address to listen on: `127.0.0.1:8080`, `[::]:8080` (IPv6 and IPv4 both),
    /// `localhost:0` (any free port) or `unix:/run/site.sock`.
    ///
    /// # Errors
    /// The address names nothing, or a route given before cannot be added.
    pub fn listen(mut self, address: &str) -> Result<Self, Error> {
        self.check()?;
        self.addresses.extend(addresses(address)?);
        Ok(self)
    }

    /// Starts the shards and gives them the addresses; the server runs until it is stopped.
    ///
    /// # Errors
    /// An address is busy or not ours, a directory is missing, the engine is refused.
    pub fn start(mut self) -> Result<Running, Error> {
        self.check()?;
        if self.addresses.is_empty() {
            return Err(Error::NoAddress);
        }
        let choice = Choice::probe(self.settings.mechanism).map_err(Error::Engine)?;
        running::start(self, choice)
    }

    /// Starts, and waits until the server has ended.
    ///
    /// # Errors
    /// As [`Server::start`]; or a shard cannot go on.
    pub fn run(self) -> Result<(), Error> {
        self.start()?.join()
    }

    #[cfg(test)]
    pub(crate) fn stage(mut self, make: fn() -> Box<dyn Stage>) -> Self {
        self.settings.stage = Some(make);
        self
    }

    /// Sends back what it receives, instead of HTTP.
    #[cfg(test)]
    pub(crate) fn raw_echo(mut self) -> Self {
        self.settings.session = Some(|| Session::Raw(crate::session::raw::Raw::default()));
        self
    }

    /// Whether every route could be added.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        self.route_error.take().map_or(Ok(()), |error| Err(Error::Route(error)))
    }

    fn remember(&mut self, added: Result<(), RouteError>) {
        if let Err(error) = added {
            self.route_error.get_or_insert(error);
        }
    }

    pub(crate) fn take_router(&mut self) -> Arc<Router> {
        Arc::new(std::mem::take(&mut self.router))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// The addresses a text stands for.
fn addresses(address: &str) -> Result<Vec<Address>, Error> {
    match address.strip_prefix("unix:") {
        Some(path) => Ok(vec![Address::Unix(Some(PathBuf::from(path)))]),
        None => Ok(resolve(address)?.map(Address::Internet).collect()),
    }
}

/// The socket addresses a text stands for; a host with several names the first of each family.
fn resolve(address: &str) -> Result<impl Iterator<Item = SocketAddr> + use<>, Error> {
    let wrong = |reason: String| Error::Address { address: address.to_owned(), reason };
    if let Ok(plain) = address.parse::<SocketAddr>() {
        return Ok(vec![plain].into_iter());
    }
    if !address.contains(':') {
        return Err(wrong("a port is missing: write HOST:PORT".to_owned()));
    }
    let all: Vec<SocketAddr> =
        address.to_socket_addrs().map_err(|error| wrong(error.to_string()))?.collect();
    let mut firsts: Vec<SocketAddr> = Vec::new();
    for candidate in all {
        if !firsts.iter().any(|first| first.is_ipv4() == candidate.is_ipv4()) {
            firsts.push(candidate);
        }
    }
    // With port 0 the two families would get two ports: one is enough.
    if firsts.iter().any(|first| first.port() == 0) {
        firsts.truncate(1);
    }
    if firsts.is_empty() {
        Err(wrong("it names no address".to_owned()))
    } else {
        Ok(firsts.into_iter())
    }
}
