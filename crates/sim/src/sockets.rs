//! Histories of WebSockets and topics: one seed in five has one besides.
//! What each peer is sent is held against what the handlers were told and said, and what they were told
//! against what the peers say: each message once at most, to the byte, in order, and counted.

mod client;
mod due;
mod guest;
mod heard;
mod history;
mod judge;
mod marks;
mod script;
mod served;
mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use springtide::Topics;
use springtide::test::{Fault, World};

use crate::coverage::Coverage;
use crate::history::{Event as Common, Settings};
use crate::oracle::LINGER;
use crate::pace::{Outcome, Pace};
use crate::play::{Failure, LATE, PATIENCE, text_of};
use guest::Guest;
use history::SALT;
pub use history::{Event, History};
pub(crate) use marks::{Counts, MARKS, Mark};
use script::{NAMES, TOPICS};
use told::{At, BY_NAME, By, PLAYER, Told};

/// Virtual time after which a history must have ended.
const TIME_MAX: Duration = Duration::from_secs(1800);

/// Plays the history of a seed, if it has one; gives what is the same after the same history.
///
/// # Errors
/// Something came out otherwise than the model says, or code panicked.
pub fn play(seed: u64, coverage: &mut Coverage) -> Result<u64, Failure> {
    let Some(history) = History::of(seed) else { return Ok(0) };
    let (marks, fingerprint) = Play::of(&history)?;
    coverage.see_sockets(&marks);
    Ok(fingerprint)
}

struct Play {
    settings: Settings,
    events: Vec<Event>,
    world: World,
    topics: Topics,
    told: Told,
    guests: BTreeMap<u32, Guest>,
    is_calm: bool,
    may_stall: bool,
    is_flood: bool,
    is_stopping: bool,
    descriptors: usize,
}

impl Pace for Play {
    fn world(&mut self) -> &mut World {
        &mut self.world
    }

    fn shards(&self) -> usize {
        self.settings.shards
    }

    fn turn(&mut self, number: usize) -> Outcome {
        let per_mille = self.settings.moves_per_mille;
        if per_mille > 0 && self.world.below(1000) < per_mille {
            self.freeze(number);
        }
        let ms = self.now_ms();
        {
            let mut log = self.told.log();
            (log.now.ms, log.turning) = (ms, Some(number));
            log.now.turn += 1;
        }
        self.world.turn_shard(number);
        let mut log = self.told.log();
        log.turning = None;
        log.check()
    }
}

