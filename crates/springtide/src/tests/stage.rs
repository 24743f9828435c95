//! One shard of a server and its peers on one thread.
//! Nothing here waits for anything but turns.

mod correspondent;
mod peer;

pub(crate) use correspondent::Correspondent;
pub(crate) use peer::Peer;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use springtide_engine::simulated::{Faults, World};
use springtide_engine::{Address, Engine, EngineOptions, Error, Handle, Mechanism, Waker};

use crate::freeze::Handoff;
use crate::limits::Limits;
use crate::mailbox::{Mailbox, Message};
use crate::metrics::{Counts, Metrics};
use crate::offload::Pool;
use crate::peer::{Link, PeerId};
use crate::running::{Plan, set_up};
use crate::server::Server;
use crate::shard::{Held, Ran, Shard};

/// What a stage's engine stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Simulated,
    Uring,
    Epoll,
    Poll,
    /// Frozen and thawed from one mechanism to the next all the time.
    Moving,
    /// The same from one simulated engine to the next.
    MovingSimulated,
}

/// The mechanisms of the system, in the order in which a shard moves: a further one is a further
/// name.
pub(crate) const SYSTEM: &[Backend] = &[Backend::Uring, Backend::Epoll, Backend::Poll];
/// The turns between two moves: enough for a file to be looked up, which begins anew behind each.
const MOVES_EVERY: u64 = 5;

impl Backend {
    pub(crate) fn is_simulated(self) -> bool {
        matches!(self, Self::Simulated | Self::MovingSimulated)
    }

    pub(crate) fn is_moving(self) -> bool {
        matches!(self, Self::Moving | Self::MovingSimulated)
    }

    /// Where a shard of this stage goes behind a turn, if it goes.
    fn next(self, turns: u64) -> Option<Self> {
        match self {
            Self::MovingSimulated if turns.is_multiple_of(MOVES_EVERY) => Some(self),
            Self::Moving if turns.is_multiple_of(MOVES_EVERY) => {
                let moves = usize::try_from(turns / MOVES_EVERY).unwrap();
                Some(SYSTEM[moves % SYSTEM.len()])
            }
            _ => None,
        }
    }

    /// An engine; simulated ones of one stage share its world.
    pub(crate) fn engine(self, world: Option<&World>) -> Box<dyn Handle> {
        let options = EngineOptions::default();
        let engine = match self {
            Self::Simulated | Self::MovingSimulated => {
                Engine::simulated(world.expect("it has a world"), &options)
            }
            Self::Uring | Self::Moving => Engine::new(Mechanism::Uring, options).unwrap(),
            Self::Epoll => Engine::new(Mechanism::Epoll, options).unwrap(),
            Self::Poll => Engine::new(Mechanism::Poll, options).unwrap(),
        };
        Box::new(engine)
    }
}

/// A shard with its world.
pub(crate) struct Stage {
    backend: Backend,
    /// None only while it is frozen.
    shard: Option<Shard>,
    mailbox: Arc<Mailbox>,
    address: Address,
    /// Where its datagrams come.
    pub(crate) post: Vec<SocketAddr>,
    world: Option<World>,
    waker: Waker,
    metrics: Metrics,
    /// That of a simulated stage, which has no threads.
    pool: Option<Arc<Pool>>,
    pub(crate) turns: u64,
    /// The file of a Unix socket, removed in the end.
    path: Option<PathBuf>,
}

/// More turns than any exchange of these tests takes; a turn that does nothing is cheap.
const TURNS_MAX: u64 = 200_000;

impl Stage {
    pub(crate) fn new(backend: Backend, server: Server) -> Self {
        Self::with_world(backend, server, |_| {})
    }

    /// A stage whose bytes are there at once: written in one turn, they are received in the next.
    /// TCP on loopback may take a while longer, and then turns say nothing.
    pub(crate) fn at_once(backend: Backend, server: Server) -> Self {
        if backend.is_simulated() {
            return Self::new(backend, server);
        }
        Self::on_unix(backend, server, "at-once")
    }

    /// A stage that listens on a Unix socket, named after the test: its buffers are small.
    pub(crate) fn on_unix(backend: Backend, server: Server, name: &str) -> Self {
        let unique = format!("springtide-{}-{backend:?}-{name}.sock", std::process::id());
        let path = std::env::temp_dir().join(unique);
        let server = server.listen(&format!("unix:{}", path.display())).unwrap();
        let mut stage = Self::listening(backend, server, |_| {});
        stage.path = Some(path);
        stage
    }

    /// A stage whose simulated world is prepared first.
    pub(crate) fn with_world(
        backend: Backend,
        server: Server,
        prepare: impl FnOnce(&World),
    ) -> Self {
        Self::listening(backend, server.listen("127.0.0.1:0").unwrap(), prepare)
    }

