//! A history of WebSockets as data, drawn before it is played: with a peer, a fault or something said
//! left out it plays too.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use springtide::test::Fault;

use super::Play;
use super::guest::{Guest, Plan};
use super::script::{CONTROLS_MAX, TOPICS};
use crate::chance::Chance;
use crate::history::{Event as Common, Settings, draw_events};
use crate::play::Failure;
use crate::shrink::{Shrinks, make_small};

/// Of so many of a hundred seeds there is a history.
const PERCENT: usize = 20;
const EVENTS_MAX: usize = 240;
const PEERS_MAX: usize = 9;
/// What sets its draws apart from those of other histories.
pub(super) const SALT: u64 = 0x50C4_E7F2_0000_0001;

/// One history of WebSockets and topics.
#[derive(Clone, Debug)]
pub struct History {
    pub(super) seed: u64,
    pub(super) settings: Settings,
    pub(super) events: Vec<Event>,
    /// By their numbers, which events name.
    pub(super) plans: BTreeMap<u32, Plan>,
    /// Messages are many and long.
    pub(super) is_flood: bool,
}

/// One thing that happens from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// As in any history.
    Common(Common),
    /// A peer reads nothing from now on.
    Clog(usize),
    /// It reads again.
    Resume(usize),
    /// Somebody who has no connection publishes so many messages of so many bytes to a topic.
    Publish(usize, usize, usize),
    /// The same to some connections by their names.
    Broadcast(usize),
    /// A thread outside says something to a peer's connection.
    Say(usize),
}

impl History {
    /// That of a seed, if it has one.
    #[must_use]
    pub fn of(seed: u64) -> Option<Self> {
        let mut chance = Chance::new(seed ^ SALT);
        if !chance.percent(PERCENT) {
            return None;
        }
        let peers = chance.between(1, PEERS_MAX);
        let count = chance.between(60, EVENTS_MAX);
        let mut settings = Settings::draw(&mut chance, peers);
        let is_flood = chance.percent(40);
        let limits = &mut settings.limits;
        limits.websocket.socket_controls_max = u32::try_from(CONTROLS_MAX).unwrap_or(0);
        // What handlers say at once is to be their queues' matter, not that of outboxes.
        limits.outbox_bytes_max = limits.outbox_bytes_max.max(16 << 10);
        limits.inbox_bytes_max = limits.inbox_bytes_max.max(1 << 10);
        limits.socket_queue_bytes_max = match chance.below(4) {
            _ if is_flood => chance.pick(&[2 << 10, 16 << 10, 48 << 10]),
            0 => 8 << 10,
            _ => limits.socket_queue_bytes_max,
        };
        if chance.percent(25) {
            limits.topic_queue_messages_max = chance.between(1, 6);
        }
        let events = draw(&mut chance, count, peers, is_flood);
        let plans = (0..peers).map(|number| {
            let number = u32::try_from(number).unwrap_or(0);
            (number, Plan::draw(&mut chance, number, is_flood))
        });
        let plans = plans.collect();
        Some(Self { seed, settings, events, plans, is_flood })
    }

    /// The smallest one found that still fails, with its failure; none where this one does not.
    #[must_use]
    pub fn shrink(&self) -> Option<(Self, Failure)> {
        let failure = self.play().err()?;
        Some(make_small(self.clone(), failure))
    }

    /// The guests, none of whom has come.
    pub(super) fn guests(&self) -> BTreeMap<u32, Guest> {
        self.plans.iter().map(|(number, plan)| (*number, Guest::new(plan.clone()))).collect()
    }
}

fn draw(chance: &mut Chance, count: usize, peers: usize, is_flood: bool) -> Vec<Event> {
    let common = draw_events(chance, count, peers);
    let mut events = Vec::with_capacity(count);
    for event in common {
        events.push(match (event, chance.below(100)) {
            // There are no files.
            (Common::Change, _) | (_, 0..5) => {
                let len = if is_flood { chance.between(3_000, 12_000) } else { chance.below(900) };
                let count = if is_flood { chance.between(4, 24) } else { chance.between(1, 3) };
                match chance.below(10) {
                    0..4 => Event::Publish(chance.below(TOPICS.len()), count, len),
                    4..6 => Event::Broadcast(len),
                    _ => Event::Say(chance.below(peers)),
                }
            }
            (_, 5..8) => Event::Clog(chance.below(peers)),
            (_, 8..10) => Event::Resume(chance.below(peers)),
            // What is said of a WebSocket is longer than a request.
            (Common::Write(peer, count), 10..42) => {
                Event::Common(Common::Write(peer, count.saturating_mul(40)))
            }
            _ => Event::Common(event),
        });
    }
    events
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
        let had = self.plans.len();
        self.plans.retain(|number, _| !peers.contains(&(*number as usize)));
        self.plans.len() < had
    }

    fn requests_of(&self, peer: usize) -> usize {
        let plan = u32::try_from(peer).ok().and_then(|peer| self.plans.get(&peer));
        plan.map_or(0, |plan| plan.script.steps.len())
    }

    fn without(&self, peer: usize, request: usize) -> Option<Self> {
        let mut history = self.clone();
        let plan = history.plans.get_mut(&u32::try_from(peer).ok()?)?;
        // What asks for its end belongs to how it ends.
        if plan.script.has_its_end_at(request) {
            return None;
        }
        plan.script.steps.remove(request);
        Some(history)
    }

    fn weight(&self) -> usize {
        let steps: usize = self.plans.values().map(|plan| 1 + plan.script.steps.len()).sum();
        self.events.len() + steps + self.settings.weight()
    }

    fn play(&self) -> Result<(), Failure> {
        Play::of(self).map(drop)
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { shards, accepting, limits, engine, descriptors_max, .. } = &self.settings;
        writeln!(f, "  WebSockets: {shards} shard(s), {accepting:?}")?;
        writeln!(
            f,
            "  limits: outbox {}, inbox {}, queue {}, between shards {}, connections {}, descriptors \
             {descriptors_max:?}, ring {}, completions {}, moves {}",
            limits.outbox_bytes_max,
            limits.inbox_bytes_max,
            limits.socket_queue_bytes_max,
            limits.topic_queue_messages_max,
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
        for (number, plan) in &self.plans {
            writeln!(f, "  {number}: {:?}, {:?}", plan.route, plan.handshake)?;
            for step in &plan.script.steps {
                writeln!(f, "    {step}")?;
            }
            writeln!(f, "    {:?}", plan.script.end)?;
        }
        writeln!(f, "  events: {:?}", self.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The failure is planted in the history: the server has less patience than peers are promised.
    #[test]
    fn a_failure_is_made_small() {
        let planted = (0..400).filter_map(History::of).find_map(|mut history| {
            history.settings.limits.websocket.socket_dead_ms = 20;
            let failure = history.play().err()?;
            Some((history, failure))
        });
        let (history, failure) = planted.expect("a limit that is another is noticed");
        let (small, found) = history.shrink().expect("it fails the same again");
        assert_eq!(found.kind(), failure.kind());
        assert_eq!(small.plans.len(), 1, "{small}");
        assert!(small.weight() < history.weight() / 2, "{small}");
    }
}
