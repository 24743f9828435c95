//! The peers of raw connections and of frames: what they say, and what must come back.
//! They judge the server by the model alone.

use std::fmt;

use springtide::Reason;
use springtide::test::{Peer, ResetCause, World};

use super::Kind;
use super::told::{Mark, Told};
use crate::chance::Chance;
use crate::model::pattern;
use crate::peer::Allowed;

/// What a peer wants of a raw server, which it says first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hello {
    pub(super) number: u32,
    pub(super) way: Way,
}

/// Which way its bytes come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Echo,
    /// By another connection to the same server.
    Forward,
    /// Asked by a thread that is none of the server's.
    Elsewhere,
    /// Not at all: its callback panics, or its future fails.
    Fails,
}

impl Hello {
    pub(super) const BYTES_MAX: usize = 16;

    pub(super) fn line(self) -> String {
        format!("{} {}\n", self.way as u8, self.number)
    }

    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let (way, number) = std::str::from_utf8(line).ok()?.trim_end().split_once(' ')?;
        let way = match way {
            "0" => Way::Echo,
            "1" => Way::Forward,
            "2" => Way::Elsewhere,
            "3" => Way::Fails,
            _ => return None,
        };
        Some(Self { number: number.parse().ok()?, way })
    }
}

/// How a peer ends, behind what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    HalfClose,
    /// Says no more, until the server has had enough.
    Idle,
    Reset(usize),
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fate(u8);

/// By the first byte of its payload.
pub(super) const fn frame_fate(payload: &[u8]) -> Fate {
    Fate(match payload {
        [first, ..] => *first % 8,
        [] => 0,
    })
}

impl Fate {
    pub(super) const fn mark(self) -> Mark {
        match self.0 {
            0..4 => Mark::FrameAnswered,
            4..7 => Mark::FrameLate,
            _ => Mark::FrameDropped,
        }
    }

    pub(super) const fn late_ms(self) -> Option<u64> {
        match self.0 {
            4 => Some(0),
            5 => Some(3),
            6 => Some(40),
            _ => None,
        }
    }
}

/// What a frame is answered whose reply was dropped.
pub(super) const DROPPED: &[u8] = b"-";

/// One part of what must come back, and what may come in its place.
#[derive(Clone, Debug)]
struct Part {
    bytes: Vec<u8>,
    instead: Option<Vec<u8>>,
}

/// One peer as it was drawn.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    hello: Hello,
    end: End,
    bytes: Vec<u8>,
    parts: Vec<Part>,
}

/// One peer.
#[derive(Debug)]
pub(super) struct Guest {
    plan: Plan,
    peer: Option<Peer>,
    written: usize,
    received: Vec<u8>,
    /// The first part that has not come whole, and where it begins.
    part: usize,
    part_at: usize,
    is_shut: bool,
    pub(super) is_over: bool,
    last_ms: u64,
}

/// How long a raw connection of a history may be silent.
pub(super) const IDLE_TIMEOUT_MS: u64 = 50_000;
/// The most that a pull waits for, and more.
pub(super) const PULL_BYTES_MAX: usize = 5_000;
/// How much later than it was sent a peer may have read something.
const LATE_MS: u64 = 4_000;
const SEND_TIMEOUT_MS: u64 = 30_000;

impl Plan {
    pub(super) fn draw(chance: &mut Chance, number: usize, kind: Kind, may_drop: bool) -> Self {
        let number = u32::try_from(number).unwrap_or(0);
        let way = match chance.below(20) {
            _ if kind == Kind::Framed => Way::Echo,
            0..3 => Way::Fails,
            3..5 if kind == Kind::Awaited => Way::Fails,
            3..8 if kind == Kind::Called => Way::Forward,
            8..12 if kind == Kind::Called => Way::Elsewhere,
            _ => Way::Echo,
        };
        let hello = Hello { number, way };
        let len = match chance.below(10) {
            0 => 0,
            1..7 => chance.between(1, 2_000),
            7..9 => chance.between(2_000, 30_000),
            _ => chance.between(100_000, 300_000),
        };
        let (bytes, parts) = if kind == Kind::Framed {
            frames(chance, may_drop)
        } else {
            let all = pattern(number, len);
            let bytes = [hello.line().as_bytes(), &all].concat();
            (bytes, vec![Part { bytes: all, instead: None }])
        };
        let end = match chance.below(10) {
            0..7 => End::HalfClose,
            7..9 => End::Idle,
            _ => End::Reset(chance.below(bytes.len() + 1)),
        };
        // Who fails the connection need not be asked how it ends.
        let end = if way == Way::Fails { End::Idle } else { end };
        Self { hello, end, bytes, parts }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hello, end, bytes, .. } = self;
        write!(f, "{hello:?} that says {} bytes and ends by {end:?}", bytes.len())
    }
}

