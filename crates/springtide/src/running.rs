//! A running server: its threads, its addresses, how it is stopped.
//! Dropping it stops nothing: a server runs until it is told to stop or cannot go on.

mod answer;
mod balance;
mod bound;
mod listening;
mod thread;
mod topics;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use springtide_engine::{
    Address, Choice, Handle, Mechanism, Moment, descriptors_max_raise, processors, system_now,
};

use crate::access::Sink;
use crate::admin::{self, OpenConnection, Status};
use crate::caps::Caps;
use crate::error::Error;
use crate::files::FileService;
use crate::limits::{CONNECTIONS_MAX, Limits, operations_max};
use crate::mailbox::{Mailbox, Message, Neighbour};
use crate::metrics::{EngineCounts, Metrics, ShardCounts};
use crate::offload::Pool;
use crate::peer::PeerIds;
use crate::report;
use crate::route::Routes;
use crate::server::{Accepting, Server, Settings};
use crate::shard::{FILES_TOKEN, Shard, Standing};
use crate::task::Hatch;
use crate::topic::{Target, Topics};
pub use bound::Bound;
use bound::Gate;
pub(crate) use listening::SocketFiles;
use listening::{bind_datagrams, listen_everywhere};
use thread::{Context, PANICKED, ShardThread, Start};

const WORKERS_MAX: usize = springtide_engine::SHARDS_MAX as usize - 1;

/// A running server.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<Address>,
    datagram_addresses: Vec<SocketAddr>,
    choice: Choice,
    metrics: Metrics,
    topics: Topics,
    connections_max: usize,
    drain_timeout: Duration,
    began: Moment,
    shards: Vec<RunningShard>,
    sink: Option<Arc<Sink>>,
    status: Arc<Status>,
    /// What serves the admin addresses.
    admin: Option<Box<Running>>,
    /// Held while one shard is stopped, so that two calls cannot stop the last two, and nothing
    /// is moved to a shard that is about to end.
    stopping: Mutex<()>,
    failure: Failure,
}

type Failure = Arc<Mutex<Option<springtide_engine::Error>>>;

struct RunningShard {
    neighbour: Neighbour,
    hatch: Arc<Hatch>,
    thread: Mutex<Option<ShardThread>>,
}

impl std::fmt::Debug for RunningShard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningShard").finish_non_exhaustive()
    }
}

/// What every shard is made with.
#[derive(Clone)]
pub(crate) struct Plan {
    router: Arc<Routes>,
    pool: Option<Arc<Pool>>,
    sink: Option<Arc<Sink>>,
    caps: Option<Arc<Caps>>,
    topics: Topics,
    settings: Settings,
    open: Arc<AtomicUsize>,
    /// Where to listen; the first shard's real addresses for the others.
    addresses: Vec<Address>,
    /// Sockets that listen already: the first shard's.
    sockets: Vec<Arc<OwnedFd>>,
    files: Arc<SocketFiles>,
    /// Where datagrams come, with the real ports: the first shard finds out.
    post: Arc<OnceLock<Vec<SocketAddr>>>,
    number: usize,
    listens: bool,
    is_dealing: bool,
}

impl Plan {
    /// The plan of a server's first shard, and how its pool is made if it needs one.
    pub(crate) fn of(
        server: &mut Server,
        pool: impl FnOnce(&Limits) -> io::Result<Pool>,
    ) -> Result<Self, Error> {
        let limits = &server.settings.limits;
        let pool = server.routes.needs_pool().then(|| pool(limits)).transpose();
        let pool = pool.map_err(Error::Thread)?.map(Arc::new);
        let has_unix = server.addresses.iter().any(|address| matches!(address, Address::Unix(_)));
        let sink = server.access_log.take().map(Sink::without_thread).map(Arc::new);
        let caps = Caps::of(&server.settings.limits).map(Arc::new);
        server.topics.registry().settle(&server.settings.limits);
        let listens = !(server.addresses.is_empty() && server.sockets.is_empty());
        if listens && server.routes.is_empty() && server.routes.datagrams.is_empty() {
            report::error(format_args!("nothing is served: every connection is closed at once"));
        }
        Ok(Self {
            sink,
            caps,
            topics: server.topics.clone(),
            router: server.take_routes(),
            pool,
            settings: server.settings.clone(),
            open: Arc::default(),
            addresses: server.addresses.clone(),
            is_dealing: has_unix
                || !server.sockets.is_empty()
                || server.settings.accepting == Accepting::OneShard,
            sockets: std::mem::take(&mut server.sockets),
            files: Arc::default(),
            post: Arc::default(),
            number: 0,
            listens: true,
        })
    }

