//! Plays a history: the events first, then whatever is left until every peer has its end.
//! Every turn and every byte is held against the model; the first thing that is wrong ends it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use springtide::test::Fault;

use crate::coverage::Coverage;
use crate::failure::Failure;
use crate::history::{EVENTS_MAX, EVENTS_MIN, Event, History};
use crate::pace::{Outcome, Pace};
use crate::peer::{Actor, Allowed};
use crate::player::{LINGER, Player};
use crate::reader::Terms;
use crate::scene::Scene;
use crate::script::Script;
use crate::site::{ADDRESS, Call, Calls, server, write_files, write_moving};
use crate::theme::Theme;

/// What a history came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// The same after the same history.
    pub fingerprint: u64,
    /// What it has reached.
    pub coverage: Coverage,
}

/// The most events of a peer in a round: it writes and ends its stream, reads, and sees the end.
const ACTS_MAX: u64 = 5;
/// For how long a file may be sent from memory before it is looked at again.
const REVALIDATE_MS: u64 = 1000;

/// Plays a history.
///
/// # Errors
/// Something came out otherwise than the model says, or code panicked.
pub fn play(history: &History) -> Result<Played, Failure> {
    Failure::of("HTTP", || {
        let mut play = Play::new(history);
        play.play(&history.events)?;
        Ok(play.played())
    })
}

pub(crate) struct Play<'a> {
    pub(crate) history: &'a History,
    pub(crate) scene: Scene,
    pub(crate) calls: Calls,
    /// The calls of the present turn.
    pub(crate) called: Vec<Call>,
    /// How many, where their rate is limited.
    pub(crate) calls_total: u128,
    /// The futures that were called.
    pub(crate) futures: HashSet<u32>,
    /// Of each peer the last request that was handled, and how many were in this turn.
    pub(crate) handled: Vec<(Option<u32>, u32)>,
    pub(crate) actors: Vec<Option<Actor>>,
    /// How many of them are there.
    present: usize,
    /// When each version of the changing files came.
    versions: Vec<u64>,
    pub(crate) allowed: Allowed,
    /// The shard that each connection was last seen in, by its name.
    pub(crate) homes: HashMap<u64, usize>,
    /// The longest body of a reply.
    pub(crate) longest: usize,
    pub(crate) coverage: Coverage,
    sum: u64,
}

impl Pace for Play<'_> {
    fn scene(&mut self) -> &mut Scene {
        &mut self.scene
    }

    fn turn(&mut self, number: usize) -> Outcome {
        self.coverage.turns += 1;
        self.move_by_chance(number);
        self.scene.world.turn_shard(number);
        self.check_calls()?;
        self.check_limits(number)
    }
}

impl Player for Play<'_> {
    type Event = Event;

    fn happen(&mut self, event: Event) -> Outcome {
        let has_happened = match event {
            Event::Change => {
                self.versions.push(self.scene.now_ms());
                write_moving(&mut self.scene.world, self.versions.len() - 1);
                true
            }
            // Nobody could come any more.
            Event::Drain if self.coverage.events < EVENTS_MIN as u64 => false,
            Event::Drain if !self.scene.is_draining => {
                let due = self.actors.iter_mut().flatten().map(Actor::see_stop).sum();
                self.coverage.see_drained(due);
                self.happen_as_ever(event)?
            }
            Event::Retire(_) => {
                let has_stopped = self.happen_as_ever(event)?;
                if has_stopped {
                    self.coverage.see_stopped();
                }
                has_stopped
            }
            _ => self.happen_as_ever(event)?,
        };
        self.coverage.events += u64::from(has_happened);
        Ok(())
    }

    fn write(&mut self, peer: usize, count: usize) -> usize {
        let now_ms = self.scene.now_ms();
        let Some(Some(actor)) = self.actors.get_mut(peer) else { return 0 };
        if self.scene.is_draining && !actor.is_connected() {
            actor.is_over = true;
        }
        actor.write(count, &mut self.scene.world, now_ms)
    }

    fn read(&mut self, peer: usize, count: usize) -> Outcome<usize> {
        let (now_ms, allowed) = (self.scene.now_ms(), self.allowed);
        let Some(Some(actor)) = self.actors.get(peer) else { return Ok(0) };
        let terms = self.terms(peer, actor);
        let Some(Some(actor)) = self.actors.get_mut(peer) else { return Ok(0) };
        let told = |what: String| format!("peer {peer}: {what}");
        let mut acts = actor.read(count, terms, allowed, now_ms).map_err(told)?;
        acts += actor.look(terms, allowed, now_ms).map_err(told)?;
        if acts > 0 {
            let mut seen = [0; 40];
            let tail = actor.tail();
            seen[..tail.len()].copy_from_slice(tail);
            seen[32..].copy_from_slice(&(actor.read as u64 ^ (now_ms << 32)).to_le_bytes());
            self.mix(&seen);
        }
        Ok(acts)
    }

    fn peers(&self) -> usize {
        self.present
    }

    fn waiting(&self) -> Vec<usize> {
        let waiting = self.present().filter(|(_, actor)| !actor.is_over);
        waiting.map(|(number, _)| number).collect()
    }

    fn see_frozen(&mut self) {
        self.coverage.see_frozen();
    }

    fn see_acts(&mut self, acts: usize) {
        self.coverage.events += acts as u64;
    }

    /// A history has an end, also where peers have more to say: they go.
    fn rest(&mut self) -> Outcome {
        self.settle()?;
        let room = (EVENTS_MAX as u64).saturating_sub(self.coverage.events);
        if room >= ACTS_MAX * self.present as u64 {
            return Ok(());
        }
        let present = self.actors[..self.present].iter_mut().flatten();
        for actor in present.filter(|actor| !actor.is_over) {
            actor.go();
            self.coverage.events += 1;
        }
        self.settle()
    }

    /// Where all are gone and too little has happened one more comes. Where nothing keeps the server
    /// from it, it has done everything before time moves on.
    fn nudge(&mut self) -> Outcome<usize> {
        if !self.waiting().is_empty() {
            return self.check_prompt().map(|()| 0);
        }
        let is_enough = self.coverage.events >= EVENTS_MIN as u64;
        if is_enough || self.present == self.actors.len() {
            return Ok(0);
        }
        let script = self.history.scripts[self.present].as_ref();
        self.longest = self.longest.max(script.map_or(0, Script::longest_reply));
        self.present += 1;
        Ok(1)
    }

    fn wake(&self) -> Option<Duration> {
        let now_ms = self.scene.now_ms();
        let wakes = self.actors.iter().flatten().filter_map(Actor::wakes_ms);
        let wake_ms = wakes.filter(|wakes_ms| *wakes_ms > now_ms).min()?;
        Some(Duration::from_millis(wake_ms - now_ms))
    }

    /// Nothing is left, and the sums are right.
    fn check_end(&mut self) -> Outcome {
        self.coverage.peers = self.present().count() as u64;
        self.pass(LINGER)?;
        self.check_left(Duration::ZERO)?;
        self.check_sums()?;
        self.check_chunks()?;
        self.end()?;
        self.check_events()
    }
}

