//! The server's side of one HTTP/1.1 connection as a state machine; every transition stands here.
//! It must never read a clock or a socket, and never read a request behind one it has refused.

mod arriving;
mod deadlines;
mod freeze;
mod last;

pub use freeze::Frozen;

use super::body::Body;
use super::chunked::Step;
use super::encode::OpenReply;
use super::event::{Deadline, Exchange, Received, StreamEnd};
use super::head::{self, BodyLength, Head, Progress, Span, Version};
use super::limits::Limits;
use super::pace::Began;
use super::refusal::Refusal;
use super::replies::Held;
use super::scan::HeadScan;
use http::Method;

/// What the machine reads next.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A request that has not begun.
    Idle,
    /// The rest of a head.
    Head,
    SizedBody,
    ChunkedBody,
    /// Nothing, until the reply says whether the offered upgrade happens (RFC 9110 §7.8): the next
    /// bytes may be of another protocol (Pingora CVE-2026-2833).
    Undecided,
    /// Nothing: the connection speaks another protocol now.
    Switched,
    /// Nothing ever again.
    Closed,
}

/// What happens to the reading side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    HeadBegun,
    SizedBodyBegun,
    ChunkedBodyBegun,
    /// A request is complete and another may follow.
    RequestEnded,
    /// A request is complete that offers an upgrade.
    OfferEnded,
    Accepted,
    Declined,
    /// The last request is complete, or refused, or given up; or the peer is gone.
    Ended,
}

impl Reading {
    /// The transition table of the reading side.
    #[inline]
    pub(crate) fn next(self, event: Read) -> Self {
        match (self, event) {
            (Self::Idle, Read::HeadBegun) => Self::Head,
            (Self::Idle | Self::Head, Read::SizedBodyBegun) => Self::SizedBody,
            (Self::Idle | Self::Head, Read::ChunkedBodyBegun) => Self::ChunkedBody,
            (Self::Idle | Self::Head | Self::SizedBody | Self::ChunkedBody, Read::RequestEnded) => {
                Self::Idle
            }
            (Self::Idle | Self::Head | Self::SizedBody | Self::ChunkedBody, Read::OfferEnded) => {
                Self::Undecided
            }
            (Self::Undecided, Read::Accepted) => Self::Switched,
            (Self::Undecided, Read::Declined) => Self::Idle,
            (
                Self::Idle
                | Self::Head
                | Self::SizedBody
                | Self::ChunkedBody
                | Self::Undecided
                | Self::Switched
                | Self::Closed,
                Read::Ended,
            ) => Self::Closed,
            (state, event) => panic!("{event:?} cannot happen while reading is {state:?}"),
        }
    }
}

/// How the reply that is next on the wire goes on.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// No reply has begun.
    Ready,
    /// A body of known length.
    Sized,
    Chunked,
    /// A body that the connection's end closes (RFC 9112 §6.3).
    UntilClose,
    /// A body of which no byte is sent: the reply to HEAD, 204, 304.
    Muted,
    /// Nothing more is sent: the end is abrupt or closes a body.
    Cut,
}

/// What happens to the writing side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// A reply went out as far as the state says.
    Begun(Writing),
    /// The open body is complete.
    Ended,
    /// The reply cannot be completed.
    CutShort,
}

impl Writing {
    /// The transition table of the writing side.
    #[inline]
    pub(crate) fn next(self, event: Write) -> Self {
        match (self, event) {
            (Self::Ready, Write::Begun(writing)) => writing,
            (Self::Sized | Self::Chunked | Self::Muted, Write::Ended) => Self::Ready,
            (Self::UntilClose, Write::Ended) => Self::Cut,
            (_, Write::CutShort) => Self::Cut,
            (state, event) => panic!("{event:?} cannot happen while writing is {state:?}"),
        }
    }
}

/// The part of a request in which the peer went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Head,
    Body,
}