impl Play {
    /// Plays a history: what was reached, and what is the same after the same one.
    fn of(history: &History) -> Result<(Counts, u64), Failure> {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut play = Self::new(history);
            play.play().map_err(|what| format!("{what}\n{play}"))?;
            let marks = play.told.log().marks.clone();
            Ok((marks, play.world.fingerprint()))
        }));
        let played =
            played.unwrap_or_else(|panic| Err(format!("WebSockets, {}", text_of(&*panic))));
        played.map_err(|what| Failure { what })
    }

    fn new(history: &History) -> Self {
        let History { seed, settings, events, is_flood, .. } = history;
        let told = Told::default();
        for (number, plan) in &history.plans {
            let (way, overflow) = (plan.route.way, plan.route.overflow);
            told.log().add(*number, way, overflow, plan.script.says().cloned().collect());
        }
        let mut world = World::new(seed ^ SALT);
        world.set_engine_options(settings.engine.clone());
        let server = served::server(&told).workers(settings.shards);
        let server = server.accepting(settings.accepting).limits(settings.limits.clone());
        let topics = server.topics();
        world.serve(server);
        world.set_faults(settings.faults());
        if let Some(descriptors_max) = settings.descriptors_max {
            world.simulated().set_descriptors_max(descriptors_max);
        }
        let is_calm = settings.faults.iter().all(|probability| *probability <= 0.0)
            && settings.descriptors_max.is_none()
            && settings.limits.connections_max == usize::MAX;
        // Each shard that ever paused keeps one in reserve, also when it has no listener.
        let descriptors = world.descriptors_open().max(2 * settings.shards + 1);
        Self {
            settings: settings.clone(),
            events: events.clone(),
            world,
            topics,
            told,
            guests: history.guests(),
            is_calm,
            may_stall: settings.probability(Fault::Stalled) > 0.0,
            is_flood: *is_flood,
            is_stopping: false,
            descriptors,
        }
    }

    fn play(&mut self) -> Outcome {
        for event in std::mem::take(&mut self.events) {
            self.happen(event)?;
            if event != Event::Common(Common::Turn) && self.world.below(2) == 0 {
                let number = self.world.below(self.settings.shards);
                self.turn(number)?;
            }
        }
        self.go_on_to_the_end()?;
        self.check_end()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.world.now().as_millis()).unwrap_or(u64::MAX)
    }

    /// This moment, before the next thing that is said.
    fn at(&self) -> At {
        let mut log = self.told.log();
        log.now.position += 1;
        log.now
    }

    /// Nothing is on its way from one handler to another.
    fn rest(&mut self) -> Outcome {
        self.settle()?;
        self.told.log().now.epoch += 1;
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Outcome {
        let ms = self.now_ms();
        self.told.log().now.ms = ms;
        match event {
            Event::Common(event) => return self.happen_as_ever(event),
            Event::Clog(peer) => _ = self.clog(peer, true),
            Event::Resume(peer) => _ = self.clog(peer, false),
            Event::Publish(topic, count, len) => self.publish(topic, count, len),
            Event::Broadcast(len) => self.broadcast(len),
            Event::Say(peer) => self.say(peer),
        }
        Ok(())
    }

    fn happen_as_ever(&mut self, event: Common) -> Outcome {
        match event {
            Common::Write(peer, count) => _ = self.write(peer, count),
            Common::Read(peer, count) => _ = self.read(peer, count)?,
            Common::Pass(ms) => {
                self.pass(Duration::from_millis(ms))?;
                self.rest()?;
            }
            Common::Retire(number) if self.settings.shards > 1 && !self.is_stopping => {
                if number < self.settings.shards {
                    self.is_stopping = true;
                    self.world.stop_shard(number, PATIENCE);
                }
            }
            Common::Freeze(number) => self.freeze(number),
            Common::Share { source, target, count } if source != target => {
                if self.is_running(source) && self.is_running(target) {
                    self.world.share(source, target, count);
                }
            }
            Common::Drain => {
                self.is_stopping = true;
                self.world.stop(PATIENCE);
            }
            Common::Turn => self.round()?,
            Common::Change | Common::Retire(_) | Common::Share { .. } => {}
        }
        Ok(())
    }

    fn is_running(&self, number: usize) -> bool {
        number < self.settings.shards && self.world.engine_stats(number).is_some()
    }

    fn freeze(&mut self, number: usize) {
        if self.is_running(number) {
            self.world.freeze_shard(number);
            self.told.mark(Mark::Frozen);
        }
    }

    fn guest(&mut self, peer: usize) -> Option<&mut Guest> {
        self.guests.get_mut(&u32::try_from(peer).ok()?)
    }

    fn clog(&mut self, peer: usize, is_clogged: bool) -> usize {
        let (at, told) = (self.at(), self.told.clone());
        self.guest(peer).map_or(0, |guest| guest.clog(is_clogged, at, &told))
    }

    /// Somebody outside publishes.
    fn publish(&self, topic: usize, count: usize, len: usize) {
        for _ in 0..count {
            let (at, message) = self.told.publish(PLAYER, topic, len, None, Vec::new());
            let refused = self.topics.publish(TOPICS[topic], message);
            self.told.refuse(at, refused);
        }
    }

    /// To some of those who are there, and some who are not any more.
    fn broadcast(&mut self, len: usize) {
        let known: Vec<_> = {
            let log = self.told.log();
            log.own.iter().filter_map(|(number, own)| Some((*number, own.id?))).collect()
        };
        let named: Vec<_> = known.into_iter().filter(|_| self.world.below(3) > 0).collect();
        let numbers = named.iter().map(|(number, _)| *number).collect();
        let (at, message) = self.told.publish(PLAYER, BY_NAME, len, None, numbers);
        let refused = self.topics.broadcast(named.into_iter().map(|(_, id)| id), message);
        self.told.refuse(at, refused);
        self.told.mark(Mark::Broadcast);
    }

    /// A thread outside says something to a connection that it was given.
    fn say(&self, peer: usize) {
        let number = u32::try_from(peer).unwrap_or(u32::MAX);
        let remote = self.told.log().own.get(&number).and_then(|own| own.remote.clone());
        let Some(remote) = remote else { return };
        for len in [20, 200, 2_000] {
            let message = self.told.say(number, By::Outside, len);
            if remote.send(message).is_err() {
                return self.told.unsay(number);
            }
        }
    }

    fn write(&mut self, peer: usize, count: usize) -> usize {
        let (now_ms, may_come) = (self.now_ms(), !self.is_stopping);
        let told = self.told.clone();
        let Some(guest) = u32::try_from(peer).ok().and_then(|peer| self.guests.get_mut(&peer))
        else {
            return 0;
        };
        if !may_come && !guest.is_connected() {
            guest.is_over = true;
        }
        guest.write(count, &mut self.world, now_ms, &told)
    }

    fn read(&mut self, peer: usize, count: usize) -> Outcome<usize> {
        let (told, most) = (self.told.clone(), self.settings.limits.socket_queue_bytes_max);
        let Some(guest) = self.guest(peer) else { return Ok(0) };
        let read = guest.read(count, &told, most)?;
        Ok(read + guest.look(&told, most)?)
    }

    /// Everybody does all that can be done, and time moves on from deadline to deadline.
    fn go_on_to_the_end(&mut self) -> Outcome {
        let peers: Vec<usize> = self.guests.keys().map(|number| *number as usize).collect();
        loop {
            self.rest()?;
            let mut acts = 0;
            for peer in &peers {
                acts += self.write(*peer, usize::MAX / 8);
                acts += self.read(*peer, usize::MAX)?;
            }
            if acts == 0 {
                acts = self.unclog(&peers)?;
            }
            if acts > 0 {
                continue;
            }
            if self.guests.values().all(|guest| guest.is_over) {
                return Ok(());
            }
            if self.finish()? > 0 {
                continue;
            }
            if self.world.now() > TIME_MAX {
                return Err("peers wait for ever".to_owned());
            }
            let late = self.may_stall.then_some(LATE);
            let world = self.world.simulated();
            let next = world.next_moment().map(|next| next.since(world.now()));
            let Some(step) = next.into_iter().chain(late).min() else {
                return Err("peers wait, and nothing will happen".to_owned());
            };
            world.advance(step.max(Duration::from_nanos(1)));
            let ms = self.now_ms();
            self.told.log().now.ms = ms;
        }
    }

    /// Those who read nothing do so again, in an order by chance, each before the next.
    fn unclog(&mut self, peers: &[usize]) -> Outcome<usize> {
        let mut clogged: Vec<usize> = peers.to_vec();
        let mut acts = 0;
        while !clogged.is_empty() {
            let next = self.world.below(clogged.len());
            let peer = clogged.swap_remove(next);
            if self.clog(peer, false) > 0 {
                acts += 1 + self.read(peer, usize::MAX)?;
                self.rest()?;
            }
        }
        Ok(acts)
    }

    /// Nothing more comes by itself: what must have come is there, and everybody ends who does so then.
    fn finish(&mut self) -> Outcome<usize> {
        if self.is_calm {
            self.check_lull()?;
        }
        let told = self.told.clone();
        Ok(self.guests.values_mut().map(|guest| guest.finish(&told)).sum())
    }

    /// Nothing is left, and everybody was told of it.
    fn check_end(&mut self) -> Outcome {
        self.pass(LINGER)?;
        let open = self.world.counts().connections_open;
        if open > 0 {
            // A peer may have gone unnoticed: it is asked.
            self.pass(Duration::from_secs(120))?;
        }
        let (open, descriptors) =
            (self.world.counts().connections_open, self.world.descriptors_open());
        if open > 0 || descriptors > self.descriptors {
            return Err(format!("{open} connections and {descriptors} descriptors are left"));
        }
        self.judge_all()?;
        for name in NAMES {
            let left = self.topics.topic(name).subscribers;
            if left > 0 {
                return Err(format!("{left} subscriptions of {name} are left"));
            }
        }
        self.world.stop(PATIENCE);
        self.pass(LINGER)?;
        let (running, descriptors) = (self.world.shards_running(), self.world.descriptors_open());
        if running > 0 || descriptors > 0 {
            return Err(format!("{running} shards and {descriptors} descriptors are left"));
        }
        let futures = self.told.log().futures;
        if futures > 0 || self.told.held() > 0 {
            let held = self.told.held();
            return Err(format!("{futures} futures and {held} messages are left"));
        }
        self.told.log().check()
    }
}

impl fmt::Display for Play {
    /// How far everybody has come.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.told.log();
        for (number, guest) in &self.guests {
            writeln!(f, "  {}", guest.stand())?;
            let own = &log.own[number];
            let said = [own.said[0].len(), own.said[1].len()];
            writeln!(f, "    told {}, said {said:?}, ended {:?}", own.heard, own.closed)?;
        }
        Ok(())
    }
}
