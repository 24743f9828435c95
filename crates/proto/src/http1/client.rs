//! The client's side of one HTTP/1.1 connection as a state machine; every transition stands here.
//! It must never read a clock or a socket, nor take one byte of an answer for another's.

mod ask;
mod event;
mod fault;
mod reply;

pub use ask::{Ask, AskBody, AskError};
pub use event::{ReplyDeadline, ReplyEnd, ReplyReceived};
pub use fault::ReplyFault;
pub use reply::{ReplyHead, ReplyLength};

use super::body::Body;
use super::chunked::Step;
use super::encode::{self, OpenReply};
use super::head::{BodyLength, Span};
use super::limits::Limits;
use super::machine::{Write, Writing};
use super::pace::Began;
use super::refusal::Refusal;
use super::scan::HeadScan;
use crate::{Outbox, Piece};
use http::{HeaderName, HeaderValue, Method, StatusCode};

/// What the machine reads next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaiting {
    /// Nothing: no request was sent that is not answered.
    Idle,
    Head,
    SizedBody,
    ChunkedBody,
    /// A body that the connection's end closes.
    OpenBody,
    /// Nothing ever again.
    Closed,
}

/// What happens to the reading side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Asked,
    BodyBegun(ReplyLength),
    /// An answer is complete, and another request may be sent.
    Answered,
    /// The last answer is complete, or broken, or given up.
    Ended,
}

impl Awaiting {
    /// The transition table.
    fn next(self, event: Event) -> Self {
        match (self, event) {
            (Self::Idle, Event::Asked) => Self::Head,
            (Self::Head, Event::BodyBegun(ReplyLength::Sized(_))) => Self::SizedBody,
            (Self::Head, Event::BodyBegun(ReplyLength::Chunked)) => Self::ChunkedBody,
            (Self::Head, Event::BodyBegun(ReplyLength::UntilClose)) => Self::OpenBody,
            (Self::Head | Self::SizedBody | Self::ChunkedBody, Event::Answered) => Self::Idle,
            (_, Event::Ended) => Self::Closed,
            (state, event) => panic!("{event:?} cannot happen while awaiting is {state:?}"),
        }
    }
}

/// How many interim responses may stand before an answer.
const INTERIM_MAX: u8 = 16;

/// How long the body waits for `100 Continue`.
const CONTINUE_TIMEOUT_MS: u64 = 1_000;

/// The client's side of one HTTP/1.1 connection, one request at a time: the next one is sent when the
/// answer to the one before is complete, so no answer can be taken for another's. What comes while no
/// request is out ends the connection. An answer that is complete before its request is, or that says
/// so, is the last one.
///
/// ```
/// use http::{HeaderMap, Method};
/// use springtide_proto::Outbox;
/// use springtide_proto::http1::{Ask, AskBody, ClientMachine, Limits, ReplyHead, ReplyReceived};
///
/// let limits = Limits::default();
/// let (mut machine, mut head, mut outbox) = (ClientMachine::new(0), ReplyHead::new(), Outbox::new());
/// let fields = HeaderMap::new();
/// let ask = Ask {
///     method: &Method::GET,
///     target: "/tide",
///     host: "sea.example",
///     fields: &fields,
///     expects_continue: false,
/// };
/// machine.send_request(&ask, AskBody::None, 0, &mut outbox)?;
/// assert_eq!(outbox.tail_mut(), b"GET /tide HTTP/1.1\r\nHost: sea.example\r\n\r\n");
///
/// let input = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhigh";
/// let received = machine.receive(input, 0, &limits, &mut head)?;
/// assert_eq!(received, ReplyReceived::Head { consumed: 38 });
/// let received = machine.receive(&input[38..], 0, &limits, &mut head)?;
/// assert!(matches!(received, ReplyReceived::Body { consumed: 4, .. }));
/// assert!(matches!(machine.receive(b"", 0, &limits, &mut head)?, ReplyReceived::BodyEnd { .. }));
/// assert!(machine.is_idle());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientMachine {
    /// When the time began that the deadline counts.
    since_ms: u64,
    body: Body,
    /// The body that is being sent.
    open: OpenReply,
    scan: HeadScan,
    window: Began,
    awaiting: Awaiting,
    /// Interim responses of the present answer.
    interim: u8,
    is_head: bool,
    /// Something of the present answer has come.
    has_begun: bool,
    /// The body waits for `100 Continue`.
    awaits_continue: bool,
    /// The present answer is the last one.
    is_last: bool,
}

