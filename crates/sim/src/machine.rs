//! Histories of the machine alone: replies of every kind, streamed and begun in any order, and
//! upgrades. What it sends is held against what the requests and replies were, byte by byte.
//! It knows no engine and no connection: what they do is in the other histories.

use http::StatusCode;
use springtide_proto::http1::{
    Exchange, Fields, Head, Limits, Machine, Opening, Received, Reply, ReplyBody,
};
use springtide_proto::{Outbox, Piece};

use crate::chance::Chance;
use crate::coverage::Coverage;
use crate::failure::Failure;
use crate::model::{is_pattern, pattern};

/// How one request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Full,
    Sized,
    Chunked,
    /// A body that ends before its length.
    Cut,
    /// The offered upgrade is taken.
    Switch,
}

/// One request, and how far its reply is.
#[derive(Debug)]
struct Request {
    /// Of HTTP/1.0, which has no chunks.
    is_old: bool,
    is_head: bool,
    plan: Plan,
    len: usize,
    /// Whole, so that it may be answered.
    is_read: bool,
    exchange: Option<Exchange>,
    sent: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Begun,
    Over,
}

struct Play {
    chance: Chance,
    machine: Machine,
    limits: Limits,
    head: Head,
    opening: Opening,
    outbox: Outbox,
    input: Vec<u8>,
    /// How much of the input has come, and has been consumed.
    come: usize,
    consumed: usize,
    requests: Vec<Request>,
    begun: usize,
    out: Vec<u8>,
}

/// Plays the machine's history of a seed.
///
/// # Errors
/// The machine sent other bytes than the replies were, or panicked.
pub fn play(seed: u64, coverage: &mut Coverage) -> Result<(), Failure> {
    Failure::of("the machine alone", || Play::new(seed).play(coverage))
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0xAB);
        let limits = Limits { exchanges_max: chance.pick(&[1, 3, 64]), ..Limits::default() };
        let (mut input, mut requests) = (Vec::new(), Vec::new());
        for _ in 0..chance.between(1, 12) {
            requests.push(draw(&mut chance, &mut input));
        }
        Self {
            chance,
            machine: Machine::server(0, &limits),
            limits,
            head: Head::new(),
            opening: Opening::new(b"sim", b"Sun, 06 Nov 1994 08:49:37 GMT"),
            outbox: Outbox::new(),
            input,
            come: 0,
            consumed: 0,
            requests,
            begun: 0,
            out: Vec::new(),
        }
    }

    fn play(&mut self, coverage: &mut Coverage) -> Result<(), String> {
        let mut idle = 0;
        while idle < 400 {
            let has_moved = if self.chance.percent(50) { self.feed()? } else { self.answer() };
            idle = if has_moved { 0 } else { idle + 1 };
            coverage.see_machine(self.machine.states());
            self.take_output();
        }
        self.check()
    }

    /// More bytes come, and are read.
    fn feed(&mut self) -> Result<bool, String> {
        let left = self.input.len() - self.come;
        let more = self.chance.between(1, 200).min(left);
        self.come += more;
        let before = self.consumed;
        loop {
            let input = &self.input[self.consumed..self.come];
            let received = self.machine.receive(input, 0, &self.limits, &mut self.head);
            match received.map_err(|refusal| format!("it refused: {refusal}"))? {
                Received::Head { consumed, exchange } => {
                    self.consumed += consumed;
                    let request = &mut self.requests[self.begun];
                    request.exchange = Some(exchange);
                    request.is_read = !has_body(self.begun);
                    self.begun += 1;
                }
                Received::BodyEnd { consumed, .. } => {
                    self.consumed += consumed;
                    self.requests[self.begun - 1].is_read = true;
                }
                Received::Body { consumed, .. } | Received::Skipped { consumed } => {
                    self.consumed += consumed;
                }
                _ => return Ok(more > 0 || self.consumed > before),
            }
        }
    }

    /// Moves one reply on, any of them.
    fn answer(&mut self) -> bool {
        let number = self.chance.below(self.begun.max(1));
        let Some(request) = self.requests.get_mut(number) else { return false };
        let Some(exchange) = request.exchange.filter(|_| request.is_read) else { return false };
        match request.stage {
            Stage::Over => return false,
            Stage::Waiting if !self.machine.awaits_reply(exchange) => return false,
            Stage::Waiting => return self.begin(number, exchange),
            Stage::Begun => {}
        }
        let id = number_of(number);
        let left = request.len - request.sent;
        let piece = self.chance.between(1, request.len.max(1)).min(left);
        if request.plan == Plan::Cut && request.sent > 0 {
            request.stage = Stage::Over;
            self.machine.abort_reply(exchange);
        } else if left == 0 {
            request.stage = Stage::Over;
            self.machine.end_body(exchange, &mut self.outbox);
        } else {
            let bytes = pattern(id, request.len)[request.sent..request.sent + piece].to_vec();
            request.sent += piece;
            self.machine.send_body(exchange, Piece::Owned(bytes), &mut self.outbox);
        }
        true
    }

    fn begin(&mut self, number: usize, exchange: Exchange) -> bool {
        let request = &mut self.requests[number];
        let len = request.len as u64;
        let (stage, body) = match request.plan {
            Plan::Full => {
                (Stage::Over, ReplyBody::Full(pattern(number_of(number), request.len).into()))
            }
            Plan::Switch => (Stage::Over, ReplyBody::None),
            Plan::Sized => (Stage::Begun, ReplyBody::Sized(len)),
            // It has one byte more than will come.
            Plan::Cut => (Stage::Begun, ReplyBody::Sized(len + 1)),
            Plan::Chunked => (Stage::Begun, ReplyBody::Chunked),
        };
        request.stage = stage;
        let is_switch = request.plan == Plan::Switch;
        let status = if is_switch { StatusCode::SWITCHING_PROTOCOLS } else { StatusCode::OK };
        let reply =
            Reply { status, content_type: None, fields: Fields::NONE, opening: &self.opening };
        self.machine.send_reply(exchange, &reply, body, &mut self.outbox);
        true
    }

    fn take_output(&mut self) {
        let mut pieces = Vec::new();
        self.outbox.take_pieces(&mut pieces);
        pieces.iter().for_each(|piece| self.out.extend_from_slice(piece.as_slice()));
    }

    /// Everything that was sent is the replies in the order of the requests.
    fn check(&self) -> Result<(), String> {
        let mut out = self.out.as_slice();
        for (number, request) in self.requests.iter().enumerate() {
            let told = |what: &str| format!("reply {number} of {}: {what}", self.requests.len());
            let end = memchr::memmem::find(out, b"\r\n\r\n").ok_or_else(|| told("none came"))?;
            let head = String::from_utf8_lossy(&out[..end]).into_owned();
            out = &out[end + 4..];
            let is_switch = request.plan == Plan::Switch;
            if head.starts_with("HTTP/1.1 101") != is_switch {
                return Err(told("another status"));
            }
            if is_switch {
                let is_over = self.machine.is_switched() && out.is_empty();
                return if is_over { Ok(()) } else { Err(told("it did not switch")) };
            }
            let body = if request.is_head { Vec::new() } else { take_body(&head, &mut out) };
            if !is_pattern(&body, number_of(number), 0) {
                return Err(told("another body"));
            }
            let is_cut = request.plan == Plan::Cut;
            if !request.is_head && !is_cut && body.len() != request.len {
                return Err(told("a body of another length"));
            }
            if is_cut || (request.plan == Plan::Chunked && request.is_old && !request.is_head) {
                let is_over = self.machine.wants_close() && out.is_empty();
                return if is_over { Ok(()) } else { Err(told("it did not close")) };
            }
        }
        if self.machine.is_idle() && out.is_empty() {
            Ok(())
        } else {
            Err("more was sent".to_owned())
        }
    }
}

