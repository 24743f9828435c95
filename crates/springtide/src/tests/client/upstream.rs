//! Servers that misbehave, written byte by byte here: answers that are none, ends in the middle,
//! connections that are closed while they rest.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::super::{Backend, Stage, over_system_backends};
use crate::{HttpClient, IntoResponse, Request, Server, body_max, streamed};

over_system_backends!(
    what_is_no_answer_is_named,
    a_connection_closed_at_rest_is_not_missed,
    what_may_not_be_repeated_is_not,
    an_answer_may_begin_before_its_request_has_ended,
    what_is_passed_on_says_whose_it_is,
);

/// A listener of the test's own, and a server that asks it.
fn stage(backend: Backend) -> (Stage, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (client, other, posted) = (HttpClient::new(), HttpClient::new(), url.clone());
    let (own, base) = (client.clone(), format!("{url}public"));
    let server = Server::new()
        .get("/", async move |_: Request| match client.get(&url).send().await {
            Ok(answer) => {
                answer.text().await.unwrap_or_else(|error| error.to_string()).into_response()
            }
            Err(error) => error.to_string().into_response(),
        })
        .post("/", async move |_: Request| match own.post(&posted).body("x").send().await {
            Ok(answer) => answer.text().await.unwrap_or_else(|error| error.to_string()),
            Err(error) => error.to_string(),
        });
    let pass = |client: HttpClient, base: String| {
        streamed(async move |mut request: Request| client.pass_on(&mut request, &base).send().await)
    };
    let server = server
        .get("/pass/{*path}", pass(other.clone(), base.clone()))
        .put("/pass/{*path}", body_max(1 << 30, pass(other, base)));
    (Stage::new(backend, server), listener)
}

/// The connection that comes next.
pub(super) fn accept(stage: &mut Stage, listener: &TcpListener) -> TcpStream {
    let stream = stage.until(|stage| {
        stage.turn();
        listener.accept().ok()
    });
    stream.0.set_nonblocking(true).unwrap();
    stream.0
}

/// Reads a request and answers it.
pub(super) fn answer(stage: &mut Stage, stream: &mut TcpStream, answer: &str) -> String {
    let mut request = Vec::new();
    stage.until(|stage| {
        stage.turn();
        let mut buffer = [0; 1000];
        let count = stream.read(&mut buffer).unwrap_or(0);
        request.extend_from_slice(&buffer[..count]);
        let is_whole = request.ends_with(b"\r\n\r\n") || request.ends_with(b"\r\n\r\nx");
        is_whole.then_some(())
    });
    stream.write_all(answer.as_bytes()).unwrap();
    String::from_utf8(request).unwrap()
}

pub(super) fn said(stage: &mut Stage, peer: &mut super::Peer, until: &str) -> String {
    let mut received = Vec::new();
    stage.until(|stage| {
        stage.turn();
        peer.read(&mut received);
        (received.ends_with(until.as_bytes()) || peer.is_ended()).then_some(())
    });
    String::from_utf8(received).unwrap()
}

