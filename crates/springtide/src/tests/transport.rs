//! The seam for transports, proved by a stage that flips bits: machines never notice.
//! Real stages, such as TLS, stand where this one stands.

use springtide_engine::Piece;

use super::{Backend, Stage, over_all_backends};
use crate::transport::Stage as Transport;
use crate::{Request, Server};

const MASK: u8 = 0x5A;

/// Flips other bits at every place of a stream: it must remember how far it is.
#[derive(Default)]
struct Xor {
    opened: u64,
    sealed: u64,
}

fn flip(bytes: &[u8], position: &mut u64) -> Vec<u8> {
    let flipped = bytes.iter().zip(*position..).map(|(byte, at)| byte ^ MASK ^ (at % 251) as u8);
    let flipped = flipped.collect();
    *position += bytes.len() as u64;
    flipped
}

impl Transport for Xor {
    fn open(&mut self, received: &[u8], plain: &mut Vec<u8>) {
        plain.append(&mut flip(received, &mut self.opened));
    }

    fn seal(&mut self, pieces: &mut Vec<Piece>) {
        let plain: Vec<u8> = pieces.drain(..).flat_map(|piece| piece.as_slice().to_vec()).collect();
        pieces.push(Piece::Owned(flip(&plain, &mut self.sealed)));
    }

    fn freeze(&self) -> Vec<u8> {
        [self.opened.to_le_bytes(), self.sealed.to_le_bytes()].concat()
    }

    fn thaw(&mut self, frozen: &[u8]) {
        let number = |range| u64::from_le_bytes(<[u8; 8]>::try_from(&frozen[range]).unwrap());
        (self.opened, self.sealed) = (number(0..8), number(8..16));
    }
}

fn machines_never_see_the_transport(backend: Backend) {
    let server = Server::new()
        .stage(|| Box::<Xor>::default())
        .get("/", || "x".repeat(100_000))
        .post("/", |request: Request| request.bytes().clone());
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\
                     POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntide";
    let sealed = flip(requests, &mut 0);
    let received = stage.talk(&mut peer, &sealed, usize::MAX);
    let plain = String::from_utf8(flip(&received, &mut 0)).unwrap();
    assert!(plain.starts_with("HTTP/1.1 200 OK\r\n") && plain.ends_with("\r\n\r\ntide"));
    assert_eq!(plain.matches('x').count(), 100_000 + "text/plain; charset".matches('x').count());
}

over_all_backends!(machines_never_see_the_transport);
