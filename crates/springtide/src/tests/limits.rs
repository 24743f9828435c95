//! Every limit that a peer can break: nothing happens at it, and one past it it is counted, told with
//! the limit's name, and answered as the reference says. In virtual time, over simulated shards.

mod budget;

use std::time::Duration;

use super::{Backend, Peer, Stage, over_simulated_backends};
use crate::test::World;
use crate::{Limit, Limits, Server};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A stage with these limits set by name.
fn stage(backend: Backend, set: &[(&str, &str)]) -> Stage {
    let mut limits = Limits::default();
    for (name, value) in set {
        Limit::named(name).unwrap().set(&mut limits, value).unwrap();
    }
    let large = || "x".repeat(1 << 20);
    let server = Server::new().get("/", || "root").post("/", || "posted").get("/large", large);
    Stage::new(backend, server.limits(limits))
}

/// The limit was met so often, and told if it was and is one that is told.
#[track_caller]
fn expect_met(stage: &mut Stage, name: &str, count: u64, is_told: bool) {
    assert_eq!(stage.met(name), count, "{name}");
    // What was said is forgotten with the engine, the counts are not.
    if stage.is_moving() {
        return;
    }
    let mark = format!(" (limit {name} = ");
    let lines = stage.told().iter().filter(|line| line.contains(&mark)).count();
    assert_eq!(lines, usize::from(count > 0 && is_told), "{name}: {:?}", stage.told());
}

/// What is too large is answered with its status.
fn sizes(backend: Backend) {
    let chunked = |rest: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{rest}\r\n")
    };
    let line = |more: &str| format!("GET /?{more} HTTP/1.1\r\nHost: a\r\n\r\n");
    let fields = |more: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{more}\r\n");
    let body = |bytes: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{bytes}", bytes.len())
    };
    for (name, value, at, past, status) in [
        ("request_line_bytes_max", "20B", line("abcde"), line("abcdef"), 414),
        ("head_bytes_max", "64B", fields(&field(37)), fields(&field(38)), 431),
        (
            "fields_max",
            "3",
            fields("Cookie: a=1; b=2\r\n"),
            fields("Cookie: a=1; b=2; c=3\r\n"),
            431,
        ),
        ("trailer_bytes_max", "8B", chunked("0\r\nA: b\r\n"), chunked("0\r\nA: bc\r\n"), 431),
        ("chunk_extension_bytes_max", "4B", chunked("0;abc\r\n"), chunked("0;abcde\r\n"), 400),
        ("body_bytes_max", "10B", body("0123456789"), body("01234567890"), 413),
        (
            "body_bytes_max",
            "4B",
            chunked("4\r\nabcd\r\n0\r\n"),
            chunked("5\r\nabcde\r\n0\r\n"),
            413,
        ),
    ] {
        let mut stage = stage(backend, &[(name, value)]);
        let mut peer = stage.connect();
        let reply = stage.talk(&mut peer, at.as_bytes(), 15);
        assert!(reply.starts_with(b"HTTP/1.1 200 "), "{name}: {}", String::from_utf8_lossy(&reply));
        expect_met(&mut stage, name, 0, true);
        let mut peer = stage.connect();
        let reply = stage.talk(&mut peer, past.as_bytes(), 15);
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {reply}");
        expect_met(&mut stage, name, 1, true);
    }
}

/// A field of so many bytes with its line end.
fn field(length: usize) -> String {
    format!("A: {}\r\n", "x".repeat(length - 5))
}

/// A limit that is lifted lifts nothing else, and no sum of time goes wrong for it.
#[test]
fn every_limit_may_be_lifted() {
    for limit in Limits::table() {
        let mut limits = Limits::default();
        limits.http1.requests_max = 2;
        limit.set(&mut limits, "none").unwrap();
        let server = Server::new().limits(limits).get("/", || "root").post("/", || "posted");
        let mut world = World::new(1);
        world.serve(server);
        world.pass(SECOND * 5);
        let (mut peer, mut late) = (world.connect(), world.connect());
        let late_head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1";
        assert!(late.write(late_head.as_bytes()) > 0);
        for (request, body) in [
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "posted"),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "root"),
        ] {
            assert_eq!(peer.write(request.as_bytes()), request.len());
            world.settle();
            let reply = peer.reply().unwrap_or_else(|| panic!("{}: no reply", limit.name()));
            assert_eq!(reply.body(), body.as_bytes(), "{}", limit.name());
        }
        world.pass(SECOND * 100);
    }
}