impl<'a> Play<'a> {
    fn new(history: &'a History) -> Self {
        let settings = &history.settings;
        let mut scene = Scene::new(history.seed, settings);
        write_files(&mut scene.world);
        let calls = Calls::default();
        let served = settings.shape(server(&calls));
        let proxies = settings.theme == Theme::Proxy;
        scene.serve(if proxies { served.listen(ADDRESS).expect("an address") } else { served });
        let is_short = settings.descriptors_max.is_some();
        let allowed = Allowed {
            is_calm: history.is_calm(),
            may_refuse: settings.limits.connections_max < usize::MAX
                || settings.limits.connections_per_address_max < usize::MAX,
            may_drop: settings.may_freeze(&history.events),
            may_shed: settings.limits.memory_max < usize::MAX,
            may_stall: settings.probability(Fault::Stalled) > 0.0,
            may_be_busy: is_short || settings.probability(Fault::NoDescriptors) > 0.0,
        };
        let scripts = history.scripts.iter();
        let guests = history.scripts[..history.guests].iter().flatten();
        Self {
            history,
            scene,
            calls,
            called: Vec::new(),
            calls_total: 0,
            futures: HashSet::new(),
            handled: vec![(None, 0); history.scripts.len()],
            actors: scripts.map(|script| script.clone().map(Actor::new)).collect(),
            present: history.guests,
            versions: vec![0],
            allowed,
            homes: HashMap::new(),
            longest: guests.map(Script::longest_reply).max().unwrap_or(0),
            coverage: Coverage::default(),
            sum: history.seed,
        }
    }

    /// What a history that is over came to.
    fn played(mut self) -> Played {
        self.coverage.histories = 1;
        self.coverage.events_range = Some((self.coverage.events, self.coverage.events));
        self.coverage.see_faults(self.scene.world.fault_counts());
        for actor in self.actors[..self.present].iter().flatten() {
            self.coverage.see_peer(actor);
        }
        let met = |name| self.scene.world.limits_met(name);
        self.coverage.see_met(met("connections_per_address_max"), met("memory_max"));
        let counts = self.scene.world.counts();
        self.mix(&counts.requests_total.to_le_bytes());
        self.mix(&counts.bytes_sent.to_le_bytes());
        let fingerprint = self.sum ^ self.scene.world.fingerprint();
        Played { fingerprint, coverage: self.coverage }
    }

    /// The peers that are there.
    pub(crate) fn present(&self) -> impl Iterator<Item = (usize, &Actor)> {
        let present = self.actors[..self.present].iter().enumerate();
        present.filter_map(|(number, actor)| actor.as_ref().map(|actor| (number, actor)))
    }

    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.sum = (self.sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    fn terms(&self, peer: usize, actor: &Actor) -> Terms {
        let since_ms = actor.asked_ms().saturating_sub(REVALIDATE_MS);
        let first = self.versions.iter().rposition(|at| *at < since_ms).unwrap_or(0);
        let last = self.versions.len() - 1;
        // A file that changes five times while it is read is given up.
        let may_be_busy = self.allowed.may_be_busy || last - first >= 1;
        let handled = self.handled[peer].0.map_or(0, |last| last as usize + 1);

        Terms {
            versions: (first, last),
            may_be_busy,
            is_draining: self.scene.is_draining,
            may_drop: self.allowed.may_drop,
            may_fail_upstream: !self.allowed.is_calm
                || self.allowed.may_drop
                || self.scene.is_stopping(),
            may_limit: self.scene.settings.theme == Theme::Capped,
            handled,
        }
    }

    /// What may move by chance at any turn's border does.
    fn move_by_chance(&mut self, number: usize) {
        if !self.scene.moves_by_chance() {
            return;
        }
        if self.scene.world.below(2) == 0 {
            self.freeze(number);
        } else {
            let (target, count) = (self.scene.any_shard(), 1 + self.scene.world.below(4));
            self.scene.share(number, target, count);
        }
    }
}
