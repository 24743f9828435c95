//! The access log: a line for each request that was answered, in one of three formats.
//! A shard never waits for it: lines go to a thread by whole buffers, and are dropped, counted and
//! told where that is too slow. What a peer sent is never written unescaped.

mod line;
mod sink;

use std::io::Write;
use std::sync::Arc;

use springtide_engine::{Address, Descriptor};

use crate::metrics::ShardCounts;
use crate::request::RequestData;
use crate::table::Place;
use line::{Clock, Name, Part};
pub(crate) use sink::Sink;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LogFormat {
    /// For eyes: `2026-11-06 08:49:37  192.0.2.7  GET /a?b  200  13 B  0 ms`.
    #[default]
    Pretty,
    /// The Common Log Format:
    /// `192.0.2.7 - - [06/Nov/2026:08:49:37 +0000] "GET /a?b HTTP/1.1" 200 13`.
    Common,
    /// A JSON object a line: `time`, `peer`, `method`, `target`, `version`, `referer`, `user_agent`,
    /// `status`, `bytes`, `ms`.
    Json,
}

/// Where lines go, and how they look.
///
/// Control characters, quotes, backslashes and everything beyond ASCII are written as `\xHH`, in JSON
/// as `\u00HH`. Times are those of the turn, to the millisecond; a request that nobody answered before
/// its connection ended has the status 499, and a body whose length is not known when its reply begins
/// counts as empty. Lines come up to 100 ms late, in blocks.
///
/// ```
/// use springtide::{AccessLog, LogFormat, Server};
/// let log = AccessLog::new(std::io::stdout()).format(LogFormat::Json);
/// let server = Server::new().get("/", || "here").access_log(log);
/// ```
pub struct AccessLog {
    format: LogFormat,
    writer: Box<dyn Write + Send>,
}

impl AccessLog {
    /// A log that a thread of its own writes with `writer`, in blocks of whole lines.
    #[must_use]
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self { format: LogFormat::default(), writer: Box::new(writer) }
    }

    /// How lines look; by default for eyes.
    #[must_use]
    pub const fn format(mut self, format: LogFormat) -> Self {
        self.format = format;
        self
    }
}

impl std::fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessLog").field("format", &self.format).finish_non_exhaustive()
    }
}

/// A buffer with so many bytes is handed over at the end of the turn.
const BUFFER_BYTES: usize = 32 << 10;
/// A line waits no longer than this.
const LATE_MS: u64 = 100;
/// The longest part of a line that a peer decides; what is beyond is cut.
const PART_BYTES_MAX: usize = 2 << 10;

/// The access log of one shard.
pub(crate) struct ShardLog {
    sink: Arc<Sink>,
    counts: Arc<ShardCounts>,
    buffer: Vec<u8>,
    lines: u64,
    /// When the buffer is handed over at the latest; never, while it is empty.
    due_ms: u64,
    clock: Clock,
    /// When the calendar is asked again.
    stale_ms: u64,
    /// The names of peers, by the index of their place.
    names: Vec<(u64, Name)>,
    /// The line whose end is still to be written, from here in the buffer.
    open: Option<(usize, Draft)>,
}

/// What is known of a request whose answer is not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft {
    exchange: u32,
    is_head: bool,
    began_ms: u64,
}

/// The beginning of a line whose answer comes later.
#[derive(Debug)]
pub(crate) struct Begun {
    draft: Draft,
    text: Vec<u8>,
}

impl Begun {
    /// Whose line it is.
    pub(crate) const fn exchange(&self) -> u32 {
        self.draft.exchange
    }
}

impl ShardLog {
    pub(crate) fn new(sink: Arc<Sink>, counts: Arc<ShardCounts>) -> Self {
        let clock = Clock::new(sink.format());
        let (buffer, names) = Default::default();
        let (lines, due_ms, stale_ms, open) = (0, u64::MAX, 0, None);
        Self { sink, counts, buffer, lines, due_ms, clock, stale_ms, names, open }
    }

