//! The client's side of a connection that carries frames: calls out, replies matched to them.
//! It must never match a reply to a call that was not sent, and never forget one that waits.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;

use super::codec::{Codec, PayloadError, Refusal, Scan};
use super::limits::Limits;
use super::reader::Reader;
use super::tag::Tag;
use super::writer::write;
use crate::{Outbox, Piece};

/// One request that was sent, named by its number on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    number: u64,
}

impl Call {
    /// Its number: the first call of a connection has 0, the next one more.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }
}

/// Why a call was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// As many calls or bytes wait for their replies as may.
    Full,
    /// The connection has ended.
    Ended,
    /// It is no frame.
    Payload(PayloadError),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too much waits for its reply"),
            Self::Ended => f.write_str("the connection has ended"),
            Self::Payload(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CallError {}

/// One event of the bytes that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyReceived {
    /// There is no whole frame. Keep the bytes and come again with `at_least`.
    NeedBytes {
        /// How many bytes the input must have before it is worth another look.
        at_least: usize,
    },
    /// A whole reply.
    Reply {
        /// How many bytes of the input it takes.
        consumed: usize,
        /// Where its payload lies in the input.
        payload: Range<usize>,
        /// What it answers.
        call: Call,
    },
    /// Bytes that mean nothing.
    Skipped {
        /// How many.
        consumed: usize,
    },
    /// Nothing more is read.
    Closed,
}

/// A call whose reply is matched by its id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    number: u64,
    bytes: usize,
}

/// The client's side of one connection that carries frames.
///
/// Calls are sent at once, thousands of them if the limits allow; replies are matched in their
/// order, or by the ids that the codec puts into them.
///
/// ```
/// use springtide_proto::Outbox;
/// use springtide_proto::framed::{ClientMachine, Framed, Limits, ReplyReceived};
///
/// let (codec, limits) = (Framed::u8(), Limits::default());
/// let (mut machine, mut outbox) = (ClientMachine::new(), Outbox::new());
/// let first = machine.send_call("low".into(), &codec, &limits, &mut outbox)?;
/// let second = machine.send_call("high".into(), &codec, &limits, &mut outbox)?;
/// assert_eq!(outbox.take_only(usize::MAX), Some(b"\x03low\x04high".to_vec()));
///
/// let received = machine.receive(b"\x04tide", &codec)?;
/// assert_eq!(received, ReplyReceived::Reply { consumed: 5, payload: 1..5, call: first });
/// assert_eq!(machine.end(), [second], "what waits when the connection ends");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct ClientMachine {
    pub(super) reader: Reader,
    /// How long the calls are that wait, the oldest first; where there are no ids.
    pub(super) ordered: VecDeque<usize>,
    /// Calls that wait, by their ids.
    pub(super) tagged: BTreeMap<u64, Open>,
    pub(super) open_bytes: usize,
    /// The number of the next call.
    pub(super) next: u64,
    /// Where the search for the next id begins.
    pub(super) next_tag: u64,
    pub(super) is_ended: bool,
}

/// The room for so many calls is kept while none waits.
const CALLS_KEPT_MAX: usize = 64;

impl ClientMachine {
    /// A machine for a new connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The limits are reached, the connection has ended, or the payload is no frame: then nothing
    /// was sent.
    pub fn send_call<C: Codec + ?Sized>(
        &mut self,
        payload: Piece,
        codec: &C,
        limits: &Limits,
        outbox: &mut Outbox,
    ) -> Result<Call, CallError> {
        if self.is_ended {
            return Err(CallError::Ended);
        }
        let bytes = payload.len();
        let is_spent = self.open_bytes.saturating_add(bytes) > limits.in_flight_bytes_max;
        let in_flight = self.in_flight();
        if in_flight >= limits.in_flight_max as usize || (in_flight > 0 && is_spent) {
            return Err(CallError::Full);
        }
        let id = match codec.tag() {
            None => None,
            Some(tag) => Some((tag, self.free_tag(tag).ok_or(CallError::Full)?)),
        };
        write(payload, id, codec, outbox).map_err(CallError::Payload)?;
        let number = self.next;
        self.next += 1;
        self.open_bytes += bytes;
        match id {
            None => self.ordered.push_back(bytes),
            Some((tag, id)) => {
                self.tagged.insert(id, Open { number, bytes });
                self.next_tag = if id == tag.most() { 0 } else { id + 1 };
            }
        }
        Ok(Call { number })
    }

    /// The next id that no call has which waits; none when all of them are taken.
    fn free_tag(&self, tag: Tag) -> Option<u64> {
        self.gap(self.next_tag, tag.most()).or_else(|| self.gap(0, tag.most()))
    }

    /// The lowest id from this one on that is not taken.
    fn gap(&self, from: u64, most: u64) -> Option<u64> {
        let mut id = from;
        for used in self.tagged.range(from..).map(|(used, _)| *used) {
            if used != id {
                break;
            }
            id = id.checked_add(1).filter(|id| *id <= most)?;
        }
        Some(id)
    }

    /// Reads one event from the beginning of the input, whose consumed bytes are not given again.
    ///
    /// # Errors
    /// When the server breaks the protocol or a limit: nothing more is read, and what waits is told
    /// of by [`end`](Self::end).
    #[inline]
    pub fn receive<C: Codec + ?Sized>(
        &mut self,
        input: &[u8],
        codec: &C,
    ) -> Result<ReplyReceived, Refusal> {
        if self.is_ended {
            return Ok(ReplyReceived::Closed);
        }
        let matched = match self.reader.read(input, codec) {
            Ok(Scan::NeedBytes { at_least }) => return Ok(ReplyReceived::NeedBytes { at_least }),
            Ok(Scan::Skipped { consumed }) => return Ok(ReplyReceived::Skipped { consumed }),
            Ok(Scan::Whole { consumed, payload }) => {
                let call = self.match_call(&input[payload.clone()], codec.tag());
                call.map(|call| ReplyReceived::Reply { consumed, payload, call })
            }
            Err(refusal) => Err(refusal),
        };
        self.is_ended = matched.is_err();
        matched
    }

    /// Which call a reply answers, that waits no more.
    fn match_call(&mut self, payload: &[u8], tag: Option<Tag>) -> Result<Call, Refusal> {
        let open = match tag {
            None => {
                let number = self.next - self.ordered.len() as u64;
                self.ordered.pop_front().map(|bytes| Open { number, bytes })
            }
            Some(tag) => self.tagged.remove(&tag.of(payload).ok_or(Refusal::NoTag)?),
        };
        let Open { number, bytes } = open.ok_or(Refusal::Unasked)?;
        self.open_bytes -= bytes;
        if self.ordered.is_empty() && self.ordered.capacity() > CALLS_KEPT_MAX {
            self.ordered = VecDeque::new();
        }
        Ok(Call { number })
    }

    /// The connection has ended, or is to end: no further call is taken, and those are given that
    /// got no reply, the oldest first.
    pub fn end(&mut self) -> Vec<Call> {
        self.is_ended = true;
        let ordered = std::mem::take(&mut self.ordered).len() as u64;
        let tagged = std::mem::take(&mut self.tagged);
        let mut calls: Vec<Call> =
            (self.next - ordered..self.next).map(|number| Call { number }).collect();
        calls.extend(tagged.values().map(|open| Call { number: open.number }));
        calls.sort_unstable();
        self.open_bytes = 0;
        calls
    }

    /// How many calls wait for their replies.
    #[inline]
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.ordered.len() + self.tagged.len()
    }
}
