//! Scripts: what one peer says from its first byte to its end, and what it must get.
//! A script is data; `peer` acts it.

use crate::ask::{Ask, Manner};
use crate::chance::Chance;
use crate::malformed::MALFORMED;
use crate::model::{Body, Closes, Expected, Maker};
use crate::theme::Theme;

/// How a peer ends, behind its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The last request says `Connection: close`, or is of HTTP/1.0.
    Close,
    /// As [`End::Close`], and goes on to send what nobody asked for.
    Excess,
    /// Ends its stream behind the last request.
    HalfClose,
    /// Goes when it has all replies.
    Leave,
    /// Waits until the server has had enough.
    Idle,
    /// Stops in the middle of a head.
    StallHead,
    /// Stops in the middle of a body.
    StallBody,
    /// Ends its stream in the middle of a head or a body.
    Truncate,
    /// Breaks the protocol or a limit.
    Malformed,
    /// Resets the connection when so many bytes are written.
    Reset(usize),
    /// Asks for more than the network holds and reads nothing.
    Deaf,
}

/// A place in what a peer sends at which it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until it has so many replies.
    Replies(usize),
    /// Until it has been told to continue with the request of this number.
    Continue(usize),
}

/// What one peer says.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) asks: Vec<(Ask, Manner)>,
    pub(crate) end: End,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Vec<Expected>,
    pub(crate) waits: Vec<(usize, Wait)>,
    /// Where each request begins, the one last that is never whole or not valid.
    pub(crate) starts: Vec<usize>,
    /// The end that was drawn; a limit may bring it forward.
    drawn_end: End,
    /// Waits for each reply before the next request.
    is_polite: bool,
    /// Sends everything at once.
    pub(crate) is_burst: bool,
    /// What decides how the last request is broken.
    flaw: u64,
    first_id: u32,
}

/// Requests of one script: their ids stand in 16 bits.
pub(crate) const ASKS_MAX: usize = 500;

/// The limits of the server that scripts go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) requests_max: usize,
    pub(crate) body_bytes_max: usize,
    pub(crate) head_bytes_max: usize,
    pub(crate) fields_max: usize,
    pub(crate) request_line_bytes_max: usize,
    pub(crate) theme: Theme,
}

impl Script {
    pub(crate) fn draw(chance: &mut Chance, asks: usize, number: usize, rules: &Rules) -> Self {
        let end = draw_end(chance);
        // Some ask for about one turn's share in one go, and some for a multiple of it.
        let is_burst = chance.percent(5);
        let asks = if is_burst { 32 * chance.between(1, 2) - chance.below(3) } else { asks };
        let mut drawn: Vec<(Ask, Manner)> = Vec::new();
        for _ in 0..asks.clamp(1, ASKS_MAX) {
            let manner = if chance.percent(8) { Manner::OldKept } else { Manner::Usual };
            drawn.push(if is_burst { (Ask::Hello, manner) } else { (Ask::draw(chance), manner) });
        }
        let closing = if chance.percent(30) { Manner::Old } else { Manner::Last };
        if let (End::Close | End::Excess, Some(last)) = (end, drawn.last_mut()) {
            last.1 = closing;
        }
        if let (End::Deaf, Some(last)) = (end, drawn.last_mut()) {
            *last = (Ask::Size(chance.between(250_000, 340_000)), Manner::Usual);
        }
        let number = u32::try_from(number).unwrap_or(0);
        let mut script = Self {
            asks: drawn,
            end,
            drawn_end: end,
            bytes: Vec::new(),
            expected: Vec::new(),
            waits: Vec::new(),
            starts: Vec::new(),
            is_polite: chance.percent(40) && !is_burst,
            is_burst,
            flaw: chance.next(),
            first_id: number << 16,
        };
        script.change(rules.theme);
        script.write(rules);
        script
    }

    /// Has some of its requests be of the history's theme.
    fn change(&mut self, theme: Theme) {
        if theme == Theme::Capped && self.end == End::Truncate {
            // Half a request is answered where that says that it was one too many.
            (self.end, self.drawn_end) = (End::HalfClose, End::HalfClose);
        }
        if self.is_burst || self.end == End::Deaf {
            return;
        }
        let mut own = Chance::new(self.flaw);
        for (ask, manner) in &mut self.asks {
            theme.change(ask, *manner, &mut own);
        }
    }

    /// The longest body that it asks for.
    pub(crate) fn longest_reply(&self) -> usize {
        let lengths = self.expected.iter().map(|expected| match expected.body {
            Body::Pattern { len, .. } => len,
            _ => 0,
        });
        lengths.max().unwrap_or(0)
    }

    /// The same with other requests.
    pub(crate) fn with_asks(&self, asks: &[(Ask, Manner)], rules: &Rules) -> Self {
        let mut script = Self { asks: asks.to_vec(), ..self.clone() };
        script.write(rules);
        script
    }

