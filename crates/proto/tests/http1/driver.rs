//! Feeds a machine in pieces and writes down what it says, in words that do not depend on the cuts.
//! It must never be cleverer than a session: consume what is reported and loop.

use std::sync::LazyLock;

use springtide_proto::http1::{
    BodyLength, Exchange, Fields, Head, Limits, Machine, Opening, Received, Refusal, Reply,
    Version, trailers as trailers_of,
};
use springtide_proto::{Inbox, Outbox};
use std::fmt::Write;

pub(crate) const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// A machine with what a connection keeps around it.
pub(crate) struct Driver {
    pub(crate) machine: Machine,
    pub(crate) limits: Limits,
    pub(crate) head: Head,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(crate) now_ms: u64,
    pub(crate) exchanges: Vec<Exchange>,
    /// One line for each event.
    pub(crate) said: String,
    body: Vec<u8>,
    ended: bool,
}

impl Driver {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            machine: Machine::server(0, &limits),
            limits,
            head: Head::new(),
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            now_ms: 0,
            exchanges: Vec::new(),
            said: String::new(),
            body: Vec::new(),
            ended: false,
        }
    }

    /// Gives the machine more bytes and lets it read until it wants no more.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.inbox.append(bytes);
        self.read();
    }

    pub(crate) fn read(&mut self) {
        while !self.ended && self.step() {}
    }

    /// One event. False when the machine reads no further for now.
    fn step(&mut self) -> bool {
        let input = self.inbox.as_slice();
        let received = self.machine.receive(input, self.now_ms, &self.limits, &mut self.head);
        let consumed = match received {
            Ok(Received::NeedBytes) => return false,
            Ok(Received::Head { consumed, exchange }) => {
                self.exchanges.push(exchange);
                describe(&self.head, input, &mut self.said);
                consumed
            }
            Ok(Received::Body { consumed, data }) => {
                assert!(!data.is_empty(), "a body event has data");
                self.body.extend_from_slice(data.of(input));
                consumed
            }
            Ok(Received::BodyEnd { consumed, trailers }) => {
                let body = String::from_utf8_lossy(&std::mem::take(&mut self.body)).into_owned();
                writeln!(self.said, "body {body}").unwrap();
                for (name, value) in trailers_of(trailers.of(input)) {
                    writeln!(self.said, "trailer {name}={}", String::from_utf8_lossy(value))
                        .unwrap();
                }
                consumed
            }
            Ok(Received::Skipped { consumed }) => consumed,
            Ok(Received::Paused) => return false,
            Ok(Received::Switched) => return false,
            Ok(Received::Closed) => {
                self.ended = true;
                self.said.push_str("closed\n");
                return false;
            }
            Err(refusal) => {
                self.ended = true;
                self.refuse(refusal);
                return false;
            }
        };
        self.inbox.consume(consumed);
        true
    }

    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        let status = refusal.status().as_u16();
        writeln!(self.said, "refused {status} {refusal:?}").unwrap();
        self.machine.refuse(refusal, opening(b""), &mut self.outbox);
    }

    /// Everything encoded since the last call, as text.
    pub(crate) fn sent(&mut self) -> String {
        let mut pieces = Vec::new();
        self.outbox.take_pieces(&mut pieces);
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.as_slice().to_vec()).collect();
        String::from_utf8(bytes).unwrap()
    }
}

/// The openings of replies, made once for each name that a server has in these tests.
static OPENINGS: LazyLock<[Opening; 3]> =
    LazyLock::new(|| SERVERS.map(|server| Opening::new(server.as_bytes(), DATE)));
const SERVERS: [&str; 3] = ["", "s", "springtide"];

/// The opening of replies, with this server.
pub(crate) fn opening(server: &[u8]) -> &'static Opening {
    let known = SERVERS.iter().position(|own| own.as_bytes() == server);
    &OPENINGS[known.expect("the tests know this server")]
}

/// A reply without fields of its own.
pub(crate) fn reply(status: u16) -> Reply<'static> {
    let status = http::StatusCode::from_u16(status).unwrap();
    Reply { status, content_type: None, fields: Fields::NONE, opening: opening(b"") }
}

/// `GET /target 1.1 host=a sized=3 close expect upgrade name=value …`
fn describe(head: &Head, input: &[u8], said: &mut String) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let version = if head.version == Version::Http11 { "1.1" } else { "1.0" };
    write!(said, "{} {} {version}", head.method, text(head.target.of(input))).unwrap();
    if let Some(host) = head.host {
        write!(said, " host={}", text(host.of(input))).unwrap();
    }
    match head.body {
        BodyLength::None => {}
        BodyLength::Sized(len) => write!(said, " sized={len}").unwrap(),
        BodyLength::Chunked => said.push_str(" chunked"),
    }
    for (is_said, word) in [
        (!head.keep_alive, " close"),
        (head.expect_continue, " expect"),
        (head.upgrade, " upgrade"),
    ] {
        said.push_str(if is_said { word } else { "" });
    }
    for field in head.fields() {
        let (name, value) = (text(field.name.of(input)), text(field.value.of(input)));
        if name.starts_with("X-") {
            write!(said, " {name}={value}").unwrap();
        }
    }
    said.push('\n');
}

/// Runs one input cut at these offsets and gives what was said.
pub(crate) fn run(input: &[u8], cuts: &[usize], limits: &Limits) -> String {
    let mut driver = Driver::new(limits.clone());
    let mut start = 0;
    for cut in cuts.iter().copied().chain([input.len()]) {
        driver.feed(&input[start..cut]);
        start = cut;
    }
    if driver.said.contains("refused") {
        assert!(driver.machine.wants_close() || driver.exchanges.len() > 1 || owes(&driver));
        assert_eq!(driver.said.matches("refused").count(), 1);
    }
    driver.said
}

fn owes(driver: &Driver) -> bool {
    driver.machine.exchanges_in_flight() > 0
}

/// Checks one input whole, at every split and byte by byte.
pub(crate) fn check_with(limits: &Limits, input: impl AsRef<[u8]>, expected: &str) {
    let input = input.as_ref();
    let shown = String::from_utf8_lossy(&input[..input.len().min(300)]).into_owned();
    assert_eq!(run(input, &[], limits).trim_end(), expected, "whole: {shown:?}");
    // Long inputs are cut at a sample, so that a table takes moments.
    let stride = input.len() / 512 + 1;
    for split in (0..input.len()).step_by(stride) {
        let said = run(input, &[split], limits);
        assert_eq!(said.trim_end(), expected, "split at {split}: {shown:?}");
    }
    let every: Vec<usize> = (1..input.len()).collect();
    assert_eq!(run(input, &every, limits).trim_end(), expected, "byte by byte: {shown:?}");
}

/// [`check_with`] the default limits.
pub(crate) fn check(input: impl AsRef<[u8]>, expected: &str) {
    check_with(&Limits::default(), input, expected);
}
