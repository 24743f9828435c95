//! What is passed on of a request and its answer besides their bodies, and what a redirect takes along
//! to another server: fields and trailers, looked at by servers of the test's own.

use std::net::TcpListener;

use super::super::{Backend, Stage, over_system_backends};
use super::upstream::{accept, answer, said};
use crate::{ClientLimits, HttpClient, IntoResponse, Request, Response, Server, streamed};

over_system_backends!(
    trailers_pass_both_ways,
    requests_are_passed_on_as_often_as_they_allow,
    credentials_stay_with_their_server,
);

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn stage(backend: Backend) -> (Stage, TcpListener) {
    let (listener, url) = listener();
    let client = HttpClient::new();
    let pass = async move |mut request: Request| client.pass_on(&mut request, &url).send().await;
    (Stage::new(backend, Server::new().fallback(streamed(pass))), listener)
}

/// But for those that `Connection` names.
fn trailers_pass_both_ways(backend: Backend) {
    let (mut stage, listener) = stage(backend);
    let mut peer = stage.connect();
    let request = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Own\r\n\
        Connection: x-own\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\nX-Own: 1\r\n\r\n";
    assert_eq!(peer.write(request.as_bytes()), request.len());
    let mut stream = accept(&mut stage, &listener);
    let reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Own\r\n\
        Connection: x-own\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\nX-Own: 1\r\n\r\n";
    let mut asked = answer(&mut stage, &mut stream, "");
    while !asked.contains("\r\n0\r\n") {
        asked.push_str(&answer(&mut stage, &mut stream, ""));
    }
    std::io::Write::write_all(&mut stream, reply.as_bytes()).unwrap();
    assert!(asked.to_ascii_lowercase().contains("trailer: x-sum, x-own\r\n"), "{asked}");
    let end = asked.to_ascii_lowercase();
    assert!(end.ends_with("\r\n3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n"), "{asked}");
    let said = said(&mut stage, &mut peer, "\r\n0\r\nx-sum: 7\r\n\r\n");
    assert!(said.contains("\r\n1\r\na\r\n0\r\nx-sum: 7\r\n\r\n"), "{said}");
}

/// `OPTIONS` and `TRACE` are counted; what may not go on is answered here (RFC 9110 §7.6.2).
fn requests_are_passed_on_as_often_as_they_allow(backend: Backend) {
    for (method, before, after) in [
        ("OPTIONS", "1", "0"),
        ("TRACE", "10", "9"),
        ("OPTIONS", "18446744073709551999", "18446744073709551614"),
        ("OPTIONS", "some", "some"),
        ("GET", "0", "0"),
    ] {
        let (mut stage, listener) = stage(backend);
        let mut peer = stage.connect();
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {before}\r\n\r\n");
        assert_eq!(peer.write(request.as_bytes()), request.len());
        let mut stream = accept(&mut stage, &listener);
        let asked = answer(&mut stage, &mut stream, "HTTP/1.1 204 No Content\r\n\r\n");
        let expected = format!("max-forwards: {after}\r\n");
        assert!(asked.to_ascii_lowercase().contains(&expected), "{method} {before}: {asked}");
    }
    for (method, expected) in [("OPTIONS", "204"), ("TRACE", "501")] {
        let (mut stage, _listener) = stage(backend);
        let mut peer = stage.connect();
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
        assert_eq!(peer.write(request.as_bytes()), request.len());
        let said = said(&mut stage, &mut peer, "\r\n\r\n");
        assert!(said.starts_with(&format!("HTTP/1.1 {expected} ")), "{said}");
        assert_eq!(stage.at_desk(), [0; 4], "it was sent");
    }
}

const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// They are for the one they were meant for: another port is another server (RFC 9110 §15.4).
fn credentials_stay_with_their_server(backend: Backend) {
    for status in [301, 302, 303, 307, 308] {
        for is_elsewhere in [true, false] {
            let [(own, url), (other, elsewhere)] = [listener(), listener()];
            let urls = [url.clone(), elsewhere];
            let limits = ClientLimits { redirects_max: 1, ..ClientLimits::default() };
            let client = HttpClient::new().limits(limits);
            let server = Server::new().get("/", async move |_: Request| -> Response {
                let request = client.get(&url).header("x-other", "1").host("inner.example");
                let request = CREDENTIALS.iter().fold(request, |own, name| own.header(*name, "s"));
                let sent = request.send().await;
                sent.map_or_else(IntoResponse::into_response, IntoResponse::into_response)
            });
            let mut stage = Stage::new(backend, server);
            let mut peer = stage.connect();
            assert!(peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") > 0);
            let mut stream = accept(&mut stage, &own);
            let target = &urls[usize::from(is_elsewhere)];
            let moved = format!(
                "HTTP/1.1 {status} Moved\r\nLocation: {target}/b\r\nContent-Length: 0\r\n\r\n"
            );
            let first = answer(&mut stage, &mut stream, &moved).to_ascii_lowercase();
            if is_elsewhere {
                stream = accept(&mut stage, &other);
            }
            let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            let second = answer(&mut stage, &mut stream, ok).to_ascii_lowercase();
            for name in CREDENTIALS {
                let field = format!("{name}: s\r\n");
                assert!(first.contains(&field), "{first}");
                assert_eq!(second.contains(&field), !is_elsewhere, "{status} {name}: {second}");
            }
            assert!(second.contains("x-other: 1\r\n"), "{second}");
            assert_eq!(second.contains("host: inner.example\r\n"), !is_elsewhere, "{second}");
            assert!(said(&mut stage, &mut peer, "ok").ends_with("\r\n\r\nok"));
        }
    }
}
