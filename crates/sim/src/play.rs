//! Plays a history: the events first, then whatever is left until every peer has its end.
//! Every turn and every byte is held against the model; the first thing that is wrong ends it.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use springtide::test::{Fault, World};

use crate::coverage::Coverage;
use crate::history::{EVENTS_MAX, EVENTS_MIN, Event, History};
use crate::pace::{Outcome, Pace};
use crate::peer::{Actor, Allowed};
use crate::reader::Terms;
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

/// Why a history failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong, as a clause.
    pub what: String,
}

impl Failure {
    /// What is wrong without the numbers, nor what stood how: the same for a smaller history.
    pub(crate) fn kind(&self) -> String {
        let what = self.what.lines().next().unwrap_or_default();
        what.chars().filter(|letter| !letter.is_ascii_digit()).collect()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

/// The most events of a peer in a round: it writes and ends its stream, reads, and sees the end.
const ACTS_MAX: u64 = 5;
/// Virtual time after which a history must have ended.
const TIME_MAX: Duration = Duration::from_secs(3600);
/// How long a shard or server that stops waits for its connections.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1800);
/// The step by which time moves on while something may be late on its way to a peer.
pub(crate) const LATE: Duration = Duration::from_millis(500);
/// For how long a file may be sent from memory before it is looked at again.
const REVALIDATE_MS: u64 = 1000;

/// Plays a history.
///
/// # Errors
/// Something came out otherwise than the model says, or code panicked.
pub fn play(history: &History) -> Result<Played, Failure> {
    match catch_unwind(AssertUnwindSafe(|| Play::new(history).play())) {
        Ok(played) => played.map_err(|what| Failure { what }),
        Err(panic) => Err(Failure { what: text_of(&*panic) }),
    }
}

/// What a panic said.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("no text"))
}

pub(crate) struct Play<'a> {
    pub(crate) history: &'a History,
    pub(crate) world: World,
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
    is_draining: bool,
    has_retired: bool,
    /// The shard that each connection was last seen in, by its name.
    pub(crate) homes: HashMap<u64, usize>,
    /// The longest body of a reply.
    pub(crate) longest: usize,
    /// Descriptors that may be open when no peer is there.
    pub(crate) descriptors: usize,
    pub(crate) coverage: Coverage,
    sum: u64,
}

impl Pace for Play<'_> {
    fn world(&mut self) -> &mut World {
        &mut self.world
    }

    fn shards(&self) -> usize {
        self.history.settings.shards
    }

    fn turn(&mut self, number: usize) -> Outcome {
        self.coverage.turns += 1;
        self.move_by_chance(number);
        self.world.turn_shard(number);
        self.check_calls()?;
        self.check_limits(number)
    }
}

impl<'a> Play<'a> {
    fn new(history: &'a History) -> Self {
        let settings = &history.settings;
        let mut world = World::new(history.seed);
        world.set_engine_options(settings.engine.clone());
        write_files(&mut world);
        let calls = Calls::default();
        let served = server(&calls)
            .workers(settings.shards)
            .accepting(settings.accepting)
            .limits(settings.limits.clone());
        let proxies = settings.theme == Theme::Proxy;
        world.serve(if proxies { served.listen(ADDRESS).expect("an address") } else { served });
        world.set_faults(settings.faults());
        if let Some(descriptors_max) = settings.descriptors_max {
            world.simulated().set_descriptors_max(descriptors_max);
        }
        let is_short = settings.descriptors_max.is_some();
        let allowed = Allowed {
            is_calm: history.is_calm(),
            may_refuse: settings.limits.connections_max < usize::MAX
                || settings.limits.connections_per_address_max < usize::MAX,
            may_drop: history.may_freeze(),
            may_shed: settings.limits.memory_max < usize::MAX,
            may_stall: settings.probability(Fault::Stalled) > 0.0,
            may_be_busy: is_short || settings.probability(Fault::NoDescriptors) > 0.0,
        };
        let scripts = history.scripts.iter();
        let guests = history.scripts[..history.guests].iter().flatten();
        // Each shard that ever paused keeps one in reserve, also when it has no listener.
        let descriptors = world.descriptors_open().max(2 * settings.shards + 1);
        Self {
            history,
            world,
            calls,
            called: Vec::new(),
            calls_total: 0,
            futures: HashSet::new(),
            handled: vec![(None, 0); history.scripts.len()],
            actors: scripts.map(|script| script.clone().map(Actor::new)).collect(),
            present: history.guests,
            versions: vec![0],
            allowed,
            is_draining: false,
            has_retired: false,
            homes: HashMap::new(),
            longest: guests.map(Script::longest_reply).max().unwrap_or(0),
            descriptors,
            coverage: Coverage::default(),
            sum: history.seed,
        }
    }