    /// A request has come: writes the part of its line that is known.
    pub(crate) fn begin(&mut self, exchange: u32, data: &RequestData, place: Place, now_ms: u64) {
        let at = place.index() as usize;
        let is_known = self.names.get(at).is_some_and(|(own, _)| *own == place.raw());
        if !is_known || data.may_be_brought() {
            self.names.resize(self.names.len().max(at + 1), Default::default());
            self.names[at] = (place.raw(), Name::of(data.client()));
        }
        let start = self.buffer.len();
        let format = self.sink.format();
        line::begin(&mut self.buffer, format, self.clock.text(), self.names[at].1.as_bytes(), data);
        let is_head = data.head.method == http::Method::HEAD;
        self.open = Some((start, Draft { exchange, is_head, began_ms: now_ms }));
    }

    /// The request that has come is not answered yet: takes the beginning of its line out.
    pub(crate) fn take_open(&mut self) -> Option<Begun> {
        let (start, draft) = self.open.take()?;
        Some(Begun { draft, text: self.buffer.split_off(start) })
    }

    /// Whether the line that is open is that of this exchange.
    pub(crate) fn is_open(&self, exchange: u32) -> bool {
        self.open.is_some_and(|(_, draft)| draft.exchange == exchange)
    }

    /// The answer to the request that has just come.
    pub(crate) fn end_open(&mut self, status: u16, bytes: u64, now_ms: u64) {
        if let Some((_, draft)) = self.open.take() {
            self.end_request(draft, status, bytes, now_ms);
        }
    }

    /// The answer to one that came before.
    pub(crate) fn end(&mut self, begun: &Begun, status: u16, bytes: u64, now_ms: u64) {
        self.buffer.extend_from_slice(&begun.text);
        self.end_request(begun.draft, status, bytes, now_ms);
    }

    fn end_request(&mut self, draft: Draft, status: u16, bytes: u64, now_ms: u64) {
        self.counts.durations.note(now_ms.saturating_sub(draft.began_ms));
        self.end_line(draft, status, bytes, now_ms);
    }

    fn end_line(&mut self, draft: Draft, status: u16, bytes: u64, now_ms: u64) {
        let bytes = if draft.is_head { 0 } else { bytes };
        let took_ms = now_ms.saturating_sub(draft.began_ms);
        line::end(&mut self.buffer, self.sink.format(), status, bytes, took_ms);
        self.lines += 1;
        self.due_ms = self.due_ms.min(now_ms + LATE_MS);
    }

    /// What was no request was answered.
    pub(crate) fn refused(&mut self, peer: Option<Address>, status: u16, now_ms: u64) {
        let name = Name::of(peer);
        line::nothing(&mut self.buffer, self.sink.format(), self.clock.text(), name.as_bytes());
        self.end_line(Draft { exchange: 0, is_head: false, began_ms: now_ms }, status, 0, now_ms);
    }

    /// When the buffer is to be handed over.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        (self.due_ms != u64::MAX).then_some(self.due_ms)
    }

    /// The turn ends: the buffer is handed over when it is full or old. Gives the lines that found
    /// no room.
    #[inline]
    pub(crate) fn end_turn(&mut self, now_ms: u64) -> u64 {
        if self.buffer.len() < BUFFER_BYTES && now_ms < self.due_ms { 0 } else { self.flush() }
    }

    /// Hands the buffer over as it is. Gives the lines that found no room.
    pub(crate) fn flush(&mut self) -> u64 {
        self.due_ms = u64::MAX;
        let lines = std::mem::take(&mut self.lines);
        if self.buffer.is_empty() {
            return 0;
        }
        self.sink.take(&mut self.buffer, lines)
    }
}

impl crate::room::Room {
    /// The log with its clock set. A tenth of a second is how late that may be.
    #[inline]
    pub(crate) fn log_now(&mut self) -> Option<&mut ShardLog> {
        let log = self.log.as_deref_mut()?;
        if self.now_ms >= log.stale_ms {
            log.clock.set(self.requests.engine.borrow().unix_seconds());
            log.stale_ms = self.now_ms + LATE_MS;
        }
        Some(log)
    }

    /// What was refused on this connection is a line too.
    #[cold]
    pub(crate) fn log_refusal(&mut self, socket: Descriptor, status: u16) {
        if self.log.is_some() {
            let peer = self.requests.client_of(socket);
            let now_ms = self.now_ms;
            if let Some(log) = self.log_now() {
                log.refused(peer, status, now_ms);
            }
        }
    }
}

/// A part of a request, cut where it is too long.
fn part(bytes: &[u8]) -> Part<'_> {
    Part(&bytes[..bytes.len().min(PART_BYTES_MAX)])
}
