//! A forward: what comes from one connection goes to another one, until the stream ends.
//! It stands where a pull stands and takes everything; who feeds whom is known at both ends, and nothing
//! is taken that the other end has no room for.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::{Peered, Want};
use crate::limits::BYTES_PER_TURN_MAX;
use crate::peer::{Peer, PeerId, Reason};
use crate::room::Room;
use crate::session::Who;
use crate::table::Place;
use crate::task::{Ask, Ended, Tasks, Waiter};

/// A forward, as the connection has it whose bytes it takes.
pub(crate) struct Forwarding {
    source: End,
    sink: End,
    /// The sink knows by it that this goes on.
    alive: Arc<()>,
    /// Bytes so far.
    bytes: u64,
    pace: Pace,
    /// The shard was asked to carry on what has come.
    is_asked: bool,
    /// The sink knows of it.
    is_known: bool,
    /// The sink has no room, and says when it has.
    waits: bool,
    /// Its share of a turn was spent: there is more to carry.
    is_due: bool,
}

/// A connection, as plain data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct End(pub(crate) PeerId, pub(crate) Place);

impl End {
    pub(crate) const fn of(peer: Peer) -> Self {
        Self(peer.id(), peer.place())
    }

    pub(crate) const fn peer(self) -> Peer {
        Peer::new(self.0, self.1)
    }
}

/// Whose forwards lead to a connection.
#[derive(Default)]
pub(crate) struct Fed {
    all: Vec<Feeder>,
    /// Those that wait for room, in their order.
    waiting: VecDeque<Feeder>,
}

/// A forward, as the connection has it that it leads to.
#[derive(Clone)]
pub(crate) struct Feeder {
    source: End,
    alive: Weak<()>,
}

impl Feeder {
    fn is_alive(&self) -> bool {
        self.alive.strong_count() > 0
    }
}

/// When bytes are passed by the system instead of being copied: what it saves is worth its calls for
/// long runs only.
#[derive(Debug)]
struct Pace {
    is_splicing: bool,
    /// How many long takes, or poor passes, there were in a row.
    run: u8,
    /// How many long takes in a row are a long run: it is doubled whenever passing was not worth it.
    run_min: u8,
}

/// How much the system passes of one connection in a turn: a copy of half of it takes longer.
const SPLICE_BYTES_MAX: usize = 2 * BYTES_PER_TURN_MAX;
/// From this much on, what came at once is long.
const LONG_BYTES_MIN: usize = 32 << 10;
/// Up to this much, what was passed at once was not worth it.
const POOR_BYTES_MAX: usize = 8 << 10;
/// So many poor passes in a row end a long run.
const POOR_RUN: u8 = 4;
const RUN_MIN: u8 = 2;
const RUN_MAX: u8 = 128;

impl Pace {
    const fn new() -> Self {
        Self { is_splicing: false, run: 0, run_min: RUN_MIN }
    }

    /// So much was taken at once; whether it is a long run by now.
    fn taken(&mut self, bytes: usize) -> bool {
        self.run = if bytes < LONG_BYTES_MIN { 0 } else { self.run.saturating_add(1) };
        !self.is_splicing && self.run >= self.run_min
    }

    fn begin(&mut self) {
        (self.is_splicing, self.run) = (true, 0);
    }

    /// So much was passed at once.
    fn passed(&mut self, bytes: usize) {
        self.run = if bytes > POOR_BYTES_MAX { 0 } else { self.run + 1 };
        if self.run >= POOR_RUN {
            self.end(self.run_min.saturating_mul(2));
        }
    }

    fn end(&mut self, run_min: u8) {
        *self = Self { is_splicing: false, run: 0, run_min: run_min.min(RUN_MAX) };
    }
}

impl Forwarding {
    pub(crate) fn new(source: Peer, sink: Peer) -> Box<Self> {
        let (alive, pace) = (Arc::new(()), Pace::new());
        let (bytes, is_asked, is_known, waits, is_due) = Default::default();
        let (source, sink) = (End::of(source), End::of(sink));
        Box::new(Self { source, sink, alive, bytes, pace, is_asked, is_known, waits, is_due })
    }

    /// Asks the shard, which has both ends, to carry on what has come.
    fn ask(&mut self, tasks: &Tasks) {
        if !self.is_asked {
            self.is_asked = true;
            tasks.order(self.source.peer(), Ask::Carry, Waiter::Nobody);
        }
    }
}

