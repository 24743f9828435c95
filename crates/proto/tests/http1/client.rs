//! The client's side from outside: what it makes of answers, whole, at every split and byte by byte;
//! what it sends, and what it refuses to send; its deadlines. It must never look inside the machine.

mod answers;
mod asking;
mod times;

use http::{HeaderMap, Method};
use springtide_proto::http1::{
    Ask, AskBody, AskError, ClientMachine, Limits, ReplyEnd, ReplyHead, ReplyLength, ReplyReceived,
    trailers as trailers_of,
};
use springtide_proto::{Inbox, Outbox};
use std::fmt::Write;

/// A client machine with what a connection keeps around it.
struct Client {
    machine: ClientMachine,
    limits: Limits,
    head: ReplyHead,
    inbox: Inbox,
    outbox: Outbox,
    now_ms: u64,
    /// One line for each event.
    said: String,
    body: Vec<u8>,
    is_broken: bool,
}

impl Client {
    fn new(limits: &Limits) -> Self {
        Self {
            machine: ClientMachine::new(0),
            limits: limits.clone(),
            head: ReplyHead::new(),
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            now_ms: 0,
            said: String::new(),
            body: Vec::new(),
            is_broken: false,
        }
    }

    fn ask(&mut self, method: &Method, body: AskBody) -> Result<(), AskError> {
        let fields = HeaderMap::new();
        let ask = Ask { method, target: "/", host: "a", fields: &fields, expects_continue: false };
        self.machine.send_request(&ask, body, self.now_ms, &mut self.outbox)
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.inbox.append(bytes);
        while !self.is_broken && self.step() {}
    }

    fn step(&mut self) -> bool {
        let input = self.inbox.as_slice();
        let received = self.machine.receive(input, self.now_ms, &self.limits, &mut self.head);
        let consumed = match received {
            Ok(ReplyReceived::Head { consumed }) => {
                describe(&self.head, input, &mut self.said);
                consumed
            }
            Ok(ReplyReceived::Interim { consumed }) => {
                writeln!(self.said, "interim {}", self.head.status.as_u16()).unwrap();
                consumed
            }
            Ok(ReplyReceived::Body { consumed, data }) => {
                assert!(!data.is_empty(), "a body event has data");
                self.body.extend_from_slice(data.of(input));
                consumed
            }
            Ok(ReplyReceived::BodyEnd { consumed, trailers }) => {
                for (name, value) in trailers_of(trailers.of(input)) {
                    writeln!(self.said, "trailer {name}={}", String::from_utf8_lossy(value))
                        .unwrap();
                }
                self.say_body();
                consumed
            }
            Ok(ReplyReceived::Skipped { consumed }) => consumed,
            Ok(ReplyReceived::NeedBytes | ReplyReceived::Paused | ReplyReceived::Closed) => {
                return false;
            }
            Err(fault) => {
                writeln!(self.said, "fault {fault:?}").unwrap();
                self.is_broken = true;
                return false;
            }
        };
        self.inbox.consume(consumed);
        true
    }

    fn say_body(&mut self) {
        let body = std::mem::take(&mut self.body);
        writeln!(self.said, "body {}", String::from_utf8_lossy(&body)).unwrap();
    }

    fn end(&mut self) {
        if self.is_broken {
            return;
        }
        match self.machine.end_of_stream() {
            Ok(ReplyEnd::Clean) => {}
            Ok(ReplyEnd::BodyEnd) => self.say_body(),
            Err(fault) => writeln!(self.said, "fault {fault:?}").unwrap(),
        }
    }

    /// Everything encoded since the last call, as text.
    fn sent(&mut self) -> String {
        let mut pieces = Vec::new();
        self.outbox.take_pieces(&mut pieces);
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.as_slice().to_vec()).collect();
        String::from_utf8(bytes).unwrap()
    }
}

/// `200 1.1 sized=3 close X-Name=value`
fn describe(head: &ReplyHead, input: &[u8], said: &mut String) {
    write!(said, "{} {:?}", head.status.as_u16(), head.version).unwrap();
    match head.body {
        ReplyLength::None => {}
        ReplyLength::Sized(length) => write!(said, " sized={length}").unwrap(),
        ReplyLength::Chunked => said.push_str(" chunked"),
        ReplyLength::UntilClose => said.push_str(" open"),
    }
    said.push_str(if head.keep_alive { "" } else { " close" });
    for field in &head.fields {
        let name = String::from_utf8_lossy(field.name.of(input));
        if name.starts_with("X-") {
            write!(said, " {name}={}", String::from_utf8_lossy(field.value.of(input))).unwrap();
        }
    }
    said.push('\n');
}

/// What is said of these bytes behind a request, cut at these offsets, and then their end if `ends`;
/// whether the connection takes another request.
fn run(method: &Method, input: &[u8], cuts: &[usize], limits: &Limits, ends: bool) -> String {
    let mut client = Client::new(limits);
    client.ask(method, AskBody::None).unwrap();
    let mut start = 0;
    for cut in cuts.iter().copied().chain([input.len()]) {
        client.feed(&input[start..cut]);
        start = cut;
    }
    if ends {
        client.end();
    } else if client.machine.is_idle() {
        client.said.push_str("idle\n");
        assert_eq!(client.ask(&Method::GET, AskBody::None), Ok(()));
    } else if client.machine.is_closed() && !client.is_broken {
        client.said.push_str("closed\n");
        assert_eq!(client.ask(&Method::GET, AskBody::None), Err(AskError::Busy));
    }
    client.said.trim_end().to_owned()
}

fn check_cuts(method: &Method, input: &[u8], limits: &Limits, ends: bool, expected: &str) {
    let shown = String::from_utf8_lossy(&input[..input.len().min(300)]).into_owned();
    assert_eq!(run(method, input, &[], limits, ends), expected, "whole: {shown:?}");
    let stride = input.len() / 512 + 1;
    for split in (0..input.len()).step_by(stride) {
        let said = run(method, input, &[split], limits, ends);
        assert_eq!(said, expected, "split at {split}: {shown:?}");
    }
    let every: Vec<usize> = (1..input.len()).collect();
    assert_eq!(run(method, input, &every, limits, ends), expected, "byte by byte: {shown:?}");
}

/// What is said of an answer to `GET`.
fn check(input: &str, expected: &str) {
    check_cuts(&Method::GET, input.as_bytes(), &Limits::default(), false, expected);
}

/// The same, where the connection ends behind it.
fn check_end(input: &str, expected: &str) {
    check_cuts(&Method::GET, input.as_bytes(), &Limits::default(), true, expected);
}
