//! Connections that begin with the header of a proxy, over every backend and while a shard moves.
//! Whom a header names is told by the reply to a request behind it.

use std::time::Duration;

use super::access::Kept;
use super::{Backend, Stage, over_all_backends, over_simulated_backends};
use crate::mailbox::Message;
use crate::{AccessLog, Limits, ProxyProtocol, Request, Server, offload};

fn server(trusted: &str) -> Server {
    let tell = |request: &Request| match request.client_address() {
        Some(address) => format!("{address}~"),
        None => "none~".to_owned(),
    };
    Server::new()
        .trusted_proxies([trusted])
        .proxy_protocol(ProxyProtocol::Required)
        .get("/", move |request: Request| tell(&request))
        .get("/away", offload(move |request| tell(&request)))
        .get("/later", async move |request: Request| tell(&request))
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const HEADER: &str = "PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n";

fn answers(replies: &str) -> Vec<&str> {
    let bodies = replies.split("\r\n\r\n").skip(1);
    bodies.filter_map(|body| Some(body.split_once('~')?.0)).collect()
}

fn headers_name_the_client(backend: Backend) {
    let mut stage = Stage::new(backend, server("127.0.0.0/8"));
    let local = [b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\x03abc".as_slice(), LAST.as_bytes()].concat();
    let mut peer = stage.connect();
    let replies = stage.talk_to_end(&mut peer, &local);
    assert_eq!(answers(&replies), ["127.0.0.1"], "a proxy that speaks for itself: {replies}");
    // Byte by byte, with all that happens to a shard in between.
    let mut peer = stage.connect();
    let mut received = Vec::new();
    for byte in (HEADER.to_owned() + REQUEST).bytes() {
        assert_eq!(peer.write(&[byte]), 1);
        stage.turn();
    }
    stage.until(|_| {
        peer.read(&mut received);
        received.ends_with(b"~").then_some(())
    });
    // The next request on the same connection knows it too, also once it has moved.
    stage.move_to(backend);
    let replies = stage.talk_to_end(&mut peer, LAST.as_bytes());
    assert_eq!(answers(&replies), ["2001:db8::7"]);
    // Another connection with the same descriptor knows nothing of it.
    let mut peer = stage.connect();
    let replies = stage.talk_to_end(&mut peer, format!("PROXY UNKNOWN\r\n{LAST}").as_bytes());
    assert_eq!(answers(&replies), ["127.0.0.1"]);
}

/// Whatever answers knows the client.
fn every_shape_of_handler_knows_the_client(backend: Backend) {
    let mut stage = Stage::new(backend, server("127.0.0.0/8"));
    for path in ["/away", "/later"] {
        let mut peer = stage.connect();
        let request = HEADER.to_owned() + &LAST.replace("GET /", &format!("GET {path}"));
        let replies = stage.talk_to_end(&mut peer, request.as_bytes());
        assert_eq!(answers(&replies), ["2001:db8::7"], "{path}");
    }
}

fn others_are_closed_without_a_word(backend: Backend) {
    for (trusted, beginning) in [
        ("192.0.2.0/24", HEADER),
        ("192.0.2.0/24", ""),
        ("127.0.0.0/8", ""),
        ("127.0.0.0/8", "PROXY TCP4 a b 1 2\r\n"),
    ] {
        let mut stage = Stage::new(backend, server(trusted));
        let mut peer = stage.connect();
        let request = beginning.to_owned() + REQUEST;
        let replies = stage.talk_to_end(&mut peer, request.as_bytes());
        assert_eq!(replies, "", "{trusted} {beginning}");
        assert_eq!((stage.counts().refusals_total, stage.counts().requests_total), (1, 0));
    }
}

/// Caps and the access log go by the client, and a proxy is no address that has too many.
#[test]
fn caps_and_the_log_go_by_the_client() {
    let kept = Kept::default();
    let limits = Limits {
        connections_per_address_max: 1,
        requests_per_address_rate: 1,
        requests_per_address_burst: 2,
        ..Limits::default()
    };
    let server = server("127.0.0.0/8").limits(limits).access_log(AccessLog::new(kept.clone()));
    let mut stage = Stage::new(Backend::Simulated, server);
    let client = |name: &str| format!("PROXY TCP4 {name} 192.0.2.1 4711 80\r\n{REQUEST}");
    let mut peers: Vec<_> = (0..4).map(|_| stage.connect()).collect();
    for (peer, name) in peers.iter_mut().zip(["192.0.2.7", "192.0.2.8", "192.0.2.7", "192.0.2.7"]) {
        assert!(peer.write(client(name).as_bytes()) > 0);
        stage.advance(Duration::ZERO);
    }
    let mut statuses = Vec::new();
    for peer in &mut peers {
        let mut received = Vec::new();
        peer.read(&mut received);
        statuses.push(String::from_utf8(received[9..12].to_vec()).unwrap());
    }
    assert_eq!(statuses, ["200", "200", "200", "429"]);
    stage.advance(Duration::from_millis(100));
    let lines = kept.lines();
    for (line, name) in lines.iter().zip(["192.0.2.7", "192.0.2.8", "192.0.2.7", "192.0.2.7"]) {
        assert!(line.contains(&format!("  {name}  GET /  ")), "{line}");
    }
    assert_eq!(lines.len(), 4);
}

/// What is refused, what meets a limit and what is open are told by the client too, not by its proxy.
#[test]
fn the_client_is_told_of_whatever_happens() {
    let kept = Kept::default();
    let limits = Limits { memory_max: 1 << 20, ..Limits::default() };
    let server = server("127.0.0.0/8").limits(limits).access_log(AccessLog::new(kept.clone()));
    let mut stage = Stage::new(Backend::Simulated, server);
    let mut open = stage.connect();
    assert!(open.write(format!("{HEADER}{REQUEST}").as_bytes()) > 0);
    let long = "x".repeat(20 << 10);
    let mut peer = stage.connect();
    let said = format!("{HEADER}GET /{long} HTTP/1.1\r\n");
    assert!(stage.talk_to_end(&mut peer, said.as_bytes()).starts_with("HTTP/1.1 4"));
    stage.advance(Duration::from_millis(100));
    let lines = kept.lines();
    assert!(lines.iter().all(|line| line.contains("  2001:db8::7  ")), "{lines:?}");
    assert_eq!(lines.len(), 2);
    let told = stage.told().to_vec();
    assert!(told.iter().all(|line| line.starts_with("[2001:db8::7]:4711: ")), "{told:?}");
    assert_eq!(told.len(), 1);
    let (sender, seen) = std::sync::mpsc::channel();
    stage.send(Message::Look(sender));
    let connections = stage.until(|_| seen.try_recv().ok());
    let mut names = connections.iter().map(|own| own.address.as_deref());
    assert!(names.all(|name| name == Some("[2001:db8::7]:4711")), "{connections:?}");
}

/// A header that does not come is waited for as long as a head, counted from the accept.
fn headers_have_a_deadline(backend: Backend) {
    let mut stage = Stage::new(backend, server("127.0.0.0/8"));
    let mut peer = stage.connect();
    stage.turn();
    assert_eq!(peer.write(b"PROXY "), 6);
    stage.advance(Duration::from_millis(9_000));
    assert_eq!(stage.counts().connections_open, 1);
    stage.advance(Duration::from_millis(1_001));
    assert_eq!(stage.talk_to_end(&mut peer, b""), "");
    assert_eq!(stage.counts().deadlines_total, 1);
}

#[test]
fn a_header_of_nobody_is_an_error() {
    let server = Server::new().proxy_protocol(ProxyProtocol::Required).listen("127.0.0.1:0");
    assert!(server.expect_err("nobody is trusted").to_string().contains("trusted_proxies"));
    let server = Server::new().trusted_proxies(["192.0.2.0/40"]).listen("127.0.0.1:0");
    assert!(server.expect_err("no network").to_string().contains("192.0.2.0/40"));
}

over_all_backends!(headers_name_the_client, others_are_closed_without_a_word);
mod still {
    use super::every_shape_of_handler_knows_the_client;
    crate::tests::over_still_backends!(every_shape_of_handler_knows_the_client);
}
mod timed {
    use super::headers_have_a_deadline;
    super::over_simulated_backends!(headers_have_a_deadline);
}