impl ClientMachine {
    /// A machine for a connection that has just been opened.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self {
            since_ms: now_ms,
            body: Body::default(),
            open: OpenReply { writing: Writing::Ready, left: 0 },
            scan: HeadScan::default(),
            window: Began::default(),
            awaiting: Awaiting::Idle,
            interim: 0,
            is_head: false,
            has_begun: false,
            awaits_continue: false,
            is_last: false,
        }
    }

    /// Sends a request, with its body as far as it is given.
    ///
    /// # Errors
    /// The request cannot be sent as it is given, or not now: then nothing is.
    pub fn send_request(
        &mut self,
        ask: &Ask<'_>,
        body: AskBody,
        now_ms: u64,
        outbox: &mut Outbox,
    ) -> Result<(), AskError> {
        if !self.is_idle() {
            return Err(AskError::Busy);
        }
        ask::check(ask, &body)?;
        let (writing, left) = ask::encode(ask, body, outbox);
        self.open.writing = self.open.writing.next(Write::Begun(writing));
        self.open.left = left;
        self.is_head = *ask.method == Method::HEAD;
        self.awaits_continue = ask.expects_continue && self.is_sending();
        self.interim = 0;
        self.has_begun = false;
        self.since_ms = now_ms;
        self.awaiting = self.awaiting.next(Event::Asked);
        Ok(())
    }

    /// Sends a piece of the body. Nothing is sent any more when the answer has ended the exchange.
    ///
    /// # Errors
    /// The body would become longer than announced.
    ///
    /// # Panics
    /// When no body is being sent.
    pub fn send_body(&mut self, piece: Piece, outbox: &mut Outbox) -> Result<(), AskError> {
        if self.open.writing == Writing::Sized && piece.len() as u64 > self.open.left {
            return Err(AskError::TooLong);
        }
        encode::body(&mut self.open, piece, outbox);
        Ok(())
    }

    /// The body has been given; with the fields behind one that goes in chunks.
    ///
    /// # Errors
    /// It is shorter than announced.
    pub fn end_body(
        &mut self,
        trailers: &[(HeaderName, HeaderValue)],
        now_ms: u64,
        outbox: &mut Outbox,
    ) -> Result<(), AskError> {
        match self.open.writing {
            Writing::Sized if self.open.left > 0 => return Err(AskError::TooShort),
            Writing::Chunked => encode::last_chunk(trailers, outbox.tail_mut()),
            Writing::Cut => return Ok(()),
            _ => {}
        }
        self.open.writing = self.open.writing.next(Write::Ended);
        self.since_ms = now_ms;
        Ok(())
    }

    /// No more of the request can be sent: its answer may come all the same, and is the last one.
    pub fn stop_sending(&mut self, now_ms: u64) {
        self.is_last = true;
        if self.is_sending() {
            self.open.writing = self.open.writing.next(Write::CutShort);
            self.since_ms = now_ms;
        }
    }

    /// Whether a body is being sent that has no end yet.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        matches!(self.open.writing, Writing::Sized | Writing::Chunked)
    }

    /// Whether the body waits for `100 Continue`, or for the end of patience with it.
    #[must_use]
    pub const fn awaits_continue(&self) -> bool {
        self.awaits_continue
    }

    /// Reads one event from the beginning of the input. The head is written when the event says so,
    /// and undefined after any other.
    ///
    /// # Errors
    /// When the server breaks the protocol or a limit. Nothing more is read from then on.
    pub fn receive(
        &mut self,
        input: &[u8],
        now_ms: u64,
        limits: &Limits,
        head: &mut ReplyHead,
    ) -> Result<ReplyReceived, ReplyFault> {
        let received = match self.awaiting {
            Awaiting::Idle if input.is_empty() => Ok(ReplyReceived::NeedBytes),
            Awaiting::Idle => Err(ReplyFault::Unasked),
            Awaiting::Head => self.receive_head(input, now_ms, limits, head),
            Awaiting::SizedBody | Awaiting::ChunkedBody | Awaiting::OpenBody => {
                self.receive_body(input, now_ms, limits)
            }
            Awaiting::Closed => Ok(ReplyReceived::Closed),
        };
        if received.is_err() {
            self.end();
        }
        received
    }

    fn receive_head(
        &mut self,
        input: &[u8],
        now_ms: u64,
        limits: &Limits,
        head: &mut ReplyHead,
    ) -> Result<ReplyReceived, ReplyFault> {
        self.has_begun |= !input.is_empty();
        if !reply::receive(input, limits, &mut self.scan, head, self.is_head)? {
            return Ok(ReplyReceived::NeedBytes);
        }
        self.scan = HeadScan::default();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(ReplyFault::Switch);
        }
        if head.status.is_informational() {
            self.interim += 1;
            if self.interim > INTERIM_MAX {
                return Err(ReplyFault::TooManyInterim);
            }
            if head.status == StatusCode::CONTINUE && self.awaits_continue {
                self.awaits_continue = false;
            }
            return Ok(ReplyReceived::Interim { consumed: head.len });
        }
        self.begin_answer(now_ms, head);
        Ok(ReplyReceived::Head { consumed: head.len })
    }

    fn begin_answer(&mut self, now_ms: u64, head: &ReplyHead) {
        self.since_ms = now_ms;
        self.is_last |= !head.keep_alive || head.body == ReplyLength::UntilClose;
        let is_refused = !head.keep_alive && head.status.as_u16() >= 300;
        if self.awaits_continue || (is_refused && self.is_sending()) {
            // The body is not wanted (RFC 9110 §10.1.1, RFC 9112 §9.5).
            self.awaits_continue = false;
            self.open.writing = self.open.writing.next(Write::CutShort);
        }
        let length = match head.body {
            ReplyLength::None => return self.end_answer(),
            ReplyLength::Sized(length) => BodyLength::Sized(length),
            ReplyLength::Chunked | ReplyLength::UntilClose => BodyLength::Chunked,
        };
        // How much of it is taken is the caller's decision, piece by piece.
        self.body.begin(length, u64::MAX);
        self.awaiting = self.awaiting.next(Event::BodyBegun(head.body));
    }

    fn end_answer(&mut self) {
        let is_whole = self.open.writing == Writing::Ready;
        if is_whole && !self.is_last {
            self.awaiting = self.awaiting.next(Event::Answered);
        } else {
            self.end();
        }
    }

    fn receive_body(
        &mut self,
        input: &[u8],
        now_ms: u64,
        limits: &Limits,
    ) -> Result<ReplyReceived, ReplyFault> {
        if self.body.is_held_up() {
            return Ok(ReplyReceived::Paused);
        }
        // Spans are of 32 bits; what lies behind them comes with the next call.
        let input = &input[..input.len().min(u32::MAX as usize)];
        if !input.is_empty() {
            self.since_ms = now_ms;
        }
        let step = match self.awaiting {
            Awaiting::SizedBody => self.body.step_sized(input)?,
            Awaiting::OpenBody if input.is_empty() => Step::NeedBytes,
            Awaiting::OpenBody => Step::Data { start: 0, consumed: input.len() },
            _ => self.body.step_chunked(input, &mut self.scan, limits)?,
        };
        self.body.pace.note(step.consumed(), now_ms, &mut self.window);
        Ok(match step {
            Step::NeedBytes => ReplyReceived::NeedBytes,
            Step::Skipped { consumed } => ReplyReceived::Skipped { consumed },
            Step::Data { start, consumed } => {
                ReplyReceived::Body { consumed, data: Span::new(start, consumed) }
            }
            Step::End { start, consumed } => {
                self.scan = HeadScan::default();
                self.since_ms = now_ms;
                self.end_answer();
                ReplyReceived::BodyEnd { consumed, trailers: Span::new(start, consumed) }
            }
        })
    }

    /// Notes that the server sent its last byte.
    ///
    /// # Errors
    /// It is not the end of an answer: [`ReplyFault::NoAnswer`] when nothing of one has come.
    pub fn end_of_stream(&mut self) -> Result<ReplyEnd, ReplyFault> {
        let before = self.awaiting;
        self.end();
        match before {
            Awaiting::Idle | Awaiting::Closed => Ok(ReplyEnd::Clean),
            Awaiting::OpenBody => Ok(ReplyEnd::BodyEnd),
            Awaiting::Head if !self.has_begun => Err(ReplyFault::NoAnswer),
            Awaiting::Head | Awaiting::SizedBody | Awaiting::ChunkedBody => {
                Err(ReplyFault::Truncated)
            }
        }
    }

    /// Takes no further request: the present exchange is the last one.
    pub fn drain(&mut self) {
        self.is_last = true;
        if self.awaiting == Awaiting::Idle {
            self.end();
        }
    }

    fn end(&mut self) {
        self.awaits_continue = false;
        self.awaiting = self.awaiting.next(Event::Ended);
        self.open.writing = self.open.writing.next(Write::CutShort);
    }

    /// Reads nothing of the body until [`resume_body`](Self::resume_body): whoever takes it is
    /// behind. Meanwhile it has no deadline.
    pub fn hold_body(&mut self) {
        if self.is_in_body() {
            self.body.hold_up(true);
        }
    }

    /// Whoever takes the body is not behind any more: the server has all its time again.
    pub fn resume_body(&mut self, now_ms: u64) {
        if self.is_in_body() {
            self.body.hold_up(false);
            self.resume(now_ms);
        }
    }

    /// What was given of the request has gone out: from now on its answer is waited for.
    pub fn sent(&mut self, now_ms: u64) {
        if !self.is_in_body() {
            self.since_ms = now_ms;
        }
    }

    /// The caller did not receive for a while and does so again: that time is not the server's.
    pub fn resume(&mut self, now_ms: u64) {
        if self.is_in_body() {
            self.since_ms = now_ms;
            self.body.pace.begin_again(now_ms, &mut self.window);
        }
    }

    const fn is_in_body(&self) -> bool {
        matches!(self.awaiting, Awaiting::SizedBody | Awaiting::ChunkedBody | Awaiting::OpenBody)
    }

    /// When [`on_deadline`](Self::on_deadline) is to be called, if nothing happens before. While the
    /// body of the request is being given, no deadline is the server's fault.
    #[must_use]
    pub fn next_deadline_ms(&self, limits: &Limits) -> Option<u64> {
        let timeout_ms = match self.awaiting {
            Awaiting::Idle => limits.idle_timeout_ms,
            Awaiting::Head if self.awaits_continue => CONTINUE_TIMEOUT_MS,
            Awaiting::Head if self.is_sending() => return None,
            Awaiting::Head => limits.head_timeout_ms,
            Awaiting::Closed => return None,
            _ if self.body.is_held_up() => return None,
            _ => {
                let idle_ms = self.since_ms.saturating_add(limits.body_timeout_ms);
                let window_ms = self.body.pace.ends_ms(self.window, self.since_ms, limits);
                return Some(window_ms.map_or(idle_ms, |window_ms| idle_ms.min(window_ms)));
            }
        };
        self.since_ms.checked_add(timeout_ms)
    }

    /// Holds the deadline.
    pub fn on_deadline(&mut self, now_ms: u64, limits: &Limits) -> ReplyDeadline {
        if self.next_deadline_ms(limits).is_none_or(|deadline_ms| now_ms < deadline_ms) {
            return ReplyDeadline::None;
        }
        if self.awaits_continue {
            self.awaits_continue = false;
            self.since_ms = now_ms;
            return ReplyDeadline::SendBody;
        }
        let fault = match self.awaiting {
            Awaiting::Idle => {
                self.end();
                return ReplyDeadline::CloseIdle;
            }
            Awaiting::Head => ReplyFault::HeadTimeout,
            _ => {
                let is_idle = now_ms >= self.since_ms.saturating_add(limits.body_timeout_ms);
                if !is_idle && self.body.pace.is_enough(limits) {
                    self.body.pace.begin_again(now_ms, &mut self.window);
                    return ReplyDeadline::None;
                }
                ReplyFault::Broken(match is_idle {
                    true => Refusal::BodyTimeout,
                    false => Refusal::BodyTooSlow,
                })
            }
        };
        self.end();
        ReplyDeadline::Fault(fault)
    }

    /// Whether a request may be sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.awaiting == Awaiting::Idle && self.open.writing == Writing::Ready
    }

    /// Whether nothing more is read: the connection is to be closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.awaiting == Awaiting::Closed
    }

    /// Whether something of the present answer has come.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.has_begun
    }
}