impl Peered {
    /// The forward that is served, if one is.
    pub(super) fn forward(&mut self) -> Option<&mut Forwarding> {
        match &mut self.busy.as_mut()?.first.as_mut()?.want {
            Want::Forward(forward) => Some(forward),
            _ => None,
        }
    }

    pub(super) fn is_forwarding(&self) -> bool {
        let first = self.busy.as_ref().and_then(|busy| busy.first.as_ref());
        first.is_some_and(|first| matches!(first.want, Want::Forward(_)))
    }

    /// Something has come, or may have: the shard is asked to carry it on. Whether so much waits here.
    pub(super) fn offer(&mut self, waiting: usize, tasks: &Tasks) -> bool {
        if self.front.is_pull() {
            return false;
        }
        let ahead = self.ahead();
        let Some(forward) = self.forward() else { return false };
        if waiting + ahead > 0 || forward.is_due {
            forward.ask(tasks);
        }
        waiting + ahead > 0
    }

    /// A forward has its turn: the sink is to know of it, and what has come before goes there.
    pub(super) fn begin_forward(&mut self, tasks: &Tasks) {
        if let Some(forward) = self.forward() {
            forward.ask(tasks);
        }
    }

    /// There is something to receive, which the system passes; false where it does not.
    pub(crate) fn bytes_are_there(&mut self, room: &Room) -> bool {
        if !self.is_pulled(&room.requests.tasks) {
            return false;
        }
        let splicing = self.forward().filter(|own| own.pace.is_splicing);
        let Some(forward) = splicing else { return false };
        forward.ask(&room.requests.tasks);
        true
    }

    /// Where what comes is carried to, as the shard has been asked to do that.
    pub(crate) fn carries_to(&mut self, room: &Room) -> Option<Carrying> {
        if !self.is_pulled(&room.requests.tasks) {
            return None;
        }
        let forward = self.forward()?;
        (forward.is_asked, forward.is_due) = (false, false);
        let is_new = !std::mem::replace(&mut forward.is_known, true);
        let feeder = Feeder { source: forward.source, alive: Arc::downgrade(&forward.alive) };
        Some(Carrying { sink: forward.sink, feeder, is_new, waits: forward.waits })
    }

    /// The sink has room by now.
    pub(crate) fn has_room(&mut self) {
        if let Some(forward) = self.forward() {
            forward.waits = false;
        }
    }

    /// The sink has no room: it says when it has.
    pub(crate) fn wait_for_room(&mut self) {
        if let Some(forward) = self.forward() {
            forward.waits = true;
        }
    }

    /// Whether what comes is passed by the system, and if so whether it waits for room.
    pub(crate) fn splices(&mut self, room: &Room) -> Option<bool> {
        if !self.is_pulled(&room.requests.tasks) {
            return None;
        }
        self.forward().and_then(|own| own.pace.is_splicing.then_some(own.waits))
    }

    /// So much was taken for the sink; whether a long run has begun.
    pub(crate) fn taken(&mut self, bytes: usize) -> bool {
        let Some(forward) = self.forward() else { return false };
        forward.bytes += bytes as u64;
        forward.pace.taken(bytes)
    }

    pub(crate) fn begin_to_splice(&mut self) {
        if let Some(forward) = self.forward() {
            forward.pace.begin();
        }
    }

    /// The system does not pass it.
    pub(crate) fn splice_is_refused(&mut self) {
        if let Some(forward) = self.forward() {
            forward.pace.end(RUN_MAX);
        }
    }

    /// How much the system may pass in this turn; when nothing is left it goes on in the next.
    pub(crate) fn share_to_splice(&mut self, room: &Room) -> usize {
        self.share.renew(room.turn);
        let left = self.share.left_of(SPLICE_BYTES_MAX);
        if let Some(forward) = self.forward() {
            forward.is_due = left == 0;
        }
        left
    }

    /// So much has come and was passed, but for so much that found no room.
    pub(crate) fn spliced(&mut self, bytes: usize, unsent: usize, room: &Room) {
        self.heard(room);
        self.share.add_bytes(bytes);
        if let Some(forward) = self.forward() {
            forward.bytes += bytes as u64;
            forward.pace.passed(bytes - unsent);
        }
    }

    /// The forward ends.
    pub(crate) fn end_forward(&mut self, reason: Reason, who: Who, room: &Room) {
        if self.is_forwarding() {
            self.end_first(who, room, Ended::Failed(reason));
        }
    }

