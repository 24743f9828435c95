//! Histories as data: everything that a seed decides before anything happens.
//! Playing one draws from the world's chance only, so that a part can be left out.

use std::fmt;

use springtide::test::{Fault, Faults};
use springtide::{Accepting, Limits, Server};
use springtide_engine::EngineOptions;

use crate::chance::Chance;
use crate::script::{Rules, Script};
use crate::theme::Theme;

/// A history.
#[derive(Clone, Debug)]
pub struct History {
    pub(crate) seed: u64,
    pub(crate) settings: Settings,
    /// What each peer says; none for one that was left out.
    pub(crate) scripts: Vec<Option<Script>>,
    /// How many of them are there from the beginning; the others come when those have gone, one by
    /// one, as long as too little has happened.
    pub(crate) guests: usize,
    pub(crate) events: Vec<Event>,
    /// It is as it was drawn.
    pub(crate) is_whole: bool,
}

/// The server and the world.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) theme: Theme,
    pub(crate) shards: usize,
    pub(crate) accepting: Accepting,
    pub(crate) limits: Limits,
    pub(crate) engine: EngineOptions,
    /// How probable each fault is.
    pub(crate) faults: [f64; Fault::ALL.len()],
    pub(crate) descriptors_max: Option<usize>,
    /// Of so many of a thousand turns it is frozen before, or gives connections away.
    pub(crate) moves_per_mille: usize,
}

/// One thing that happens from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer writes so many bytes at most; at first it connects.
    Write(usize, usize),
    /// A peer reads so many bytes at most.
    Read(usize, usize),
    /// So many milliseconds pass.
    Pass(u64),
    /// Files change.
    Change,
    /// A shard stops, and hands over what it has.
    Retire(usize),
    /// A shard is frozen and thawed on another engine.
    Freeze(usize),
    /// So many connections of a shard move to another one.
    Share {
        /// Where they are.
        source: usize,
        /// Where they go.
        target: usize,
        /// How many, if there are so many.
        count: usize,
    },
    /// The whole server stops when it has answered what has begun.
    Drain,
    /// A turn of each shard.
    Turn,
}

/// The fewest and the most events of a history, with those that follow from its scripts when all
/// that were drawn have happened: what peers, files and shards do. Time that passes is none.
pub const EVENTS_MIN: usize = 50;
/// As [`EVENTS_MIN`].
pub const EVENTS_MAX: usize = 2_000;
/// The most events that are drawn.
const EVENTS_DRAWN_MAX: usize = 1_200;
/// The most shards of a server.
const SHARDS_MAX: usize = 3;
/// The most time that events let pass, so that no peer runs into a deadline by the history's pace.
const PASS_MS_MAX: u64 = 4_000;
/// The most peers of a history.
const PEERS_MAX: usize = 64;
/// Each peer does this much at least: it connects, and sees its end.
const ACTS_MIN: usize = 2;

impl History {
    /// The history of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let events = match chance.below(100) {
            0..30 => chance.between(100, 250),
            30..85 => chance.between(250, 600),
            _ => chance.between(600, EVENTS_DRAWN_MAX),
        };
        let peers = match chance.below(100) {
            0..50 => chance.between(2, 6),
            50..90 => chance.between(6, 20),
            _ => chance.between(20, PEERS_MAX),
        };
        let mut settings = Settings::draw(&mut chance, peers);
        settings.theme = Theme::of(seed);
        settings.theme.limit(seed, peers, &mut settings.limits);
        let rules = settings.rules();
        // A request takes about four events; a history whose peers say little has no fifty.
        let asks = (events / peers / 3).max(32 / peers).max(1);
        let scripts = (0..peers).map(|number| {
            let own = chance.between(asks.div_ceil(2), 2 * asks);
            Some(Script::draw(&mut chance, own, number, &rules))
        });
        let mut scripts: Vec<_> = scripts.collect();
        let events = draw_events(&mut chance, events, peers);
        // Where all are gone early, by a fault or refused, others come until enough has happened.
        for number in peers..PEERS_MAX.min(peers + EVENTS_MIN / ACTS_MIN) {
            let own = chance.between(4, 16);
            scripts.push(Some(Script::draw(&mut chance, own, number, &rules)));
        }
        Self { seed, settings, scripts, guests: peers, events, is_whole: true }
    }

    /// Whether nothing keeps replies from coming at once.
    pub(crate) fn is_calm(&self) -> bool {
        let theme = self.settings.theme;
        self.settings.is_calm() && !matches!(theme, Theme::Slow | Theme::Capped | Theme::Short)
    }

    /// How many events and requests, by which a smaller history is known.
    pub(crate) fn weight(&self) -> usize {
        let asks: usize = self.scripts.iter().flatten().map(|script| 1 + script.asks.len()).sum();
        self.events.len() + asks + self.settings.weight()
    }
}

