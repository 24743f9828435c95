//! Servers in simulated worlds, as applications test theirs: planted bugs are found, and what a
//! server promises holds in every order of turns. Nothing here waits in real time.

mod events;
mod moving;
mod planted;
mod topics;

use std::time::Duration;

use springtide::test::{Fault, Faults, Peer, World, for_each_seed};
use springtide::{Files, Limits, Request, Server, StatusCode};
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
