//! The seam for transports, proved by a stage that flips bits: machines never notice.
//! Real stages, such as TLS, stand where this one stands.

use springtide_engine::Piece;

use super::{Backend, Stage, over_all_backends};
use crate::transport::Stage as Transport;
use crate::{Request, Server};

const MASK: u8 = 0x5A;

struct Xor;

fn flip(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    bytes.iter().map(|byte| byte ^ MASK)
}

impl Transport for Xor {
    fn open(&mut self, received: &[u8], plain: &mut Vec<u8>) {
        plain.extend(flip(received));
    }

    fn seal(&mut self, pieces: &mut Vec<Piece>) {
        let sealed = pieces.iter().flat_map(|piece| flip(piece.as_slice()).collect::<Vec<u8>>());
        let sealed = sealed.collect();
        pieces.clear();
        pieces.push(Piece::Owned(sealed));
    }
}

fn machines_never_see_the_transport(backend: Backend) {
    let server = Server::new()
        .stage(|| Box::new(Xor))
        .get("/", || "x".repeat(100_000))
        .post("/", |request: Request| request.bytes().clone());
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\
                     POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntide";
    let sealed: Vec<u8> = flip(requests).collect();
    let received = stage.talk(&mut peer, &sealed, usize::MAX);
    let plain: Vec<u8> = flip(&received).collect();
    let plain = String::from_utf8(plain).unwrap();
    assert!(plain.starts_with("HTTP/1.1 200 OK\r\n") && plain.ends_with("\r\n\r\ntide"));
    assert_eq!(plain.matches('x').count(), 100_000 + "text/plain; charset".matches('x').count());
}

over_all_backends!(machines_never_see_the_transport);
