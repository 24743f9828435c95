//! The events of a server, over every backend and on shards that are frozen all the time: each of the
//! thirteen is told, of each connection in its order, and of none that nobody was told of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::files::Directory;
use super::websocket::client::{Client, OFFER, frame};
use super::{Backend, Peer as Outside, Stage, over_all_backends};
use crate::event::Event;
use crate::events::{self, Events, Failed, Operation, Protocol};
use crate::{
    Bytes, CloseReason, Framed, IntoResponse, Limits, Message, Peer, PeerId, Reason, Reply,
    Request, Response, Server, Socket, fs,
};

type Line = (Option<PeerId>, String);

/// What was told, of which connection, in order.
#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<Vec<Line>>>,
    /// Which callback panics.
    panics: Option<&'static str>,
}

impl Log {
    fn add(&self, id: impl Into<Option<PeerId>>, line: impl Into<String>) {
        let line = line.into();
        let panics = self.panics.is_some_and(|name| line.starts_with(name));
        self.lines.lock().unwrap().push((id.into(), line));
        assert!(!panics, "on purpose");
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().map(|(_, line)| line.clone()).collect()
    }

    fn has(&self, line: &str) -> bool {
        self.lines.lock().unwrap().iter().any(|(_, own)| own.starts_with(line))
    }

    fn count(&self, line: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|(_, own)| own.starts_with(line)).count()
    }

    /// What was told of each connection: first that it was accepted, last that it is closed, in the words
    /// of its protocol, and both once.
    fn by_connection(&self) -> BTreeMap<PeerId, Vec<String>> {
        let mut all = BTreeMap::<_, Vec<String>>::new();
        for (id, line) in self.lines.lock().unwrap().iter() {
            if let Some(id) = id {
                all.entry(*id).or_default().push(line.clone());
            }
        }
        for lines in all.values() {
            assert!(lines[0].starts_with("accepted"), "{lines:?}");
            assert_eq!(
                lines.iter().filter(|own| own.starts_with("accepted")).count(),
                1,
                "{lines:?}"
            );
            let ends = lines.iter().filter(|own| own.contains("_closed"));
            assert_eq!(ends.count(), 1, "{lines:?}");
            assert!(lines.last().unwrap().contains("_closed"), "{lines:?}");
        }
        all
    }
}

impl Events for Log {
    fn accepted(&self, peer: Peer, protocol: Protocol) {
        self.add(peer.id(), format!("accepted {protocol:?}"));
    }

    fn raw_read(&self, peer: Peer, bytes: Bytes) {
        self.add(peer.id(), format!("raw_read {}", bytes.escape_ascii()));
        peer.push(bytes).detach();
    }

    fn file_read(&self, name: u64, bytes: Bytes) {
        self.add(None, format!("file_read {name} {}", bytes.escape_ascii()));
    }

    fn request(&self, request: Request) -> Response {
        self.add(None, format!("request {}", request.path()));
        format!("no {}", request.path()).into_response()
    }

    fn message(&self, socket: Socket, message: Message) {
        self.add(socket.id(), format!("message {}", message.as_bytes().escape_ascii()));
        socket.send(message);
    }

    fn event_fired(&self, name: u64, count: u64) {
        self.add(None, format!("event_fired {name} {count}"));
    }

    fn raw_written(&self, peer: Peer, bytes: usize) {
        self.add(peer.id(), format!("raw_written {bytes}"));
    }

    fn http_written(&self, id: PeerId, bytes: usize) {
        assert!(bytes > 0);
        self.add(id, "http_written");
    }

    fn websocket_written(&self, socket: Socket, bytes: usize) {
        assert!(bytes > 0);
        self.add(socket.id(), "websocket_written");
    }

    fn raw_closed(&self, peer: Peer, reason: Reason) {
        self.add(peer.id(), format!("raw_closed {reason:?}"));
    }

