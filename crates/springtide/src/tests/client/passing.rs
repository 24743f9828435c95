//! Requests that are passed on, and their answers: streaming both ways, within bounds, cut where they
//! are cut.

use super::super::{Backend, over_still_backends};
use super::{LONG, ask, get, stage};
use crate::HttpClient;

over_still_backends!(
    what_is_of_one_connection_stays_there,
    long_answers_pass_a_slow_reader,
    long_requests_pass,
    a_broken_answer_is_cut,
    an_early_refusal_comes_through,
);

fn what_is_of_one_connection_stays_there(backend: Backend) {
    let mut stage = stage(backend, &HttpClient::new());
    let mut peer = stage.connect();
    let request = b"POST /pass/echo HTTP/1.1\r\nHost: a\r\nConnection: x-mine\r\nX-Mine: 1\r\n\
        Content-Length: 6\r\n\r\nhello~";
    let said = ask(&mut stage, &mut peer, request);
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    assert!(said.contains("content-length: 6") || said.contains("Content-Length: 6"), "{said}");
    assert!(said.contains("via: 1.1 springtide\r\n"), "{said}");
    assert!(said.ends_with("\r\n\r\nhello~"), "{said}");
    let said = ask(&mut stage, &mut peer, &get("/pass/plain"));
    assert!(said.ends_with("\r\n\r\nplain~"), "{said}");
    assert_eq!(said.matches("Date:").count() + said.matches("date:").count(), 1, "{said}");
}

/// Longer than every buffer on its way, to a reader that takes little at a time: on one shard that
/// passes on to itself, nothing stalls, and what is held is bounded.
fn long_answers_pass_a_slow_reader(backend: Backend) {
    let mut stage = stage(backend, &HttpClient::new());
    let mut peer = stage.connect();
    assert!(peer.write(&get("/pass/long")) > 0);
    let (mut received, mut most, mut count) = (Vec::new(), 0, 0);
    let (mut tail, mut rounds) = (Vec::new(), 0);
    stage.until(|stage| {
        stage.turn();
        most = most.max(stage.bytes_held());
        received.clear();
        rounds += 1;
        if rounds % 4 == 0 {
            peer.read(&mut received);
        }
        count += received.len();
        tail.extend_from_slice(&received);
        let excess = tail.len().saturating_sub(64);
        tail.drain(..excess);
        tail.ends_with(b"x-sum: 7\r\n\r\n").then_some(())
    });
    assert!(count > LONG, "{count}");
    assert!(most < 4 << 20, "{most} bytes are held");
    assert_eq!(stage.at_desk(), [1, 0, 1, 0]);
}

fn long_requests_pass(backend: Backend) {
    let mut stage = stage(backend, &HttpClient::new());
    let head = format!("PUT /pass/count HTTP/1.1\r\nHost: a\r\nContent-Length: {LONG}\r\n\r\n");
    let mut request = head.into_bytes();
    request.resize(request.len() + LONG, b'y');
    let mut peer = stage.connect();
    let (mut rest, mut received, mut most) = (&request[..], Vec::new(), 0);
    stage.until(|stage| {
        let sent = peer.write(rest);
        rest = &rest[sent..];
        stage.turn();
        most = most.max(stage.bytes_held());
        peer.read(&mut received);
        received.ends_with(b"~").then_some(())
    });
    let said = String::from_utf8(received).unwrap();
    assert!(said.ends_with(&format!("\r\n\r\n{LONG}~")), "{said}");
    assert!(most < 4 << 20, "{most} bytes are held");
    // In chunks as well.
    let chunk = format!("8000\r\n{}\r\n", "z".repeat(0x8000));
    let head = "PUT /pass/count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let request = format!("{head}{}0\r\n\r\n", chunk.repeat(100));
    let said = ask(&mut stage, &mut peer, request.as_bytes());
    assert!(said.ends_with(&format!("\r\n\r\n{}~", 100 * 0x8000)), "{said}");
}

/// What breaks upstream does not end as if it were whole.
fn a_broken_answer_is_cut(backend: Backend) {
    let mut stage = stage(backend, &HttpClient::new());
    let mut peer = stage.connect();
    let said = stage.talk_to_end(&mut peer, &get("/pass/broken"));
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n") || said.is_empty(), "{said}");
    assert!(!said.ends_with("0\r\n\r\n"), "{said}");
    stage.until(|stage| {
        stage.turn();
        (stage.at_desk() == [0; 4]).then_some(())
    });
}

fn an_early_refusal_comes_through(backend: Backend) {
    let mut stage = stage(backend, &HttpClient::new());
    let mut peer = stage.connect();
    let head = format!("PUT /pass/refuse HTTP/1.1\r\nHost: a\r\nContent-Length: {LONG}\r\n\r\n");
    let said = ask(&mut stage, &mut peer, &[head.as_bytes(), &[b'y'; 1000]].concat());
    assert!(said.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{said}");
    assert!(said.ends_with("\r\n\r\nno~"), "{said}");
    // Who asks first is told so, and never asked for the body.
    let mut peer = stage.connect();
    let request = format!("{}Expect: 100-continue\r\n\r\n", &head[..head.len() - 2]);
    let said = ask(&mut stage, &mut peer, request.as_bytes());
    assert!(said.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{said}");
    // And one that is wanted is asked for.
    let mut peer = stage.connect();
    let request = b"PUT /pass/count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\
        Expect: 100-continue\r\n\r\n";
    let mut received = Vec::new();
    assert_eq!(peer.write(request), request.len());
    stage.until(|stage| {
        stage.turn();
        peer.read(&mut received);
        received.ends_with(b"\r\n\r\n").then_some(())
    });
    assert_eq!(received, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(ask(&mut stage, &mut peer, b"abc").ends_with("\r\n\r\n3~"));
}
