//! Bodies of requests over every backend: whole, in pieces, wanted or not.
//! What is echoed is compared to the byte.

mod arriving;
mod taken;
mod worlds;

use super::{Backend, Peer, Stage, over_all_backends, over_still_backends};
use crate::{BodyError, Request, Server, body_max, streamed};

/// Long bodies behind each other on one connection, of known length and chunked, however they are
/// cut, come back whole and in order.
fn long_bodies_are_whole(backend: Backend) {
    echo_long_bodies(
        backend,
        Server::new().post("/echo", |request: Request| request.bytes().clone()),
    );
}

/// The same, taken while they arrive.
fn long_bodies_are_whole_in_pieces(backend: Backend) {
    let echo = async |mut request: Request| {
        let (mut body, mut whole) = (request.take_body(), Vec::new());
        while let Some(piece) = body.next().await? {
            assert!(!piece.is_empty());
            whole.extend_from_slice(&piece);
        }
        assert_eq!(body.next().await, Ok(None));
        Ok::<_, BodyError>(whole)
    };
    echo_long_bodies(backend, Server::new().post("/echo", streamed(echo)));
}

/// The same, waited for by their handlers.
fn long_bodies_are_waited_for(backend: Backend) {
    let echo = async |request: Request| {
        let body = request.body().await?;
        assert_eq!(request.body().await.as_ref(), Ok(&body), "it stays there");
        Ok::<_, BodyError>(body)
    };
    echo_long_bodies(backend, Server::new().post("/echo", body_max(900_000, streamed(echo))));
}

fn echo_long_bodies(backend: Backend, server: Server) {
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let (mut requests, mut expected) = (Vec::new(), Vec::new());
    for (number, length) in
        [65_536, 3, 20_000, 300_000, 4_000, 131_072, 0, 900_000].iter().enumerate()
    {
        let body: Vec<u8> = (0..*length).map(|at: usize| ((at * 31) ^ number) as u8).collect();
        requests.extend(b"POST /echo HTTP/1.1\r\nHost: a\r\n");
        match number % 3 {
            2 => {
                requests.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in body.chunks(7_000) {
                    requests.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
                    requests.extend(chunk);
                    requests.extend(b"\r\n");
                }
                requests.extend(b"0\r\n\r\n");
            }
            _ => {
                requests.extend(format!("Content-Length: {length}\r\n\r\n").as_bytes());
                requests.extend(&body);
            }
        }
        expected.push(body);
    }
    for piece_bytes in [usize::MAX, 10_007, 65_536] {
        let mut received = Vec::new();
        for mut piece in requests.chunks(piece_bytes.min(requests.len())) {
            while !piece.is_empty() {
                piece = &piece[peer.write(piece)..];
                stage.turn();
                peer.read(&mut received);
            }
        }
        for body in &expected {
            let head = stage.until(|stage| {
                stage.turn();
                peer.read(&mut received);
                let end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
                (received.len() >= end + body.len()).then_some(end)
            });
            assert!(received.starts_with(b"HTTP/1.1 200 OK\r\n"));
            assert!(received[head..head + body.len()] == body[..], "{} bytes", body.len());
            received.drain(..head + body.len());
        }
        assert!(received.is_empty());
    }
}

/// Fields behind a chunked body are there for handlers of every kind, but those of a head.
fn trailers_are_told(backend: Backend) {
    let told = |fields: &http::HeaderMap| {
        let digest = fields.get("digest").map(|value| value.to_str().unwrap().to_owned());
        format!("{digest:?} {}~", fields.len())
    };
    let server = Server::new()
        .post("/whole", move |request: Request| told(&request.trailers()))
        .post("/pool", crate::offload(move |request| told(&request.trailers())))
        .post(
            "/pieces",
            streamed(async move |mut request: Request| {
                let mut body = request.take_body();
                while body.next().await?.is_some() {}
                Ok::<_, BodyError>(told(&body.trailers()))
            }),
        )
        .post(
            "/waited",
            streamed(async move |request: Request| {
                request.body().await?;
                Ok::<_, BodyError>(told(&request.trailers()))
            }),
        );
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    for (path, trailers, expected) in [
        ("whole", "Digest: a\r\nCookie: b\r\n", "Some(\"a\") 1~"),
        ("whole", "", "None 0~"),
        ("pool", "Digest: a\r\n", "Some(\"a\") 1~"),
        ("pieces", "Digest: a\r\nHost-Not: b\r\n", "Some(\"a\") 2~"),
        ("waited", "Digest: a\r\nTE: b\r\n", "Some(\"a\") 1~"),
    ] {
        let request = format!(
            "POST /{path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             4\r\ntide\r\n0\r\n{trailers}\r\n"
        );
        let reply = ask(&mut stage, &mut peer, request.as_bytes());
        assert!(reply.ends_with(&format!("\r\n\r\n{expected}")), "{path} {reply}");
    }
    let plain = b"POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n~";
    assert!(ask(&mut stage, &mut peer, plain).ends_with("None 0~"), "those of another request");
}

/// Sends and turns until a reply's body has come, which ends so.
fn ask(stage: &mut Stage, peer: &mut Peer, request: &[u8]) -> String {
    assert_eq!(peer.write(request), request.len());
    let mut received = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        received.ends_with(b"~").then_some(())
    });
    String::from_utf8(received).unwrap()
}

over_all_backends!(long_bodies_are_whole);

mod still {
    use super::*;

    over_still_backends!(
        long_bodies_are_whole_in_pieces,
        long_bodies_are_waited_for,
        trailers_are_told,
    );
}