impl Settings {
    /// How much of it is not usual.
    pub(crate) fn weight(&self) -> usize {
        let faults = self.faults.iter().filter(|probability| **probability > 0.0).count();
        faults + usize::from(self.moves_per_mille > 0)
    }

    /// Whether no fault and no limit keeps anything from coming at once.
    pub(crate) fn is_calm(&self) -> bool {
        self.faults.iter().all(|probability| *probability <= 0.0)
            && self.descriptors_max.is_none()
            && self.limits.connections_max == usize::MAX
    }

    /// Whether shards are frozen with these events, which drops the futures of handlers.
    pub(crate) fn may_freeze(&self, events: &[Event]) -> bool {
        self.moves_per_mille > 0
            || self.probability(Fault::Refused) > 0.0
            || events.iter().any(|event| matches!(event, Event::Freeze(_)))
    }

    /// A server as it is to be here.
    pub(crate) fn shape(&self, server: Server) -> Server {
        server.workers(self.shards).accepting(self.accepting).limits(self.limits.clone())
    }

    /// A line for each fault that may happen.
    pub(crate) fn write_faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in Fault::ALL {
            let probability = self.probability(fault);
            if probability > 0.0 {
                writeln!(f, "  fault {fault:?}: {probability}")?;
            }
        }
        Ok(())
    }
}

pub(crate) fn draw_events(chance: &mut Chance, count: usize, peers: usize) -> Vec<Event> {
    let mut passed_ms = 0;
    let mut events = Vec::with_capacity(count);
    // Most events concern a few peers at a time, as bursts do.
    let mut near = chance.below(peers);
    while events.len() < count {
        if chance.percent(15) {
            near = chance.below(peers);
        }
        let peer = if chance.percent(60) { near } else { chance.below(peers) };
        events.push(match chance.below(1_000) {
            0..600 => Event::Write(peer, amount(chance)),
            600..780 => Event::Read(peer, amount(chance) * 4),
            780..860 if passed_ms < PASS_MS_MAX => {
                let ms = 1 + chance.next() % 150;
                passed_ms += ms;
                Event::Pass(ms)
            }
            860..890 => Event::Change,
            890..896 => Event::Retire(chance.below(SHARDS_MAX)),
            896..912 => Event::Freeze(chance.below(SHARDS_MAX)),
            912..926 => Event::Share {
                source: chance.below(SHARDS_MAX),
                target: chance.below(SHARDS_MAX),
                count: chance.between(1, 4),
            },
            926..928 if events.len() > count / 2 && chance.percent(30) => Event::Drain,
            _ => Event::Turn,
        });
    }
    events
}

/// Bytes at a time: often one, often everything.
fn amount(chance: &mut Chance) -> usize {
    match chance.below(10) {
        0 => 1,
        1..6 => chance.between(1, 60),
        6..8 => chance.between(60, 400),
        8 => chance.between(400, 8_000),
        _ => usize::MAX / 8,
    }
}

impl Settings {
    pub(crate) fn draw(chance: &mut Chance, peers: usize) -> Self {
        let shards = chance.pick(&[1, 1, 1, 1, 2, 2, SHARDS_MAX]);
        let is_dealt = chance.percent(40);
        let accepting = if is_dealt { Accepting::OneShard } else { Accepting::EveryShard };
        let mut limits = draw_limits(chance, peers);
        if chance.percent(12) {
            limits.connections_max = chance.between(1, peers);
        }
        let descriptors_max =
            chance.percent(8).then(|| 6 * shards + chance.between(2, 4 + peers / 2));
        let engine = draw_engine(chance);
        let mut faults = [0.0; Fault::ALL.len()];
        if chance.percent(75) {
            for fault in Fault::ALL {
                let is_on = chance.percent(if fault == Fault::Reset { 15 } else { 45 });
                let probability = match fault {
                    Fault::Reset => chance.pick(&[0.002, 0.01]),
                    // Reads of files are few.
                    Fault::ShortRead | Fault::NoDescriptors => chance.pick(&[0.05, 0.2, 0.5]),
                    Fault::LeftBehind => chance.pick(&[0.05, 0.3, 0.9]),
                    // Of every turn; each ends all that is in flight.
                    Fault::Refused => chance.pick(&[0.002, 0.01, 0.05]),
                    _ => chance.pick(&[0.01, 0.05, 0.25]),
                };
                faults[fault as usize] = if is_on { probability } else { 0.0 };
            }
        }
        let moves_per_mille = if chance.percent(25) { chance.pick(&[3, 20, 150]) } else { 0 };
        let theme = Theme::Plain;
        Self { theme, shards, accepting, limits, engine, faults, descriptors_max, moves_per_mille }
    }