    fn play(mut self) -> Outcome<Played> {
        for event in &self.history.events {
            let has_happened = self.happen(*event)?;
            self.coverage.events += u64::from(has_happened);
            if *event != Event::Turn && self.world.below(2) == 0 {
                let number = self.world.below(self.history.settings.shards);
                self.turn(number)?;
            }
        }
        self.go_on_to_the_end()?;
        self.coverage.peers = self.present().count() as u64;
        self.check_end()?;
        self.check_events()?;
        self.coverage.histories = 1;
        self.coverage.events_range = Some((self.coverage.events, self.coverage.events));
        self.coverage.see_faults(self.world.fault_counts());
        for actor in self.actors[..self.present].iter().flatten() {
            self.coverage.see_peer(actor);
        }
        let met = |name| self.world.limits_met(name);
        self.coverage.see_met(met("connections_per_address_max"), met("memory_max"));
        let counts = self.world.counts();
        self.mix(&counts.requests_total.to_le_bytes());
        self.mix(&counts.bytes_sent.to_le_bytes());
        let fingerprint = self.sum ^ self.world.fingerprint();
        Ok(Played { fingerprint, coverage: self.coverage })
    }

    /// The peers that are there.
    pub(crate) fn present(&self) -> impl Iterator<Item = (usize, &Actor)> {
        let present = self.actors[..self.present].iter().enumerate();
        present.filter_map(|(number, actor)| actor.as_ref().map(|actor| (number, actor)))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.world.now().as_millis()).unwrap_or(u64::MAX)
    }

    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.sum = (self.sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    /// One event; false when it found nothing to do.
    fn happen(&mut self, event: Event) -> Outcome<bool> {
        match event {
            Event::Write(peer, count) => return Ok(self.write(peer, count) > 0),
            Event::Read(peer, count) => return Ok(self.read(peer, count)? > 0),
            Event::Pass(ms) => {
                self.pass(Duration::from_millis(ms))?;
                return Ok(false);
            }
            Event::Change => {
                self.versions.push(self.now_ms());
                write_moving(&mut self.world, self.versions.len() - 1);
            }
            Event::Retire(number) => return Ok(self.retire(number)),
            Event::Freeze(number) => return Ok(self.freeze(number)),
            Event::Share { source, target, count } => return Ok(self.share(source, target, count)),
            // Nobody could come any more.
            Event::Drain if self.coverage.events < EVENTS_MIN as u64 => return Ok(false),
            Event::Drain => {
                if !std::mem::replace(&mut self.is_draining, true) {
                    let due = self.actors.iter_mut().flatten().map(Actor::see_stop).sum();
                    self.coverage.see_drained(due);
                }
                self.world.stop(PATIENCE);
            }
            Event::Turn => {
                self.round()?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write(&mut self, peer: usize, count: usize) -> usize {
        let now_ms = self.now_ms();
        let Some(Some(actor)) = self.actors.get_mut(peer) else { return 0 };
        if self.is_draining && !actor.is_connected() {
            actor.is_over = true;
        }
        actor.write(count, &mut self.world, now_ms)
    }

    fn read(&mut self, peer: usize, count: usize) -> Outcome<usize> {
        let (now_ms, allowed) = (self.now_ms(), self.allowed);
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

    fn terms(&self, peer: usize, actor: &Actor) -> Terms {
        let since_ms = actor.asked_ms().saturating_sub(REVALIDATE_MS);
        let first = self.versions.iter().rposition(|at| *at < since_ms).unwrap_or(0);
        let last = self.versions.len() - 1;
        // A file that changes five times while it is read is given up.
        let may_be_busy = self.allowed.may_be_busy || last - first >= 1;
        let handled = self.handled[peer].0.map_or(0, |last| last as usize + 1);
        let has_ends = self.is_draining || self.has_retired;
        Terms {
            versions: (first, last),
            may_be_busy,
            is_draining: self.is_draining,
            may_drop: self.allowed.may_drop,
            may_fail_upstream: !self.allowed.is_calm || self.allowed.may_drop || has_ends,
            may_limit: self.history.settings.theme == Theme::Capped,
            handled,
        }
    }

    fn is_running(&self, number: usize) -> bool {
        number < self.history.settings.shards && self.world.engine_stats(number).is_some()
    }

    /// Stops a shard, if another one goes on and none is about to stop.
    fn retire(&mut self, number: usize) -> bool {
        let shards = self.history.settings.shards;
        let is_possible = shards > 1 && number < shards && !self.is_draining && !self.has_retired;
        if is_possible {
            self.has_retired = true;
            self.world.stop_shard(number, PATIENCE);
            self.coverage.see_stopped();
        }
        is_possible
    }

    /// Freezes a shard at a turn's border, and thaws it on another engine (law 10).
    fn freeze(&mut self, number: usize) -> bool {
        let is_possible = self.is_running(number);
        if is_possible {
            self.world.freeze_shard(number);
            self.coverage.see_frozen();
        }
        is_possible
    }

    /// Asks a shard for connections, which go to another one. Either may be about to end.
    fn share(&mut self, source: usize, target: usize, count: usize) -> bool {
        let is_possible = source != target && self.is_running(source) && self.is_running(target);
        if is_possible {
            self.world.share(source, target, count);
        }
        is_possible
    }

    /// What may move by chance at any turn's border does.
    fn move_by_chance(&mut self, number: usize) {
        let settings = &self.history.settings;
        let (shards, per_mille) = (settings.shards, settings.moves_per_mille);
        if per_mille == 0 || self.world.below(1000) >= per_mille {
            return;
        }
        if self.world.below(2) == 0 {
            self.freeze(number);
        } else {
            let (target, count) = (self.world.below(shards), 1 + self.world.below(4));
            self.share(number, target, count);
        }
    }

    /// Everybody does all that can be done, and time moves on from deadline to deadline.
    fn go_on_to_the_end(&mut self) -> Outcome {
        loop {
            self.settle()?;
            let room = (EVENTS_MAX as u64).saturating_sub(self.coverage.events);
            if room < ACTS_MAX * self.present as u64 {
                self.leave();
                return self.settle();
            }
            let mut acts = 0;
            for peer in 0..self.present {
                acts += self.write(peer, usize::MAX / 8);
                acts += self.read(peer, usize::MAX)?;
            }
            self.coverage.events += acts as u64;
            if acts > 0 {
                continue;
            }
            if self.present().all(|(_, actor)| actor.is_over) {
                let is_enough = self.coverage.events >= EVENTS_MIN as u64;
                if is_enough || self.present == self.actors.len() {
                    return Ok(());
                }
                self.bring_one_more();
                continue;
            }
            self.check_prompt()?;
            if self.world.now() > TIME_MAX {
                return Err(self.stuck());
            }
            self.jump()?;
        }
    }

    fn bring_one_more(&mut self) {
        let script = self.history.scripts[self.present].as_ref();
        self.longest = self.longest.max(script.map_or(0, Script::longest_reply));
        self.present += 1;
    }

    /// A history has an end, also where peers have more to say: they go.
    fn leave(&mut self) {
        let present = self.actors[..self.present].iter_mut().flatten();
        for actor in present.filter(|actor| !actor.is_over) {
            actor.go();
            self.coverage.events += 1;
        }
    }

    /// Moves time on to the next moment at which anything happens.
    fn jump(&self) -> Outcome {
        let world = self.world.simulated();
        let now_ms = self.now_ms();
        let wakes = self.actors.iter().flatten().filter_map(Actor::wakes_ms);
        let wake = wakes.filter(|wakes_ms| *wakes_ms > now_ms).min();
        let wake = wake.map(|wakes_ms| Duration::from_millis(wakes_ms - now_ms));
        let next = world.next_moment().map(|next| next.since(world.now()));
        // What is late on its way to a peer is nobody's deadline.
        let late = self.allowed.may_stall.then_some(LATE);
        match next.into_iter().chain(wake).chain(late).min() {
            Some(step) => world.advance(step.max(Duration::from_nanos(1))),
            None => return Err(self.stuck()),
        }
        Ok(())
    }

    fn stuck(&self) -> String {
        let waiting = self.present().filter(|(_, actor)| !actor.is_over);
        let waiting: Vec<_> = waiting.map(|(number, _)| number).collect();
        format!("these peers wait for ever: {waiting:?}")
    }
}