/// A connection that is left with these bytes written ends at a deadline and not before.
fn times(backend: Backend) {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    let body = format!("{head}x");
    for (name, set, sent, after, is_told) in [
        ("idle_timeout", &[("idle_timeout", "7s")][..], "", SECOND * 7, false),
        ("head_timeout", &[("head_timeout", "7s")], "GET /", SECOND * 7, true),
        ("body_timeout", &[("body_timeout", "7s")], head, SECOND * 7, true),
        ("body_rate_min", &[("body_rate_min", "10B")], &body, SECOND * 10, true),
        ("body_rate_min", &[("body_rate_window", "3s")], &body, SECOND * 3, true),
    ] {
        let mut stage = stage(backend, set);
        let mut peer = stage.connect();
        stage.advance(Duration::ZERO);
        assert_eq!(peer.write(sent.as_bytes()), sent.len());
        stage.advance(Duration::ZERO);
        stage.advance(after - MILLISECOND);
        assert!(!peer.is_ended(), "{name}");
        expect_met(&mut stage, name, 0, is_told);
        stage.advance(MILLISECOND);
        let mut received = Vec::new();
        peer.read(&mut received);
        assert!(peer.is_ended(), "{name}");
        assert_eq!(received.starts_with(b"HTTP/1.1 408 "), is_told, "{name}");
        expect_met(&mut stage, name, 1, is_told);
    }
}

/// A peer that takes nothing is cut at the first look behind the timeout.
fn sends(backend: Backend) {
    for (name, reads) in [("send_timeout", 0), ("send_rate_min", 1)] {
        let mut stage = stage(backend, &[("send_timeout", "8s")]);
        let mut peer = stage.connect();
        let request = GET.replace("/ ", "/large ");
        assert_eq!(peer.write(request.as_bytes()), request.len());
        stage.advance(Duration::ZERO);
        let mut received = Vec::new();
        for _ in 0..8 {
            stage.advance(SECOND);
            peer.read_at_most(reads, &mut received);
        }
        expect_met(&mut stage, name, 0, true);
        stage.advance(SECOND);
        expect_met(&mut stage, name, 1, true);
        assert_eq!(stage.counts().connections_open, 0, "{name}");
    }
}

/// The reply that makes the number full says that it is the last one.
fn requests_of_a_connection(backend: Backend) {
    let mut stage = stage(backend, &[("requests_max", "3")]);
    let mut peer = stage.connect();
    for number in 1..=3 {
        let reply = stage.talk(&mut peer, GET.as_bytes(), 60);
        let reply = String::from_utf8(reply).unwrap();
        assert_eq!(reply.contains("Connection: close"), number == 3, "{reply}");
        expect_met(&mut stage, "requests_max", u64::from(number == 3), false);
    }
}

/// A connection that has become old answers one more request, and says that it is the last one.
fn age(backend: Backend) {
    let set = [("connection_age_max", "10s"), ("idle_timeout", "1h")];
    for (waits, is_last) in [(SECOND * 10 - MILLISECOND, false), (SECOND * 10, true)] {
        let mut stage = stage(backend, &set);
        let mut peer = stage.connect();
        stage.talk(&mut peer, GET.as_bytes(), 60);
        stage.advance(waits);
        expect_met(&mut stage, "connection_age_max", u64::from(is_last), false);
        let reply = stage.talk(&mut peer, GET.as_bytes(), 60);
        assert_eq!(String::from_utf8(reply).unwrap().contains("Connection: close"), is_last);
    }
}

/// Who comes when as many are open as may be waits; nothing is refused while nobody is lost.
fn connections(backend: Backend) {
    let mut stage = stage(backend, &[("connections_max", "2")]);
    let peers: Vec<Peer> = (0..2).map(|_| stage.connect()).collect();
    stage.advance(Duration::ZERO);
    assert_eq!(stage.counts().connections_open, 2);
    expect_met(&mut stage, "connections_max", 1, true);
    drop(peers);
}

/// One more connection of an address is closed at once, and one that ends makes room.
fn connections_of_an_address(backend: Backend) {
    let name = "connections_per_address_max";
    let mut stage = stage(backend, &[(name, "2")]);
    let mut peers: Vec<Peer> = (0..2).map(|_| stage.connect()).collect();
    stage.advance(Duration::ZERO);
    expect_met(&mut stage, name, 0, true);
    let third = stage.connect();
    stage.advance(Duration::ZERO);
    assert!(third.is_ended());
    expect_met(&mut stage, name, 1, true);
    assert_eq!((stage.counts().connections_open, stage.counts().connections_refused), (2, 1));
    peers.pop();
    stage.advance(Duration::ZERO);
    let mut fourth = stage.connect();
    assert!(stage.talk(&mut fourth, GET.as_bytes(), 15).starts_with(b"HTTP/1.1 200 "));
}

