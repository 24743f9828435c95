//! Law 10: a shard frozen at any turn and thawed elsewhere loses and doubles nothing.
//! What is checked is what peers see; nothing here looks into a handoff.

mod chance;
mod keeps;
pub(super) mod refusal;
mod talk;

use chance::Chance;
use refusal::Refused;
use talk::{Talk, Work};

use std::collections::BTreeSet;
use std::sync::mpsc;

use springtide_engine::simulated::{Fault, Faults};
use springtide_engine::{Completion, Error, Memory, OpKind, Outcome};
use springtide_proto::Unit;

use super::files::Directory;
use super::stage::SYSTEM;
use super::{Backend, Stage};
use crate::running::Plan;
use crate::{Files, Limits, Request, Server};

/// How often a shard is frozen.
const FREEZES: usize = 200;
const CONNECTIONS: usize = 100;
/// Between two freezes there are up to so many turns.
const TURNS_BETWEEN_MAX: usize = 4;
/// How many turns of its engine a freeze may take. Over epoll and poll all end in one. Over io_uring
/// cancels, what they end and the closes that have waited for it take several enters: six turns at
/// most in 6,400 freezes. Simulated, with faults and without, it was five in 12,000.
const PAUSE_TURNS_MAX: u64 = 10;
/// The same in the mean of all freezes: over one backend after the other it was 2.3 at most.
const PAUSE_TURNS_MEAN_MAX: u64 = 4;

const SIMULATED: &[Backend] = &[Backend::Simulated];

/// Freezes at random turns while all connections are busy, then lets them finish.
fn freeze_while_busy(way: &[Backend], stage: &mut Stage, work: &Work, seed: u64) {
    let mut chance = Chance::new(seed);
    let mut talks: Vec<Talk> = (0..CONNECTIONS).map(|number| Talk::new(number, stage)).collect();
    let (mut turns, mut longest) = (0, 0);
    for freeze in 1..=FREEZES {
        for _ in 0..=chance.below(TURNS_BETWEEN_MAX) {
            talks.iter_mut().for_each(|talk| talk.act(work, &mut chance, stage));
            stage.turn();
        }
        let pause = stage.move_to(way[freeze % way.len()]);
        turns += pause;
        longest = longest.max(pause);
    }
    stage.until(|_| {
        let mut left = 0;
        for talk in &mut talks {
            left += usize::from(!talk.finish(work, &mut chance));
        }
        (left == 0).then_some(())
    });
    let exchanges: usize = talks.iter().map(|talk| talk.exchanges).sum();
    let bytes: usize = talks.iter().map(|talk| talk.bytes).sum();
    drop(talks);
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    println!(
        "{way:?}: {FREEZES} freezes amid {exchanges} exchanges of {bytes} bytes paused for \
         {turns} turns, {longest} at most"
    );
    assert!(longest <= PAUSE_TURNS_MAX, "a freeze took {longest} turns");
    assert!(turns <= FREEZES as u64 * PAUSE_TURNS_MEAN_MAX, "all freezes took {turns} turns");
}

/// Limits without haste: with a hundred peers of a machine that does much else, none of them is at
/// fault when its next piece comes after half a minute.
fn patient() -> Limits {
    let mut limits = Limits::default();
    for limit in Limits::table() {
        match limit.unit() {
            Unit::Milliseconds => limit.set(&mut limits, "1h").unwrap(),
            Unit::BytesPerSecond => limit.set(&mut limits, "0").unwrap(),
            _ => {}
        }
    }
    limits
}

fn echo_server() -> Server {
    let limits = Limits { outbox_bytes_max: 100_000, ..patient() };
    fn echo(peer: crate::Peer) {
        peer.pull().then(|peer, bytes| peer.push(bytes).then(|peer, _| echo(peer)));
    }
    Server::new().raw(echo).limits(limits)
}

#[test]
fn echoed_bytes_survive() {
    let mut stage = Stage::on_unix(SYSTEM[0], echo_server(), "freeze-echo");
    freeze_while_busy(SYSTEM, &mut stage, &Work::Echo, 1);
}