    fn http_closed(&self, id: PeerId, reason: Reason) {
        self.add(id, format!("http_closed {reason:?}"));
    }

    fn websocket_closed(&self, socket: Socket, reason: CloseReason) {
        self.add(socket.id(), format!("websocket_closed {:?}", reason.by()));
    }

    fn failed(&self, failed: Failed) {
        let Failed { operation, errno, peer, name, .. } = failed;
        self.add(peer, format!("failed {operation:?} {errno:?} {name:?}"));
    }
}

const PAGE: &[u8] = b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n";
const GET: &[u8] = b"GET /ebb HTTP/1.1\r\nHost: a\r\n\r\n";

/// A server that has everything, and nothing that listens beside the events.
fn everything(log: &Log) -> Server {
    Server::new()
        .raw(events::pull)
        .get("/page", || "a page")
        .websocket("/", |_: Socket, _: Message| {})
        .events(log.clone())
}

/// Turns until something was told so often.
fn until(stage: &mut Stage, log: &Log, line: &str, count: usize) {
    stage.until(|_| (log.count(line) >= count).then_some(()));
}

/// Each is told by what it is told of, beside nobody.
fn all_thirteen_are_told(backend: Backend) {
    let directory = Directory::new(backend, "events", &[("there", b"high")]);
    let (log, event) = (Log::default(), Event::open());
    let (there, none) = (directory.0.join("there"), directory.0.join("none"));
    let (own, path) = (event.clone(), there.clone());
    let server = everything(&log).raw(move |peer: Peer| {
        events::pull(peer);
        fs::read(&path).tell_events(7);
        fs::read(&none).tell_events(8);
        own.wait().tell_events(9);
    });
    let mut stage = Stage::with_world(backend, server, |world| world.write_file(&there, b"high"));
    let mut raw = stage.connect();
    assert_eq!(stage.talk(&mut raw, b"low", 3), b"low");
    for line in ["file_read 7 high", "failed FileRead Some(2) Some(8)", "raw_written 3"] {
        until(&mut stage, &log, line, 1);
    }
    event.trigger(5);
    until(&mut stage, &log, "event_fired 9 5", 1);
    raw.shutdown();
    until(&mut stage, &log, "raw_closed PeerClosed", 1);
    let mut http = stage.connect();
    assert!(stage.talk(&mut http, GET, 60).ends_with(b"no /ebb"));
    until(&mut stage, &log, "http_written", 1);
    http.shutdown();
    until(&mut stage, &log, "http_closed PeerClosed", 1);
    let mut client = Client::open(&mut stage);
    client.send("tide");
    assert_eq!(client.messages(&mut stage, 1), [Message::from("tide")]);
    client.close(&mut stage);
    until(&mut stage, &log, "websocket_closed Peer", 1);
    let told = log.by_connection();
    let (raw, http, socket) = {
        let mut lines = told.into_values();
        (lines.next().unwrap(), lines.next().unwrap(), lines.next().unwrap())
    };
    assert_eq!(raw, ["accepted Raw", "raw_read low", "raw_written 3", "raw_closed PeerClosed"]);
    assert_eq!(http, ["accepted Http", "http_written", "http_closed PeerClosed"]);
    assert_eq!(&socket[..2], ["accepted Http", "websocket_written"], "{socket:?}");
    assert!(socket.contains(&"message tide".to_owned()), "{socket:?}");
    assert_eq!(log.count("request /ebb"), 1);
}

