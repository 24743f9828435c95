//! Connections that stop speaking HTTP behind a reply, over every backend: what is read by whom, in
//! which order, and every way in which either end can go.

use std::sync::Arc;
use std::time::Duration;

use super::access::Kept;
use super::futures::{Desk, Guest, ask, get, until_waiting};
use super::{Backend, Peer, Stage, over_still_backends};
use crate::mailbox::Message;
use crate::{
    AccessLog, Failure, Limits, LogFormat, Request, RequestIds, Response, Router, Server,
    StatusCode, Upgraded, offload, streamed,
};

/// What an offer has beside a target.
const FIELDS: &str = "Host: a\r\nConnection: upgrade\r\nUpgrade: deep/1, Tide/2\r\n";
const PROTOCOL: &str = "tide/2";

fn offer(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n{FIELDS}\r\n")
}

async fn echo(upgraded: Upgraded) -> Result<(), Failure> {
    while let Some(bytes) = upgraded.read().await {
        upgraded.write(bytes).await;
    }
    Ok(())
}

fn to_echo(request: &Request) -> Response {
    request.upgrade(PROTOCOL, echo)
}

fn server(desk: &Arc<Desk>) -> Server {
    let (wait, later, guest, sent) = (desk.clone(), desk.clone(), desk.clone(), desk.clone());
    let response: Arc<std::sync::Mutex<Option<Response>>> = Arc::default();
    Server::new()
        .get("/plain", || "plain")
        .get("/echo", |request: Request| to_echo(&request))
        .post("/echo", |request: Request| to_echo(&request).header("x-body", request.bytes().len()))
        .post("/left", streamed(async |request: Request| to_echo(&request)))
        .get("/pool", offload(|request| to_echo(&request)))
        .get("/wait", async move |_: Request| {
            wait.wait(0).await;
            "waited"
        })
        .get("/later", async move |request: Request| {
            later.wait(1).await;
            to_echo(&request)
        })
        .get("/interim", || StatusCode::SWITCHING_PROTOCOLS)
        .get("/twice", move |request: Request| {
            let first = || to_echo(&request);
            response.lock().unwrap().get_or_insert_with(first).clone()
        })
        .get("/hold", move |request: Request| {
            let desk = guest.clone();
            request.upgrade(PROTOCOL, async move |upgraded| {
                let _guest = Guest(desk.clone());
                desk.wait(2).await;
                echo(upgraded).await
            })
        })
        .get("/flood", move |request: Request| {
            let desk = sent.clone();
            request.upgrade(PROTOCOL, async move |upgraded| {
                let _guest = Guest(desk);
                loop {
                    upgraded.write(vec![b'x'; 100_000]).await;
                }
            })
        })
        .get("/panic", |request: Request| request.upgrade(PROTOCOL, async |_| panic!("on purpose")))
        .get("/fail", |request: Request| {
            request.upgrade(PROTOCOL, async |upgraded| {
                upgraded.write("half").await;
                Err(std::io::Error::other("it cannot go on").into())
            })
        })
        .nest(
            "/around",
            Router::new().wrap(RequestIds).get("/", |request: Request| to_echo(&request)),
        )
}

fn stage(backend: Backend) -> (Stage, Arc<Desk>) {
    let desk = Arc::default();
    (Stage::new(backend, server(&desk)), desk)
}

/// Turns until so much has come behind the first head; gives both.
fn read_behind(stage: &mut Stage, peer: &mut Peer, behind: &str) -> String {
    let mut received = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        received.ends_with(format!("\r\n\r\n{behind}").as_bytes()).then_some(())
    });
    String::from_utf8(received).unwrap()
}

fn statuses(said: &str) -> Vec<&str> {
    said.split("HTTP/1.1 ").skip(1).map(|reply| &reply[..3]).collect()
}

