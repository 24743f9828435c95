//! Servers: what is to be served, where and how; started, counted and stopped.
//! It sets shards up and takes no part in any request.

mod addresses;
mod mechanism;

pub(crate) use addresses::addresses;
pub use mechanism::Engine;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use springtide_engine::{Address, Choice, Mechanism, prepare_listener};

use crate::access::AccessLog;
use crate::error::Error;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::proxies::ProxyFields;
use crate::raw::RawService;
use crate::room::Room;
use crate::route::Routes;
use crate::router::{Router, verbs};
use crate::running::{self, Bound, Running};
use crate::session::Session;
use crate::topic::Topics;
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
    root: Router,
    hosts: Vec<(String, Router)>,
    /// The first trusted proxy that is none; [`Server::listen`] reports it.
    no_network: Option<String>,
    /// The first type of which two values were given.
    state_twice: Option<&'static str>,
    requires_proxy: bool,
    /// What is mounted already.
    pub(crate) routes: Routes,
    pub(crate) addresses: Vec<Address>,
    /// What listens already.
    pub(crate) sockets: Vec<Arc<OwnedFd>>,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) topics: Topics,
    pub(crate) admin: Vec<Address>,
    pub(crate) access_log: Option<AccessLog>,
}

/// How shards are made.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) mechanism: Option<Mechanism>,
    pub(crate) workers: Option<usize>,
    pub(crate) spin_us: u32,
    pub(crate) accepting: Accepting,
    pub(crate) limits: Limits,
    pub(crate) unix_mode: Option<u32>,
    pub(crate) compresses: bool,
    pub(crate) stage: Option<fn() -> Box<dyn Stage>>,
    pub(crate) session: Option<MakeSession>,
}

/// Makes the session that a connection begins with.
pub(crate) type MakeSession = fn(&Room) -> Session;

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

/// Whether connections begin with the header of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyProtocol {
    /// They begin with a request.
    #[default]
    Off,
    /// Each begins with a header, version 1 or 2.
    Required,
}

/// The microseconds that `latency` lets a shard spin before it sleeps.
const SPIN_US: u32 = 50;

impl Server {
    /// A server that serves nothing yet: one that is started so says it on standard error, and closes
    /// each connection at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    verbs!();