impl Guest {
    pub(super) fn new(plan: Plan) -> Self {
        let (peer, received, written, part, part_at) = Default::default();
        let (is_shut, is_over, last_ms) = Default::default();
        Self { plan, peer, written, received, part, part_at, is_shut, is_over, last_ms }
    }

    /// Connects, or writes so much at most; how many acts that were.
    pub(super) fn write(&mut self, count: usize, world: &mut World, now_ms: u64) -> usize {
        if self.is_over {
            return 0;
        }
        let Some(peer) = &mut self.peer else {
            self.peer = Some(world.connect());
            self.last_ms = now_ms;
            return 1;
        };
        let end = self.written.saturating_add(count).min(self.plan.bytes.len());
        let written = match self.is_shut {
            true => 0,
            false => peer.write(&self.plan.bytes[self.written..end]),
        };
        self.written += written;
        if written > 0 {
            self.last_ms = now_ms;
        }
        let is_all = self.written == self.plan.bytes.len();
        match self.plan.end {
            End::Reset(at) if self.written >= at => {
                self.go();
                return 1;
            }
            End::HalfClose if is_all && !self.is_shut => {
                peer.shutdown();
                self.is_shut = true;
                return 1;
            }
            _ => {}
        }
        usize::from(written > 0)
    }

    /// It goes, whatever it still had to say.
    pub(super) fn go(&mut self) {
        self.is_over = true;
        if let Some(peer) = &mut self.peer {
            peer.reset();
        }
    }

    /// Reads so much at most, and holds it against the model.
    pub(super) fn read(&mut self, count: usize, now_ms: u64) -> Result<usize, String> {
        let Some(peer) = self.peer.as_mut().filter(|_| !self.is_over) else { return Ok(0) };
        let before = self.received.len();
        peer.read(count, &mut self.received);
        if self.received.len() == before {
            return Ok(0);
        }
        self.last_ms = now_ms;
        self.hold_against_the_model()?;
        Ok(1)
    }

    fn hold_against_the_model(&mut self) -> Result<(), String> {
        while let Some(part) = self.plan.parts.get(self.part) {
            let rest = &self.received[self.part_at..];
            let whole = [Some(&part.bytes), part.instead.as_ref()].into_iter().flatten();
            let mut whole = whole.filter(|own| agrees(rest, own));
            let Some(own) = whole.next() else {
                let at = self.part_at;
                return Err(format!(
                    "peer {} gets other bytes behind {at}",
                    self.plan.hello.number
                ));
            };
            if rest.len() < own.len() {
                return Ok(());
            }
            self.part_at += own.len();
            self.part += 1;
            if rest.is_empty() {
                return Ok(());
            }
        }
        match self.received.len() - self.part_at {
            0 => Ok(()),
            more => Err(format!("peer {} gets {more} bytes too many", self.plan.hello.number)),
        }
    }

    /// How far it is, in words.
    pub(super) fn stand(&self) -> String {
        format!("{}: {} written, {} read", self.plan, self.written, self.received.len())
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.peer.is_some()
    }

    /// What it is counted as.
    pub(super) const fn mark(&self, kind: Kind) -> Option<Mark> {
        match (kind, self.plan.hello.way) {
            (Kind::Called, Way::Echo) => Some(Mark::EchoedBack),
            (Kind::Awaited, Way::Echo) => Some(Mark::EchoedByFuture),
            (_, Way::Forward) => Some(Mark::Forwarded),
            (_, Way::Elsewhere) => Some(Mark::EchoedElsewhere),
            (Kind::Framed, _) | (_, Way::Fails) => None,
        }
    }

    /// Whether everything that must come back has.
    pub(super) fn has_all(&self) -> bool {
        self.plan.parts[self.part..].iter().all(|part| part.bytes.is_empty())
            && self.written == self.plan.bytes.len()
    }

    /// Whether no more is missing than a pull may wait for that wants many bytes at once.
    fn lacks_little(&self) -> bool {
        let missing: usize = self.plan.parts[self.part..].iter().map(|part| part.bytes.len()).sum();
        let here = self.received.len() - self.part_at;
        self.has_all() || (self.plan.parts.len() == 1 && missing - here < PULL_BYTES_MAX)
    }