#[test]
fn echoed_bytes_survive_simulated() {
    for (faults, seed) in [(Faults::default(), 2), (harmless(), 3)] {
        let mut stage =
            Stage::with_world(SIMULATED[0], echo_server(), |world| world.set_faults(faults));
        freeze_while_busy(SIMULATED, &mut stage, &Work::Echo, seed);
    }
}

/// Everything that goes wrong without ending a connection or its engine, and takes no time.
fn harmless() -> Faults {
    let late = [Fault::Delayed, Fault::Stalled, Fault::LeftBehind];
    let off = late.into_iter().chain([Fault::Reset, Fault::Refused]);
    off.fold(Faults::all(0.05), |faults, fault| faults.with(fault, 0.0))
}

/// Files, with the directory they stand in.
struct Site {
    files: Vec<(&'static str, Vec<u8>)>,
    directory: Directory,
}

impl Site {
    fn new(backend: Backend, name: &str) -> Self {
        let files = talk::files();
        let contents: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (*name, &**bytes)).collect();
        let directory = Directory::new(backend, name, &contents);
        Self { files, directory }
    }

    fn server(&self) -> Server {
        let served = Files::new(&self.directory.0).file_bytes_max(100_000).revalidate_ms(0);
        Server::new()
            .limits(patient())
            .get("/say/{words}", |request: Request| request.param("words").into_owned())
            .get("/big/{length}", |request: Request| {
                talk::pattern(request.param("length").parse().unwrap())
            })
            .post("/echo", |request: Request| request.bytes().clone())
            .files("/files", served)
    }
}

#[test]
fn exchanges_survive() {
    let site = Site::new(SYSTEM[0], "freeze");
    let mut stage = Stage::new(SYSTEM[0], site.server());
    freeze_while_busy(SYSTEM, &mut stage, &Work::Http(site.files), 4);
}

#[test]
fn exchanges_survive_in_small_buffers() {
    let site = Site::new(SYSTEM[0], "freeze-small");
    let mut stage = Stage::on_unix(SYSTEM[0], site.server(), "freeze");
    freeze_while_busy(SYSTEM, &mut stage, &Work::Http(site.files), 7);
}

#[test]
fn exchanges_survive_simulated() {
    // A file that cannot be opened ends its exchange in another way.
    let harmless = harmless().with(Fault::NoDescriptors, 0.0);
    for (faults, seed) in [(Faults::default(), 5), (harmless, 6)] {
        let site = Site::new(SIMULATED[0], "freeze");
        let mut stage = Stage::with_world(SIMULATED[0], site.server(), |world| {
            for (name, bytes) in &site.files {
                world.write_file(site.directory.0.join(name), bytes);
            }
            world.set_faults(faults);
        });
        freeze_while_busy(SIMULATED, &mut stage, &Work::Http(site.files), seed);
    }
}

/// After a start that went well, io_uring is refused at a random turn: every connection goes on.
#[test]
fn exchanges_survive_a_late_refusal() {
    let site = Site::new(Backend::Epoll, "refused");
    let mut stage = Stage::new(Backend::Epoll, site.server());
    let mut chance = Chance::new(8);
    let work = Work::Http(site.files);
    let mut talks: Vec<Talk> = (0..CONNECTIONS).map(|number| Talk::new(number, &stage)).collect();
    for _ in 0..20 {
        let (engine, turns_left) = (Backend::Uring.engine(None), chance.below(20));
        stage.move_over(Box::new(Refused { turns_left, ..Refused::over(engine) }));
        let mut is_refused = false;
        while !is_refused {
            talks.iter_mut().for_each(|talk| talk.act(&work, &mut chance, &stage));
            is_refused = stage.turn_or_move(Backend::Epoll);
        }
    }
    stage.until(|_| {
        let mut left = 0;
        for talk in &mut talks {
            left += usize::from(!talk.finish(&work, &mut chance));
        }
        (left == 0).then_some(())
    });
}

