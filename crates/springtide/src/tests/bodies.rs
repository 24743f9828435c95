//! Bodies of requests over every backend: whole, in pieces, wanted or not.
//! What is echoed is compared to the byte.

use super::{Backend, Stage, over_all_backends};
use crate::{Request, Server};

/// Long bodies behind each other on one connection, of known length and chunked, however they are
/// cut, come back whole and in order.
fn long_bodies_are_whole(backend: Backend) {
    let server = Server::new().post("/echo", |request: Request| request.bytes().clone());
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

over_all_backends!(long_bodies_are_whole);