/// The server's side of one HTTP/1.1 connection.
///
/// Loop [`receive`](Self::receive) until it needs bytes, pauses or is closed; answer each exchange
/// once, in any order. Replies leave in the order of the requests.
///
/// ```
/// use springtide_proto::Outbox;
/// use springtide_proto::http1::{Fields, Head, Limits, Machine, MediaType, Opening};
/// use springtide_proto::http1::{Received, Reply, ReplyBody};
///
/// let limits = Limits::default();
/// let (mut machine, mut head, mut outbox) = (Machine::server(0, &limits), Head::new(), Outbox::new());
/// let opening = Opening::new(b"springtide", b"Sun, 06 Nov 1994 08:49:37 GMT");
/// let mut input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2);
/// while let Received::Head { consumed, exchange } = machine.receive(&input, 0, &limits, &mut head)? {
///     input.drain(..consumed);
///     let reply = Reply {
///         status: http::StatusCode::OK,
///         content_type: Some(MediaType::new("text/plain")),
///         fields: Fields::NONE,
///         opening: &opening,
///     };
///     machine.send_reply(exchange, &reply, ReplyBody::Full("Hello, World!".into()), &mut outbox);
/// }
/// assert!(machine.is_idle());
/// # Ok::<(), springtide_proto::http1::Refusal>(())
/// ```
#[derive(Debug)]
pub struct Machine {
    /// When the time began that the deadline counts; [`UNKNOWN`] right after the last reply.
    pub(crate) since_ms: u64,
    pub(crate) body: Body,
    pub(crate) open: OpenReply,
    pub(crate) held: Option<Box<Held>>,
    /// How far a head or trailer section has been searched.
    scan: HeadScan,
    /// The number of the next request.
    pub(crate) next: u32,
    /// The number of the next request to be answered on the wire.
    pub(crate) owed: u32,
    pub(crate) reading: Reading,
    pub(crate) fault: Fault,
    /// The flags of the newest exchange.
    pub(crate) newest_flags: u8,
    /// The newest request is the last one.
    pub(crate) is_last: bool,
    /// The newest request has no body and says that nothing follows it.
    says_close: bool,
    /// The newest request offers an upgrade that is not decided.
    pub(crate) has_offer: bool,
    /// The peer waits for `100 Continue`.
    pub(crate) owes_continue: bool,
    /// The handler wants that body as soon as its turn has come on the wire.
    pub(crate) wants_body: bool,
    is_draining: bool,
    /// When the window began in which the body's pace is looked at.
    window: Began,
}

const _: () = assert!(size_of::<Machine>() <= 96);

/// No time: set where no time is given, and replaced at the next call that has one.
pub(crate) const UNKNOWN: u64 = u64::MAX;

impl Machine {
    /// A machine for a connection that has just been accepted.
    #[must_use]
    pub fn server(now_ms: u64, _limits: &Limits) -> Self {
        Self {
            since_ms: now_ms,
            body: Body::default(),
            open: OpenReply { writing: Writing::Ready, left: 0 },
            held: None,
            scan: HeadScan::default(),
            next: 0,
            owed: 0,
            reading: Reading::Idle,
            fault: Fault::None,
            newest_flags: 0,
            is_last: false,
            says_close: false,
            has_offer: false,
            owes_continue: false,
            wants_body: false,
            is_draining: false,
            window: Began::default(),
        }
    }

    /// Reads one event from the beginning of the input. The head is written when the event says
    /// so, and undefined after any other.
    ///
    /// # Errors
    /// When the peer breaks the protocol or a limit: give the refusal to [`refuse`](Self::refuse).
    /// Nothing more is read from then on.
    #[inline]
    pub fn receive(
        &mut self,
        input: &[u8],
        now_ms: u64,
        limits: &Limits,
        head: &mut Head,
    ) -> Result<Received, Refusal> {
        // By far the most frequent, and two comparisons are less than a table of jumps.
        if matches!(self.reading, Reading::Idle | Reading::Head) {
            return self.receive_head(input, now_ms, limits, head);
        }
        self.receive_other(input, now_ms, limits)
    }

    #[inline(never)]
    fn receive_other(
        &mut self,
        input: &[u8],
        now_ms: u64,
        limits: &Limits,
    ) -> Result<Received, Refusal> {
        match self.reading {
            Reading::Idle | Reading::Head => unreachable!("a head is read where it is looked for"),
            Reading::SizedBody | Reading::ChunkedBody => self.receive_body(input, now_ms, limits),
            Reading::Undecided => Ok(Received::Paused),
            Reading::Switched => Ok(Received::Switched),
            Reading::Closed => Ok(Received::Closed),
        }
    }