/// The shard's own loop gives up a refused engine, and goes on over another one to its end.
#[test]
fn a_refused_shard_goes_on() {
    let mut stage = Stage::new(Backend::Epoll, Server::new().get("/", || "here"));
    let mut peer = stage.connect();
    assert!(stage.talk(&mut peer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 100).ends_with(b"here"));
    let engine = Backend::Epoll.engine(None);
    stage.move_over(Box::new(Refused { turns_left: 1, ..Refused::over(engine) }));
    stage.turn();
    stage.run_to_end(Backend::Epoll.engine(None));
}

/// The system frees an address some milliseconds after the server that had it: a restart tries it
/// again, and no longer than that.
#[test]
fn a_busy_address_is_tried_again() {
    for (busy_left, is_served) in [(0, true), (6, true), (7, false)] {
        let mut server = Server::new().get("/", || "here").listen("127.0.0.1:0").unwrap();
        let (engine, counts) = (Backend::Epoll.engine(None), server.metrics().add_shard());
        let engine = Box::new(Refused { busy_left, ..Refused::over(engine) });
        let plan = Plan::of(&mut server, crate::offload::Pool::start).unwrap();
        let set_up = crate::running::set_up(engine, plan, counts);
        assert_eq!(set_up.is_ok(), is_served, "busy {busy_left} times");
    }
}

/// Whatever close(2) says, the descriptor is closed: the connection is forgotten.
#[test]
fn a_close_that_fails_is_done() {
    let mut stage = Stage::new(Backend::Epoll, Server::new().get("/", || "here"));
    let change = |completion: &mut Completion| {
        if matches!(completion.outcome, Outcome::Done) {
            let error = Error::system(OpKind::Close, 5);
            completion.outcome = Outcome::Failed(error, Memory::None);
        }
    };
    let engine = Backend::Epoll.engine(None);
    stage.move_over(Box::new(Refused { change, ..Refused::over(engine) }));
    let mut peer = stage.connect();
    stage.talk_to_end(&mut peer, b"GET / HTTP/1.0\r\n\r\n");
    drop(peer);
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
}

/// A connection fails while everything is being frozen: whoever has it is told why.
#[test]
fn a_reset_in_a_freeze_is_told() {
    struct Tells(mpsc::Sender<String>);
    impl crate::WebSocket for Tells {
        fn message(&self, _: crate::Socket, _: crate::Message) {}

        fn closed(&self, _: crate::Socket, reason: crate::CloseReason) {
            self.0.send(reason.to_string()).unwrap();
        }
    }
    let (told, tells) = mpsc::channel();
    let mut stage = Stage::new(Backend::Epoll, Server::new().websocket("/", Tells(told)));
    let mut peer = stage.connect();
    let offer = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert!(stage.talk(&mut peer, offer, 50).starts_with(b"HTTP/1.1 101 "));
    let change = |completion: &mut Completion| {
        let is_received = completion.token >> 60 == 0;
        if is_received && matches!(completion.outcome, Outcome::Failed(Error::Cancelled, _)) {
            let error = Error::system(OpKind::Receive, 104);
            completion.outcome = Outcome::Failed(error, Memory::None);
        }
    };
    stage.move_over(Box::new(Refused {
        turns_left: 0,
        change,
        ..Refused::over(Backend::Epoll.engine(None))
    }));
    assert!(stage.turn_or_move(Backend::Epoll));
    let reason = stage.until(|stage| {
        stage.turn();
        tells.try_recv().ok()
    });
    assert_eq!(reason, "the peer has reset the connection");
}

/// A connection's name stays, wherever its shard goes, and is nobody else's before or after.
#[test]
fn names_last() {
    for backend in SYSTEM.iter().chain(SIMULATED) {
        let mut stage = Stage::new(*backend, Server::new().get("/", || "here"));
        let mut old = BTreeSet::new();
        for round in 1..4 {
            let peers: Vec<_> = (0..10).map(|_| stage.connect()).collect();
            stage.until(|stage| (stage.counts().connections_open == 10).then_some(()));
            let names = stage.peers();
            assert!(names.is_disjoint(&old), "round {round}");
            stage.move_to(*backend);
            assert_eq!(stage.peers(), names);
            old.extend(names);
            drop(peers);
            stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
        }
    }
}