    /// How the forward ends that is served, when the stream does.
    pub(super) fn forward_end(&mut self) -> Option<Ended> {
        let reason = self.refusal();
        let bytes = self.forward()?.bytes;
        Some(reason.map_or(Ended::Count(bytes), Ended::Failed))
    }

    /// The connection that a forward leads to has ended.
    pub(crate) fn lose_sink(&mut self, sink: PeerId, reason: Reason, who: Who, room: &Room) {
        if self.forward().is_some_and(|own| own.sink.0 == sink) {
            self.end_forward(reason, who, room);
        }
    }

    // What follows is done at the other end, to which bytes are carried.

    /// A forward leads here.
    pub(crate) fn be_fed(&mut self, feeder: &Feeder, room: &Room) {
        let fed = self.busy(&room.requests.tasks).fed.get_or_insert_default();
        if fed.all.len() == fed.all.capacity() {
            fed.all.retain(Feeder::is_alive);
        }
        fed.all.push(feeder.clone());
    }

    /// Why nothing more can be carried here.
    pub(crate) fn feed_refusal(&self) -> Option<Reason> {
        let is_shut =
            self.is_shut() || self.busy.as_ref().is_some_and(|busy| !busy.shutting.is_empty());
        self.refusal().or_else(|| is_shut.then_some(Reason::Closed))
    }

    /// A forward waits for room.
    pub(crate) fn let_wait(&mut self, feeder: &Feeder, room: &Room) {
        let fed = self.busy(&room.requests.tasks).fed.get_or_insert_default();
        if fed.waiting.len() == fed.waiting.capacity() {
            fed.waiting.retain(Feeder::is_alive);
        }
        fed.waiting.push_back(feeder.clone());
    }

    /// There is room: the shard is asked to carry on what waits for it.
    pub(crate) fn offer_room(&self, own: Peer, tasks: &Tasks) {
        let fed = self.busy.as_ref().and_then(|busy| busy.fed.as_ref());
        if fed.is_some_and(|fed| fed.is_waited_for()) {
            tasks.order(own, Ask::GiveRoom, Waiter::Nobody);
        }
    }

    /// Whose turn it is where there is room.
    pub(crate) fn next_waiting(&mut self) -> Option<Peer> {
        let fed = self.busy.as_mut()?.fed.as_mut()?;
        while let Some(feeder) = fed.waiting.pop_front() {
            if feeder.is_alive() {
                return Some(feeder.source.peer());
            }
        }
        None
    }
}

/// Where bytes are carried to.
pub(crate) struct Carrying {
    pub(crate) sink: End,
    pub(crate) feeder: Feeder,
    /// The sink does not know of it yet.
    pub(crate) is_new: bool,
    /// The sink has no room, and says when it has.
    pub(crate) waits: bool,
}

impl Fed {
    /// Whether a forward waits for room here.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether no forward leads here any more.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && !self.all.iter().any(Feeder::is_alive)
    }

    /// The connection has ended: every forward that leads here is to.
    pub(super) fn end(&self, own: PeerId, reason: Reason, tasks: &Tasks) {
        for feeder in self.all.iter().filter(|feeder| feeder.is_alive()) {
            tasks.order(feeder.source.peer(), Ask::LoseSink(own, reason), Waiter::Nobody);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_runs_are_passed() {
        let mut pace = Pace::new();
        assert!(!pace.taken(LONG_BYTES_MIN) && !pace.taken(100) && !pace.taken(LONG_BYTES_MIN));
        assert!(pace.taken(LONG_BYTES_MIN));
        pace.begin();
        for _ in 1..POOR_RUN {
            pace.passed(POOR_BYTES_MAX);
        }
        pace.passed(POOR_BYTES_MAX + 1);
        for run in 1..=POOR_RUN {
            assert!(pace.is_splicing, "{run}");
            pace.passed(0);
        }
        assert!(!pace.is_splicing);
    }

    #[test]
    fn what_was_not_worth_it_takes_longer_to_begin_again() {
        let mut pace = Pace::new();
        let mut run_before = 0;
        for round in 0..12 {
            let run = (1..).find(|_| pace.taken(LONG_BYTES_MIN)).expect("it is long at last");
            assert!(run >= run_before && run <= u32::from(RUN_MAX), "{round}: {run}");
            run_before = run;
            pace.begin();
            (0..POOR_RUN).for_each(|_| pace.passed(0));
        }
        assert_eq!(run_before, u32::from(RUN_MAX));
    }
}
