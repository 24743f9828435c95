//! Side histories: those that only some seeds have, besides the one that each has. Each is data, drawn
//! before it is played: with a peer, a fault or something said left out it plays too.
//! What a side is about stands in a file of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use springtide_engine::EngineOptions;

use crate::chance::Chance;
use crate::coverage::Coverage;
use crate::failure::Failure;
use crate::history::{Event, Settings};
use crate::pace::Pace as _;
use crate::player::Player;
use crate::shrink::{Shrinks, make_small};

/// What side histories may be about.
pub(crate) trait Side: Clone + fmt::Debug {
    const NAME: &'static str;
    /// Of so many of a hundred seeds there is a history.
    const PERCENT: usize;
    const PEERS_MAX: usize;
    /// What sets its draws apart from those of other histories.
    const SALT: u64;
    type Event: Copy + fmt::Debug + PartialEq + From<Event>;
    type Plan: Plan;
    type Play: Player<Event = Self::Event> + fmt::Display;

    /// The history of a seed that has one.
    fn draw(seed: u64, chance: &mut Chance) -> SideHistory<Self>;

    /// A world in which nothing has happened yet.
    fn begin(history: &SideHistory<Self>) -> Self::Play;

    /// Counts what a history has come to.
    fn see(play: &Self::Play, coverage: &mut Coverage);
}

/// What a peer says, and how it ends, as it was drawn.
pub(crate) trait Plan: Clone + fmt::Display {
    /// How much of it can be left out, one at a time; what is of one piece has nothing.
    fn requests(&self) -> usize;

    /// The same without one of them, where it may go.
    fn without(&self, request: usize) -> Option<Self>;
}

/// One side history.
#[derive(Clone)]
pub(crate) struct SideHistory<S: Side> {
    pub(crate) side: S,
    pub(crate) seed: u64,
    pub(crate) settings: Settings,
    pub(crate) events: Vec<S::Event>,
    /// By the numbers of their peers, which events name.
    pub(crate) plans: BTreeMap<usize, S::Plan>,
}

impl<S: Side> SideHistory<S> {
    /// That of a seed, if it has one.
    pub(crate) fn of(seed: u64) -> Option<Self> {
        let mut chance = Chance::new(seed ^ S::SALT);
        chance.percent(S::PERCENT).then(|| S::draw(seed, &mut chance))
    }

    /// Gives what is the same after the same history.
    pub(crate) fn play(&self, coverage: &mut Coverage) -> Result<u64, Failure> {
        Failure::of(S::NAME, || {
            let mut play = S::begin(self);
            play.play(&self.events).map_err(|what| format!("{what}\n{play}"))?;
            S::see(&play, coverage);
            Ok(play.scene().world.fingerprint())
        })
    }

    /// The smallest one found that still fails, with its failure; none where this one does not.
    fn shrink(&self) -> Option<(Self, Failure)> {
        let failure = self.play(&mut Coverage::default()).err()?;
        Some(make_small(self.clone(), failure))
    }
}

impl<S: Side> Shrinks for SideHistory<S> {
    type Event = S::Event;

    fn parts(&mut self) -> (&mut Settings, &mut Vec<S::Event>) {
        (&mut self.settings, &mut self.events)
    }

    fn peers(&self) -> usize {
        S::PEERS_MAX
    }

    fn leave_out(&mut self, peers: Range<usize>) -> bool {
        let had = self.plans.len();
        self.plans.retain(|number, _| !peers.contains(number));
        self.plans.len() < had
    }

    fn requests_of(&self, peer: usize) -> usize {
        self.plans.get(&peer).map_or(0, Plan::requests)
    }

    fn without(&self, peer: usize, request: usize) -> Option<Self> {
        let plan = self.plans.get(&peer)?.without(request)?;
        let mut history = self.clone();
        history.plans.insert(peer, plan);
        Some(history)
    }

