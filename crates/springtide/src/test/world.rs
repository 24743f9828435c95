//! Worlds: a server with its shards on one thread, virtual time, seeded chance and faults.
//! Nothing happens in a world but in turns, and no time passes unless it is told to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use springtide_engine::simulated::{self, Correspondent, FaultCounts, Faults, PostFaults};
use springtide_engine::{Address, Engine, EngineOptions, Error, Moment, Stats};

use super::{Peer, View};
use crate::current;
use crate::limits::Limits;
use crate::mailbox::{Message, Neighbour};
use crate::metrics::{Counts, Metrics};
use crate::offload::Pool;
use crate::running::{Plan, set_up};
use crate::server::Server;
use crate::shard::Shard;

/// Rounds of turns after which a server that still has something to do is taken to spin.
const ROUNDS_MAX: usize = 100_000;
/// The address of a server that names none; a world has no other servers.
const ADDRESS: &str = "127.0.0.1:0";

/// A world with a server in it.
///
/// ```
/// use std::time::Duration;
/// use springtide::{Server, test::World};
///
/// let mut world = World::new(7);
/// world.write_file("/site/index.html", b"<p>Low tide");
/// world.serve(Server::new().files("/", "/site").workers(2));
/// let peer = world.connect();
/// world.pass(Duration::from_secs(61));
/// assert!(peer.is_ended(), "an idle connection is closed after a minute");
/// ```
pub struct World {
    world: simulated::World,
    seed: u64,
    shards: Vec<Seat>,
    /// The order of the present round.
    order: Vec<usize>,
    addresses: Vec<Address>,
    post: Vec<SocketAddr>,
    options: EngineOptions,
    metrics: Metrics,
    pool: Option<Arc<Pool>>,
}

struct Seat {
    neighbour: Neighbour,
    /// Gone once it has ended.
    shard: Option<Shard>,
}