/// What came behind the request is read first, whoever decided and however it was cut, and what looks
/// like a request is none.
fn bytes_behind_a_request_are_the_first(backend: Backend) {
    let hidden = get("/plain");
    for (path, behind) in [
        ("/echo", "high"),
        ("/echo", ""),
        ("/echo", &*hidden),
        ("/pool", &*hidden),
        ("/around", &*hidden),
    ] {
        let said = format!("{}{behind}", offer(path));
        for step in [said.len(), said.len() - behind.len(), 1] {
            let (mut stage, _) = stage(backend);
            let mut peer = stage.connect();
            for piece in said.as_bytes().chunks(step) {
                assert_eq!(peer.write(piece), piece.len());
                stage.turn();
            }
            peer.shutdown();
            let received = stage.talk_to_end(&mut peer, b"");
            let (head, echoed) = received.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{path} {head}");
            assert!(head.contains("upgrade: tide/2\r\n"), "{head}");
            assert!(head.ends_with("Connection: upgrade"), "{head}");
            assert_eq!(echoed, behind, "{path} in steps of {step}");
            assert_eq!(stage.counts().requests_total, 1);
            assert_eq!(head.contains("x-request-id"), path == "/around", "{head}");
        }
    }
}

/// While an offer is not answered nothing behind it is read; then the answer says what it was.
fn nothing_is_read_before_the_answer(backend: Backend) {
    for (path, desk_number, statuses_expected) in
        [("/later", 1, ["101"].as_slice()), ("/wait", 0, &["200", "200"])]
    {
        let (mut stage, desk) = stage(backend);
        let mut peer = ask(&stage, "/plain");
        read_behind(&mut stage, &mut peer, "plain");
        let behind = get("/plain");
        let said = format!("{}{behind}", offer(path));
        assert_eq!(peer.write(said.as_bytes()), said.len());
        until_waiting(&mut stage, &desk, 1);
        (0..20).for_each(|_| stage.turn());
        assert_eq!(stage.counts().requests_total, 1, "what is not decided is no request");
        desk.let_go(desk_number).wake();
        let end = if path == "/wait" { "plain" } else { &behind };
        let received = read_behind(&mut stage, &mut peer, end);
        assert_eq!(statuses(&received), statuses_expected, "{received}");
    }
}

/// Replies to what was asked before go out first, and only then the new protocol is spoken.
fn an_upgrade_waits_for_its_turn(backend: Backend) {
    let (mut stage, desk) = stage(backend);
    let mut peer = stage.connect();
    let said = format!("{}{}high", get("/wait"), offer("/echo"));
    assert_eq!(peer.write(said.as_bytes()), said.len());
    until_waiting(&mut stage, &desk, 1);
    let mut early = Vec::new();
    (0..20).for_each(|_| stage.turn());
    peer.read(&mut early);
    assert!(early.is_empty(), "{}", String::from_utf8_lossy(&early));
    desk.let_go(0).wake();
    let received = read_behind(&mut stage, &mut peer, "high");
    assert_eq!(statuses(&received), ["200", "101"]);
}

/// Who offers nothing that the handler speaks is told so, and goes on with HTTP.
fn who_offers_nothing_goes_on(backend: Backend) {
    let plain = get("/plain");
    for (version, fields, expected) in [
        ("1.1", "Host: a\r\n", ["426", "200"].as_slice()),
        ("1.1", "Host: a\r\nUpgrade: tide/2\r\n", &["426", "200"]),
        ("1.1", "Host: a\r\nConnection: upgrade\r\n", &["426", "200"]),
        ("1.1", "Host: a\r\nConnection: upgrade\r\nUpgrade: tide/3\r\n", &["426", "200"]),
        ("1.0", "Connection: upgrade\r\nUpgrade: tide/2\r\n", &["426"]),
    ] {
        let (mut stage, _) = stage(backend);
        let mut peer = stage.connect();
        let said = format!("GET /echo HTTP/{version}\r\n{fields}\r\n{plain}");
        assert_eq!(peer.write(said.as_bytes()), said.len());
        peer.shutdown();
        let received = stage.talk_to_end(&mut peer, b"");
        assert_eq!(statuses(&received), expected, "{received}");
        assert!(received.contains("upgrade: tide/2\r\n"), "{received}");
    }
}

