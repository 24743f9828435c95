//! The server's side of a connection that carries frames: what is read, and when it ends.
//! It must never read a clock or a socket, nor read a frame behind one that it has refused.

use std::collections::BTreeMap;

use super::codec::{Codec, Refusal, Scan};
use super::event::{Exchange, Received, StreamEnd};
use super::limits::Limits;
use super::reader::Reader;
use super::replies::Held;

/// What the machine reads next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Open,
    /// The rest of the frame that has begun, and nothing behind it.
    Last,
    /// Nothing ever again.
    Closed,
}

/// The server's side of one connection that carries frames.
///
/// Loop [`receive`](Self::receive) until it needs bytes, pauses or is closed; answer each exchange
/// once, in any order. Replies leave in the order of the requests, or as they are given where the
/// codec has ids.
///
/// ```
/// use springtide_proto::Outbox;
/// use springtide_proto::framed::{Framed, Limits, Machine, Received};
///
/// let (codec, limits) = (Framed::lines(), Limits::default());
/// let (mut machine, mut outbox) = (Machine::new(0), Outbox::new());
/// let mut input = b"low\nhigh\n".to_vec();
/// let mut exchanges = Vec::new();
/// while let Received::Frame { consumed, payload, exchange } =
///     machine.receive(&input, 0, &codec, &limits)?
/// {
///     exchanges.push((exchange, input[payload].to_vec()));
///     input.drain(..consumed);
/// }
/// for (exchange, request) in exchanges.into_iter().rev() {
///     machine.send_reply(exchange, request.into(), 0, &codec, &mut outbox)?;
/// }
/// assert_eq!(outbox.take_only(usize::MAX), Some(b"low\nhigh\n".to_vec()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Machine {
    pub(super) reader: Reader,
    /// Replies before their turn, by the numbers of their exchanges.
    pub(super) held: BTreeMap<u64, Held>,
    pub(super) held_bytes: usize,
    /// How long the requests are that were not answered.
    pub(super) open_bytes: usize,
    /// The number of the next request.
    pub(super) next: u64,
    /// The number of the request that is answered next on the wire; with ids, how many were.
    pub(super) owed: u64,
    /// When the frame began that is not whole, or the time without any.
    pub(super) since_ms: u64,
    pub(super) reading: Reading,
    /// Nothing more is sent.
    pub(super) is_cut: bool,
}

const _: () = assert!(size_of::<Machine>() <= 112);

impl Machine {
    /// A machine for a connection that has just been accepted.
    #[must_use]
    pub const fn new(now_ms: u64) -> Self {
        Self {
            reader: Reader::new(),
            held: BTreeMap::new(),
            held_bytes: 0,
            open_bytes: 0,
            next: 0,
            owed: 0,
            since_ms: now_ms,
            reading: Reading::Open,
            is_cut: false,
        }
    }

    /// Reads one event from the beginning of the input, whose consumed bytes are not given again.
    ///
    /// # Errors
    /// When the peer breaks the protocol or a limit: give the refusal to [`refuse`](Self::refuse).
    /// Nothing more is read from then on.
    #[inline]
    pub fn receive<C: Codec + ?Sized>(
        &mut self,
        input: &[u8],
        now_ms: u64,
        codec: &C,
        limits: &Limits,
    ) -> Result<Received, Refusal> {
        if self.reading == Reading::Closed {
            return Ok(Received::Closed);
        }
        if !self.reader.is_within() && self.is_full(limits) {
            return Ok(Received::Paused);
        }
        let was_within = self.reader.is_within();
        match self.reader.read(input, codec) {
            Ok(Scan::NeedBytes { at_least }) => {
                if !was_within && self.reader.is_within() {
                    self.since_ms = now_ms;
                }
                Ok(Received::NeedBytes { at_least })
            }
            Ok(Scan::Skipped { consumed }) => {
                self.since_ms = now_ms;
                Ok(Received::Skipped { consumed })
            }
            Ok(Scan::Whole { consumed, payload }) => {
                let tag = match codec.tag().map(|tag| tag.of(&input[payload.clone()])) {
                    None => 0,
                    Some(Some(id)) => id,
                    Some(None) => return Err(self.blame(Refusal::NoTag)),
                };
                let exchange = self.begin_exchange(tag, payload.len(), now_ms);
                Ok(Received::Frame { consumed, payload, exchange })
            }
            Err(refusal) => Err(self.blame(refusal)),
        }
    }

    #[inline]
    fn begin_exchange(&mut self, tag: u64, bytes: usize, now_ms: u64) -> Exchange {
        let exchange = Exchange { number: self.next, tag, bytes };
        self.next += 1;
        self.open_bytes += bytes;
        self.since_ms = now_ms;
        if self.reading == Reading::Last {
            self.reading = Reading::Closed;
        }
        exchange
    }

    #[cold]
    const fn blame(&mut self, refusal: Refusal) -> Refusal {
        self.reading = Reading::Closed;
        refusal
    }

    /// Notes that the peer sent its last byte. Replies that are owed may still be sent.
    pub const fn end_of_stream(&mut self) -> StreamEnd {
        let is_truncated = self.reader.is_within() && !matches!(self.reading, Reading::Closed);
        self.reading = Reading::Closed;
        if is_truncated { StreamEnd::Truncated } else { StreamEnd::Clean }
    }

    /// Lets the current exchanges finish and takes no new ones; a frame that has begun is read to
    /// its end.
    pub fn drain(&mut self) {
        if self.reading == Reading::Open {
            self.reading = if self.reader.is_within() { Reading::Last } else { Reading::Closed };
        }
    }

    /// The input goes on after a while in which it was held back: that while is not the peer's.
    pub const fn resume(&mut self, now_ms: u64) {
        self.since_ms = now_ms;
    }

    /// When [`on_deadline`](Self::on_deadline) is to be called, if nothing happens before.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self, limits: &Limits) -> Option<u64> {
        match self.reading {
            Reading::Closed => None,
            _ if self.reader.is_within() => {
                Some(self.since_ms.saturating_add(limits.frame_timeout_ms))
            }
            _ if self.in_flight() == 0 => {
                Some(self.since_ms.saturating_add(limits.frame_idle_timeout_ms))
            }
            _ => None,
        }
    }

    /// Reads nothing more when a deadline has passed; the name of its limit.
    pub fn on_deadline(&mut self, now_ms: u64, limits: &Limits) -> Option<&'static str> {
        let deadline_ms = self.next_deadline(limits)?;
        if now_ms < deadline_ms {
            return None;
        }
        self.reading = Reading::Closed;
        Some(if self.reader.is_within() { "frame_timeout_ms" } else { "frame_idle_timeout_ms" })
    }

    /// Whether the connection must be closed once everything written so far has been sent.
    #[inline]
    #[must_use]
    pub fn wants_close(&self) -> bool {
        self.is_cut || (self.reading == Reading::Closed && self.in_flight() == 0)
    }

    /// How many requests wait for their reply, or for its turn.
    #[inline]
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        self.next - self.owed
    }

    /// How many requests nobody has answered.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.in_flight() - self.held.len() as u64
    }

    /// How many bytes of replies are held until their turn.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether no further frame is read until replies have been given.
    #[inline]
    fn is_full(&self, limits: &Limits) -> bool {
        let in_flight = self.in_flight();
        in_flight >= u64::from(limits.in_flight_max)
            || (in_flight > 0 && self.open_bytes + self.held_bytes >= limits.in_flight_bytes_max)
    }
}