/// Every third request has a body.
const fn has_body(number: usize) -> bool {
    number % 3 == 2
}

fn number_of(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// Draws a request and how it is answered; appends its bytes.
fn draw(chance: &mut Chance, input: &mut Vec<u8>) -> Request {
    let number = input.windows(4).filter(|bytes| bytes == b"X-N:").count();
    let is_old = chance.percent(20);
    let is_head = !has_body(number) && chance.percent(15);
    let mut plan = chance.pick(&[Plan::Full, Plan::Sized, Plan::Chunked, Plan::Chunked, Plan::Cut]);
    if plan == Plan::Cut && chance.percent(70) {
        plan = Plan::Full;
    }
    let offers = !is_old && chance.percent(15);
    if offers && chance.percent(40) {
        plan = Plan::Switch;
    }
    let method = if has_body(number) {
        "POST"
    } else if is_head {
        "HEAD"
    } else {
        "GET"
    };
    let mut head = format!("{method} / HTTP/1.{}\r\nHost: a\r\nX-N: 1\r\n", u8::from(!is_old));
    if is_old {
        head.push_str("Connection: keep-alive\r\n");
    }
    if offers {
        head.push_str("Connection: upgrade\r\nUpgrade: tide\r\n");
    }
    let is_chunked = !is_old && chance.percent(50);
    match (has_body(number), is_chunked) {
        (true, true) => {
            head.push_str("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n")
        }
        (true, false) => head.push_str("Content-Length: 5\r\n\r\nabcde"),
        (false, _) => {}
    }
    if !has_body(number) || is_chunked {
        head.push_str("\r\n");
    }
    input.extend_from_slice(head.as_bytes());
    let (len, stage) = (chance.between(1, 3000), Stage::Waiting);
    Request { is_old, is_head, plan, len, is_read: false, exchange: None, sent: 0, stage }
}

/// Takes the body that a head announces; one without a length goes on to the end.
fn take_body(head: &str, out: &mut &[u8]) -> Vec<u8> {
    let field = |name: &str| head.split("\r\n").find_map(|line| line.strip_prefix(name));
    if let Some(length) = field("Content-Length: ").and_then(|length| length.parse().ok()) {
        let (body, rest) = out.split_at(out.len().min(length));
        *out = rest;
        return body.to_vec();
    }
    if field("Transfer-Encoding: ").is_none() {
        return std::mem::take(out).to_vec();
    }
    let mut body = Vec::new();
    while let Some(end) = memchr::memmem::find(out, b"\r\n") {
        let size = std::str::from_utf8(&out[..end]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).unwrap_or(0);
        *out = &out[end + 2..];
        body.extend_from_slice(&out[..size.min(out.len())]);
        *out = out.get(size + 2..).unwrap_or_default();
        if size == 0 {
            return body;
        }
    }
    body
}
