//! A raw history as data, drawn before it is played: with a peer or a fault left out it plays too.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use springtide::test::Fault;

use super::guest::{Guest, IDLE_TIMEOUT_MS};
use super::{Kind, Play};
use crate::chance::Chance;
use crate::history::{Event, Settings, draw_events};
use crate::play::Failure;
use crate::shrink::{Shrinks, make_small};

/// Of so many of a hundred seeds there is a history.
const PERCENT: usize = 15;
const EVENTS_MAX: usize = 300;
const PEERS_MAX: usize = 12;
/// What sets its draws apart from those of other histories.
pub(super) const SALT: u64 = 0x2A55_31DE;

/// One raw history.
#[derive(Debug)]
pub struct History {
    pub(super) seed: u64,
    pub(super) kind: Kind,
    pub(super) settings: Settings,
    pub(super) events: Vec<Event>,
    /// By their numbers, which events name; none of them has come.
    pub(super) guests: BTreeMap<usize, Guest>,
    /// Whether shards are frozen in the history that was drawn, of which this may be a part.
    pub(super) may_freeze: bool,
}

impl History {
    /// That of a seed, if it has one.
    #[must_use]
    pub fn of(seed: u64) -> Option<Self> {
        let mut chance = Chance::new(seed ^ SALT);
        if !chance.percent(PERCENT) {
            return None;
        }
        let kind = chance.pick(&[Kind::Called, Kind::Called, Kind::Awaited, Kind::Framed]);
        let peers = chance.between(1, PEERS_MAX);
        let count = chance.between(60, EVENTS_MAX);
        let mut settings = Settings::draw(&mut chance, peers);
        settings.limits.raw_idle_timeout_ms = IDLE_TIMEOUT_MS;
        settings.limits.framed.frame_idle_timeout_ms = IDLE_TIMEOUT_MS;
        let events = draw_events(&mut chance, count, peers);
        let may_freeze = settings.moves_per_mille > 0
            || settings.probability(Fault::Refused) > 0.0
            || events.iter().any(|event| matches!(event, Event::Freeze(_)));
        let draw = |number| (number, Guest::draw(&mut chance, number, kind, may_freeze));
        let guests = (0..peers).map(draw).collect();
        Some(Self { seed, kind, settings, events, guests, may_freeze })
    }

    /// The smallest one found that still fails, with its failure; none where this one does not.
    #[must_use]
    pub fn shrink(&self) -> Option<(Self, Failure)> {
        let failure = self.play().err()?;
        Some(make_small(self.clone(), failure))
    }
}

impl Clone for History {
    fn clone(&self) -> Self {
        let (settings, events) = (self.settings.clone(), self.events.clone());
        let guests = self.guests.iter().map(|(number, guest)| (*number, guest.again())).collect();
        Self { settings, events, guests, ..*self }
    }
}

impl Shrinks for History {
    type Event = Event;

    fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    fn events(&mut self) -> &mut Vec<Event> {
        &mut self.events
    }

    fn peers(&self) -> usize {
        PEERS_MAX
    }

    fn leave_out(&mut self, peers: Range<usize>) -> bool {
        let had = self.guests.len();
        self.guests.retain(|number, _| !peers.contains(number));
        self.guests.len() < had
    }

    /// What a peer says is of one piece.
    fn requests_of(&self, _: usize) -> usize {
        0
    }

    fn without(&self, _: usize, _: usize) -> Option<Self> {
        None
    }

    fn weight(&self) -> usize {
        self.events.len() + self.guests.len() + self.settings.weight()
    }

    fn play(&self) -> Result<(), Failure> {
        Play::of(self).map(drop)
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { shards, accepting, limits, engine, descriptors_max, .. } = &self.settings;
        writeln!(f, "  raw, {:?}: {shards} shard(s), {accepting:?}", self.kind)?;
        writeln!(
            f,
            "  limits: outbox {}, inbox {}, connections {}, descriptors {descriptors_max:?}, ring {}, \
             queue {}, moves {}",
            limits.outbox_bytes_max,
            limits.inbox_bytes_max,
            limits.connections_max,
            engine.ring_chunks,
            engine.cq_entries,
            self.settings.moves_per_mille,
        )?;
        for fault in Fault::ALL {
            let probability = self.settings.probability(fault);
            if probability > 0.0 {
                writeln!(f, "  fault {fault:?}: {probability}")?;
            }
        }
        let mut guests = self.guests.iter();
        guests.try_for_each(|(number, guest)| writeln!(f, "  {number}: {}", guest.stand()))?;
        writeln!(f, "  events: {:?}", self.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The failure is planted in the history: the server ends who is silent much sooner.
    #[test]
    fn a_failure_is_made_small() {
        let planted = (0..300).filter_map(History::of).find_map(|mut history| {
            history.settings.limits.raw_idle_timeout_ms = 20;
            history.settings.limits.framed.frame_idle_timeout_ms = 20;
            let failure = history.play().err()?;
            Some((history, failure))
        });
        let (history, failure) = planted.expect("a limit that is another is noticed");
        let (small, found) = history.shrink().expect("it fails the same again");
        assert_eq!(found.kind(), failure.kind());
        assert_eq!(small.guests.len(), 1, "{small}");
        assert!(small.weight() < history.weight() / 2, "{small}");
    }
}