/// Requests of an address come at their rate behind a burst, on however many connections.
fn requests_of_an_address(backend: Backend) {
    let name = "requests_per_address_rate";
    let mut stage = stage(backend, &[(name, "1"), ("requests_per_address_burst", "2")]);
    let ask = |stage: &mut Stage, request: &str| {
        let mut peer = stage.connect();
        String::from_utf8(stage.talk(&mut peer, request.as_bytes(), 60)).unwrap()
    };
    for _ in 0..2 {
        assert!(ask(&mut stage, GET).starts_with("HTTP/1.1 200 "));
    }
    expect_met(&mut stage, name, 0, true);
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    let refused = ask(&mut stage, post);
    assert!(refused.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{refused}");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    expect_met(&mut stage, name, 1, true);
    stage.advance(SECOND);
    assert!(ask(&mut stage, post).starts_with("HTTP/1.1 200 "));
}

/// Where connections hold more than the budget, the heaviest of those that wait for their peers go,
/// the others stay, and who comes later is served.
fn memory(backend: Backend) {
    let budget = 5 << 20;
    let mut stage = stage(backend, &[("memory_max", "5MiB")]);
    let mut light = stage.connect();
    stage.talk(&mut light, GET.as_bytes(), 60);
    let request = GET.replace("/ ", "/large ").repeat(2);
    let mut heavy: Vec<Peer> = Vec::new();
    for count in 1..=2 {
        heavy.push(stage.connect());
        assert_eq!(heavy[count - 1].write(request.as_bytes()), request.len());
        stage.advance(MILLISECOND * 100);
        stage.advance(MILLISECOND * 100);
        expect_met(&mut stage, "memory_max", 0, true);
    }
    for _ in 0..6 {
        let mut peer = stage.connect();
        assert_eq!(peer.write(request.as_bytes()), request.len());
        heavy.push(peer);
    }
    for _ in 0..30 {
        stage.advance(MILLISECOND * 100);
    }
    assert!(stage.bytes_held() <= budget, "{} bytes", stage.bytes_held());
    let open = stage.counts().connections_open;
    assert!((3..=5).contains(&open), "{open} are open: the light one and as many as fit");
    assert!(stage.met("memory_max") >= 9 - open, "a line or a count for each that was closed");
    assert!(!light.is_ended(), "who holds nothing stays");
    let mut late = stage.connect();
    assert!(stage.talk(&mut late, GET.as_bytes(), 15).starts_with(b"HTTP/1.1 200 "));
}

/// How long a pipeline of requests may become, and what waits to be sent, are pauses: counted only.
fn pauses(backend: Backend) {
    let mut stage = stage(backend, &[("outbox_bytes_max", "100KiB")]);
    let mut peer = stage.connect();
    let request = GET.replace("/ ", "/large ").repeat(20);
    assert_eq!(peer.write(request.as_bytes()), request.len());
    stage.advance(Duration::ZERO);
    assert!(stage.met("outbox_bytes_max") > 0);
    assert!(stage.told().is_empty());
}

/// A body that nobody wants is read up to a limit, and ends the connection beyond it.
fn discarded_bodies(backend: Backend) {
    for (length, is_left) in [(10, false), (11, true)] {
        let mut stage = stage(backend, &[("discard_bytes_max", "10B")]);
        let mut peer = stage.connect();
        let body = "x".repeat(length);
        let request =
            format!("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
        stage.talk(&mut peer, request.as_bytes(), 60);
        stage.advance(SECOND * 3);
        assert_eq!(peer.is_ended(), is_left);
        expect_met(&mut stage, "discard_bytes_max", u64::from(is_left), false);
        assert_eq!(stage.met("linger_timeout"), u64::from(is_left));
    }
}

/// What has begun when the server is told to stop is cut when the time is over.
fn drains(backend: Backend) {
    let mut stage = stage(backend, &[]);
    let mut peer = stage.connect();
    stage.advance(Duration::ZERO);
    assert_eq!(peer.write(b"GET / HTTP/1.1\r\n"), 16);
    stage.advance(Duration::ZERO);
    stage.send(crate::mailbox::Message::Drain { within_ms: 3000 });
    stage.advance(Duration::ZERO);
    stage.advance(SECOND * 3 - MILLISECOND);
    expect_met(&mut stage, "drain_timeout", 0, true);
    stage.advance(MILLISECOND);
    expect_met(&mut stage, "drain_timeout", 1, true);
}

/// A thousand peers that do the same wrong make one line in ten seconds, and each is counted.
fn a_flood_is_told_once(backend: Backend) {
    let mut stage = stage(backend, &[("request_line_bytes_max", "20B")]);
    let past = GET.replace("/ ", "/0123456789 ");
    for _ in 0..1000 {
        let mut peer = stage.connect();
        stage.talk(&mut peer, past.as_bytes(), 15);
    }
    expect_met(&mut stage, "request_line_bytes_max", 1000, true);
    stage.advance(SECOND * 10);
    let mut peer = stage.connect();
    stage.talk(&mut peer, past.as_bytes(), 15);
    if stage.is_moving() {
        return;
    }
    let last = stage.told().last().unwrap();
    let said = "answered 414, because the request line is longer than allowed \
                (limit request_line_bytes_max = 20B; 999 more since the last line)";
    assert!(last.ends_with(said), "{last}");
}

over_simulated_backends!(
    sizes,
    times,
    sends,
    requests_of_a_connection,
    age,
    connections,
    connections_of_an_address,
    requests_of_an_address,
    memory,
    pauses,
    discarded_bodies,
    drains,
    a_flood_is_told_once,
);
