//! What histories have reached: each fault, each state of machine and connection, how often.
//! A history counts as often as it reached something; nothing else is remembered of it.

use std::fmt;

use springtide::test::{Fault, FaultCounts, MARKS, View};
use springtide_proto::http1::{Reading, Writing};

use crate::model::{Kind, Maker};
use crate::peer::Actor;
use crate::raw;
use crate::script::End;
use crate::sockets;

/// All states of the reading side.
const READING: [Reading; 7] = [
    Reading::Idle,
    Reading::Head,
    Reading::SizedBody,
    Reading::ChunkedBody,
    Reading::Undecided,
    Reading::Switched,
    Reading::Closed,
];

/// All states of the writing side.
const WRITING: [Writing; 6] = [
    Writing::Ready,
    Writing::Sized,
    Writing::Chunked,
    Writing::UntilClose,
    Writing::Muted,
    Writing::Cut,
];

/// The ways in which peers end.
const ENDS: [&str; 11] = [
    "close",
    "excess",
    "half-close",
    "leave",
    "idle",
    "stalled head",
    "stalled body",
    "truncated",
    "malformed",
    "reset",
    "deaf",
];

/// What replies are that not every history has: made by futures, and made instead of others.
const THEMES: [&str; 10] = [
    "by a future",
    "in pieces",
    "to pieces",
    "both in pieces",
    "by way of itself",
    "429",
    "of a dropped future",
    "of a failed upstream",
    "address refused",
    "memory short",
];

/// Sums over histories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Histories played.
    pub histories: u64,
    /// What peers, files and shards did in them.
    pub events: u64,
    /// The fewest and the most in one.
    pub events_range: Option<(u64, u64)>,
    /// Turns of shards.
    pub turns: u64,
    /// Replies that peers have read whole.
    pub replies: u64,
    /// Peers in them.
    pub peers: u64,
    faults: [u64; Fault::ALL.len()],
    reading: [u64; READING.len()],
    writing: [u64; WRITING.len()],
    marks: [u64; MARKS.len()],
    ends: [u64; ENDS.len()],
    themes: [u64; THEMES.len()],
    raw: [u64; raw::MARKS.len()],
    sockets: sockets::Counts,
    stopped: u64,
    due: u64,
    frozen: u64,
    moved: u64,
    refused: u64,
}

impl Coverage {
    /// The states of a machine were seen.
    pub(crate) fn see_machine(&mut self, (reading, writing): (Reading, Writing)) {
        let read = match reading {
            Reading::Idle => 0,
            Reading::Head => 1,
            Reading::SizedBody => 2,
            Reading::ChunkedBody => 3,
            Reading::Undecided => 4,
            Reading::Switched => 5,
            Reading::Closed => 6,
        };
        let written = match writing {
            Writing::Ready => 0,
            Writing::Sized => 1,
            Writing::Chunked => 2,
            Writing::UntilClose => 3,
            Writing::Muted => 4,
            Writing::Cut => 5,
        };
        self.reading[read] += 1;
        self.writing[written] += 1;
    }

    pub(crate) fn see(&mut self, view: &View) {
        self.see_machine((view.reading, view.writing));
        for (sum, holds) in self.marks.iter_mut().zip(view.marks) {
            *sum += u64::from(holds);
        }
    }

    pub(crate) fn see_faults(&mut self, counts: FaultCounts) {
        for (sum, fault) in self.faults.iter_mut().zip(Fault::ALL) {
            *sum += counts.of(fault);
        }
    }

    /// A peer has come to its end.
    pub(crate) fn see_peer(&mut self, actor: &Actor) {
        self.see_end(actor.script.end);
        self.replies += actor.replies() as u64;
        for expected in &actor.script.expected[..actor.replies()] {
            let index = match expected.maker {
                Maker::Server | Maker::File => continue,
                Maker::Future(Kind::Waits) => 0,
                Maker::Future(Kind::Gives) => 1,
                Maker::Future(Kind::Takes) => 2,
                Maker::Future(Kind::Relays) => 3,
                Maker::Upstream => 4,
            };
            self.themes[index] += 1;
        }
        let instead = actor.instead();
        let counts = [instead.limited, instead.dropped, instead.upstream];
        for (sum, count) in self.themes[5..].iter_mut().zip(counts) {
            *sum += count;
        }
    }

    /// What applications of raw connections and of frames did and came to.
    pub(crate) fn see_raw(&mut self, marks: &[u64; raw::MARKS.len()]) {
        for (sum, count) in self.raw.iter_mut().zip(marks) {
            *sum += count;
        }
    }

    /// What WebSockets and topics came to.
    pub(crate) fn see_sockets(&mut self, marks: &sockets::Counts) {
        for (sum, count) in self.sockets.0.iter_mut().zip(marks.0) {
            *sum += count;
        }
    }

    /// How often limits were met that only some histories have.
    pub(crate) const fn see_met(&mut self, address: u64, memory: u64) {
        self.themes[8] += address;
        self.themes[9] += memory;
    }

