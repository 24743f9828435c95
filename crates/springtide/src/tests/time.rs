//! Deadlines, in virtual time: nobody waits for them.
//! Only the simulated backend has such time; the wheel behind them is the same everywhere.

use std::time::Duration;

use super::{Backend, Peer, Stage, over_simulated_backends};
use crate::{Limits, Server};

fn stage(backend: Backend) -> Stage {
    Stage::new(backend, Server::new().get("/", || "root").post("/", || "posted"))
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);

/// A head has ten seconds from its first byte, however its bytes come.
fn a_slow_head_is_refused(backend: Backend) {
    let mut stage = stage(backend);
    let mut peer = stage.connect();
    let mut received = Vec::new();
    for byte in b"GET / HTT" {
        assert_eq!(peer.write(std::slice::from_ref(byte)), 1);
        stage.turn();
        stage.advance(SECOND);
        peer.read(&mut received);
        assert!(received.is_empty() && !peer.is_ended());
    }
    stage.advance(SECOND * 3);
    peer.read(&mut received);
    assert!(received.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&received));
    assert!(peer.is_ended());
    assert_eq!(stage.counts().deadlines_total, 1);
}

/// An idle connection is closed after sixty seconds and not before.
fn an_idle_connection_is_closed(backend: Backend) {
    let mut stage = stage(backend);
    let mut peer = stage.connect();
    let reply = stage.talk(&mut peer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 100);
    assert!(reply.starts_with(b"HTTP/1.1 200 OK"));
    stage.advance(SECOND * 59);
    assert!(!peer.is_ended());
    stage.advance(SECOND * 2);
    assert!(peer.is_ended());
    let mut nothing = Vec::new();
    peer.read(&mut nothing);
    assert!(nothing.is_empty(), "an idle connection is closed without a word");
    drop(peer);
    stage.advance(SECOND);
    assert_eq!(stage.counts().connections_open, 0);
}

/// A connection that never says anything is closed as an idle one.
fn a_silent_connection_is_closed(backend: Backend) {
    let mut stage = stage(backend);
    let peer = stage.connect();
    stage.advance(Duration::ZERO);
    stage.advance(SECOND * 59);
    assert!(!peer.is_ended());
    stage.advance(SECOND * 2);
    assert!(peer.is_ended());
}

/// A body that stops coming is refused; requests in between move the deadline.
fn a_stalled_body_is_refused(backend: Backend) {
    let mut limits = Limits::default();
    limits.http1.body_rate_min = 0;
    let mut stage = Stage::new(backend, Server::new().post("/", || "posted").limits(limits));
    let mut peer = stage.connect();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n";
    assert_eq!(peer.write(head), head.len());
    for _ in 0..5 {
        stage.advance(SECOND * 29);
        assert_eq!(peer.write(b"x"), 1);
        stage.turn();
    }
    let mut received = Vec::new();
    peer.read(&mut received);
    assert!(received.is_empty());
    stage.advance(SECOND * 31);
    peer.read(&mut received);
    assert!(received.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&received));
}

/// A body that never stops coming and never comes to its end is refused as well.
fn a_dripping_body_is_refused(backend: Backend) {
    let mut stage = stage(backend);
    let mut peer = stage.connect();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n";
    assert_eq!(peer.write(head), head.len());
    stage.advance(Duration::ZERO);
    let mut received = Vec::new();
    for second in 0..11 {
        peer.read(&mut received);
        assert!(received.is_empty(), "{second}");
        stage.advance(SECOND);
        assert_eq!(peer.write(b"x"), 1);
        stage.advance(Duration::ZERO);
    }
    peer.read(&mut received);
    assert!(received.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&received));
}

/// How long a send in flight may take from one look at it to the next, of a timeout of 30 s.
const LOOK: Duration = Duration::from_millis(3750);