    /// Serves a router to requests for a host: `example.org`, or `*.example.org` for all hosts
    /// beneath it, of which the longest fits best. Hosts are compared regardless of case and without
    /// their port. Routes that the server has by itself are for all other hosts; where it has none,
    /// those are answered `421 Misdirected Request`.
    ///
    /// ```
    /// use springtide::{Router, Server};
    ///
    /// let server = Server::new()
    ///     .host("example.org", Router::new().get("/", || "the site"))
    ///     .host("*.example.org", Router::new().get("/", || "one of many"))
    ///     .get("/", || "any other host");
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"GET / HTTP/1.1\r\nHost: www.Example.org:80\r\n\r\n");
    /// # world.settle();
    /// # assert_eq!(peer.reply().unwrap().body(), b"one of many");
    /// ```
    #[must_use]
    pub fn host(mut self, host: &str, router: Router) -> Self {
        self.hosts.push((host.to_owned(), router));
        self
    }

    /// Keeps a value for handlers, which ask for it by its type ([`Request::state`]): one for all
    /// shards and for the pool. A second one of the same type is an error of `listen`.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use springtide::{Request, Server};
    ///
    /// struct Visits(AtomicU64);
    ///
    /// let server = Server::new().state(Visits(AtomicU64::new(0))).get("/", |request: Request| {
    ///     let before = request.state::<Visits>().0.fetch_add(1, Ordering::Relaxed);
    ///     format!("{before} were here before")
    /// });
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # world.settle();
    /// # assert_eq!(peer.reply().unwrap().body(), b"0 were here before");
    /// ```
    ///
    /// [`Request::state`]: crate::Request::state
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        if !self.routes.states.add(value) {
            self.state_twice.get_or_insert_with(std::any::type_name::<T>);
        }
        self
    }

    /// Has each shard make a value for itself, on its own thread: it need not be `Send`, and is
    /// shared with no other shard. Handlers on shards ask for it by its type
    /// ([`Request::shard_state`](crate::Request::shard_state)). A shard that goes on over another
    /// engine, as io_uring was refused to it, makes a new one; where that panics, it goes on without.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use springtide::{Request, Server};
    ///
    /// let server = Server::new().with_shard_state(|| Cell::new(0)).get("/", |request: Request| {
    ///     let visits = request.shard_state::<Cell<i32>>();
    ///     visits.set(visits.get() + 1);
    ///     visits.get().to_string()
    /// });
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2));
    /// # world.settle();
    /// # assert_eq!([0; 2].map(|_| peer.reply().unwrap().body()[0]), *b"12");
    /// ```
    #[must_use]
    pub fn with_shard_state<T: 'static>(
        mut self,
        make: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        if !self.routes.states.add_maker(make) {
            self.state_twice.get_or_insert_with(std::any::type_name::<T>);
        }
        self
    }

    /// Believes proxies what they say of where requests came from: `X-Forwarded-For`, `-Proto` and
    /// `-Host`, or `Forwarded` when [`proxy_fields`](Self::proxy_fields) says so. Each is a network
    /// (`192.0.2.0/24`), an address, or `unix` for who comes over a Unix socket. The fields are read
    /// from the right, over trusted addresses only, so that nobody can write an address of choice
    /// into them; a trusted proxy writes or removes all of them, as what it hands through is believed.
    /// [`Request::client_address`](crate::Request::client_address),
    /// [`scheme`](crate::Request::scheme), [`host`](crate::Request::host) and
    /// [`id`](crate::Request::id) tell what came of it.
    ///
    /// ```
    /// use springtide::{Request, Server};
    ///
    /// let server = Server::new()
    ///     .trusted_proxies(["127.0.0.0/8", "192.0.2.0/24"])
    ///     .get("/", |request: Request| format!("{:?}", request.client_address()));
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.7, 192.0.2.9\r\n\r\n");
    /// # world.settle();
    /// # assert_eq!(peer.reply().unwrap().body(), b"Some(203.0.113.7)");
    /// ```
    #[must_use]
    pub fn trusted_proxies<T: AsRef<str>>(mut self, networks: impl IntoIterator<Item = T>) -> Self {
        for network in networks {
            if !self.routes.proxies.add(network.as_ref()) {
                self.no_network.get_or_insert_with(|| network.as_ref().to_owned());
            }
        }
        self
    }

    /// Which fields trusted proxies write.
    #[must_use]
    pub const fn proxy_fields(mut self, fields: ProxyFields) -> Self {
        self.routes.proxies.fields = fields;
        self
    }

    /// Whether every connection begins with the header of a proxy, version 1 or 2 of the PROXY
    /// protocol: it names the client whom [`Request::client_address`](crate::Request::client_address)
    /// tells. Only [`trusted_proxies`](Self::trusted_proxies) are believed; a connection of anybody
    /// else, or without a header, is closed without a word, and one whose header does not come within
    /// the time of a head as well. It holds for all addresses of this server.
    ///
    /// ```
    /// use springtide::{ProxyProtocol, Request, Server};
    ///
    /// let server = Server::new()
    ///     .trusted_proxies(["127.0.0.1"])
    ///     .proxy_protocol(ProxyProtocol::Required)
    ///     .get("/", |request: Request| format!("{:?}", request.client_address()));
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # world.settle();
    /// # assert_eq!(peer.reply().unwrap().body(), b"Some(192.0.2.7)");
    /// ```
    #[must_use]
    pub fn proxy_protocol(mut self, protocol: ProxyProtocol) -> Self {
        self.requires_proxy = protocol == ProxyProtocol::Required;
        self
    }

    /// Replaces the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Compresses bodies of text (HTML, JSON, SVG and the like) longer than 1 KiB with gzip for
    /// clients that take it (RFC 9110 §12.5.3). Streams are compressed piece by piece, each to be
    /// read as soon as it has come; longer bodies too, so that nobody else waits for them. A file is
    /// compressed anew for each request, when it is short enough to be kept in memory and no form of
    /// it that the client takes lies beside it
    /// ([`Files::precompressed`](crate::Files::precompressed)), which costs nothing. Left as they
    /// are: longer files, parts of files, what has a `Content-Encoding` already, events, and
    /// responses with `Cache-Control: no-transform`. Those that may be
    /// compressed say `Vary: Accept-Encoding`, and an entity tag becomes a weak one.
    ///
    /// It is off until it is asked for: it takes time of the shard that a proxy in front may spend
    /// instead, and how short a compressed body is tells something of what is in it. Where a page
    /// holds a secret (a token against forged requests) beside words of whoever opened it, a
    /// listener can guess the one by varying the other, through TLS (the BREACH attack): mark such
    /// responses `no-transform`.
    #[must_use]
    pub const fn compress(mut self, is_wanted: bool) -> Self {
        self.settings.compresses = is_wanted;
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

    /// The permissions of the files of Unix sockets that the server listens on (chmod(2)), as `0o660`:
    /// who may not write to one may not connect. They hold before anybody can connect. By default what
    /// the process leaves to new files (umask(2)).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), springtide::Error> {
    /// let server = springtide::Server::new().get("/", || "for the group");
    /// server.unix_mode(0o660).listen("unix:/run/site.sock")?.run()
    /// # }
    /// ```
    #[must_use]
    pub const fn unix_mode(mut self, mode: u32) -> Self {
        self.settings.unix_mode = Some(mode);
        self
    }

    /// What the server counts; also for its own handlers.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// What connections have subscribed to; also for its own handlers.
    #[must_use]
    pub fn topics(&self) -> Topics {
        self.topics.clone()
    }

    /// Adds an address to listen on: `127.0.0.1:8080`, `[::]:8080` (IPv6 and IPv4 both),
    /// `localhost:0` (any free port), `unix:/run/site.sock` or `unix:@site` (a name without a file).
    ///
    /// A socket file that nobody listens on any more is replaced, any other is an error of `start`; the
    /// file is removed when the server has stopped.
    ///
    /// # Errors
    /// The address names nothing, or a route given before cannot be added.
    pub fn listen(mut self, address: &str) -> Result<Self, Error> {
        self.check()?;
        self.addresses.extend(addresses(address)?);
        Ok(self)
    }

    /// Adds a socket that listens already: a `TcpListener` or `UnixListener` of std, or what a
    /// supervisor passed (sd_listen_fds(3)). One shard accepts from all addresses then, and gives each
    /// connection to the least loaded one. The server's copy is closed when it is drained; whoever has
    /// another one, as systemd has, goes on listening: what connects then waits for the next process.
    ///
    /// # Errors
    /// It is not a listening socket of TCP or Unix streams, or a route given before cannot be added.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let server = springtide::Server::new().get("/", || "here").listen_on(socket)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn listen_on(mut self, socket: impl Into<OwnedFd>) -> Result<Self, Error> {
        self.check()?;
        let socket = socket.into();
        prepare_listener(&socket).map_err(Error::Socket)?;
        self.sockets.push(Arc::new(socket));
        Ok(self)
    }

    /// Starts the shards and gives them the addresses; the server runs until it is stopped.
    ///
    /// # Errors
    /// An address is busy or not ours, a directory is missing, the engine is refused.
    pub fn start(self) -> Result<Running, Error> {
        self.bind().map(Bound::serve)
    }

    /// Starts the shards and binds the addresses; nobody is accepted before [`Bound::serve`].
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn bind(mut self) -> Result<Bound, Error> {
        self.check()?;
        let has_datagrams = !self.routes.datagrams.is_empty();
        if self.addresses.is_empty() && self.sockets.is_empty() && !has_datagrams {
            return Err(Error::NoAddress);
        }
        let choice = Choice::probe(self.settings.mechanism).map_err(Error::Engine)?;
        running::bind(self, choice)
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

    /// Mounts what was added; whether everything fits.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        if self.requires_proxy && !self.routes.proxies.is_any() {
            return Err(Error::NoProxy);
        }
        let routes = &self.routes;
        let ways = [routes.raw.intro.is_some(), routes.framed.is_some(), self.requires_proxy];
        if ways.iter().filter(|is_wanted| **is_wanted).count() > 1 {
            return Err(Error::TwoProtocols);
        }
        if let Some(network) = self.no_network.take() {
            return Err(Error::Network(network));
        }
        if let Some(name) = self.state_twice {
            return Err(Error::StateTwice(name));
        }
        self.routes.absorb(&mut self.root, &mut self.hosts).map_err(Error::Route)?;
        self.settings.session = self.routes.first_session(self.requires_proxy);
        Ok(())
    }

    pub(crate) const fn raw_service(&mut self) -> &mut RawService {
        &mut self.routes.raw
    }

    const fn root(&mut self) -> &mut Router {
        &mut self.root
    }

    pub(crate) fn take_routes(&mut self) -> Arc<Routes> {
        self.routes.ask_events();
        Arc::new(std::mem::take(&mut self.routes))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
