//! Histories of raw connections and of frames, as data.

use super::guest::{IDLE_TIMEOUT_MS, Plan};
use super::{Kind, Play};
use crate::chance::Chance;
use crate::coverage::Coverage;
use crate::history::{Event, Settings, draw_events};
use crate::side::{self, Side, SideHistory};

const EVENTS_MAX: usize = 300;

/// What a raw history is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    pub(super) kind: Kind,
    /// Whether shards are frozen in the history that was drawn, of which this may be a part.
    pub(super) may_freeze: bool,
}

impl Side for Raw {
    const NAME: &'static str = "raw connections";
    const PERCENT: usize = 15;
    const PEERS_MAX: usize = 12;
    const SALT: u64 = 0x2A55_31DE;
    type Event = Event;
    type Plan = Plan;
    type Play = Play;

    fn draw(seed: u64, chance: &mut Chance) -> SideHistory<Self> {
        let kind = chance.pick(&[Kind::Called, Kind::Called, Kind::Awaited, Kind::Framed]);
        let peers = chance.between(1, Self::PEERS_MAX);
        let count = chance.between(60, EVENTS_MAX);
        let mut settings = Settings::draw(chance, peers);
        settings.limits.raw_idle_timeout_ms = IDLE_TIMEOUT_MS;
        settings.limits.framed.frame_idle_timeout_ms = IDLE_TIMEOUT_MS;
        let events = draw_events(chance, count, peers);
        let may_freeze = settings.may_freeze(&events);
        let draw = |number| (number, Plan::draw(chance, number, kind, may_freeze));
        let plans = (0..peers).map(draw).collect();
        SideHistory { side: Self { kind, may_freeze }, seed, settings, events, plans }
    }

    fn begin(history: &SideHistory<Self>) -> Play {
        Play::new(history)
    }

    fn see(play: &Play, coverage: &mut Coverage) {
        coverage.see_raw(&play.told.marks());
    }
}

/// What a peer says is of one piece.
impl side::Plan for Plan {
    fn requests(&self) -> usize {
        0
    }

    fn without(&self, _: usize) -> Option<Self> {
        None
    }
}
