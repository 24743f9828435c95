//! Servers in simulated worlds, as applications test theirs: planted bugs are found, and what a
//! server promises holds in every order of turns. Nothing here waits in real time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use springtide::test::{Fault, Faults, Peer, World, for_each_seed};
use springtide::{Accepting, Files, Limits, Request, Server, StatusCode};
use springtide_engine::EngineOptions;

const SECOND: Duration = Duration::from_secs(1);

fn say(peer: &mut Peer, line: &str) {
    let request = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.write(request.as_bytes()), request.len());
}

/// Says something and waits for the answer.
fn ask(world: &mut World, peer: &mut Peer, line: &str) -> StatusCode {
    say(peer, line);
    world.settle();
    peer.reply().expect("an answer").status()
}

/// What a test fails with in the first of many worlds in which it does.
fn found(test: impl FnMut(&mut World)) -> Option<&'static str> {
    let panic = catch_unwind(AssertUnwindSafe(|| for_each_seed(100, test))).err()?;
    Some(panic.downcast_ref::<&str>().expect("an assertion's own words"))
}

/// One ticket for all. The bug: who looks first sells it, however long ago that was.
fn tickets(sold: &Arc<AtomicU32>, is_mended: bool) -> Server {
    let (left, sold) = (sold.clone(), sold.clone());
    Server::new().get("/left", move || (1 - left.load(Ordering::Relaxed).min(1)).to_string()).post(
        "/buy",
        move || {
            if is_mended {
                let bought = sold.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
                return bought.map_or(StatusCode::CONFLICT, |_| StatusCode::OK);
            }
            sold.fetch_add(1, Ordering::Relaxed);
            StatusCode::OK
        },
    )
}

/// Two visitors look whether a ticket is left and buy it, in any order.
fn two_visitors(world: &mut World, is_mended: bool) {
    let sold = Arc::new(AtomicU32::new(0));
    world.serve(tickets(&sold, is_mended));
    let mut visitors = [(world.connect(), "GET /left"), (world.connect(), "GET /left")];
    for _ in 0..8 {
        let (visitor, next) = &mut visitors[world.below(2)];
        if next.is_empty() {
            continue;
        }
        say(visitor, next);
        world.settle();
        let is_left = visitor.reply().expect("an answer").body() == b"1";
        *next = if *next == "GET /left" && is_left { "POST /buy" } else { "" };
    }
    assert!(sold.load(Ordering::Relaxed) <= 1, "the ticket was sold twice");
}

#[test]
fn requests_that_interleave_find_a_bug() {
    assert_eq!(found(|world| two_visitors(world, false)), Some("the ticket was sold twice"));
    assert_eq!(found(|world| two_visitors(world, true)), None);
}

/// A desk that lends its only key. The bug: it waits for it for ever.
fn desk(is_mended: bool) -> Server {
    let lent = Arc::new((AtomicBool::new(false), Mutex::new(0_u32)));
    let (take, give) = (lent.clone(), lent);
    Server::new()
        .post("/take", move || {
            // The mended one gives a new key after three that asked in vain.
            let mut refused = take.1.lock().unwrap();
            if !take.0.swap(true, Ordering::Relaxed) || (is_mended && *refused == 3) {
                *refused = 0;
                return StatusCode::OK;
            }
            *refused += 1;
            StatusCode::CONFLICT
        })
        .post("/give", move || give.0.store(false, Ordering::Relaxed))
}

/// One peer takes the key and gives it back, unless it goes away; then another one comes.
fn who_goes_away(world: &mut World, is_mended: bool) {
    world.serve(desk(is_mended));
    world.set_faults(Faults::all(0.1).with(Fault::Reset, 0.0).with(Fault::Stalled, 0.0));
    let mut first = world.connect();
    say(&mut first, "POST /take");
    world.pass(SECOND);
    if world.below(2) == 0 {
        first.reset();
    } else {
        say(&mut first, "POST /give");
    }
    world.pass(SECOND * 60);
    world.set_faults(Faults::default());
    let mut second = world.connect();
    let is_lent = (0..4).any(|_| ask(world, &mut second, "POST /take") == StatusCode::OK);
    assert!(is_lent, "the key never came back");
}