/// Connections of each kind end in each way at any time, and each is told of as it is promised.
fn each_connection_is_told_of_once(backend: Backend) {
    let log = Log::default();
    let limits = Limits { raw_idle_timeout_ms: 1_000_000, ..Limits::default() };
    let mut stage = Stage::new(backend, everything(&log).limits(limits));
    let offer = [OFFER.as_bytes(), &frame("tide")].concat();
    let said: [&[u8]; 5] = [GET, b"high tide", &offer, b"GE", b""];
    let mut left = Vec::new();
    for number in 0..60 {
        let mut peer = stage.connect();
        let said = said[number % said.len()];
        // Some of it may come later, and some never.
        peer.write(&said[..said.len() - number % 3 * said.len() / 4]);
        for _ in 0..number % 7 {
            stage.turn();
        }
        match number / 5 % 4 {
            0 => peer.reset(),
            1 => peer.shutdown(),
            2 => drop(peer),
            _ => left.push(peer),
        }
    }
    for _ in 0..200 {
        stage.turn();
    }
    let before = log.count("accepted");
    assert!(before > 20, "{before}");
    stage.turns_to_end();
    assert_eq!(log.by_connection().len(), log.count("accepted"));
    for name in ["raw_closed", "http_closed", "websocket_closed", "raw_closed Stopped"] {
        assert!(log.has(name), "{name}: {:?}", log.lines());
    }
    drop(left);
}