    /// As [`receive`](Self::receive), where only a body is to be read: no head is, and its bytes are
    /// left.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_in_body(
        &mut self,
        input: &[u8],
        now_ms: u64,
        limits: &Limits,
    ) -> Result<Received, Refusal> {
        match self.reading {
            Reading::SizedBody | Reading::ChunkedBody => self.receive_body(input, now_ms, limits),
            _ => Ok(Received::NeedBytes),
        }
    }

    #[inline]
    fn receive_head(
        &mut self,
        input: &[u8],
        now_ms: u64,
        limits: &Limits,
        head: &mut Head,
    ) -> Result<Received, Refusal> {
        if self.exchanges_in_flight() >= limits.exchanges_max && self.reading == Reading::Idle {
            return Ok(Received::Paused);
        }
        match head::receive(input, limits, &mut self.scan, head) {
            Ok(Progress::Complete) => Ok(self.begin_exchange(now_ms, limits, head)),
            Ok(Progress::Partial) => {
                if self.reading == Reading::Idle {
                    self.read(Read::HeadBegun);
                    self.since_ms = now_ms;
                }
                Ok(Received::NeedBytes)
            }
            Ok(Progress::Waiting) => {
                if self.since_ms == UNKNOWN {
                    self.since_ms = now_ms;
                }
                Ok(Received::NeedBytes)
            }
            Err(refusal) => Err(self.blame(Fault::Head, refusal)),
        }
    }

    #[inline]
    fn begin_exchange(&mut self, now_ms: u64, limits: &Limits, head: &Head) -> Received {
        let flags = if matches!(head.method, Method::HEAD) { Exchange::HEAD } else { 0 }
            | if head.version == Version::Http10 { Exchange::HTTP10 } else { 0 };
        let exchange = Exchange { number: self.next, flags };
        self.next += 1;
        self.newest_flags = flags;
        self.scan = HeadScan::default();
        self.since_ms = now_ms;
        self.is_last = !head.keep_alive || self.is_draining || self.next >= limits.requests_max;
        self.says_close = !head.keep_alive && head.body == BodyLength::None;
        self.has_offer = head.upgrade;
        self.owes_continue = head.expect_continue;
        self.wants_body = false;
        match head.body {
            BodyLength::None => self.end_request(),
            BodyLength::Sized(_) => {
                self.body.begin(head.body, limits.body_bytes_max);
                self.read(Read::SizedBodyBegun);
            }
            BodyLength::Chunked => {
                self.body.begin(head.body, limits.body_bytes_max);
                self.read(Read::ChunkedBodyBegun);
            }
        }
        Received::Head { consumed: head.len, exchange }
    }

    #[inline]
    fn end_request(&mut self) {
        self.owes_continue = false;
        self.read(match (self.has_offer, self.is_last) {
            (true, _) => Read::OfferEnded,
            (false, true) => Read::Ended,
            (false, false) => Read::RequestEnded,
        });
    }

    /// Reads nothing more and remembers whose reply the refusal is.
    #[cold]
    pub(crate) fn blame(&mut self, fault: Fault, refusal: Refusal) -> Refusal {
        self.fault = fault;
        self.read(Read::Ended);
        refusal
    }

    /// Notes that the peer sent its last byte. Replies that are owed may still be sent.
    pub fn end_of_stream(&mut self) -> StreamEnd {
        let end = match self.reading {
            Reading::Head | Reading::SizedBody | Reading::ChunkedBody => StreamEnd::Truncated,
            Reading::Idle | Reading::Undecided | Reading::Switched | Reading::Closed => {
                StreamEnd::Clean
            }
        };
        match self.reading {
            Reading::Switched => {}
            // The offer's reply decides; it is the last one.
            Reading::Undecided => self.is_last = true,
            _ => self.read(Read::Ended),
        }
        end
    }

    /// Lets the current exchanges finish and takes no new ones: the last reply says
    /// `Connection: close`. A head or body that has begun is read to its end.
    pub fn drain(&mut self) {
        self.is_draining = true;
        match self.reading {
            Reading::Idle => self.read(Read::Ended),
            Reading::SizedBody | Reading::ChunkedBody | Reading::Undecided => self.is_last = true,
            Reading::Head | Reading::Switched | Reading::Closed => {}
        }
    }

    /// Whether the connection must be closed once everything encoded so far has been sent.
    #[inline]
    #[must_use]
    pub fn wants_close(&self) -> bool {
        self.open.writing == Writing::Cut
            || (self.reading == Reading::Closed && self.exchanges_in_flight() == 0)
    }

    /// Whether the peer itself has said that its last request was the last one, and no byte of a
    /// body can follow it: bytes behind it would break the protocol (RFC 9112 §9.6), so the
    /// connection need not wait for the peer's end before it is closed.
    #[inline]
    #[must_use]
    pub fn is_peer_done(&self) -> bool {
        self.says_close && self.reading == Reading::Closed
    }

    /// Whether the machine stands between requests and owes nothing.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.reading == Reading::Idle && self.exchanges_in_flight() == 0
    }

    /// Whether the connection speaks another protocol now and the 101 has been encoded.
    #[inline]
    #[must_use]
    pub fn is_switched(&self) -> bool {
        self.reading == Reading::Switched && self.exchanges_in_flight() == 0
    }

    /// How many requests wait for the end of their reply.
    #[inline]
    #[must_use]
    pub const fn exchanges_in_flight(&self) -> u32 {
        self.next - self.owed
    }

    /// Whether everything before this exchange has gone to the outbox: what is sent for it now goes
    /// there, and is not held.
    #[inline]
    #[must_use]
    pub const fn is_next(&self, exchange: Exchange) -> bool {
        exchange.number == self.owed
    }

    /// The states of both sides, for who watches from outside which ones are reached.
    #[doc(hidden)]
    #[must_use]
    pub const fn states(&self) -> (Reading, Writing) {
        (self.reading, self.open.writing)
    }

    #[inline]
    pub(crate) fn read(&mut self, event: Read) {
        self.reading = self.reading.next(event);
    }
}