/// Lets time pass as a server on a real clock does: no deadline comes late.
fn pass(stage: &mut Stage, mut time: Duration) {
    const STEP: Duration = Duration::from_millis(125);
    while !time.is_zero() {
        stage.advance(time.min(STEP));
        time = time.saturating_sub(STEP);
    }
}

/// A stage and a peer that has asked for much, of which nothing more fits.
fn asked_for_much(backend: Backend) -> (Stage, Peer) {
    asked_for_much_at(backend, Limits::default().send_rate_min)
}

fn asked_for_much_at(backend: Backend, send_rate_min: u64) -> (Stage, Peer) {
    let limits = Limits { send_rate_min, ..Limits::default() };
    let server = Server::new().get("/", || "x".repeat(1 << 20)).get("/small", || "small");
    let mut stage = Stage::new(backend, server.limits(limits));
    let mut peer = stage.connect();
    assert_eq!(peer.write(REQUEST), REQUEST.len());
    stage.advance(Duration::ZERO);
    (stage, peer)
}

/// A peer that reads nothing is cut when its send makes no progress, and others are not. Nothing
/// stays in the system for it.
fn a_stalled_reader_is_cut(backend: Backend) {
    let (mut stage, stalled) = asked_for_much(backend);
    let edge = LOOK + SECOND * 30;
    pass(&mut stage, edge - Duration::from_millis(1));
    assert_eq!(stage.counts().deadlines_total, 0);
    stage.advance(Duration::from_millis(1));
    assert_eq!(stage.counts().deadlines_total, 1);
    assert_eq!(stage.counts().connections_open, 0);
    assert!(stalled.is_reset());
    let mut good = stage.connect();
    let reply = stage.talk(&mut good, b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n", 100);
    assert!(reply.ends_with(b"small"));
}

/// Who takes a kilobyte a second is not cut, and who takes a little less is.
fn a_trickle_is_cut(backend: Backend) {
    let enough = usize::try_from(LOOK.as_millis()).unwrap() * 1024 / 1000;
    for (bytes, is_cut) in [(enough, false), (enough - 1, true)] {
        let (mut stage, mut slow) = asked_for_much(backend);
        let mut received = Vec::new();
        for _ in 0..100 {
            slow.read_at_most(bytes, &mut received);
            pass(&mut stage, LOOK);
        }
        assert_eq!(stage.counts().deadlines_total == 1, is_cut, "{bytes} bytes each time");
    }
}

/// Where no rate is asked for, a peer that takes a single byte before each deadline is not cut,
/// whenever it begins to; one that stops is cut, not before the timeout is over, and in time.
fn a_peer_that_takes_a_byte_is_not_cut(backend: Backend) {
    let timeout = SECOND * 30;
    for begin_ms in [0, 1, 3749, 3750, 3751, 29_999, 30_000] {
        let (mut stage, mut slow) = asked_for_much_at(backend, 0);
        pass(&mut stage, Duration::from_millis(begin_ms));
        let mut received = Vec::new();
        for takes in 1..=6 {
            slow.read_at_most(1, &mut received);
            assert_eq!(received.len(), takes);
            pass(&mut stage, timeout);
            assert_eq!(stage.counts().deadlines_total, 0, "take {takes} of {begin_ms} ms");
        }
        // The last byte was taken a timeout ago: it may have been seen at the next look only.
        pass(&mut stage, LOOK);
        assert_eq!(stage.counts().deadlines_total, 1, "{begin_ms} ms");
    }
}

/// How long a peer let one reply wait does not count against it at the next one.
fn each_send_has_its_own_time(backend: Backend) {
    let (mut stage, mut peer) = asked_for_much(backend);
    pass(&mut stage, SECOND * 25);
    let mut received = stage.talk(&mut peer, b"", 1 << 20);
    stage.advance(Duration::ZERO);
    peer.read(&mut received);
    let head = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    assert_eq!(received.len(), head + 4 + (1 << 20), "all of the first reply is there");
    assert_eq!(peer.write(REQUEST), REQUEST.len());
    stage.advance(Duration::ZERO);
    pass(&mut stage, SECOND * 30);
    assert_eq!(stage.counts().deadlines_total, 0);
    pass(&mut stage, LOOK);
    assert_eq!(stage.counts().deadlines_total, 1);
}

/// A peer that reads slowly and goes on reading is not cut, however long the whole takes, and how
/// slowly a single send goes.
fn a_slow_reader_is_not_cut(backend: Backend) {
    let server = Server::new().get("/", || "x".repeat(8 << 20));
    let mut stage = Stage::new(backend, server);
    let mut slow = stage.connect();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(slow.write(request), request.len());
    let (mut received, mut seconds) = (Vec::new(), 0);
    while !slow.is_ended() {
        slow.read_at_most(32 << 10, &mut received);
        stage.advance(SECOND * 5);
        seconds += 5;
    }
    assert!(received.ends_with(b"xxxx") && received.len() > 8 << 20, "{} bytes", received.len());
    assert!(seconds > 1000, "it took {seconds} s");
    assert_eq!(stage.counts().deadlines_total, 0);
}

/// A peer that may still send is waited for behind its last reply, because a close with bytes
/// unread could destroy the reply (RFC 9112 §9.6); it is not waited for for ever.
fn lingering_ends(backend: Backend) {
    for last in [
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\nConnection: close\r\n\r\n",
    ] {
        let mut stage = stage(backend);
        let mut peer = stage.connect();
        stage.talk_to_end(&mut peer, last.as_bytes());
        assert_eq!(stage.counts().connections_open, 1, "the peer has not ended its side: {last}");
        stage.advance(SECOND * 3);
        assert_eq!(stage.counts().connections_open, 0, "{last}");
    }
}

/// A peer that has said that nothing follows its request is not waited for.
fn who_is_done_is_not_waited_for(backend: Backend) {
    for last in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ] {
        let mut stage = stage(backend);
        let mut peer = stage.connect();
        let received = stage.talk_to_end(&mut peer, last.as_bytes());
        assert!(received.starts_with("HTTP/1.1 200"), "{last}: {received}");
        stage.advance(Duration::from_millis(1));
        assert_eq!(stage.counts().connections_open, 0, "{last}");
    }
}