/// A 101 that the request does not allow is a 500, and what lies behind is a request.
fn a_wrong_101_is_an_error(backend: Backend) {
    let interim = format!("{}{}", offer("/interim"), get("/plain"));
    let unasked = format!("{}{}", get("/interim"), get("/plain"));
    for said in [interim, unasked] {
        let (mut stage, _) = stage(backend);
        let mut peer = stage.connect();
        assert_eq!(peer.write(said.as_bytes()), said.len());
        peer.shutdown();
        let received = stage.talk_to_end(&mut peer, b"");
        assert_eq!(statuses(&received), ["500", "200"], "{said}\n{received}");
    }
    let (mut stage, _) = stage(backend);
    let mut peer = stage.connect();
    let left = format!("POST /left HTTP/1.1\r\n{FIELDS}Content-Length: 4\r\n\r\nti");
    let received = stage.talk(&mut peer, left.as_bytes(), 100);
    assert!(received.starts_with(b"HTTP/1.1 500 "), "its body has not been taken");
    let behind = stage.talk(&mut peer, format!("de{}", get("/plain")).as_bytes(), 100);
    assert!(behind.starts_with(b"HTTP/1.1 200 "), "what is behind it is a request");
    for expected in ["101", "500"] {
        let mut peer = ask_for(&stage, "/twice");
        peer.shutdown();
        assert_eq!(statuses(&stage.talk_to_end(&mut peer, b"")), [expected]);
    }
}

fn ask_for(stage: &Stage, path: &str) -> Peer {
    let mut peer = stage.connect();
    let said = offer(path);
    assert_eq!(peer.write(said.as_bytes()), said.len());
    peer
}

/// The body of the request comes before what the new protocol says, and a HEAD is as any other.
fn the_body_comes_first(backend: Backend) {
    let sized = format!("POST /echo HTTP/1.1\r\n{FIELDS}Content-Length: 4\r\n\r\ntidehigh");
    let chunks = "2\r\nti\r\n2\r\nde\r\n0\r\n\r\nhigh";
    let chunked =
        format!("POST /echo HTTP/1.1\r\n{FIELDS}Transfer-Encoding: chunked\r\n\r\n{chunks}");
    for said in [sized, chunked] {
        let (mut stage, _) = stage(backend);
        let mut peer = stage.connect();
        assert_eq!(peer.write(said.as_bytes()), said.len());
        let received = read_behind(&mut stage, &mut peer, "high");
        assert!(received.contains("x-body: 4\r\n"), "{received}");
    }
    let (mut stage, _) = stage(backend);
    let mut peer = stage.connect();
    let said = format!("HEAD /echo HTTP/1.1\r\n{FIELDS}\r\nhigh");
    assert_eq!(peer.write(said.as_bytes()), said.len());
    let received = read_behind(&mut stage, &mut peer, "high");
    assert_eq!(statuses(&received), ["101"]);
}

/// Much goes both ways, to the byte, and nothing is held beyond the limits while one side is slow.
fn a_slow_end_holds_the_other_up(backend: Backend) {
    let (mut stage, desk) = stage(backend);
    let mut peer = ask_for(&stage, "/hold");
    read_behind(&mut stage, &mut peer, "");
    until_waiting(&mut stage, &desk, 1);
    let much: Vec<u8> = (0..20_000_000_u32).map(|number| (number % 251) as u8).collect();
    let (mut written, mut still) = (0, 0);
    while still < 200 {
        let count = peer.write(&much[written..]);
        written += count;
        still = if count == 0 { still + 1 } else { 0 };
        stage.turn();
        assert!(stage.bytes_held() <= 512 << 10, "{}", stage.bytes_held());
    }
    assert!(written < much.len(), "who is not read from cannot say all");
    desk.let_go(2).wake();
    let mut received = Vec::new();
    stage.until(|stage| {
        written += peer.write(&much[written..much.len().min(written + (1 << 20))]);
        peer.read(&mut received);
        assert!(stage.bytes_held() <= (1 << 20) + (1 << 20), "{}", stage.bytes_held());
        (received.len() == much.len()).then_some(())
    });
    assert!(received == much, "every byte comes back, in order");
}