    /// Makes bytes and replies of the requests.
    fn write(&mut self, rules: &Rules) {
        (self.bytes, self.expected, self.waits, self.starts) = Default::default();
        self.end = self.drawn_end;
        for (index, (ask, manner)) in self.asks.iter().enumerate() {
            if self.is_polite && index > 0 {
                self.waits.push((self.bytes.len(), Wait::Replies(index)));
            }
            self.starts.push(self.bytes.len());
            let id = self.first_id + u32::try_from(index).unwrap_or(0);
            let (mut expected, wait_at) = ask.write(id, *manner, &mut self.bytes);
            let is_last = index + 1 == rules.requests_max;
            if is_last {
                expected.closes = Closes::Yes;
            }
            self.waits.extend(wait_at.map(|at| (at, Wait::Continue(index))));
            self.expected.push(expected);
            if is_last {
                self.end_early(index);
                return;
            }
        }
        self.starts.push(self.bytes.len());
        self.write_end(rules);
        if let End::HalfClose | End::Truncate = self.end
            && let Some(last) = self.expected.last_mut()
        {
            last.closes = Closes::Maybe;
        }
    }

    /// The server takes no more requests than these.
    fn end_early(&mut self, index: usize) {
        if let End::Reset(_) = self.end {
            return;
        }
        let is_whole = index + 1 == self.asks.len() && self.end == End::Close;
        if !is_whole {
            self.bytes.extend_from_slice(b"GET /hello/7 HTTP/1.1\r\nHost: sim\r\n\r\n");
            self.end = End::Excess;
        }
    }

    fn write_end(&mut self, rules: &Rules) {
        let flaw = usize::try_from(self.flaw >> 8).unwrap_or(0);
        match self.end {
            End::Close | End::HalfClose | End::Leave | End::Idle | End::Deaf | End::Reset(_) => {}
            End::Excess => {
                self.bytes.extend_from_slice(b"GET /hello/7 HTTP/1.1\r\nHost: sim\r\n\r\n");
            }
            End::StallHead => {
                self.bytes.extend_from_slice(&HEAD[..1 + flaw % (HEAD.len() - 1)]);
                self.refusal(408);
            }
            End::StallBody => {
                self.write_unfinished_body(flaw);
                self.refusal(408);
            }
            End::Truncate if flaw.is_multiple_of(2) => {
                self.bytes.extend_from_slice(&HEAD[..1 + flaw / 2 % (HEAD.len() - 1)]);
            }
            End::Truncate => self.write_unfinished_body(flaw / 2),
            End::Malformed => self.write_malformed(flaw, rules),
        }
    }

    /// A body that lacks its end.
    fn write_unfinished_body(&mut self, flaw: usize) {
        let head: &[u8] = match flaw % 2 {
            0 => b"POST /echo/7 HTTP/1.1\r\nHost: sim\r\nContent-Length: 50\r\n\r\n",
            _ => b"POST /echo/7 HTTP/1.1\r\nHost: sim\r\nTransfer-Encoding: chunked\r\n\r\n32\r\n",
        };
        self.bytes.extend_from_slice(head);
        self.bytes.resize(self.bytes.len() + flaw / 2 % 50, b'x');
    }

    fn write_malformed(&mut self, flaw: usize, rules: &Rules) {
        let long = |count: usize| "x".repeat(count);
        let (head, status) = match flaw % (MALFORMED.len() + 5) {
            0 => {
                let len = rules.body_bytes_max + 1;
                (format!("POST /echo/7 HTTP/1.1\r\nHost: a\r\nContent-Length: {len}"), 413)
            }
            1 => (format!("GET /{} HTTP/1.1", long(rules.request_line_bytes_max)), 414),
            2 => {
                let field = long(rules.head_bytes_max);
                (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {field}"), 431)
            }
            3 => {
                let fields = "X: 1\r\n".repeat(rules.fields_max);
                (format!("GET / HTTP/1.1\r\nHost: a\r\n{}", fields.trim_end()), 431)
            }
            4 => {
                let pairs = "a=1; ".repeat(rules.fields_max + 1);
                (format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {pairs}"), 431)
            }
            other => {
                let (head, status) = MALFORMED[other - 5];
                (head.to_owned(), status)
            }
        };
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(b"\r\n\r\n");
        if flaw.is_multiple_of(7) {
            self.bytes.extend_from_slice(b"GET /hello/7 HTTP/1.1\r\nHost: sim\r\n\r\n");
        }
        self.refusal(status);
    }

    fn refusal(&mut self, status: u16) {
        self.expected.push(Expected {
            status,
            body: Body::Any,
            closes: Closes::Yes,
            continues: false,
            maker: Maker::Server,
        });
    }
}

/// The head that a peer stops in.
const HEAD: &[u8] = b"GET /hello/7 HTTP/1.1\r\nHost: sim\r\n\r";

fn draw_end(chance: &mut Chance) -> End {
    match chance.below(100) {
        0..22 => End::Close,
        22..26 => End::Excess,
        26..38 => End::HalfClose,
        38..52 => End::Leave,
        52..62 => End::Idle,
        62..69 => End::StallHead,
        69..76 => End::StallBody,
        76..82 => End::Truncate,
        82..92 => End::Malformed,
        92..98 => End::Reset(chance.between(100, 4_000)),
        _ => End::Deaf,
    }
}
