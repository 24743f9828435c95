//! Peers that talk without end: what each sends and must read, byte for byte.
//! A peer knows nothing of freezes.

use std::collections::VecDeque;

use super::chance::Chance;
use crate::tests::{Peer, Stage};

/// What the peers do.
pub(super) enum Work {
    /// Bytes that come back.
    Echo,
    /// Requests of all kinds, with these files among them.
    Http(Vec<(&'static str, Vec<u8>)>),
}

/// What waits to be written, beyond which nothing new is begun.
const WAITING_MAX: usize = 64 << 10;
/// Replies that are owed, beyond which nothing new is begun.
const OWED_MAX: usize = 12;

/// Small enough for memory, and too long for it.
pub(super) fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![("small.txt", b"small".to_vec()), ("large.bin", pattern(400_000))]
}

/// Bytes that tell where they stand.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

/// One peer.
pub(super) struct Talk {
    number: usize,
    peer: Peer,
    /// To be written.
    waiting: Vec<u8>,
    /// Read and not understood yet.
    received: Vec<u8>,
    /// What replies must bring, or what must be echoed.
    owed: VecDeque<Vec<u8>>,
    /// The last request says that it is the last one, or the peer has ended its side.
    is_last: bool,
    /// The server ends its side behind what is owed.
    awaits_end: bool,
    pub(super) exchanges: usize,
    pub(super) bytes: usize,
}

impl Talk {
    pub(super) fn new(number: usize, stage: &Stage) -> Self {
        let (waiting, received, owed) = Default::default();
        let peer = stage.connect();
        Self {
            number,
            peer,
            waiting,
            received,
            owed,
            is_last: false,
            awaits_end: false,
            exchanges: 0,
            bytes: 0,
        }
    }

    /// Something of what a peer does in a turn.
    pub(super) fn act(&mut self, work: &Work, chance: &mut Chance, stage: &Stage) {
        let is_rude = chance.one_in(500);
        if is_rude || self.is_over() {
            let (exchanges, bytes) = (self.exchanges, self.bytes);
            *self = Self { exchanges, bytes, ..Self::new(self.number, stage) };
        }
        if !self.is_last && self.waiting.len() < WAITING_MAX && self.owed.len() < OWED_MAX {
            self.begin(work, chance);
        }
        self.write(work, chance);
        // What is sent to a slow reader waits, and is cut when the shard is frozen.
        if chance.one_in(if self.is_slow() { 50 } else { 2 }) {
            self.read(work);
        }
    }

    const fn is_slow(&self) -> bool {
        self.number.is_multiple_of(8)
    }

    /// Finishes what has begun; true when it is over.
    pub(super) fn finish(&mut self, work: &Work, chance: &mut Chance) -> bool {
        if !self.is_last {
            match work {
                Work::Echo => {}
                Work::Http(_) => {
                    self.ask("GET", "/say/end", "Connection: close\r\n", b"", b"end");
                    self.awaits_end = true;
                }
            }
            self.is_last = true;
        }
        if !self.is_over() {
            self.write(work, chance);
            self.read(work);
        }
        self.is_over()
    }

    fn begin(&mut self, work: &Work, chance: &mut Chance) {
        let Work::Http(files) = work else {
            let bytes: Vec<u8> = pattern(chance.below(if self.is_slow() { 60_000 } else { 6_000 }));
            self.waiting.extend_from_slice(&bytes);
            self.owed.push_back(bytes);
            self.is_last = chance.one_in(100);
            return;
        };
        match (self.number + chance.below(3)) % 7 {
            0 => {
                let words = format!("words-{}-{}", self.number, chance.below(1000));
                self.ask("GET", &format!("/say/{words}"), "", b"", words.as_bytes());
            }
            1 => {
                let body = pattern(chance.below(50_000));
                let length = format!("Content-Length: {}\r\n", body.len());
                self.ask("POST", "/echo", &length, &body, &body);
            }
            2 => {
                let body = pattern(chance.below(50_000));
                let coded = chunked(&body, chance);
                self.ask("POST", "/echo", "Transfer-Encoding: chunked\r\n", &coded, &body);
            }
            3 => {
                let length = chance.below(if self.is_slow() { 400_000 } else { 60_000 });
                self.ask("GET", &format!("/big/{length}"), "", b"", &pattern(length));
            }
            4 => {
                let (name, bytes) = &files[chance.below(files.len())];
                self.ask("GET", &format!("/files/{name}"), "", b"", bytes);
            }
            5 => {
                let (name, bytes) = &files[1];
                let (first, last) = (chance.below(200_000), 200_000 + chance.below(200_000));
                let range = format!("Range: bytes={first}-{last}\r\n");
                self.ask("GET", &format!("/files/{name}"), &range, b"", &bytes[first..=last]);
            }
            _ if chance.one_in(2) => {
                self.ask("GET", "/say/last", "Connection: close\r\n", b"", b"last");
                (self.is_last, self.awaits_end) = (true, true);
            }
            _ => {
                let fields = "Connection: close\r\nContent-Length: 4\r\n";
                self.ask("POST", "/echo", fields, b"last", b"last");
                (self.is_last, self.awaits_end) = (true, true);
            }
        }
    }