    const fn see_end(&mut self, end: End) {
        let index = match end {
            End::Close => 0,
            End::Excess => 1,
            End::HalfClose => 2,
            End::Leave => 3,
            End::Idle => 4,
            End::StallHead => 5,
            End::StallBody => 6,
            End::Truncate => 7,
            End::Malformed => 8,
            End::Reset(_) => 9,
            End::Deaf => 10,
        };
        self.ends[index] += 1;
    }

    pub(crate) const fn see_refused(&mut self, peers: u64) {
        self.refused += peers;
    }

    pub(crate) const fn see_stopped(&mut self) {
        self.stopped += 1;
    }

    pub(crate) const fn see_drained(&mut self, due: u64) {
        self.due += due;
    }

    pub(crate) const fn see_frozen(&mut self) {
        self.frozen += 1;
    }

    pub(crate) const fn see_moved(&mut self) {
        self.moved += 1;
    }

    /// Adds what another history reached.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.counters_mut().into_iter().zip(other.counters()) {
            *sum += more.2;
        }
        let ranges = self.events_range.into_iter().chain(other.events_range);
        self.events_range = ranges.reduce(|one, two| (one.0.min(two.0), one.1.max(two.1)));
        self.histories += other.histories;
        self.events += other.events;
        self.turns += other.turns;
        self.replies += other.replies;
        self.peers += other.peers;
    }

    /// All of it as plain numbers, for [`Coverage::of_numbers`] of the same program.
    #[must_use]
    pub fn numbers(&self) -> Vec<u64> {
        let (fewest, most) = self.events_range.unwrap_or((u64::MAX, 0));
        let sums = [self.histories, self.events, self.turns, self.replies, self.peers];
        let counts = self.counters().into_iter().map(|(_, _, count)| count);
        [fewest, most].into_iter().chain(sums).chain(counts).collect()
    }

    /// What [`Coverage::numbers`] told; nothing when there are more or fewer of them.
    #[must_use]
    pub fn of_numbers(numbers: &[u64]) -> Option<Self> {
        let (&[fewest, most, histories, events, turns, replies, peers], counts) =
            numbers.split_first_chunk::<7>()?;
        let events_range = (fewest <= most).then_some((fewest, most));
        let mut sum =
            Self { histories, events, events_range, turns, replies, peers, ..Self::default() };
        let counters = sum.counters_mut();
        if counters.len() != counts.len() {
            return None;
        }
        for (counter, count) in counters.into_iter().zip(counts) {
            *counter = *count;
        }
        Some(sum)
    }

    fn counters_mut(&mut self) -> Vec<&mut u64> {
        let parts = self.faults.iter_mut().chain(&mut self.reading).chain(&mut self.writing);
        let parts = parts.chain(&mut self.marks).chain(&mut self.ends).chain(&mut self.themes);
        let parts = parts.chain(&mut self.raw).chain(&mut self.sockets.0);
        let shards = [&mut self.stopped, &mut self.due, &mut self.frozen];
        parts.chain(shards).chain([&mut self.moved, &mut self.refused]).collect()
    }

    /// Every counter: what it is of, its name, how often.
    #[must_use]
    pub fn counters(&self) -> Vec<(&'static str, String, u64)> {
        fn named<T: fmt::Debug>(
            of: &'static str,
            names: impl IntoIterator<Item = T>,
            counts: &[u64],
        ) -> Vec<(&'static str, String, u64)> {
            let names = names.into_iter().map(|name| format!("{name:?}").replace('"', ""));
            names.zip(counts).map(|(name, count)| (of, name, *count)).collect()
        }
        let mut all = named("fault", Fault::ALL, &self.faults);
        all.extend(named("reading", READING, &self.reading));
        all.extend(named("writing", WRITING, &self.writing));
        all.extend(named("connection", MARKS, &self.marks));
        all.extend(named("end", ENDS, &self.ends));
        all.extend(named("reply", THEMES, &self.themes));
        all.extend(named("raw", raw::MARKS, &self.raw));
        all.extend(named("socket", sockets::MARKS, &self.sockets.0));
        all.push(("shard", "stopped".to_owned(), self.stopped));
        all.push(("request", "due at a stop".to_owned(), self.due));
        all.push(("shard", "frozen".to_owned(), self.frozen));
        all.push(("connection", "moved".to_owned(), self.moved));
        all.push(("connection", "refused".to_owned(), self.refused));
        all
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |sum: u64| sum.checked_div(self.histories).unwrap_or(0);
        let (fewest, most) = self.events_range.unwrap_or_default();
        writeln!(f, "from {fewest} to {most} events")?;
        writeln!(
            f,
            "{} histories; of each in the mean {} peers, {} events, {} turns, {} replies",
            self.histories,
            of(self.peers),
            of(self.events),
            of(self.turns),
            of(self.replies)
        )?;
        for (of, name, count) in self.counters() {
            writeln!(f, "  {of:<12}{name:<16}{count:>12}")?;
        }
        Ok(())
    }
}
