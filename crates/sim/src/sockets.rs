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
use std::time::Duration;

use springtide::Topics;

use crate::history::Event as Common;
use crate::pace::{Outcome, Pace};
use crate::player::{LINGER, Player};
use crate::scene::Scene;
use crate::side::{Side as _, SideHistory};
use guest::Guest;
use history::Event;
pub(crate) use history::Sockets;
pub(crate) use marks::{Counts, MARKS, Mark};
use script::{NAMES, TOPICS};
use told::{At, BY_NAME, By, PLAYER, Told};

pub(crate) struct Play {
    scene: Scene,
    topics: Topics,
    told: Told,
    guests: BTreeMap<u32, Guest>,
    is_calm: bool,
    is_flood: bool,
}

impl Pace for Play {
    fn scene(&mut self) -> &mut Scene {
        &mut self.scene
    }

    fn turn(&mut self, number: usize) -> Outcome {
        if self.scene.moves_by_chance() {
            self.freeze(number);
        }
        {
            let mut log = self.told.log();
            (log.now.ms, log.turning) = (self.scene.now_ms(), Some(number));
            log.now.turn += 1;
        }
        self.scene.world.turn_shard(number);
        let mut log = self.told.log();
        log.turning = None;
        log.check()
    }
}

impl Player for Play {
    type Event = Event;

    fn happen(&mut self, event: Event) -> Outcome {
        match event {
            Event::Common(event) => {
                self.happen_as_ever(event)?;
                if matches!(event, Common::Pass(_)) {
                    self.rest()?;
                }
            }
            Event::Clog(peer) => _ = self.clog(peer, true),
            Event::Resume(peer) => _ = self.clog(peer, false),
            Event::Publish(topic, count, len) => self.publish(topic, count, len),
            Event::Broadcast(len) => self.broadcast(len),
            Event::Say(peer) => self.say(peer),
        }
        Ok(())
    }

    fn write(&mut self, peer: usize, count: usize) -> usize {
        let (now_ms, told) = (self.scene.now_ms(), self.told.clone());
        let number = u32::try_from(peer).unwrap_or(u32::MAX);
        let Some(guest) = self.guests.get_mut(&number) else { return 0 };
        // Who stops may have nobody who listens any more.
        if self.scene.is_stopping() && !guest.is_connected() {
            guest.is_over = true;
        }
        guest.write(count, &mut self.scene.world, now_ms, &told)
    }

    fn read(&mut self, peer: usize, count: usize) -> Outcome<usize> {
        let told = self.told.clone();
        let most = self.scene.settings.limits.socket_queue_bytes_max;
        let Some(guest) = self.guest(peer) else { return Ok(0) };
        let read = guest.read(count, &told, most)?;
        Ok(read + guest.look(&told, most)?)
    }

    fn peers(&self) -> usize {
        Sockets::PEERS_MAX
    }

    fn waiting(&self) -> Vec<usize> {
        let waiting = self.guests.iter().filter(|(_, guest)| !guest.is_over);
        waiting.map(|(number, _)| *number as usize).collect()
    }

    fn see_frozen(&mut self) {
        self.told.mark(Mark::Frozen);
    }

    /// Nothing is on its way from one handler to another.
    fn rest(&mut self) -> Outcome {
        self.settle()?;
        self.told.log().now.epoch += 1;
        Ok(())
    }

    /// Those who read nothing do so again. When all do nothing more comes by itself: what must have come
    /// is there, and everybody ends who does so then.
    fn nudge(&mut self) -> Outcome<usize> {
        let acts = self.unclog()?;
        if acts > 0 || self.waiting().is_empty() {
            return Ok(acts);
        }
        if self.is_calm {
            self.check_lull()?;
        }
        let told = self.told.clone();
        Ok(self.guests.values_mut().map(|guest| guest.finish(&told)).sum())
    }

    /// Nothing is left, and everybody was told of it.
    fn check_end(&mut self) -> Outcome {
        self.pass(LINGER)?;
        // A peer may have gone unnoticed: it is asked.
        self.check_left(Duration::from_secs(120))?;
        self.judge_all()?;
        for name in NAMES {
            let left = self.topics.topic(name).subscribers;
            if left > 0 {
                return Err(format!("{left} subscriptions of {name} are left"));
            }
        }
        self.end()?;
        let (futures, held) = (self.told.log().futures, self.told.held());
        if futures > 0 || held > 0 {
            return Err(format!("{futures} futures and {held} messages are left"));
        }
        self.told.log().check()
    }
}

impl Play {
    fn new(history: &SideHistory<Sockets>) -> Self {
        let SideHistory { side: Sockets { is_flood }, seed, settings, plans, .. } = history;
        let told = Told::default();
        for plan in plans.values() {
            let (way, overflow) = (plan.route.way, plan.route.overflow);
            told.log().add(plan.number, way, overflow, plan.script.says().cloned().collect());
        }
        let mut scene = Scene::new(seed ^ Sockets::SALT, settings);
        let server = settings.shape(served::server(&told));
        let topics = server.topics();
        scene.serve(server);
        let guests = plans.values().map(|plan| (plan.number, Guest::new(plan.clone())));
        let (guests, is_calm, is_flood) = (guests.collect(), settings.is_calm(), *is_flood);
        Self { scene, topics, told, guests, is_calm, is_flood }
    }

    /// This moment, before the next thing that is said.
    fn at(&self) -> At {
        let mut log = self.told.log();
        log.now.position += 1;
        log.now
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
        let named: Vec<_> = known.into_iter().filter(|_| self.scene.world.below(3) > 0).collect();
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

    /// Those who read nothing do so again, in an order by chance, each before the next.
    fn unclog(&mut self) -> Outcome<usize> {
        let mut clogged: Vec<usize> = self.guests.keys().map(|number| *number as usize).collect();
        let mut acts = 0;
        while !clogged.is_empty() {
            let next = self.scene.world.below(clogged.len());
            let peer = clogged.swap_remove(next);
            if self.clog(peer, false) > 0 {
                acts += 1 + self.read(peer, usize::MAX)?;
                self.rest()?;
            }
        }
        Ok(acts)
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