    /// The pool, where a route needs one.
    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        self.pool.clone()
    }

    /// Where datagrams come, once the first shard is set up.
    pub(crate) fn post(&self) -> &[SocketAddr] {
        self.post.get().map_or(&[], Vec::as_slice)
    }

    /// The same for another shard.
    pub(crate) fn of_shard(&self, number: usize) -> Self {
        Self { number, listens: number == 0 || !self.is_dealing, ..self.clone() }
    }

    /// The first shard listens at these addresses, with the real ports: the others join it.
    pub(crate) fn settle_addresses(&mut self, addresses: &[Address]) {
        self.addresses = addresses.to_vec();
    }
}

/// What a shard's thread tells when it is ready, or why it is not.
type Ready = Result<(Arc<Mailbox>, Arc<Hatch>, Vec<Address>), Error>;

/// Binds all shards; the first one refuses busy addresses.
pub(crate) fn bind(mut server: Server, choice: Choice) -> Result<Bound, Error> {
    let descriptors_max = descriptors_max_raise().unwrap_or(1024);
    let limit = usize::try_from(descriptors_max / 10 * 9).unwrap_or(usize::MAX);
    let limits = &mut server.settings.limits;
    limits.connections_max = limits.connections_max.min(limit).min(CONNECTIONS_MAX);
    let connections_max = limits.connections_max;
    let drain_timeout = Duration::from_millis(limits.drain_timeout_ms);
    let workers = server.settings.workers.unwrap_or_else(|| processors().min(WORKERS_MAX));
    if workers == 0 || workers > WORKERS_MAX {
        return Err(Error::Workers(workers));
    }
    let mut running = Running {
        addresses: Vec::new(),
        datagram_addresses: Vec::new(),
        choice,
        metrics: server.metrics(),
        topics: server.topics(),
        connections_max,
        drain_timeout,
        began: system_now(),
        shards: Vec::new(),
        sink: None,
        status: Arc::default(),
        admin: None,
        stopping: Mutex::new(()),
        failure: Failure::default(),
    };
    let sink = server.access_log.take().map(Sink::start).transpose().map_err(Error::Thread)?;
    let mut plan = Plan::of(&mut server, Pool::start)?;
    running.sink = sink.map(Arc::new);
    plan.sink.clone_from(&running.sink);
    let mut bound = Bound::new(running);
    for number in 0..workers {
        bound.add_shard(&mut plan, number)?;
    }
    if !server.admin.is_empty() {
        bound.add_admin(server.admin)?;
    }
    Ok(bound)
}

impl Running {
    /// Starts the thread of a shard, which serves once it is let through the gate.
    fn start_shard(&mut self, plan: &mut Plan, number: usize) -> Result<Gate, Error> {
        let counts = self.metrics.add_shard();
        let (sender, receiver) = mpsc::sync_channel::<Ready>(1);
        let context = Context {
            number,
            spin_us: plan.settings.spin_us,
            operations_max: operations_max(self.connections_max),
            counts: counts.clone(),
            failure: self.failure.clone(),
        };
        let (mechanism, own) = (self.choice.mechanism, plan.of_shard(number));
        let (gate, opened) = mpsc::sync_channel(1);
        let thread = ShardThread::start(context, mechanism, own, Start { ready: sender, opened });
        let thread = thread.map_err(Error::Thread)?;
        let ready = receiver.recv().unwrap_or(Err(Error::NoShard(number)));
        let (mailbox, hatch, addresses) = match ready {
            Ok(ready) => ready,
            Err(error) => {
                let _ = thread.join();
                return Err(error);
            }
        };
        if number == 0 {
            plan.settle_addresses(&addresses);
            self.addresses = addresses;
            self.datagram_addresses = plan.post().to_vec();
        }
        let neighbour = Neighbour { mailbox, counts };
        self.shards.push(RunningShard { neighbour, hatch, thread: Mutex::new(Some(thread)) });
        Ok(gate)
    }