    fn weight(&self) -> usize {
        let said: usize = self.plans.values().map(|plan| 1 + plan.requests()).sum();
        self.events.len() + said + self.settings.weight()
    }

    fn play(&self) -> Result<(), Failure> {
        self.play(&mut Coverage::default()).map(drop)
    }
}

impl<S: Side> fmt::Display for SideHistory<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { shards, accepting, limits, descriptors_max, moves_per_mille, .. } =
            &self.settings;
        let EngineOptions { ring_chunks, cq_entries, .. } = &self.settings.engine;
        writeln!(f, "  {:?}: {shards} shard(s), {accepting:?}", self.side)?;
        writeln!(
            f,
            "  limits: outbox {}, inbox {}, queue {}, between shards {}, connections {}, descriptors \
             {descriptors_max:?}, ring {ring_chunks}, completions {cq_entries}, moves {moves_per_mille}",
            limits.outbox_bytes_max,
            limits.inbox_bytes_max,
            limits.socket_queue_bytes_max,
            limits.topic_queue_messages_max,
            limits.connections_max,
        )?;
        self.settings.write_faults(f)?;
        self.plans.iter().try_for_each(|(number, plan)| writeln!(f, "  {number}: {plan}"))?;
        writeln!(f, "  events: {:?}", self.events)
    }
}

/// A kind of side histories, for who plays them.
#[derive(Clone, Copy, Debug)]
pub struct SideKind {
    /// What they are about.
    pub name: &'static str,
    play: fn(u64, &mut Coverage) -> Result<u64, Failure>,
    shrink: fn(u64) -> Option<(String, Failure)>,
}

impl SideKind {
    pub(crate) const fn of<S: Side>() -> Self {
        Self {
            name: S::NAME,
            play: |seed, coverage| {
                SideHistory::<S>::of(seed).map_or(Ok(0), |history| history.play(coverage))
            },
            shrink: |seed| {
                let (small, failure) = SideHistory::<S>::of(seed)?.shrink()?;
                Some((small.to_string(), failure))
            },
        }
    }

    /// Plays the history of a seed, if it has one; gives what is the same after the same history.
    ///
    /// # Errors
    /// Something came out otherwise than the model says, or code panicked.
    pub fn play(&self, seed: u64, coverage: &mut Coverage) -> Result<u64, Failure> {
        (self.play)(seed, coverage)
    }

    /// The smallest history found that fails as that of a seed does, in words, with its failure; none
    /// where that one does not fail.
    #[must_use]
    pub fn shrink(&self, seed: u64) -> Option<(String, Failure)> {
        (self.shrink)(seed)
    }
}

#[cfg(test)]
mod tests {
    use springtide::Limits;

    use super::*;
    use crate::raw::Raw;
    use crate::sockets::Sockets;

    /// The failure is planted in histories.
    fn is_made_small<S: Side>(plant: fn(&mut Limits)) {
        let planted = (0..400).filter_map(SideHistory::<S>::of).find_map(|mut history| {
            plant(&mut history.settings.limits);
            let failure = history.play(&mut Coverage::default()).err()?;
            Some((history, failure))
        });
        let (history, failure) = planted.expect("a limit that is another is noticed");
        let (small, found) = history.shrink().expect("it fails the same again");
        assert_eq!(found.kind(), failure.kind());
        assert_eq!(small.plans.len(), 1, "{small}");
        assert!(small.weight() < history.weight() / 2, "{small}");
    }

    /// The server ends who is silent much sooner.
    #[test]
    fn a_failure_of_a_raw_history_is_made_small() {
        is_made_small::<Raw>(|limits| {
            limits.raw_idle_timeout_ms = 20;
            limits.framed.frame_idle_timeout_ms = 20;
        });
    }

    /// The server has less patience than peers are promised.
    #[test]
    fn a_failure_of_websockets_is_made_small() {
        is_made_small::<Sockets>(|limits| limits.websocket.socket_dead_ms = 20);
    }
}
