//! Every operation fails once, with every error it can have: the first, the second, and so on, until
//! a run passes untouched. It must never expect the connection that was hit to go on.

use springtide::test::{Peer, World};
use springtide::{Request, Server};
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// More errors than any operation has.
const ERRORS_MAX: usize = 5;
/// More operations than a run has.
const OPERATIONS_MAX: u64 = 2000;
const LONG: usize = 300_000;

fn world() -> World {
    let mut world = World::new(3);
    world.write_file("/site/short.txt", b"short");
    world.write_file("/site/long.bin", &vec![b'l'; LONG]);
    world.serve(
        Server::new()
            .get("/", || "root")
            .post("/echo", |request: Request| request.bytes().clone())
            .files("/files", "/site"),
    );
    world
}

/// What a peer asks, cut where it says, and what comes back: a status and the length of a body.
const ASKS: [(&[&str], u16, usize); 6] = [
    (&["GET / HTTP/1.1\r\nHost: a\r\n\r\n"], 200, 4),
    (&["POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", "llo"], 200, 5),
    (&["GET /files/short.txt HTTP/1.1\r\nHost: a\r\n\r\n"], 200, 5),
    (&["GET /files/none HTTP/1.1\r\nHost: a\r\n\r\n"], 404, 9),
    (&["GET /files/long.bin HTTP/1.1\r\nHost: a\r\n\r\n"], 200, LONG),
    (&["GET / HT", "TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"], 200, 4),
];

/// Asks everything and reads what comes; how many replies were right, and how many told of a
/// failure.
fn visit(world: &mut World, peer: &mut Peer) -> (usize, usize) {
    let (mut right, mut failures) = (0, 0);
    for (parts, status, len) in ASKS {
        for part in parts {
            let _ = peer.write(part.as_bytes());
            world.settle();
        }
        let mut reply = peer.reply();
        while reply.is_none() && !peer.is_closed_by_server() && peer.reset_cause().is_none() {
            // A paused accept goes on by itself after a while, and a long file as it is read.
            world.pass(Duration::from_millis(200));
            reply = peer.reply();
            if world.now() > HOUR {
                break;
            }
        }
        match reply {
            Some(reply) if reply.status() == status && reply.body().len() == len => right += 1,
            Some(reply) => {
                assert!(reply.status().as_u16() >= 400, "a failure is told of: {reply:?}");
                failures += 1;
            }
            None => return (right, failures),
        }
    }
    (right, failures)
}

/// One run: what failed, if the run has so many operations.
fn run(before: u64, choice: usize) -> Option<String> {
    let mut world = world();
    let listening = world.descriptors_open();
    world.simulated().fail_later(before, choice);
    let mut peers = [world.connect(), world.connect()];
    let told = peers.each_mut().map(|peer| visit(&mut world, peer));
    drop(peers);
    world.pass(HOUR);
    let failed = world.simulated().failed().map(|(kind, errno)| format!("{kind:?} {errno}"));
    let what = format!("operation {before} as {failed:?}: {told:?}");
    let whole = told.iter().filter(|(right, _)| *right == ASKS.len()).count();
    assert!(whole >= 1, "one connection goes on as if nothing were: {what}");
    assert!(failed.is_some() || whole == 2, "nothing fails by itself: {what}");
    assert_eq!(world.counts().connections_open, 0, "{what}");
    assert_eq!(world.descriptors_open(), listening, "{what}");
    let (stats, _) = world.engine_stats(0).unwrap();
    assert_eq!(stats.chunks_given_away, 0, "{what}");
    world.simulated().fail_later(u64::MAX, 0);
    // Who comes later finds a server that lacks nothing.
    let mut late = world.connect();
    assert_eq!(visit(&mut world, &mut late), (ASKS.len(), 0), "who comes later: {what}");
    drop(late);
    world.stop(Duration::from_secs(1));
    world.pass(HOUR);
    assert_eq!((world.shards_running(), world.descriptors_open()), (0, 0), "the end: {what}");
    failed
}

#[test]
fn every_operation_fails_once() {
    let mut failures = BTreeMap::<String, u32>::new();
    for choice in 0..ERRORS_MAX {
        let untouched = (0..OPERATIONS_MAX).find(|before| match run(*before, choice) {
            Some(failed) => {
                *failures.entry(failed).or_default() += 1;
                false
            }
            None => true,
        });
        assert!(untouched.is_some(), "a run has no {OPERATIONS_MAX} operations");
    }
    println!("{failures:?}");
    for kind in ["Accept", "Receive", "Send", "Close", "Open", "Read"] {
        assert!(failures.keys().any(|failed| failed.starts_with(kind)), "{kind}: {failures:?}");
    }
}