    pub(crate) fn faults(&self) -> Faults {
        let each = Fault::ALL.into_iter().zip(self.faults);
        each.fold(Faults::default(), |faults, (fault, probability)| faults.with(fault, probability))
    }

    pub(crate) fn probability(&self, fault: Fault) -> f64 {
        self.faults[fault as usize]
    }

    /// The limits that scripts go by.
    pub(crate) fn rules(&self) -> Rules {
        let http1 = &self.limits.http1;
        Rules {
            requests_max: usize::try_from(http1.requests_max).unwrap_or(usize::MAX),
            body_bytes_max: usize::try_from(http1.body_bytes_max).unwrap_or(usize::MAX),
            head_bytes_max: http1.head_bytes_max,
            fields_max: http1.fields_max,
            request_line_bytes_max: http1.request_line_bytes_max,
            theme: self.theme,
        }
    }
}

fn draw_limits(chance: &mut Chance, peers: usize) -> Limits {
    let mut limits = Limits::default();
    limits.http1.body_bytes_max = 160 << 10;
    limits.http1.request_line_bytes_max = 512;
    limits.http1.head_bytes_max = 2 << 10;
    limits.http1.fields_max = 24;
    // Peers that stop in the middle of a body are to wait for the one deadline, not for the other.
    limits.http1.body_rate_min = 0;
    if chance.percent(25) {
        limits.outbox_bytes_max = chance.between(1 << 10, 64 << 10);
    }
    if chance.percent(25) {
        limits.inbox_bytes_max = chance.between(1 << 8, 16 << 10);
    }
    if chance.percent(25) {
        limits.http1.exchanges_max = chance.pick(&[1, 2, 5]);
    }
    if chance.percent(15) {
        // With few peers that say little there would be no history to speak of.
        let few = if peers < 12 { 2 } else { 0 };
        limits.http1.requests_max = chance.pick(&[1, 2, 3, 7, 12][few..]);
    }
    limits
}

fn draw_engine(chance: &mut Chance) -> EngineOptions {
    let mut engine = EngineOptions { operations_max: 4096, ..EngineOptions::default() };
    if chance.percent(40) {
        engine.ring_chunks = chance.pick(&[1, 2, 8, 64]);
    }
    if chance.percent(20) {
        engine.cq_entries = chance.pick(&[1, 4, 32]);
    }
    engine
}

impl fmt::Display for History {
    /// One line for each part: the settings that are not usual, peers, events.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings {
            theme,
            shards,
            accepting,
            limits,
            engine,
            descriptors_max,
            moves_per_mille,
            ..
        } = &self.settings;
        writeln!(f, "seed {}: {shards} shard(s), {accepting:?}", self.seed)?;
        writeln!(
            f,
            "  limits: outbox {}, inbox {}, exchanges {}, requests {}, connections {}, \
             descriptors {descriptors_max:?}, ring {}, queue {}",
            limits.outbox_bytes_max,
            limits.inbox_bytes_max,
            limits.http1.exchanges_max,
            limits.http1.requests_max,
            limits.connections_max,
            engine.ring_chunks,
            engine.cq_entries,
        )?;
        writeln!(
            f,
            "  theme: {theme:?}, for an address {} connections, {} requests, then {} a second, memory {}",
            limits.connections_per_address_max,
            limits.requests_per_address_burst,
            limits.requests_per_address_rate,
            limits.memory_max,
        )?;
        writeln!(f, "  moves: {moves_per_mille} of 1000 turns")?;
        self.settings.write_faults(f)?;
        for (number, script) in self.scripts.iter().enumerate() {
            let Some(script) = script else { continue };
            writeln!(f, "  peer {number} ({} bytes), then {:?}:", script.bytes.len(), script.end)?;
            for (ask, manner) in &script.asks {
                writeln!(f, "    {ask:?} {manner:?}")?;
            }
        }
        for event in &self.events {
            writeln!(f, "  {event:?}")?;
        }
        Ok(())
    }
}