    /// Binds what serves the admin addresses: never over a ring, which takes locked memory.
    fn bind_admin(&self, addresses: Vec<Address>) -> Result<Bound, Error> {
        let mut server = admin::server(&self.status, self.metrics(), self.topics());
        server.addresses = addresses;
        server.check()?;
        let choice = Choice::probe(Some(Mechanism::Epoll));
        let choice = choice.or_else(|_| Choice::probe(Some(Mechanism::Poll)));
        bind(server, choice.map_err(Error::Engine)?)
    }

    fn introduce(&self) {
        let all: Vec<Neighbour> = self.shards.iter().map(|shard| shard.neighbour.clone()).collect();
        // It is set once: a server is introduced once.
        let _ = self.status.shards.set(all.clone());
        for shard in &self.shards {
            shard.neighbour.mailbox.send(Message::Peers(all.clone()));
        }
    }

    /// Where the first shard is asked something.
    pub(crate) fn hatch(&self) -> Option<&Arc<Hatch>> {
        self.shards.first().map(|shard| &shard.hatch)
    }

    /// Where the server listens, with the real ports.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Where datagrams come, with the real ports, in the order in which they were given; see
    /// [`Server::datagrams`].
    #[must_use]
    pub fn datagram_addresses(&self) -> &[SocketAddr] {
        &self.datagram_addresses
    }

    /// Where it tells of itself, with the real ports; see [`Server::admin`].
    #[must_use]
    pub fn admin_addresses(&self) -> &[Address] {
        self.admin.as_ref().map_or(&[], |admin| &admin.addresses)
    }

    /// Every open connection, as its shard has it between two turns. From any thread but those of
    /// its own shards, which cannot answer while they wait: a shard that does not answer within a
    /// second is left out.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), springtide::Error> {
    /// let running = springtide::Server::new().listen("127.0.0.1:0")?.start()?;
    /// for connection in running.connections() {
    ///     println!("{} {:?} {} B", connection.id, connection.status, connection.bytes_held);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn connections(&self) -> Vec<OpenConnection> {
        self.status.connections()
    }

    /// The mechanism that the server was started with; [`Running::engines`] tells what shards run
    /// on now.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.choice.mechanism.name()
    }

    /// Why this mechanism.
    #[must_use]
    pub fn engine_reason(&self) -> &str {
        &self.choice.reason
    }

    /// The mechanism that each shard runs on now, in order of their numbers; none for a shard that
    /// has ended. Where io_uring was chosen freely, a shard for whose ring no locked memory was left
    /// runs on epoll. One whose io_uring is refused later goes on over epoll with everything it has,
    /// in a new thread of the same name: what handlers keep in thread-locals starts anew there. Where
    /// epoll cannot be had either, both go on over poll(2). All this is told on standard error.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), springtide::Error> {
    /// let running = springtide::Server::new().listen("127.0.0.1:8080")?.start()?;
    /// if running.engines().contains(&Some("epoll")) {
    ///     println!("not everything runs on {}", running.engine());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn engines(&self) -> Vec<Option<&'static str>> {
        let shards = self.shards.iter().map(|shard| &shard.neighbour.counts);
        shards.map(|counts| (!counts.has_ended()).then(|| counts.engine())).collect()
    }

    /// How long ago the server was started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        system_now().since(self.began)
    }

    /// How many shards were started.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shards.len()
    }

    /// How many connections may be open at a time.
    #[must_use]
    pub const fn connections_max(&self) -> usize {
        self.connections_max
    }

    /// What the server counts.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// What the engines of all shards did, as each tells it between two turns. From any thread but
    /// those of its own shards, which cannot answer while they wait: a shard that does not answer
    /// within a second is left out.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), springtide::Error> {
    /// let running = springtide::Server::new().listen("127.0.0.1:0")?.start()?;
    /// let counts = running.engine_counts();
    /// println!("{} completions in {} enters", counts.completions_total, counts.enters_total);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn engine_counts(&self) -> EngineCounts {
        self.status.engine_counts()
    }

    /// Stops: no connection is accepted any more, idle ones end at once, requests that have begun
    /// to come are answered, and what is left after `patience` is cut. Returns at once;
    /// [`Running::join`] waits. A second call with less patience shortens it.
    pub fn stop(&self, patience: Duration) {
        self.status.is_draining.store(true, Ordering::Relaxed);
        let within_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        for shard in &self.shards {
            shard.neighbour.mailbox.send(Message::Drain { within_ms });
        }
    }

    /// How long requests that have begun may take when the server is drained.
    #[must_use]
    pub const fn drain_timeout(&self) -> Duration {
        self.drain_timeout
    }

    /// Stops, with the patience that [`Limits::drain_timeout_ms`] says.
    pub fn drain(&self) {
        self.stop(self.drain_timeout);
    }

    /// Stops one shard. Another one takes its listeners over, so that no connection that waits to
    /// be accepted is lost, and its connections with whatever they are in the middle of: peers
    /// notice nothing. Waits for its end.
    ///
    /// # Errors
    /// There is no such shard, or it has stopped already, or it is the last one.
    pub fn stop_shard(&self, number: usize, patience: Duration) -> Result<(), Error> {
        let _one_at_a_time = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = self.shards.iter().filter(|shard| !shard.neighbour.counts.has_ended()).count();
        let shard = self.shards.get(number).ok_or(Error::NoShard(number))?;
        let mut thread = shard.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if alive < 2 {
            return Err(Error::NoShard(number));
        }
        let thread = thread.take().ok_or(Error::NoShard(number))?;
        let within_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        shard.neighbour.mailbox.send(Message::Retire { within_ms });
        thread.join().map_err(|_| Error::NoShard(number))
    }

    /// Waits until every shard has ended.
    ///
    /// # Errors
    /// A shard could not go on.
    pub fn join(&self) -> Result<(), Error> {
        let mut panicked = false;
        for shard in &self.shards {
            let thread = shard.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                panicked |= thread.join().is_err();
            }
        }
        if let Some(sink) = &self.sink {
            sink.close();
        }
        if let Some(admin) = &self.admin {
            admin.stop(Duration::ZERO);
            admin.join()?;
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = failure.or(panicked.then_some(PANICKED));
        failure.map_or(Ok(()), |error| Err(Error::Shard(error)))
    }
}