    /// Looks whether the connection has ended; whether that may be.
    pub(super) fn look(
        &mut self,
        told: &Told,
        allowed: Allowed,
        is_stopping: bool,
        now_ms: u64,
    ) -> Result<usize, String> {
        let Some(peer) = self.peer.as_ref().filter(|_| !self.is_over) else { return Ok(0) };
        let cause = peer.reset_cause();
        if cause.is_none() && !peer.is_ended() {
            return Ok(0);
        }
        self.read(usize::MAX, now_ms)?;
        self.is_over = true;
        self.judge(cause, told, allowed, is_stopping, now_ms)?;
        // The connection is closed on both sides from here on.
        self.peer = None;
        Ok(1)
    }

    fn judge(
        &self,
        cause: Option<ResetCause>,
        told: &Told,
        allowed: Allowed,
        is_stopping: bool,
        now_ms: u64,
    ) -> Result<(), String> {
        let reason = told.reason(self.plan.hello.number);
        let waited_ms = now_ms.saturating_sub(self.last_ms);
        let is_stalled = allowed.may_stall && now_ms >= SEND_TIMEOUT_MS;
        let is_excused = matches!(cause, Some(ResetCause::Chance | ResetCause::Asked))
            || is_stopping
            || is_stalled
            || self.plan.hello.way == Way::Fails
            || (allowed.may_refuse && self.received.is_empty())
            || (self.plan.hello.way == Way::Forward && !allowed.is_calm);
        if is_excused {
            return Ok(());
        }
        let what = match (self.plan.end, cause) {
            (_, Some(cause)) => format!("is reset ({cause:?}, {reason:?})"),
            (End::HalfClose, None) if self.has_all() => return Ok(()),
            (End::Idle, None) if self.lacks_little() && waited_ms + LATE_MS >= IDLE_TIMEOUT_MS => {
                return Ok(());
            }
            _ => format!("has {} bytes at its end ({reason:?})", self.received.len()),
        };
        let Plan { hello, end, .. } = &self.plan;
        Err(format!("peer {hello:?} that ends by {end:?}, silent for {waited_ms} ms, {what}"))
    }

    /// Why the connection of a peer may have ended, where nothing but the two sides ended it.
    pub(super) fn check_reason(&self, told: &Told) -> Result<(), String> {
        let is_likely = match (self.plan.end, told.reason(self.plan.hello.number)) {
            (_, None) => true,
            // Either of two connections may be silent for too long.
            (End::Idle, _) if self.plan.hello.way == Way::Forward => true,
            (End::HalfClose, Some(reason)) => matches!(reason, Reason::PeerClosed | Reason::Closed),
            (End::Idle, Some(reason)) if self.plan.hello.way == Way::Fails => {
                matches!(reason, Reason::Panicked | Reason::Failed | Reason::TimedOut(_))
            }
            (End::Idle, Some(reason)) => matches!(reason, Reason::TimedOut("raw_idle_timeout")),
            (End::Reset(_), Some(reason)) => {
                matches!(reason, Reason::Reset | Reason::PeerClosed | Reason::TimedOut(_))
            }
        };
        let told = told.reason(self.plan.hello.number);
        let number = self.plan.hello.number;
        let what = || {
            format!("peer {number} ends by {:?}, and the server was told {told:?}", self.plan.end)
        };
        if is_likely { Ok(()) } else { Err(what()) }
    }
}

/// Whether bytes are the beginning of others, or begin with them.
fn agrees(rest: &[u8], own: &[u8]) -> bool {
    let len = rest.len().min(own.len());
    rest[..len] == own[..len]
}

/// Requests in frames, and their replies.
fn frames(chance: &mut Chance, may_drop: bool) -> (Vec<u8>, Vec<Part>) {
    let (mut bytes, mut parts) = (Vec::new(), Vec::new());
    for number in 0..chance.between(1, 40) {
        let number = u32::try_from(number).unwrap_or(0);
        let len = if chance.percent(5) { chance.between(5_000, 40_000) } else { chance.below(200) };
        let payload = pattern(number, 1 + len);
        let request = frame(&payload);
        let instead = match frame_fate(&payload).mark() {
            // A shard that is frozen drops its futures.
            Mark::FrameLate if may_drop => Some(frame(DROPPED)),
            _ => None,
        };
        let is_dropped = frame_fate(&payload).mark() == Mark::FrameDropped;
        bytes.extend_from_slice(&request);
        parts.push(Part { bytes: if is_dropped { frame(DROPPED) } else { request }, instead });
    }
    (bytes, parts)
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&len.to_be_bytes()[..], payload].concat()
}
