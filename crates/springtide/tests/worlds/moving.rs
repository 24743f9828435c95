//! Connections that move between shards, and shards that stop: what a server promises holds on the way.
//! Nothing here waits in real time.

use std::time::Duration;

use springtide::test::{Fault, Faults, Peer, World, for_each_seed};
use springtide::{Accepting, Files, Limits, Request, Server, StatusCode, sleep};

use super::{SECOND, say};

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

/// A world with two shards and a peer on each in the middle of a head, a millisecond before its deadline.
fn almost_late(seed: u64) -> (World, [Peer; 2]) {
    let mut world = World::new(seed);
    world.serve(Server::new().get("/", || "here").workers(2).accepting(Accepting::OneShard));
    let mut peers = [world.connect(), world.connect()];
    peers.iter_mut().for_each(|peer| assert_eq!(peer.write(b"GET /"), 5));
    world.settle();
    world.pass(Duration::from_millis(9_999));
    assert!(peers.iter_mut().all(|peer| peer.reply().is_none()));
    (world, peers)
}

/// Nobody has to wait for another millisecond.
fn assert_due(world: &mut World, peers: [Peer; 2]) {
    world.settle();
    for mut peer in peers {
        assert_eq!(peer.reply().expect("it is due").status(), StatusCode::REQUEST_TIMEOUT);
    }
}

/// The deadline is due at the moment at which its shard is frozen, or the connection moves.
#[test]
fn deadlines_are_kept_to_the_millisecond_by_what_moves() {
    for seed in 0..10 {
        let (mut world, peers) = almost_late(seed);
        world.simulated().advance(Duration::from_millis(1));
        world.freeze_shard(0);
        assert_due(&mut world, peers);
    }
    for seed in 0..10 {
        let (mut world, peers) = almost_late(seed);
        world.share(0, 1, 1);
        world.turn_shard(0);
        world.simulated().advance(Duration::from_millis(1));
        // Its own peer is due, so that it has looked at this millisecond, and gets the other one then.
        world.turn_shard(1);
        world.turn_shard(0);
        assert_due(&mut world, peers);
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
    let totals = (131_060..131_085).flat_map(|total| [(total, true), (total, false)]);
    for ((total, is_frozen), is_chunked) in totals
        .flat_map(|(total, is_frozen)| [((total, is_frozen), true), ((total, is_frozen), false)])
    {
        let mut world = World::new(1);
        let count = |request: Request| request.bytes().len().to_string();
        world.serve(Server::new().post("/", count).workers(2).accepting(Accepting::OneShard));
        let mut peer = world.connect();
        let (request, body) = if is_chunked { in_chunks(total) } else { at_once(total) };
        world.settle();
        assert_eq!((peer.write(&request), request.len()), (total, total));
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
        let reply = peer.reply().unwrap_or_else(|| panic!("{total} {is_frozen} {is_chunked}"));
        assert_eq!(reply.body(), body.to_string().as_bytes());
    }
}

/// A request of so many bytes whose body has a length, and that.
fn at_once(total: usize) -> (Vec<u8>, usize) {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ";
    let body = total - head.len() - "130000\r\n\r\n".len();
    let mut request = format!("{head}{body}\r\n\r\n").into_bytes();
    request.resize(total, b'x');
    (request, body)
}

/// The same in chunks, of which the last has what is left.
fn in_chunks(total: usize) -> (Vec<u8>, usize) {
    const END: &str = "\r\n0\r\n\r\n";
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut request = head.as_bytes().to_vec();
    let mut body = 0;
    while total - request.len() > 2_100 {
        request.extend_from_slice(format!("3e8\r\n{}\r\n", "x".repeat(1000)).as_bytes());
        body += 1000;
    }
    let last = total - request.len() - "400\r\n".len() - END.len();
    request.extend_from_slice(format!("{last:3x}\r\n{}{END}", "x".repeat(last)).as_bytes());
    (request, body + last)
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

/// What leads to a future stays on its shard, which does not wait for it to have enough: it is told by
/// the end of what it reads, also when the upgrade is decided after the stop began.
#[test]
fn a_shard_that_stops_ends_what_was_upgraded() {
    for_each_seed(20, |world| {
        let upgrade = async |request: Request| {
            sleep(Duration::from_millis(10)).await;
            request.upgrade("tide", async |upgraded| {
                while upgraded.read().await.is_some() {}
                upgraded.write("the end").await;
                Ok(())
            })
        };
        let server = Server::new().get("/", upgrade).workers(2);
        world.serve(server.accepting(Accepting::OneShard));
        let mut peers = [world.connect(), world.connect()];
        for peer in &mut peers {
            say(peer, "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: tide\r\nX-Rest:");
            world.settle();
        }
        if world.below(2) == 0 {
            world.pass(Duration::from_millis(10));
        }
        let stopping = world.below(2);
        world.stop_shard(stopping, SECOND * 3600);
        world.pass(Duration::from_millis(20));
        let mut ended = 0;
        for peer in &mut peers {
            let mut said = Vec::new();
            peer.read(usize::MAX, &mut said);
            ended += usize::from(peer.is_ended() && said.ends_with(b"the end"));
        }
        assert_eq!(ended, 1, "only what stood on the shard that stops");
        drop(peers);
        world.settle();
        assert_eq!(world.shards_running(), 1);
    });
}

/// A shard stops while the system passes a long file to a connection, which cannot move, as a future
/// waits behind that: it gets the rest all the same.
#[test]
fn who_is_passed_a_file_gets_the_rest_on_leaving() {
    const LENGTH: usize = 12 << 20;
    let bytes: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
    for_each_seed(8, |world| {
        world.write_file("/site/long", &bytes);
        let server = Server::new().files("/site", Files::new("/site"));
        let server = server.get("/late", async || sleep(SECOND).await).workers(2);
        world.serve(server.accepting(Accepting::OneShard));
        let mut peer = world.connect();
        say(&mut peer, "GET /site/long");
        say(&mut peer, "GET /late");
        let mut read = Vec::new();
        let asked_at = world.below(4 << 20);
        while read.len() < asked_at {
            world.turn();
            peer.read(1 << 16, &mut read);
        }
        world.stop_shard(usize::from(loads(world, 2)[1] > 0), 60 * SECOND);
        world.settle();
        while read.len() < LENGTH {
            let before = read.len();
            peer.read(1 << 16, &mut read);
            world.settle();
            assert!(read.len() > before, "nothing comes behind {before} bytes");
        }
        let body = &read[read.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4..];
        assert!(body == &bytes[..body.len()], "it is the file");
    });
}
