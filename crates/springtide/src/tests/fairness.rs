//! Law 9 at the server: beside greedy neighbours every connection has its turn.
//! Counted in turns, never in time.

use super::{Backend, Peer, Stage, over_all_backends};
use crate::{Limits, Request, Server};

/// The most turns that a request of a modest connection may take.
const TURNS_MAX: u64 = 3;
/// And when the shard is frozen meanwhile: what was cut is begun again.
const TURNS_MOVING_MAX: u64 = 2 * TURNS_MAX;
/// The bytes of the upload that goes on beside it.
const UPLOAD_BYTES: u64 = 1 << 30;
/// How many requests are timed on a backend with a real network, and on the simulated one.
const ROUNDS: usize = 300;

/// What keeps a neighbour busy without end.
struct Greedy {
    peer: Peer,
    bytes: Vec<u8>,
    offset: usize,
    left: u64,
    received: Vec<u8>,
}

impl Greedy {
    fn new(peer: Peer, first: &[u8], again: &[u8], total: u64) -> Self {
        let mut bytes = first.to_vec();
        while bytes.len() < 1 << 20 {
            bytes.extend_from_slice(again);
        }
        Self { peer, bytes, offset: 0, left: total, received: Vec::new() }
    }

    /// Writes all that fits and throws away what comes.
    fn press(&mut self, again_from: usize) {
        loop {
            let rest = &self.bytes[self.offset..];
            let rest = &rest[..rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))];
            let sent = self.peer.write(rest);
            self.left -= sent as u64;
            self.offset += sent;
            if self.offset == self.bytes.len() {
                self.offset = again_from;
            }
            if sent == 0 {
                break;
            }
        }
        self.received.clear();
        self.peer.read(&mut self.received);
    }
}

fn a_modest_connection_has_its_turn(backend: Backend) {
    let mut limits = Limits::default();
    limits.http1.discard_bytes_max = UPLOAD_BYTES * 2;
    limits.http1.requests_max = u32::MAX;
    let server = Server::new()
        .limits(limits)
        .get("/", || "root")
        .get("/users/{id}", |request: Request| request.param("id").into_owned());
    let mut stage = Stage::at_once(backend, server);
    // Longer than what fits 32 times into one chunk: the share is of the turn, not of a chunk.
    let flood = format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "y".repeat(150));
    let flood = flood.as_bytes();
    let mut flooder = Greedy::new(stage.connect(), flood, flood, u64::MAX);
    // A body that nobody wants is read and thrown away: a raw upload as far as the engine knows.
    let head = format!("GET /nobody HTTP/1.1\r\nHost: a\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n");
    let total = head.len() as u64 + UPLOAD_BYTES;
    let mut uploader = Greedy::new(stage.connect(), head.as_bytes(), &[b'u'; 4096], total);
    let mut modest = stage.connect();
    for _ in 0..20 {
        flooder.press(0);
        uploader.press(head.len());
        stage.turn();
    }
    let mut slowest = 0;
    for round in 0..ROUNDS {
        let request = format!("GET /users/{round} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(modest.write(request.as_bytes()), request.len());
        let began = stage.turns;
        let mut received = Vec::new();
        stage.until(|stage| {
            flooder.press(0);
            uploader.press(head.len());
            let before = stage.counts().requests_total;
            stage.turn();
            let handled = stage.counts().requests_total - before;
            assert!(handled <= 2 * 32 + 1, "{handled} requests in one turn");
            modest.read(&mut received);
            received.ends_with(format!("\r\n\r\n{round}").as_bytes()).then_some(())
        });
        slowest = slowest.max(stage.turns - began);
    }
    let turns_max = if backend.is_moving() { TURNS_MOVING_MAX } else { TURNS_MAX };
    assert!(slowest <= turns_max, "a request took {slowest} turns on {backend:?}");
    if !backend.is_simulated() {
        // The whole upload goes through meanwhile.
        stage.until(|stage| {
            flooder.press(0);
            uploader.press(head.len());
            stage.turn();
            (uploader.left == 0).then_some(())
        });
        assert!(stage.counts().bytes_received > UPLOAD_BYTES * 99 / 100);
        assert_eq!(stage.counts().refusals_total, 0);
    }
}

over_all_backends!(a_modest_connection_has_its_turn);
