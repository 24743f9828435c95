//! One port for HTTP, WebSockets and another protocol: what comes first decides, however it is cut, and
//! whoever has the connection then has all of its bytes.

use std::time::Duration;

use super::{Backend, Stage, over_all_backends, over_simulated_backends};
use crate::{Detection, Framed, Limits, Message, Peer, Server, Socket};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const OFFER: &[u8] = b"GET /talk HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x84\0\0\0\0tide";

fn http() -> Server {
    let echo = |socket: Socket, message: Message| socket.send(message);
    Server::new().get("/", || "a page").websocket("/talk", echo)
}

/// Says a line back and closes.
fn line(peer: Peer) {
    peer.pull_until("\n", 1024).then(|peer, line| {
        peer.push(line).then(|peer, _| peer.close().detach());
    });
}

fn counted(stage: &Stage, name: &str) -> (u64, u64) {
    let metrics = stage.metrics();
    let own = metrics.protocols().find(|own| own.name == name).unwrap();
    (own.open, own.total)
}

/// Says it in two parts, with turns in between, and reads to the end.
fn talk(stage: &mut Stage, said: &[u8], cut: usize, end: &[u8]) -> Vec<u8> {
    let mut peer = stage.connect();
    stage.talk(&mut peer, &said[..cut], 0);
    for _ in 0..8 {
        stage.turn();
    }
    let (mut rest, mut received) = (&said[cut..], Vec::new());
    stage.until(|stage| {
        rest = &rest[peer.write(rest)..];
        stage.turn();
        peer.read(&mut received);
        (received.ends_with(end) || peer.is_ended()).then_some(())
    });
    received
}

/// Both on one port, at every split of what is said first.
fn the_first_bytes_decide(backend: Backend) {
    let mut stage = Stage::new(backend, http().raw(line));
    for cut in 0..GET.len() {
        let reply = talk(&mut stage, GET, cut, b"a page");
        assert!(reply.starts_with(b"HTTP/1.1 200 "), "{cut}: {}", reply.escape_ascii());
    }
    for said in [b"low tide\n".as_slice(), b"SET key value\n", b"GET key\n", b"\n", b"\x16\x03\n"] {
        for cut in 0..said.len() {
            assert_eq!(talk(&mut stage, said, cut, b"\n"), said, "{cut}");
        }
    }
    for cut in [0, 1, 3, 4, 5, 30, OFFER.len() - 3] {
        let reply = talk(&mut stage, OFFER, cut, b"\x81\x04tide");
        assert!(reply.ends_with(b"\x81\x04tide"), "{cut}: {}", reply.escape_ascii());
    }
    assert_eq!(counted(&stage, "http").1, GET.len() as u64 + 7);
    assert_eq!((counted(&stage, "raw").1, counted(&stage, "websocket").1), (9 + 14 + 8 + 1 + 3, 7));
}

/// Frames beside HTTP, whose first byte is told.
fn frames_are_told_by_their_prefix(backend: Backend) {
    let frames = |request, reply: crate::Reply| reply.send(request);
    let detection = Detection::new().prefix([0, 0]).when(|bytes| match bytes {
        [b'G', b'O', ..] => Some(true),
        [b'G'] => None,
        _ => Some(false),
    });
    let server = http().framed(Framed::u32_be(), frames).detection(detection);
    let mut stage = Stage::new(backend, server);
    for cut in 0..8 {
        let said = b"\0\0\0\x04tide";
        assert_eq!(talk(&mut stage, said, cut, b"tide"), said);
        assert!(talk(&mut stage, GET, cut, b"a page").ends_with(b"a page"));
        // What does not begin like the other is HTTP, and none.
        let refused = talk(&mut stage, b"low tide at noon\r\n\r\n", cut, b"Request");
        assert!(refused.starts_with(b"HTTP/1.1 400 "), "{}", refused.escape_ascii());
    }
    assert_eq!((counted(&stage, "framed").1, counted(&stage, "http").1), (8, 16));
}

/// A peer that ends its stream behind too little has said all: it is the other protocol's. One that has
/// said nothing is nobody's.
fn the_end_of_the_stream_decides(backend: Backend) {
    let whole = |peer: Peer| {
        peer.pull().then_result(|peer, bytes| {
            let said = bytes.unwrap().unwrap_or_default();
            peer.push([b"said ", said.as_ref()].concat()).then(|peer, _| peer.close().detach());
        });
    };
    let mut stage = Stage::new(backend, http().raw(whole));
    for (said, expected) in [(b"GE".as_slice(), b"said GE".as_slice()), (b"", b"")] {
        let mut peer = stage.connect();
        assert_eq!(peer.write(said), said.len());
        peer.shutdown();
        let mut received = Vec::new();
        stage.until(|stage| {
            stage.turn();
            peer.read(&mut received);
            peer.is_ended().then_some(())
        });
        assert_eq!(received, expected);
    }
    assert_eq!((counted(&stage, "raw").1, counted(&stage, "http").1), (1, 0));
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
}

/// One protocol only: nothing is waited for, and the server speaks first.
fn a_port_of_one_protocol_may_speak_first(backend: Backend) {
    let greet = |peer: Peer| peer.push("welcome\n").detach();
    let mut stage = Stage::new(backend, Server::new().raw(greet));
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"", 8), b"welcome\n");
}

over_all_backends!(
    the_first_bytes_decide,
    frames_are_told_by_their_prefix,
    the_end_of_the_stream_decides,
    a_port_of_one_protocol_may_speak_first,
);

mod timed {
    use super::*;

    /// Who says too little has the time of a head, and no more, however often its shard is frozen.
    fn who_says_nothing_is_cut(backend: Backend) {
        for said in [b"".as_slice(), b"GET"] {
            let mut limits = Limits::default();
            limits.http1.head_timeout_ms = 3_000;
            let mut stage = Stage::new(backend, http().raw(line).limits(limits));
            let mut peer = stage.connect();
            stage.talk(&mut peer, said, 0);
            (0..8).for_each(|_| stage.turn());
            stage.advance(Duration::from_millis(2_999));
            assert!(!peer.is_ended());
            stage.advance(Duration::from_millis(1));
            stage.until(|stage| {
                stage.turn();
                peer.is_ended().then_some(())
            });
            assert_eq!((stage.counts().deadlines_total, stage.met("head_timeout")), (1, 1));
            assert_eq!(counted(&stage, "raw").1 + counted(&stage, "http").1, 0);
        }
    }

    /// Where the other protocol's server speaks first, it does so to whoever is silent.
    fn who_is_silent_is_greeted(backend: Backend) {
        let greet = |peer: Peer| peer.push("welcome\n").detach();
        let detection = Detection::new().silence(Duration::from_millis(200));
        let mut stage = Stage::new(backend, http().raw(greet).detection(detection));
        let (mut silent, mut begun) = (stage.connect(), stage.connect());
        stage.talk(&mut begun, b"GET ", 0);
        (0..8).for_each(|_| stage.turn());
        stage.advance(Duration::from_millis(199));
        assert_eq!(counted(&stage, "raw").1, 0);
        stage.advance(Duration::from_millis(1));
        assert_eq!(stage.talk(&mut silent, b"", 8), b"welcome\n");
        assert!(stage.talk(&mut begun, &GET[4..], usize::MAX).ends_with(b"a page"));
    }

    over_simulated_backends!(who_says_nothing_is_cut, who_is_silent_is_greeted);
}