fn what_is_no_answer_is_named(backend: Backend) {
    for (bytes, expected) in [
        ("", "the answer is no good: the connection ended before an answer"),
        (
            "HTTP/1.1 200 OK\r\nCont",
            "the answer is no good: the connection ended in the middle of the answer",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
            "the answer is no good: the connection ended in the middle of the answer",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
            "the answer is no good: there is more than one Content-Length",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "the answer is no good: a chunk is malformed",
        ),
        ("SSH-2.0-x\r\n\r\n", "the answer is no good: the status line is malformed"),
        (
            "HTTP/1.1 101 S\r\n\r\n",
            "the answer is no good: the protocol was switched, which nobody asked for",
        ),
        ("HTTP/1.0 200 OK\r\n\r\nall of it", "all of it"),
        (
            "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
            "ok",
        ),
    ] {
        let (mut stage, listener) = stage(backend);
        let mut peer = stage.connect();
        assert!(peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") > 0);
        let mut stream = accept(&mut stage, &listener);
        answer(&mut stage, &mut stream, bytes);
        drop(stream);
        let said = said(&mut stage, &mut peer, expected);
        assert!(said.ends_with(&format!("\r\n\r\n{expected}")), "{bytes:?}: {said}");
        stage.until(|stage| {
            stage.turn();
            (stage.at_desk() == [0; 4]).then_some(())
        });
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The server closes a connection just when the next request goes there: that is sent once more.
fn a_connection_closed_at_rest_is_not_missed(backend: Backend) {
    let (mut stage, listener) = stage(backend);
    let mut peer = stage.connect();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(peer.write(request) > 0);
    let mut first = accept(&mut stage, &listener);
    answer(&mut stage, &mut first, OK);
    assert!(said(&mut stage, &mut peer, "ok").ends_with("ok"));
    assert!(peer.write(request) > 0);
    answer(&mut stage, &mut first, "");
    drop(first);
    let mut second = accept(&mut stage, &listener);
    let again = answer(&mut stage, &mut second, OK);
    assert!(again.starts_with("GET / HTTP/1.1\r\n"), "{again}");
    assert!(said(&mut stage, &mut peer, "ok").ends_with("ok"));
    // Only once: the second is fresh, and what becomes of it is the answer.
}

fn what_may_not_be_repeated_is_not(backend: Backend) {
    let (mut stage, listener) = stage(backend);
    let mut peer = stage.connect();
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    assert!(peer.write(request) > 0);
    let mut first = accept(&mut stage, &listener);
    answer(&mut stage, &mut first, OK);
    assert!(said(&mut stage, &mut peer, "ok").ends_with("ok"));
    assert!(peer.write(request) > 0);
    answer(&mut stage, &mut first, "");
    drop(first);
    let expected = "the answer is no good: the connection ended before an answer";
    let said = said(&mut stage, &mut peer, expected);
    assert!(said.ends_with(expected), "{said}");
    assert!(listener.accept().is_err(), "nothing was asked again");
}

/// Both go on at once: what comes of the request is sent while its answer is passed back.
fn an_answer_may_begin_before_its_request_has_ended(backend: Backend) {
    const LENGTH: usize = 300_000;
    let (mut stage, listener) = stage(backend);
    let mut peer = stage.connect();
    let head = format!("PUT /pass/a HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n");
    assert_eq!(peer.write(head.as_bytes()), head.len());
    let mut stream = accept(&mut stage, &listener);
    let early = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n";
    let asked = answer(&mut stage, &mut stream, early);
    assert!(asked.starts_with("PUT /public/pass/a HTTP/1.1\r\n"), "{asked}");
    assert!(said(&mut stage, &mut peer, "early\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    let body = vec![b'y'; LENGTH];
    let (mut rest, mut count) = (&body[..], 0);
    stage.until(|stage| {
        let sent = peer.write(rest);
        rest = &rest[sent..];
        stage.turn();
        let mut buffer = [0; 10_000];
        count += stream.read(&mut buffer).unwrap_or(0);
        (count == LENGTH).then_some(())
    });
    stream.write_all(b"4\r\nlate\r\n0\r\n\r\n").unwrap();
    let late = said(&mut stage, &mut peer, "0\r\n\r\n");
    assert!(late.contains("late"), "{late}");
    // And the connection goes on.
    assert!(peer.write(b"GET /pass/../b HTTP/1.1\r\nHost: a\r\n\r\n") > 0);
    let refused = said(&mut stage, &mut peer, "the path has dot segments");
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
}

fn what_is_passed_on_says_whose_it_is(backend: Backend) {
    let (mut stage, listener) = stage(backend);
    let mut peer = stage.connect();
    let request = "GET http://site.example/pass/a?b HTTP/1.1\r\nHost: evil\r\nConnection: x-mine\r\n\
        X-Mine: 1\r\nX-Forwarded-Host: evil\r\nX-Forwarded-For: 192.0.2.9\r\nX-Other: 2\r\n\r\n";
    assert_eq!(peer.write(request.as_bytes()), request.len());
    let mut stream = accept(&mut stage, &listener);
    let asked = answer(&mut stage, &mut stream, OK).to_ascii_lowercase();
    let mut lines: Vec<&str> = asked.lines().skip(1).filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    let host = format!("host: {}", listener.local_addr().unwrap());
    let expected = [
        &*host,
        "via: 1.1 springtide",
        "x-forwarded-for: 192.0.2.9, 127.0.0.1",
        "x-forwarded-host: site.example",
        "x-forwarded-proto: http",
        "x-other: 2",
    ];
    assert!(asked.starts_with("get /public/pass/a?b http/1.1"), "{asked}");
    assert_eq!(lines, expected);
    assert!(said(&mut stage, &mut peer, "ok").ends_with("\r\n\r\nok"));
}