    fn ask(&mut self, method: &str, path: &str, fields: &str, body: &[u8], expected: &[u8]) {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        self.waiting.extend_from_slice(head.as_bytes());
        self.waiting.extend_from_slice(body);
        self.owed.push_back(expected.to_vec());
    }

    /// A few bytes, some thousand, or all there are.
    fn write(&mut self, work: &Work, chance: &mut Chance) {
        let most = [3, 1500, 20_000, usize::MAX][chance.below(4)];
        let count = self.waiting.len().min(most);
        let written = self.peer.write(&self.waiting[..count]);
        self.bytes += written;
        let had_some = !self.waiting.is_empty();
        self.waiting.drain(..written);
        // Half of the peers wait for the server's end, which lingers for theirs.
        let ends = matches!(work, Work::Echo) || self.number.is_multiple_of(2);
        if ends && self.is_last && self.waiting.is_empty() && had_some {
            self.peer.shutdown();
            self.awaits_end = true;
        }
    }

    fn read(&mut self, work: &Work) {
        let before = self.received.len();
        self.peer.read(&mut self.received);
        self.bytes += self.received.len() - before;
        match work {
            Work::Echo => self.read_echo(),
            Work::Http(_) => self.read_replies(),
        }
    }

    fn read_echo(&mut self) {
        let mut read = 0;
        while let Some(owed) = self.owed.front_mut() {
            let rest = &self.received[read..];
            let count = owed.len().min(rest.len());
            assert!(owed[..count] == rest[..count], "peer {} reads other bytes", self.number);
            read += count;
            owed.drain(..count);
            if !owed.is_empty() {
                break;
            }
            self.owed.pop_front();
            self.exchanges += 1;
        }
        self.received.drain(..read);
        assert!(self.received.is_empty(), "peer {} reads more than it sent", self.number);
    }

    fn read_replies(&mut self) {
        let mut read = 0;
        while let Some((length, body)) = reply(&self.received[read..], self.number) {
            let owed = self.owed.pop_front();
            let owed = owed.unwrap_or_else(|| panic!("peer {} was not owed this", self.number));
            assert_eq!(
                owed.len(),
                body.len(),
                "peer {} reads a body of another length",
                self.number
            );
            assert!(owed == body, "peer {} reads another body", self.number);
            read += length;
            self.exchanges += 1;
        }
        self.received.drain(..read);
    }

    /// Whether the server has ended its side behind everything that was owed.
    fn is_over(&self) -> bool {
        let has_nothing = self.owed.is_empty() && self.received.is_empty();
        // An echo that had nothing to write at the last was not ended either.
        let is_silent = !self.awaits_end && self.waiting.is_empty() && has_nothing;
        if self.peer.is_ended() {
            assert!(self.is_last, "peer {} is cut off", self.number);
            assert!(has_nothing, "peer {} lacks {} replies", self.number, self.owed.len());
        }
        self.is_last && (self.peer.is_ended() || is_silent)
    }
}

/// The length of the reply at the beginning, and its body.
fn reply(bytes: &[u8], number: usize) -> Option<(usize, &[u8])> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let status = head.starts_with("HTTP/1.1 200 OK\r\n") || head.starts_with("HTTP/1.1 206 ");
    assert!(status, "peer {number} reads {head:?}");
    let length = head.split("Content-Length: ").nth(1).expect("every reply has a length");
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    let body = bytes.get(end..end + length)?;
    Some((end + length, body))
}

/// A body in chunks of random lengths.
fn chunked(body: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(rest.len().min(1 + chance.below(9000)));
        coded.extend_from_slice(format!("{:x};a=b\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
        rest = behind;
    }
    coded.extend_from_slice(b"0\r\nTrailer: t\r\n\r\n");
    coded
}