/// A shard over an engine, listening where the plan says.
pub(crate) fn set_up(
    mut engine: Box<dyn Handle>,
    plan: Plan,
    counts: Arc<ShardCounts>,
) -> Result<(Shard, Arc<Mailbox>, Vec<Address>), Error> {
    let mailbox = Arc::new(Mailbox::new(engine.waker()));
    let is_simulated = engine.name() == "simulated";
    let tasks_max = plan.settings.limits.remote_tasks_max;
    let hatch = Hatch::open(mailbox.clone(), counts.clone(), tasks_max, is_simulated);
    plan.topics.registry().join(Target::new(mailbox.clone(), counts.clone()));
    let mut files = FileService::new(FILES_TOKEN);
    let mut roots = Vec::new();
    for directory in plan.router.directories() {
        let root = files.add_root(&mut *engine, directory).map_err(|error| Error::Directory {
            path: directory.directory().to_path_buf(),
            error,
        })?;
        roots.push(root);
    }
    let (listeners, addresses) = match plan.listens {
        true => listen_everywhere(&mut *engine, &plan)?,
        false => Default::default(),
    };
    let post = bind_datagrams(&mut *engine, &plan)?;
    let standing = Standing {
        number: plan.number,
        is_dealing: plan.is_dealing,
        mailbox: mailbox.clone(),
        hatch,
        counts,
        open: plan.open,
        _files: plan.files,
        router: plan.router,
        pool: plan.pool,
        sink: plan.sink,
        caps: plan.caps,
        topics: plan.topics,
        settings: plan.settings,
        neighbours: Vec::new(),
        dealt: Vec::new(),
        peers: PeerIds::of(plan.number),
        stopping: None,
    };
    let states = standing.router.states.make();
    let mut shard = Shard::new(standing, engine, files, roots, states);
    listeners.into_iter().for_each(|listener| shard.add_listener(listener));
    for (service, socket) in post.into_iter().enumerate() {
        shard.add_datagrams(socket, service);
    }
    Ok((shard, mailbox, addresses))
}