/// When descriptors are spent, accepting pauses without spinning; who waits is accepted later.
fn spent_descriptors_pause_accepting(backend: Backend) {
    let server = Server::new().get("/", || "root");
    let mut stage = Stage::with_world(backend, server, |world| {
        world.set_descriptors_max(12);
    });
    let mut peers: Vec<_> = (0..30).map(|_| stage.connect()).collect();
    stage.advance(SECOND);
    let open = stage.counts().connections_open;
    assert!((5..12).contains(&open), "{open} connections are open");
    let (paused, turns) = (stage.counts().accepts_paused, stage.counts().turns_total);
    stage.advance(SECOND);
    assert!(stage.counts().accepts_paused <= paused + 1);
    assert!(stage.counts().turns_total <= turns + 20, "a pause must not spin");
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    while !peers.is_empty() {
        let mut first = peers.remove(0);
        let mut received = Vec::new();
        assert_eq!(first.write(request), request.len());
        for _ in 0..50 {
            stage.advance(Duration::from_millis(20));
            first.read(&mut received);
        }
        assert!(received.ends_with(b"root"), "a connection that waited was lost");
    }
}

over_simulated_backends!(
    a_slow_head_is_refused,
    an_idle_connection_is_closed,
    a_silent_connection_is_closed,
    a_stalled_body_is_refused,
    a_dripping_body_is_refused,
    a_stalled_reader_is_cut,
    a_trickle_is_cut,
    a_peer_that_takes_a_byte_is_not_cut,
    each_send_has_its_own_time,
    a_slow_reader_is_not_cut,
    lingering_ends,
    who_is_done_is_not_waited_for,
    spent_descriptors_pause_accepting,
);
