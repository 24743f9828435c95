//! Handshakes: what is refused with which status, origins, subprotocols, and what a handler reads first.
//! No connection that was refused speaks anything but HTTP.

use super::Log;
use super::client::{Client, OFFER};
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{IntoResponse, Message, Request, Server, Socket, StatusCode, WebSockets};

fn server() -> Server {
    let strict = WebSockets::new(Log::default()).origins(["https://tide.example"]);
    let open = WebSockets::new(Log::default()).any_origin();
    let speaks = WebSockets::new(Log::default()).protocols(["two", "one"]);
    Server::new()
        .websocket("/", Log::default())
        .websocket("/strict", strict)
        .websocket("/open", open)
        .websocket("/speaks", speaks)
        .get("/rooms/{room}", |request: Request| {
            let Some(name) = request.query_value("name") else {
                return StatusCode::FORBIDDEN.into_response();
            };
            let greeting = format!("{name} in {}", request.param("room"));
            request.websocket(move |socket: Socket, _: Message| socket.send(greeting.as_str()))
        })
}

/// The head of the answer to a handshake with other lines in place of some.
fn answer(stage: &mut Stage, path: &str, changes: &[(&str, &str)]) -> String {
    let mut said = OFFER.replace("GET / ", &format!("GET {path} "));
    for (from, to) in changes {
        assert!(said.contains(from));
        said = said.replace(from, to);
    }
    let mut client = Client::connect(stage);
    client.write(stage, said.as_bytes());
    client.read_head(stage)
}

fn refusals_have_their_status(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    for (changes, status, field) in [
        ([("Upgrade: websocket\r\n", "")], "426", "upgrade: websocket"),
        ([("Upgrade: websocket", "Upgrade: h2c")], "426", "upgrade: websocket"),
        ([("Connection: Upgrade", "Connection: keep-alive")], "426", "upgrade: websocket"),
        ([("Version: 13", "Version: 8")], "426", "sec-websocket-version: 13"),
        ([("dGhlIHNhbXBsZSBub25jZQ==", "short")], "400", ""),
        ([("HTTP/1.1", "HTTP/1.0")], "426", ""),
        ([("GET", "POST")], "405", ""),
    ] {
        let head = answer(&mut stage, "/", &changes);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{changes:?}: {head}");
        assert!(head.contains(field), "{changes:?}: {head}");
    }
    let head = answer(&mut stage, "/", &[]);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("upgrade: websocket\r\n"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
}

fn origins_are_checked(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    for (path, origin, status) in [
        ("/", "http://a", "101"),
        ("/", "https://a", "101"),
        ("/", "http://b", "403"),
        ("/", "null", "403"),
        ("/strict", "https://tide.example", "101"),
        ("/strict", "https://TIDE.example", "101"),
        ("/strict", "http://tide.example", "403"),
        ("/strict", "http://a", "403"),
        ("/open", "http://b", "101"),
        ("/open", "null", "101"),
    ] {
        let field = format!("Host: a\r\nOrigin: {origin}\r\n");
        let head = answer(&mut stage, path, &[("Host: a\r\n", &field)]);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{origin} at {path}: {head}");
    }
    let twice = "Host: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n";
    let head = answer(&mut stage, "/", &[("Host: a\r\n", twice)]);
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}

fn a_subprotocol_is_chosen(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    for (offered, expected) in
        [("one, two", Some("two")), ("one", Some("one")), ("other", None), ("ONE", None)]
    {
        let field = format!("Host: a\r\nSec-WebSocket-Protocol: {offered}\r\n");
        let head = answer(&mut stage, "/speaks", &[("Host: a\r\n", &field)]);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let chosen = head.split("sec-websocket-protocol: ").nth(1);
        assert_eq!(chosen.map(|rest| rest.lines().next().unwrap()), expected, "{offered}");
    }
}

/// A handler reads the request and refuses it, or gives the connection a value of its own.
fn a_request_is_read_first(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    let head = answer(&mut stage, "/rooms/blue", &[]);
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    let said = OFFER.replace("GET / ", "GET /rooms/blue?name=fish ");
    let mut client = Client::connect(&stage);
    client.write(&mut stage, said.as_bytes());
    client.read_head(&mut stage);
    client.send("?");
    assert_eq!(client.messages(&mut stage, 1), [Message::from("fish in blue")]);
}

over_all_backends!(
    refusals_have_their_status,
    origins_are_checked,
    a_subprotocol_is_chosen,
    a_request_is_read_first,
);