    fn listening(backend: Backend, mut server: Server, prepare: impl FnOnce(&World)) -> Self {
        let world = backend.is_simulated().then(|| World::new(7));
        if let Some(world) = &world {
            prepare(world);
        }
        let engine = backend.engine(world.as_ref());
        let waker = engine.waker();
        let metrics = server.metrics();
        let without_threads = |limits: &Limits| Ok(Pool::without_threads(limits));
        let plan = match backend.is_simulated() {
            true => Plan::of(&mut server, without_threads),
            false => Plan::of(&mut server, Pool::start),
        };
        let plan = plan.unwrap();
        let pool = plan.pool().filter(|_| backend.is_simulated());
        let known = plan.clone();
        let (shard, mailbox, addresses) = set_up(engine, plan, metrics.add_shard()).unwrap();
        let post = known.post().to_vec();
        let address = addresses[0].clone();
        let shard = Some(shard);
        let (turns, path) = (0, None);
        Self { backend, shard, mailbox, address, post, world, waker, metrics, pool, turns, path }
    }

    /// One turn; it never sleeps.
    pub(crate) fn turn(&mut self) {
        let _turning = crate::current::turn();
        self.waker.wake();
        self.shard().turn().unwrap();
        self.turns += 1;
        if let Some(pool) = &self.pool {
            pool.run(0);
        }
        if let Some(next) = self.backend.next(self.turns) {
            self.move_to(next);
        }
        assert!(self.turns < TURNS_MAX, "the test goes on for ever");
    }

    /// Turns until a shard that moves all the while has just done so.
    pub(crate) fn turn_behind_a_move(&mut self) {
        while self.is_moving() && !self.turns.is_multiple_of(MOVES_EVERY) {
            self.turn();
        }
    }

    /// Freezes the shard and thaws it over another engine; how many turns of the old one it took.
    pub(crate) fn move_to(&mut self, backend: Backend) -> u64 {
        let engine = backend.engine(self.world.as_ref());
        self.move_over(engine)
    }

    /// An engine of the same kind in the same world.
    pub(crate) fn spare_engine(&self) -> Box<dyn Handle> {
        self.backend.engine(self.world.as_ref())
    }

    pub(crate) fn move_over(&mut self, engine: Box<dyn Handle>) -> u64 {
        let handoff = self.shard().freeze().unwrap();
        let turns = handoff.turns;
        self.thaw(engine, handoff);
        turns
    }

    fn thaw(&mut self, engine: Box<dyn Handle>, handoff: Handoff) {
        self.waker = engine.waker();
        let (standing, kept) = self.shard.take().unwrap().leave();
        self.shard = Some(Shard::thaw(standing, engine, handoff, kept));
    }

    fn shard(&mut self) -> &mut Shard {
        self.shard.as_mut().unwrap()
    }

    /// One turn; true when it was the last of its engine and the shard has another one now.
    pub(crate) fn turn_or_move(&mut self, backend: Backend) -> bool {
        self.waker.wake();
        let Err(refusal) = self.shard().turn() else { return false };
        assert!(matches!(refusal, Error::LateRefusal { .. }), "{refusal}");
        self.move_to(backend);
        true
    }

    /// What leads to its shard, for clients that are no server's.
    pub(crate) fn link(&mut self) -> Arc<Link> {
        Link::to(self.shard().hatch())
    }

    /// Asks the shard for something, as other threads do.
    pub(crate) fn send(&self, message: Message) {
        self.mailbox.send(message);
    }

    /// Tells the shard to stop at once, and runs it as its threads do, until its engine is refused
    /// and then over `spare`.
    pub(crate) fn run_to_end(&mut self, spare: Box<dyn Handle>) {
        self.mailbox.send(Message::Drain { within_ms: 0 });
        let ran = self.shard().run().unwrap();
        let Ran::UntilRefused(_, handoff) = ran else { panic!("it is refused") };
        self.thaw(spare, *handoff);
        assert!(matches!(self.shard().run(), Ok(Ran::ToItsEnd)));
    }

    /// One turn more; whether it was the last one of a shard that was told to stop.
    pub(crate) fn is_over(&mut self) -> bool {
        self.turns += 1;
        self.waker.wake();
        !self.shard().turn().unwrap()
    }

    /// Tells the shard to stop at once, and how many turns it takes to its end.
    pub(crate) fn turns_to_end(&mut self) -> u64 {
        self.mailbox.send(Message::Drain { within_ms: 0 });
        let before = self.turns;
        while self.shard().turn().unwrap() {
            self.turns += 1;
            assert!(self.turns < TURNS_MAX, "it never ends");
        }
        self.turns - before
    }