/// A client that goes takes the future with it, also one that never waits to read.
fn a_client_that_goes_ends_it(backend: Backend) {
    let (mut stage, desk) = stage(backend);
    for path in ["/hold", "/flood"] {
        let drops = desk.drops();
        let mut peer = ask_for(&stage, path);
        read_some(&mut stage, &mut peer);
        peer.reset();
        stage.until(|_| (desk.drops() > drops).then_some(()));
    }
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
}

fn read_some(stage: &mut Stage, peer: &mut Peer) {
    let mut received = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        (!received.is_empty()).then_some(())
    });
}

/// A client is told of a future that did not come to its end.
fn what_breaks_is_cut(backend: Backend) {
    let (mut stage, _) = stage(backend);
    for (path, panics) in [("/panic", 1), ("/fail", 0)] {
        let before = stage.counts().panics_total;
        let mut peer = ask_for(&stage, path);
        let mut received = Vec::new();
        stage.until(|_| {
            let is_reset = peer.is_reset();
            peer.read(&mut received);
            (is_reset || peer.is_ended()).then_some(())
        });
        assert_eq!(stage.counts().panics_total - before, panics, "{path}");
    }
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
}

/// A server that stops tells by the end of what is read.
fn a_stop_ends_what_is_read(backend: Backend) {
    let (mut stage, _) = stage(backend);
    let mut peer = ask_for(&stage, "/echo");
    read_behind(&mut stage, &mut peer, "");
    stage.send(Message::Drain { within_ms: 3_600_000 });
    let rest = stage.talk_to_end(&mut peer, b"");
    assert_eq!(rest, "");
}

/// Also where the upgrade was not decided when the stop began.
fn a_stop_is_not_forgotten_by_an_upgrade(backend: Backend) {
    let (mut stage, desk) = stage(backend);
    let mut peer = ask_for(&stage, "/later");
    until_waiting(&mut stage, &desk, 1);
    stage.send(Message::Drain { within_ms: 3_600_000 });
    stage.turn();
    desk.let_go(1).wake();
    let said = stage.talk_to_end(&mut peer, b"");
    assert_eq!(statuses(&said), ["101"]);
}

/// The line of the log is that of the 101.
fn an_upgrade_has_its_line(backend: Backend) {
    let kept = Kept::default();
    let log = AccessLog::new(kept.clone()).format(LogFormat::Common);
    let mut stage = Stage::new(backend, server(&Arc::default()).access_log(log));
    let mut peer = ask_for(&stage, "/echo");
    read_behind(&mut stage, &mut peer, "");
    let line = stage.until(|stage| {
        stage.flush_log();
        kept.lines().first().cloned()
    });
    assert!(line.contains("\"GET /echo HTTP/1.1\" 101 0"), "{line}");
}

/// Who neither says nor hears anything is idle, as between requests.
#[test]
fn an_idle_one_is_closed() {
    let (mut stage, _) = stage(Backend::Simulated);
    let mut peer = ask_for(&stage, "/echo");
    read_behind(&mut stage, &mut peer, "");
    for _ in 0..4 {
        stage.advance(Duration::from_secs(40));
        assert_eq!(peer.write(b"x"), 1);
        let mut received = Vec::new();
        stage.until(|_| {
            peer.read(&mut received);
            (received == b"x").then_some(())
        });
    }
    stage.advance(Duration::from_secs(59));
    assert!(!peer.is_ended());
    stage.advance(Duration::from_secs(2));
    assert!(peer.is_ended());
    assert_eq!((stage.counts().deadlines_total, stage.met("idle_timeout")), (1, 1));
}

