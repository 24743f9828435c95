//! Histories of WebSockets as data.

use std::fmt;

use super::Play;
use super::guest::Plan;
use super::script::{CONTROLS_MAX, TOPICS};
use crate::chance::Chance;
use crate::coverage::Coverage;
use crate::history::{Event as Common, Settings, draw_events};
use crate::side::{self, Side, SideHistory};

const EVENTS_MAX: usize = 240;

/// What a history of WebSockets and topics is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sockets {
    /// Messages are many and long.
    pub(super) is_flood: bool,
}

/// One thing that happens from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
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

impl From<Common> for Event {
    fn from(event: Common) -> Self {
        Self::Common(event)
    }
}

impl Side for Sockets {
    const NAME: &'static str = "WebSockets";
    const PERCENT: usize = 20;
    const PEERS_MAX: usize = 9;
    const SALT: u64 = 0x50C4_E7F2_0000_0001;
    type Event = Event;
    type Plan = Plan;
    type Play = Play;

    fn draw(seed: u64, chance: &mut Chance) -> SideHistory<Self> {
        let peers = chance.between(1, Self::PEERS_MAX);
        let count = chance.between(60, EVENTS_MAX);
        let mut settings = Settings::draw(chance, peers);
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
        let events = draw(chance, count, peers, is_flood);
        let draw = |number| (number, Plan::draw(chance, number, is_flood));
        let plans = (0..peers).map(draw).collect();
        SideHistory { side: Self { is_flood }, seed, settings, events, plans }
    }

    fn begin(history: &SideHistory<Self>) -> Play {
        Play::new(history)
    }

    fn see(play: &Play, coverage: &mut Coverage) {
        coverage.see_sockets(&play.told.log().marks);
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

impl side::Plan for Plan {
    fn requests(&self) -> usize {
        self.script.steps.len()
    }

    fn without(&self, request: usize) -> Option<Self> {
        // What asks for its end belongs to how it ends.
        let mut plan = (!self.script.has_its_end_at(request)).then(|| self.clone())?;
        plan.script.steps.remove(request);
        Some(plan)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}, {:?}", self.route, self.handshake)?;
        self.script.steps.iter().try_for_each(|step| writeln!(f, "    {step}"))?;
        write!(f, "    {:?}", self.script.end)
    }
}