#[test]
fn peers_that_go_away_find_a_bug() {
    assert_eq!(found(|world| who_goes_away(world, false)), Some("the key never came back"));
    assert_eq!(found(|world| who_goes_away(world, true)), None);
}

/// A body in pieces comes to the handler whole, whatever the network does to it.
#[test]
fn bodies_in_pieces_come_whole() {
    for_each_seed(50, |world| {
        world.set_faults(Faults::all(0.2).with(Fault::Reset, 0.0));
        world.serve(Server::new().post("/", |request: Request| request.bytes().clone()));
        let mut peer = world.connect();
        let body: Vec<u8> = (0..5000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let mut request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n".to_vec();
        request.extend_from_slice(&body);
        while !request.is_empty() {
            let count = 1 + world.below(request.len());
            let written = peer.write(&request[..count]);
            request.drain(..written);
            world.turn();
        }
        world.pass(SECOND * 10);
        assert_eq!(peer.reply().expect("an answer").body(), body);
    });
}

/// The same seed and the same acts give the same history.
#[test]
fn worlds_replay() {
    let play = |seed| {
        let mut world = World::new(seed);
        world.set_faults(Faults::all(0.1));
        world.serve(Server::new().get("/", || "here").workers(3));
        let mut peers: Vec<Peer> = (0..10).map(|_| world.connect()).collect();
        for _ in 0..100 {
            let peer = world.below(peers.len());
            let _ = peers[peer].write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            world.turn();
        }
        world.pass(SECOND * 100);
        (world.fingerprint(), world.counts())
    };
    assert_eq!(play(5), play(5));
    assert_ne!(play(5), play(6));
}

/// A peer that asks for exactly one turn's share and falls silent is closed as an idle one.
#[test]
fn who_has_had_its_share_exactly_is_idle_in_time() {
    for count in 30..70 {
        let mut world = World::new(1);
        world.serve(Server::new().get("/", || "here"));
        let mut peer = world.connect();
        for _ in 0..count {
            say(&mut peer, "GET /");
        }
        world.pass(SECOND * 61);
        let mut replies = Vec::new();
        peer.read(usize::MAX, &mut replies);
        assert!(peer.is_ended(), "{count} requests keep a connection for ever");
    }
}

/// An upload that ends with the bytes of a turn's share is answered in the next turn, also when the
/// end of the stream comes with it.
#[test]
fn an_upload_of_exactly_a_share_is_answered() {
    let totals = 131_072 - 40..131_072 + 40;
    for (total, ends) in totals.flat_map(|total| [(total, false), (total, true)]) {
        let mut world = World::new(1);
        world.serve(Server::new().post("/", |request: Request| request.bytes().len().to_string()));
        let mut peer = world.connect();
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 130000\r\n";
        let body = 130_000;
        let pad = "x".repeat(total - body - head.len() - "X: \r\n\r\n".len());
        let mut request = format!("{head}X: {pad}\r\n\r\n").into_bytes();
        request.resize(total, b'x');
        assert_eq!(peer.write(&request), total);
        if ends {
            peer.shutdown();
        }
        world.settle();
        assert_eq!(peer.reply().expect("an answer").body(), b"130000", "{total} bytes, {ends}");
    }
}

/// A request that is the last of a turn's share, and refused by its head alone, is refused at once.
#[test]
fn what_is_too_long_is_refused_at_the_end_of_a_share() {
    for count in 29..34 {
        let mut world = World::new(1);
        world.serve(Server::new().get("/", || "here").post("/", || "never"));
        let mut peer = world.connect();
        for _ in 0..count {
            say(&mut peer, "GET /");
        }
        let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n";
        assert_eq!(peer.write(request), request.len());
        world.settle();
        for _ in 0..count {
            assert_eq!(peer.reply().expect("an answer").status(), StatusCode::OK);
        }
        let refusal = peer.reply().expect("a refusal");
        assert_eq!(refusal.status(), StatusCode::PAYLOAD_TOO_LARGE, "behind {count}");
    }
}

/// While a shard hands its connections over, no more are open than are allowed.
#[test]
fn the_limit_on_connections_holds_while_they_move() {
    for_each_seed(50, |world| {
        let limits = Limits { connections_max: 3, ..Limits::default() };
        world.serve(Server::new().get("/", || "here").workers(2).limits(limits));
        let mut peers: Vec<Peer> = (0..3).map(|_| world.connect()).collect();
        world.settle();
        let stopping = world.below(2);
        world.stop_shard(stopping, SECOND);
        peers.extend((0..4).map(|_| world.connect()));
        for _ in 0..40 {
            world.turn();
            assert!(world.counts().connections_open <= 3, "{:?}", world.counts());
        }
        assert_eq!(world.shards_running(), 1);
    });
}

/// A world with two shards and a peer in the middle of a head, a millisecond before its deadline.
fn almost_late(seed: u64) -> (World, Peer) {
    let mut world = World::new(seed);
    world.serve(Server::new().get("/", || "here").workers(2).accepting(Accepting::OneShard));
    let mut peer = world.connect();
    assert_eq!(peer.write(b"GET /"), 5);
    world.settle();
    world.pass(Duration::from_millis(9_999));
    assert!(peer.reply().is_none());
    (world, peer)
}

/// The deadline is due at the moment at which its shard is frozen, or the connection moves.
#[test]
fn deadlines_are_kept_to_the_millisecond_by_what_moves() {
    for seed in 0..10 {
        let (mut world, mut peer) = almost_late(seed);
        world.simulated().advance(Duration::from_millis(1));
        world.freeze_shard(0);
        world.settle();
        assert_eq!(peer.reply().expect("it is due").status(), StatusCode::REQUEST_TIMEOUT);
    }
    for seed in 0..10 {
        let (mut world, mut peer) = almost_late(seed);
        world.share(0, 1, 1);
        world.turn_shard(0);
        world.turn_shard(0);
        world.simulated().advance(Duration::from_millis(1));
        // It stands at this millisecond already, and gets the connection then.
        world.turn_shard(1);
        world.settle();
        assert_eq!(peer.reply().expect("it is due").status(), StatusCode::REQUEST_TIMEOUT);
    }
}

/// One that asks for a path, and falls silent, is closed when its idle time is over.
fn is_closed_in_time(world: &mut World, path: &str) {
    world.write_file("/site/index.html", &[b'x'; 9_000]);
    let site = Files::new("/site").file_bytes_max(4_096);
    world.serve(Server::new().get("/", || "here").files("/site", site));
    let mut peer = world.connect();
    world.pass(SECOND * 5);
    assert_eq!(ask(world, &mut peer, &format!("GET {path}")), StatusCode::OK);
    world.pass(SECOND * 60 - Duration::from_millis(1));
    assert!(!peer.is_ended(), "{path}");
    world.pass(Duration::from_millis(2));
    assert!(peer.is_ended(), "{path}");
}

/// The idle time begins when the last reply has gone, also one that came later than its request.
#[test]
fn an_idle_connection_is_closed_in_time() {
    for path in ["/", "/site/index.html"] {
        let mut world = World::new(1);
        // One completion a turn: that of the last send comes behind all others.
        world.set_engine_options(EngineOptions { cq_entries: 1, ..EngineOptions::default() });
        is_closed_in_time(&mut world, path);
        for_each_seed(20, |world| {
            // Whatever nobody waits for is told of late.
            world.set_faults(Faults::default().with(Fault::LeftBehind, 1.0));
            is_closed_in_time(world, path);
        });
    }
}

/// A server of two shards with a file too large for its memory, and peers that have asked nothing.
fn six_at_a_large_file(world: &mut World) -> Vec<Peer> {
    world.write_file("/site/large", &[b'x'; 9_000]);
    let site = Files::new("/site").file_bytes_max(4_096);
    let server = Server::new().files("/site", site).workers(2);
    world.serve(server.accepting(Accepting::OneShard));
    let peers = (0..6).map(|_| world.connect()).collect();
    world.settle();
    peers
}

/// Several peers ask for the same file at once, and one moves while it waits: what it is sent from
/// is not what the others are sent from.
#[test]
fn who_waits_for_a_file_moves_without_it() {
    for_each_seed(300, |world| {
        let mut peers = six_at_a_large_file(world);
        world.set_faults(Faults::default().with(Fault::Delayed, 0.3).with(Fault::ShortRead, 0.5));
        peers.iter_mut().for_each(|peer| say(peer, "GET /site/large"));
        for _ in 0..100 {
            world.turn();
            let source = world.below(2);
            world.share(source, 1 - source, 1);
            world.simulated().advance(Duration::from_millis(2));
        }
        world.pass(SECOND);
        for peer in &mut peers {
            assert_eq!(peer.reply().expect("an answer").body().len(), 9_000);
        }
    });
}

/// A peer asks twice and ends its stream, and the server takes a while with the second reply: it is
/// closed behind that, not when its idle time is over.
#[test]
fn the_end_of_a_stream_is_noticed_behind_a_pause() {
    let offer = "Connection: upgrade\r\nUpgrade: tide/2\r\n";
    for (path, fields) in [("/site/index.html", offer), ("/long", "")] {
        let mut world = World::new(1);
        world.write_file("/site/index.html", &[b'x'; 9_000]);
        let site = Files::new("/site").file_bytes_max(4_096);
        let limits = Limits { outbox_bytes_max: 1000, ..Limits::default() };
        let server = Server::new().get("/long", || "x".repeat(300_000)).files("/site", site);
        world.serve(server.limits(limits));
        let mut peer = world.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").repeat(2);
        assert_eq!(peer.write(request.as_bytes()), request.len());
        peer.shutdown();
        let (mut replies, mut rounds) = (0, 0);
        while !peer.is_ended() {
            world.settle();
            while peer.reply().is_some() {
                replies += 1;
            }
            rounds += 1;
            assert!(rounds < 100, "{path}: it is not closed");
        }
        assert_eq!(replies, 2, "{path}");
    }
}

/// A file cannot be read to its end while its connection is on its way: that ends all the same.
#[test]
fn a_connection_moves_whose_file_breaks() {
    for_each_seed(100, |world| {
        let mut peers = six_at_a_large_file(world);
        let faults = Faults::default().with(Fault::Delayed, 0.3).with(Fault::ShortRead, 0.9);
        world.set_faults(faults.with(Fault::NoDescriptors, 0.5));
        peers.iter_mut().for_each(|peer| say(peer, "GET /site/large"));
        for _ in 0..100 {
            world.turn();
            let source = world.below(2);
            world.share(source, 1 - source, 1);
            world.simulated().advance(Duration::from_millis(2));
        }
        world.set_faults(Faults::default());
        world.pass(SECOND * 200);
        assert_eq!(world.counts().connections_open, 0);
    });
}

/// A server that stops is full still, and a connection comes back that was about to move: nothing
/// stays open behind it.
#[test]
fn a_server_that_stops_while_it_is_full_leaves_nothing() {
    let mut world = World::new(1);
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let server = Server::new().get("/", || "here").workers(2).accepting(Accepting::OneShard);
    world.serve(server.limits(limits));
    let mut peers: Vec<Peer> = (0..2).map(|_| world.connect()).collect();
    world.settle();
    for peer in &mut peers {
        assert_eq!(peer.write(b"GET /"), 5);
    }
    world.settle();
    world.share(0, 1, 1);
    world.turn_shard(0);
    world.stop(SECOND * 60);
    world.pass(SECOND * 60);
    assert_eq!((world.shards_running(), world.descriptors_open()), (0, 0));
}

/// The same as `an_upload_of_exactly_a_share_is_answered`, while its shard is frozen, or gives the
/// connection to another one, before the turn that would have noticed the end.
#[test]
fn an_upload_of_exactly_a_share_moves() {
    for (total, is_frozen) in (131_060..131_085).flat_map(|total| [(total, true), (total, false)]) {
        let mut world = World::new(1);
        let count = |request: Request| request.bytes().len().to_string();
        world.serve(Server::new().post("/", count).workers(2).accepting(Accepting::OneShard));
        let mut peer = world.connect();
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ";
        let body = total - head.len() - "130000\r\n\r\n".len();
        let mut request = format!("{head}{body}\r\n\r\n").into_bytes();
        request.resize(total, b'x');
        world.settle();
        assert_eq!(peer.write(&request), total);
        for source in [0, 1].into_iter().cycle().take(6) {
            world.turn_shard(0);
            world.turn_shard(1);
            if is_frozen {
                world.freeze_shard(0);
            } else {
                world.share(source, 1 - source, 1);
            }
        }
        world.settle();
        let reply = peer.reply().unwrap_or_else(|| panic!("{total} bytes, {is_frozen}"));
        assert_eq!(reply.body(), body.to_string().as_bytes());
    }
}

/// What had come when the server was told to stop is answered, however many turns that takes, also
/// after a move; who goes on asking does not hold the stop up.
#[test]
fn what_has_come_by_a_stop_is_answered() {
    for_each_seed(20, |world| {
        let mut limits = Limits::default();
        limits.http1.exchanges_max = [1, 32][world.below(2)];
        let is_moving = world.below(2) == 0;
        world.serve(Server::new().get("/", || "here").workers(2).limits(limits));
        let mut peer = world.connect();
        let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
        let mut written = peer.write(&requests);
        assert_eq!(written, requests.len());
        while world.counts().bytes_received == 0 {
            world.turn();
        }
        let received = usize::try_from(world.counts().bytes_received).unwrap();
        if is_moving {
            (0..2).for_each(|number| world.freeze_shard(number));
        }
        world.stop(SECOND);
        let mut replies = 0;
        for _ in 0..100 {
            written += peer.write(&requests);
            world.turn();
            replies += std::iter::from_fn(|| peer.reply()).count();
        }
        let due = received.div_ceil(requests.len() / 100);
        assert!(replies >= due, "{replies} of {due}");
        world.pass(SECOND * 3);
        assert_eq!(world.shards_running(), 0);
        assert!(replies < written / (requests.len() / 100), "it has stopped");
    });
}

fn loads(world: &World, shards: usize) -> Vec<usize> {
    let load = |number| {
        let mut connections = 0;
        world.look(number, |_| connections += 1);
        connections
    };
    (0..shards).map(load).collect()
}

/// Connections that were to go to one shard end before they can: those that are asked for later go
/// where they are to go.
#[test]
fn connections_move_to_the_shard_that_asked_for_them() {
    for_each_seed(20, |world| {
        let server = Server::new().workers(3).accepting(Accepting::EveryShard);
        world.serve(server.get("/", || "here"));
        let mut peers: Vec<Peer> = (0..12).map(|_| world.connect()).collect();
        world.settle();
        world.share(0, 1, 100);
        peers.iter_mut().for_each(Peer::reset);
        world.settle();
        assert_eq!(loads(world, 3), [0, 0, 0]);
        let _peers: Vec<Peer> = (0..12).map(|_| world.connect()).collect();
        world.settle();
        let before = loads(world, 3);
        world.share(0, 2, 2);
        world.settle();
        let moved = before[0].min(2);
        assert_eq!(loads(world, 3), [before[0] - moved, before[1], before[2] + moved]);
    });
}

/// There are more connections than the engine has room for: one whose close finds no room either is
/// closed when there is some again, also when its shard is frozen meanwhile.
#[test]
fn a_close_that_finds_no_room_is_made_up_for() {
    for freezes in [false, true] {
        let mut world = World::new(1);
        let options = EngineOptions { operations_max: 8, ..EngineOptions::default() };
        world.set_engine_options(options);
        world.serve(Server::new().get("/", || "here"));
        world.settle();
        let before = world.descriptors_open();
        let mut peers: Vec<Peer> = (0..12).map(|_| world.connect()).collect();
        world.settle();
        if freezes {
            world.freeze_shard(0);
        }
        peers.truncate(4);
        world.pass(SECOND);
        assert_eq!(ask(&mut world, &mut peers[0], "GET /"), StatusCode::OK);
        drop(peers);
        world.pass(SECOND);
        assert_eq!((world.counts().connections_open, world.descriptors_open()), (0, before));
        world.stop(SECOND);
        world.pass(SECOND);
        assert_eq!(world.shards_running(), 0);
    }
}