/// Whoever panics ends the connection that it was about, and no other.
fn a_panic_ends_its_own_connection(backend: Backend) {
    let cases: [(&'static str, &[u8], &str); 7] = [
        ("accepted Raw", b"tide", "raw_closed Panicked"),
        ("accepted Http", GET, "http_closed Panicked"),
        ("raw_read", b"tide", "raw_closed Panicked"),
        ("raw_written", b"tide", "raw_closed Panicked"),
        ("http_written", GET, "http_closed Panicked"),
        ("request", GET, "http_closed PeerClosed"),
        ("raw_closed", b"tide", "raw_closed PeerClosed"),
    ];
    for (name, said, ends) in cases {
        let log = Log { panics: Some(name), ..Log::default() };
        let mut stage = Stage::new(backend, everything(&log));
        let (mut peer, mut other) = (stage.connect(), stage.connect());
        let mut received = stage.talk(&mut peer, said, 1);
        if ends.ends_with("PeerClosed") {
            peer.shutdown();
        }
        until(&mut stage, &log, ends, 1);
        peer.read(&mut received);
        if name == "request" {
            assert!(received.starts_with(b"HTTP/1.1 500 "), "{}", received.escape_ascii());
        }
        let page = stage.talk(&mut other, PAGE, 50);
        if name != "accepted Http" && name != "http_written" {
            assert!(page.ends_with(b"a page"), "{name}: {}", page.escape_ascii());
        }
        assert!(stage.counts().panics_total > 0, "{name}");
        stage.turns_to_end();
        log.by_connection();
    }
}

/// A message that makes the events panic ends its WebSocket.
fn a_panic_over_a_message_closes_its_socket(backend: Backend) {
    let log = Log { panics: Some("message"), ..Log::default() };
    let mut stage = Stage::new(backend, everything(&log));
    let mut client = Client::open(&mut stage);
    client.send("tide");
    client.flush(&mut stage);
    until(&mut stage, &log, "message tide", 1);
    client.until_ended(&mut stage);
    assert!(log.has("websocket_closed Lost(Panicked)"), "{:?}", log.lines());
    log.by_connection();
}

/// What others listen to is told them as without, and to the events beside.
fn they_are_told_beside_others(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new()
        .framed(Framed::u32_be(), |request: Bytes, reply: Reply| reply.send(request))
        .get("/page", || "a page")
        .websocket("/", move |socket: Socket, _: Message| own.add(socket.id(), "handler"))
        .events(log.clone());
    let mut stage = Stage::new(backend, server);
    let mut frames = stage.connect();
    assert_eq!(stage.talk(&mut frames, b"\0\0\0\x04tide", 8), b"\0\0\0\x04tide");
    let mut page = stage.connect();
    assert!(stage.talk(&mut page, PAGE, 50).ends_with(b"a page"));
    let mut client = Client::open(&mut stage);
    client.send("tide");
    assert_eq!(client.messages(&mut stage, 1), [Message::from("tide")]);
    stage.turns_to_end();
    let told: Vec<_> = log.by_connection().into_values().collect();
    assert_eq!(told[0], ["accepted Framed", "raw_written 8", "raw_closed Stopped"]);
    assert_eq!(told[1], ["accepted Http", "http_written", "http_closed Stopped"]);
    let at = |line: &str| told[2].iter().position(|own| own == line).unwrap();
    assert!(at("handler") < at("message tide"));
    assert_eq!(log.count("request"), 0, "a route has answered");
}

/// A connection that is lost says by which operation, before it ends.
#[test]
fn a_reset_is_told_before_the_end() {
    for backend in [Backend::Simulated, Backend::Epoll, Backend::Poll, Backend::Uring] {
        for (said, kind) in [(b"low".as_slice(), "raw"), (GET, "http")] {
            let log = Log::default();
            let mut stage = Stage::new(backend, everything(&log));
            let mut peer = stage.connect();
            stage.talk(&mut peer, said, 1);
            until(&mut stage, &log, &format!("{kind}_written"), 1);
            peer.reset();
            until(&mut stage, &log, &format!("{kind}_closed"), 1);
            let told = log.by_connection().into_values().next().unwrap();
            let ends = format!("{kind}_closed Reset");
            let expected = ["failed Receive Some(104) None", ends.as_str()];
            assert_eq!(told[told.len() - 2..], expected, "{backend:?}");
        }
    }
}

/// What ends by a limit says which, and who stops that it stops.
#[test]
fn who_is_cut_hears_by_which_limit() {
    let log = Log::default();
    let mut stage = Stage::new(Backend::Simulated, everything(&log));
    let mut idle = stage.connect();
    stage.talk(&mut idle, PAGE, 1);
    let mut late = stage.connect();
    stage.talk(&mut late, b"GET /late", 0);
    (0..4).for_each(|_| stage.turn());
    stage.advance(Duration::from_secs(10));
    until(&mut stage, &log, "http_closed TimedOut(\"head_timeout\")", 1);
    stage.advance(Duration::from_secs(3_600));
    until(&mut stage, &log, "http_closed TimedOut(\"idle_timeout\")", 1);
    log.by_connection();
}

/// A connect that nobody answers is told without a connection, and so is one that stands.
#[test]
fn what_was_made_from_here_is_not_told_of() {
    let log = Log::default();
    let server = everything(&log).raw(|peer: Peer| {
        events::pull(peer);
        Peer::connect(([127, 0, 0, 1], 1)).detach();
    });
    let mut stage = Stage::new(Backend::Simulated, server);
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"low", 3), b"low");
    until(&mut stage, &log, "failed Connect Some(111) None", 1);
    assert_eq!(log.count("accepted"), 1);
}

/// Without a callback nothing is changed: raw bytes are taken, and other requests are 404.
#[test]
fn each_is_nothing_by_itself() {
    struct Nothing;
    impl Events for Nothing {}
    let server = Server::new().raw(events::pull).get("/", || "a page").events(Nothing);
    let mut stage = Stage::new(Backend::Simulated, server);
    let mut peer: Outside = stage.connect();
    let reply = stage.talk(&mut peer, GET, 60);
    assert!(reply.starts_with(b"HTTP/1.1 404 "), "{}", reply.escape_ascii());
    let mut raw = stage.connect();
    raw.write(b"low");
    raw.shutdown();
    assert_eq!(stage.talk(&mut raw, b"", 1), b"");
    assert_eq!(Failed::clone(&FAILED).to_string(), "wait for an event: the server has stopped");
}

const FAILED: Failed = Failed {
    operation: Operation::EventWait,
    reason: Reason::Stopped,
    errno: None,
    peer: None,
    name: Some(1),
};

over_all_backends!(
    all_thirteen_are_told,
    each_connection_is_told_of_once,
    a_panic_ends_its_own_connection,
    a_panic_over_a_message_closes_its_socket,
    they_are_told_beside_others,
);