    /// The names of all connections.
    pub(crate) fn peers(&mut self) -> BTreeSet<PeerId> {
        let peers = self.shard().peers();
        let names: BTreeSet<PeerId> = peers.iter().copied().collect();
        assert_eq!(names.len(), peers.len(), "no two connections have the same name");
        names
    }

    /// Turns until `done` gives something.
    pub(crate) fn until<T>(&mut self, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        loop {
            if let Some(result) = done(self) {
                return result;
            }
            self.turn();
        }
    }

    /// Lets virtual time pass, then turns a few times.
    pub(crate) fn advance(&mut self, duration: Duration) {
        self.world.as_ref().unwrap().advance(duration);
        for _ in 0..4 {
            self.turn();
        }
    }

    pub(crate) fn connect(&self) -> Peer {
        self.connect_to(&self.address)
    }

    /// The same to a listener that is not the server's: a Unix one only of the server's own path.
    pub(crate) fn connect_to(&self, address: &Address) -> Peer {
        match &self.world {
            Some(world) => Peer::Simulated(world.connect(address).unwrap()),
            None => match address {
                Address::Internet(address) => {
                    let stream = TcpStream::connect(address).unwrap();
                    stream.set_nonblocking(true).unwrap();
                    stream.set_nodelay(true).unwrap();
                    Peer::Tcp(stream, false)
                }
                Address::Unix(_) => {
                    let path = self.path.as_ref().expect("a Unix stage knows its path");
                    let stream = UnixStream::connect(path).unwrap();
                    stream.set_nonblocking(true).unwrap();
                    Peer::Unix(stream, false)
                }
            },
        }
    }

    /// What goes wrong in its world from here on.
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.world.as_ref().unwrap().set_faults(faults);
    }

    /// Somebody outside who sends and receives datagrams.
    pub(crate) fn correspondent(&self) -> Correspondent {
        Correspondent::of(self.world.as_ref())
    }

    /// Sends everything and reads until `count` bytes are there or the stream has ended.
    pub(crate) fn talk(&mut self, peer: &mut Peer, send: &[u8], count: usize) -> Vec<u8> {
        let (mut rest, mut received) = (send, Vec::new());
        self.until(|stage| {
            let sent = peer.write(rest);
            rest = &rest[sent..];
            stage.turn();
            peer.read(&mut received);
            (received.len() >= count || peer.is_ended()).then_some(())
        });
        received
    }

    /// Sends everything and reads until the stream has ended.
    pub(crate) fn talk_to_end(&mut self, peer: &mut Peer, send: &[u8]) -> String {
        let received = self.talk(peer, send, usize::MAX);
        String::from_utf8(received).unwrap()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.metrics.counts()
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Bytes that all connections hold.
    pub(crate) fn bytes_held(&mut self) -> usize {
        self.shard().bytes_held()
    }

    /// Whether its shard gets another engine all the time.
    pub(crate) fn is_moving(&self) -> bool {
        self.backend.is_moving()
    }

    /// Whether its time is that of a world.
    pub(crate) fn is_simulated(&self) -> bool {
        self.backend.is_simulated()
    }

    /// Hands over what the access log has, without waiting for its time.
    pub(crate) fn flush_log(&mut self) {
        self.shard().flush_log();
    }

    /// How often a limit was met.
    pub(crate) fn met(&self, name: &str) -> u64 {
        let mut met = self.metrics.limits_met();
        met.find(|(limit, _)| limit.name() == name).expect("there is such a limit").1
    }

    /// What was told of limits that were met.
    pub(crate) fn told(&mut self) -> &[String] {
        self.shard().told()
    }

    /// What URLs of its server begin with.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections to other servers that its handlers have, those being made, those at rest, and
    /// bodies that wait to be passed on.
    pub(crate) fn at_desk(&mut self) -> [usize; 4] {
        self.shard().at_desk()
    }

    /// Whether the application holds tasks of raw connections, or is to be told of any.
    pub(crate) fn keeps_tasks(&mut self) -> bool {
        self.shard().keeps_tasks()
    }

    /// The operations in flight, and the descriptors of a world.
    pub(crate) fn held_by_engine(&mut self) -> usize {
        let descriptors = self.world.as_ref().map_or(0, World::descriptors_open);
        self.shard().engine_stats().1 + descriptors
    }

    /// Bytes that the present engine has passed without a copy.
    pub(crate) fn spliced_bytes(&mut self) -> u64 {
        self.shard().engine_stats().0.spliced_bytes
    }

    pub(crate) fn held(&mut self) -> Held {
        self.shard().held()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // A simulated one has none.
            let _ = std::fs::remove_file(path);
        }
    }
}