impl World {
    /// A world whose whole history follows from `seed` and from what the test does.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let world = simulated::World::new(seed);
        world.hold_time(true);
        let (shards, order, addresses, post, metrics, pool) = Default::default();
        let options = EngineOptions::default();
        Self { world, seed, shards, order, addresses, post, options, metrics, pool }
    }

    /// The seed it was made with.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Draws a number from 0 to `end - 1`, for what the test decides by chance.
    ///
    /// # Panics
    /// When `end` is 0.
    #[must_use]
    pub fn below(&mut self, end: usize) -> usize {
        self.world.below(end)
    }

    /// What goes wrong from now on, as it does on real systems; nothing by default.
    ///
    /// ```
    /// use springtide::test::{Fault, Faults, World};
    /// let mut world = World::new(1);
    /// world.set_faults(Faults::all(0.1).with(Fault::Reset, 0.0));
    /// ```
    pub fn set_faults(&mut self, faults: Faults) {
        self.world.set_faults(faults);
    }

    /// How often each fault has happened.
    #[must_use]
    pub fn fault_counts(&self) -> FaultCounts {
        self.world.fault_counts()
    }

    /// Writes a file of the world's own file system, in place when there is one.
    ///
    /// # Panics
    /// When the path leads above the root.
    pub fn write_file(&mut self, path: impl AsRef<Path>, bytes: &[u8]) {
        self.world.write_file(path, bytes);
    }

    /// What a file of the world holds; none where there is no file.
    #[must_use]
    pub fn read_file(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.world.read_file(path)
    }

    /// Takes a file's name away; false when there was none. Who has it open keeps it.
    pub fn remove_file(&mut self, path: impl AsRef<Path>) -> bool {
        self.world.remove_file(path)
    }

    /// Starts a server with as many shards as it has workers, one by default. It listens where it
    /// says, or anywhere when it says nothing.
    ///
    /// # Panics
    /// When the server cannot be started, as [`Server::start`] tells; when there is one already.
    pub fn serve(&mut self, server: Server) {
        assert!(self.shards.is_empty(), "a world has one server");
        let listening =
            if server.addresses.is_empty() { server.listen(ADDRESS) } else { Ok(server) };
        let started = listening.and_then(|server| self.start(server));
        if let Err(error) = started {
            panic!("the server cannot be started: {error}");
        }
    }

    fn start(&mut self, mut server: Server) -> Result<(), crate::Error> {
        server.check()?;
        let workers = server.settings.workers.unwrap_or(1);
        self.metrics = server.metrics();
        let without_threads = |limits: &Limits| Ok(Pool::without_threads(limits));
        let mut plan = Plan::of(&mut server, without_threads)?;
        self.pool = plan.pool();
        for number in 0..workers {
            let options = self.engine_options(number).ok_or(crate::Error::Workers(workers))?;
            let engine = Engine::simulated(&self.world, &options);
            let counts = self.metrics.add_shard();
            let own = plan.of_shard(number);
            let (shard, mailbox, addresses) = set_up(Box::new(engine), own, counts.clone())?;
            if number == 0 {
                plan.settle_addresses(&addresses);
                self.addresses = addresses;
                self.post = plan.post().to_vec();
            }
            let neighbour = Neighbour { mailbox, counts };
            self.shards.push(Seat { neighbour, shard: Some(shard) });
        }
        let all: Vec<Neighbour> = self.shards.iter().map(|seat| seat.neighbour.clone()).collect();
        for seat in &self.shards {
            seat.neighbour.mailbox.send(Message::Peers(all.clone()));
        }
        Ok(())
    }

    fn engine_options(&self, number: usize) -> Option<EngineOptions> {
        let shard = u16::try_from(number).ok()?;
        Some(EngineOptions { shard, ..self.options.clone() })
    }

    /// Connects to the server.
    ///
    /// # Panics
    /// When none listens any more.
    #[must_use]
    pub fn connect(&mut self) -> Peer {
        let address = self.addresses.first().expect("a server was started");
        let client = self.world.connect(address).expect("the server listens");
        Peer::new(client)
    }

    /// Where the server receives datagrams, in the order in which it was told.
    #[must_use]
    pub fn datagram_addresses(&self) -> &[SocketAddr] {
        &self.post
    }

    /// Somebody outside who sends and receives datagrams; port 0 takes a free one.
    ///
    /// # Panics
    /// When the address is busy.
    #[must_use]
    pub fn correspondent(&mut self, address: impl Into<SocketAddr>) -> Correspondent {
        self.world.bind(address.into()).expect("the address is free")
    }

    /// What goes wrong with datagrams from now on, apart from all other faults; nothing by default.
    pub fn set_post_faults(&mut self, faults: PostFaults) {
        self.world.set_post_faults(faults);
    }

    /// A turn of each shard, in an order by chance, and some of the work that waits for the pool.
    ///
    /// # Panics
    /// When a shard cannot go on.
    pub fn turn(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(0..self.shards.len());
        while !order.is_empty() {
            let next = self.world.below(order.len());
            self.turn_shard(order.swap_remove(next));
        }
        self.order = order;
        self.work();
    }

    /// What waits for the pool is done by and by, in an order by chance.
    fn work(&self) {
        let Some(pool) = &self.pool else { return };
        for _ in 0..pool.waiting() {
            if self.world.below(2) == 0 {
                pool.run(self.world.below(pool.waiting()));
            }
        }
    }

    /// A turn of one shard, unless it has ended. One whose engine is refused goes on over another.
    #[doc(hidden)]
    pub fn turn_shard(&mut self, number: usize) {
        let _turning = current::turn();
        let seat = &mut self.shards[number];
        let Some(shard) = &mut seat.shard else { return };
        match shard.turn() {
            Ok(true) => {}
            Ok(false) => {
                shard.end();
                seat.shard = None;
            }
            Err(Error::LateRefusal { .. }) => self.freeze_shard(number),
            Err(error) => panic!("a shard cannot go on: {error}"),
        }
    }

    /// Freezes a shard, unless it has ended, and thaws it on an engine of its own (law 10).
    ///
    /// # Panics
    /// When it leaves something behind.
    #[doc(hidden)]
    pub fn freeze_shard(&mut self, number: usize) {
        let options = self.engine_options(number).expect("it was started");
        let seat = &mut self.shards[number];
        let Some(mut shard) = seat.shard.take() else { return };
        // What cannot be cancelled and is late is waited for.
        self.world.hold_time(false);
        let handoff = shard.freeze().unwrap_or_else(|error| panic!("a shard stays: {error}"));
        self.world.hold_time(true);
        let (stats, in_flight) = shard.engine_stats();
        assert_eq!(in_flight, 0, "a frozen shard leaves no operation behind");
        assert_eq!(stats.chunks_given_away, 0, "a frozen shard leaves no chunk behind");
        let engine = Box::new(Engine::simulated(&self.world, &options));
        let (standing, kept) = shard.leave();
        seat.shard = Some(Shard::thaw(standing, engine, handoff, kept));
    }

    /// Asks a shard for so many of its connections, which move to another one, as
    /// [`Running::rebalance`](crate::Running::rebalance) does.
    #[doc(hidden)]
    pub fn share(&mut self, source: usize, target: usize, count: usize) {
        let target = u16::try_from(target).expect("it was started");
        let message = Message::Share { target, count };
        self.shards[source].neighbour.mailbox.send(message);
    }

    /// Turns until nobody has anything to do at this moment.
    ///
    /// # Panics
    /// When that never comes.
    pub fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.turn();
            let is_working = self.pool.as_ref().is_some_and(|pool| pool.waiting() > 0);
            if self.world.is_quiet() && !is_working {
                return;
            }
        }
        panic!("the server has something to do for ever");
    }

    /// Lets time pass, from one deadline to the next, with all turns that they bring.
    ///
    /// # Panics
    /// As [`settle`](Self::settle).
    pub fn pass(&mut self, duration: Duration) {
        self.settle();
        let end = self.world.now() + duration;
        while self.world.now() < end {
            let next = self.world.next_moment().unwrap_or(end).min(end);
            self.world.advance(next.since(self.world.now()));
            self.settle();
        }
    }

    /// The time since the world began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.world.now().since(Moment::ZERO)
    }

    /// What the server counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.metrics.counts()
    }

    /// Stops the server, as [`Running::stop`](crate::Running::stop) does.
    pub fn stop(&mut self, patience: Duration) {
        let within_ms = milliseconds(patience);
        for seat in &self.shards {
            seat.neighbour.mailbox.send(Message::Drain { within_ms });
        }
    }

    /// Stops one shard, as [`Running::stop_shard`](crate::Running::stop_shard) does, but for the
    /// wait. Stop another one only when it has ended.
    ///
    /// # Panics
    /// When there is no such shard, or no other one goes on.
    pub fn stop_shard(&mut self, number: usize, patience: Duration) {
        assert!(self.shards_running() > 1, "the last shard is stopped by `stop`");
        let within_ms = milliseconds(patience);
        self.shards[number].neighbour.mailbox.send(Message::Retire { within_ms });
    }

    /// How many shards have not ended.
    #[must_use]
    pub fn shards_running(&self) -> usize {
        self.shards.iter().filter(|seat| seat.shard.is_some()).count()
    }

    /// A number that is the same after the same history.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.world.fingerprint()
    }

    /// How many descriptors the server has open.
    #[must_use]
    pub fn descriptors_open(&self) -> usize {
        self.world.descriptors_open()
    }

    /// The sizes and limits of engines of servers that are started from now on.
    #[doc(hidden)]
    pub fn set_engine_options(&mut self, options: EngineOptions) {
        self.options = options;
    }

    /// The world beneath, for what a simulator does besides.
    #[doc(hidden)]
    #[must_use]
    pub const fn simulated(&self) -> &simulated::World {
        &self.world
    }

    /// The counts of a shard's engine and its operations in flight; none once it has ended.
    #[doc(hidden)]
    #[must_use]
    pub fn engine_stats(&self, number: usize) -> Option<(Stats, usize)> {
        self.shards[number].shard.as_ref().map(Shard::engine_stats)
    }

    /// How often a limit of this name was met.
    ///
    /// # Panics
    /// When there is no such limit.
    #[doc(hidden)]
    #[must_use]
    pub fn limits_met(&self, name: &str) -> u64 {
        let mut met = self.metrics.limits_met();
        met.find(|(limit, _)| limit.name() == name).expect("there is such a limit").1
    }

    /// Shows all connections of a shard.
    #[doc(hidden)]
    pub fn look(&self, number: usize, see: impl FnMut(View)) {
        if let Some(shard) = &self.shards[number].shard {
            shard.look(see);
        }
    }
}

impl Drop for World {
    /// What is in flight ends without faults, and late completions come.
    fn drop(&mut self) {
        self.world.set_faults(Faults::default());
        self.world.hold_time(false);
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("seed", &self.seed).finish_non_exhaustive()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