/// So is who has ended its side while nothing comes of what it began.
#[test]
fn half_an_idle_one_is_closed() {
    let (mut stage, desk) = stage(Backend::Simulated);
    let mut peer = ask_for(&stage, "/hold");
    read_behind(&mut stage, &mut peer, "");
    until_waiting(&mut stage, &desk, 1);
    peer.shutdown();
    stage.advance(Duration::from_secs(59));
    assert!(!peer.is_ended());
    stage.advance(Duration::from_secs(2));
    assert!(peer.is_ended());
    assert_eq!((stage.counts().deadlines_total, stage.met("idle_timeout")), (1, 1));
}

/// How old a connection may become is a matter of requests, not of what comes behind them.
#[test]
fn an_old_connection_can_be_upgraded() {
    let limits = Limits { connection_age_max_ms: 1000, ..Limits::default() };
    let mut stage = Stage::new(Backend::Simulated, server(&Arc::default()).limits(limits));
    let mut peer = ask(&stage, "/plain");
    read_behind(&mut stage, &mut peer, "plain");
    stage.advance(Duration::from_secs(2));
    let said = format!("{}high", offer("/echo"));
    assert_eq!(peer.write(said.as_bytes()), said.len());
    read_behind(&mut stage, &mut peer, "high");
    stage.advance(Duration::from_secs(2));
    assert_eq!(peer.write(b"low"), 3);
    let mut received = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        (received == b"low").then_some(())
    });
}

/// A future cannot be frozen: its connection is cut, and one that is not decided yet is refused.
#[test]
fn a_frozen_shard_cuts_it() {
    let (mut stage, desk) = stage(Backend::Simulated);
    let mut upgraded = ask_for(&stage, "/hold");
    read_behind(&mut stage, &mut upgraded, "");
    let mut undecided = ask_for(&stage, "/later");
    until_waiting(&mut stage, &desk, 2);
    let mut behind = stage.connect();
    let said = format!("{}{}", get("/wait"), offer("/echo"));
    assert_eq!(behind.write(said.as_bytes()), said.len());
    until_waiting(&mut stage, &desk, 3);
    stage.move_to(Backend::Simulated);
    stage.until(|_| upgraded.is_ended().then_some(()));
    assert!(upgraded.is_reset(), "its client notices");
    undecided.shutdown();
    assert_eq!(statuses(&stage.talk_to_end(&mut undecided, b"")), ["503"]);
    let mut received = Vec::new();
    stage.until(|_| {
        behind.read(&mut received);
        behind.is_ended().then_some(())
    });
    assert_eq!(statuses(&String::from_utf8(received).unwrap()), ["503", "101"]);
    assert!(behind.is_reset(), "its client notices");
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    assert_eq!(stage.held().futures, 0);
}

/// Little may be held: everything comes through all the same.
#[test]
fn a_small_inbox_is_enough() {
    let limits = Limits { inbox_bytes_max: 1000, ..Limits::default() };
    let mut stage = Stage::new(Backend::Simulated, server(&Arc::default()).limits(limits));
    let mut peer = ask_for(&stage, "/echo");
    read_behind(&mut stage, &mut peer, "");
    let (much, mut received, mut written) = ("tide".repeat(50_000), Vec::new(), 0);
    stage.until(|_| {
        written += peer.write(&much.as_bytes()[written..]);
        peer.read(&mut received);
        (received.len() == much.len()).then_some(())
    });
    assert_eq!(received, much.as_bytes());
}

over_still_backends!(
    bytes_behind_a_request_are_the_first,
    nothing_is_read_before_the_answer,
    an_upgrade_waits_for_its_turn,
    who_offers_nothing_goes_on,
    a_wrong_101_is_an_error,
    the_body_comes_first,
    a_slow_end_holds_the_other_up,
    a_client_that_goes_ends_it,
    what_breaks_is_cut,
    a_stop_ends_what_is_read,
    a_stop_is_not_forgotten_by_an_upgrade,
    an_upgrade_has_its_line,
);
