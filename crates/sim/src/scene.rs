//! The scene of a history: its world with the server in it, and what happens to the whole server.
//! It plays no peer, and decides nothing but what a world's chance does.

use std::time::Duration;

use springtide::Server;
use springtide::test::{Fault, World};

use crate::history::Settings;

/// How long a shard or server that stops waits for its connections.
const PATIENCE: Duration = Duration::from_secs(1800);
/// The step by which time moves on while something may be late on its way to a peer.
const LATE: Duration = Duration::from_millis(500);

/// A world, and the server in it.
pub(crate) struct Scene {
    pub(crate) settings: Settings,
    pub(crate) world: World,
    /// The whole server stops.
    pub(crate) is_draining: bool,
    has_retired: bool,
    /// How many may be open when no peer is there.
    descriptors: usize,
}

impl Scene {
    /// A world in which nobody serves yet.
    pub(crate) fn new(seed: u64, settings: &Settings) -> Self {
        let mut world = World::new(seed);
        world.set_engine_options(settings.engine.clone());
        let settings = settings.clone();
        Self { settings, world, is_draining: false, has_retired: false, descriptors: 0 }
    }

    /// Starts a server that has the settings, with all faults.
    pub(crate) fn serve(&mut self, server: Server) {
        self.world.serve(server);
        self.world.set_faults(self.settings.faults());
        if let Some(descriptors_max) = self.settings.descriptors_max {
            self.world.simulated().set_descriptors_max(descriptors_max);
        }
        // Each shard that ever paused keeps one in reserve, also when it has no listener.
        self.descriptors = self.world.descriptors_open().max(2 * self.settings.shards + 1);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.world.now().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether a shard of the server, or all of it, stops or has stopped.
    pub(crate) const fn is_stopping(&self) -> bool {
        self.is_draining || self.has_retired
    }

    /// A number of a shard, by chance.
    pub(crate) fn any_shard(&mut self) -> usize {
        self.world.below(self.settings.shards)
    }

    /// Whether a shard, or what is in it, moves before this turn.
    pub(crate) fn moves_by_chance(&mut self) -> bool {
        let per_mille = self.settings.moves_per_mille;
        per_mille > 0 && self.world.below(1000) < per_mille
    }

    fn is_running(&self, number: usize) -> bool {
        number < self.settings.shards && self.world.engine_stats(number).is_some()
    }

    /// Stops a shard, if another one goes on and none is about to stop.
    pub(crate) fn retire(&mut self, number: usize) -> bool {
        let shards = self.settings.shards;
        let is_possible = shards > 1 && number < shards && !self.is_stopping();
        if is_possible {
            self.has_retired = true;
            self.world.stop_shard(number, PATIENCE);
        }
        is_possible
    }

    /// Freezes a shard at a turn's border, and thaws it on another engine (law 10).
    pub(crate) fn freeze(&mut self, number: usize) -> bool {
        let is_possible = self.is_running(number);
        if is_possible {
            self.world.freeze_shard(number);
        }
        is_possible
    }

    /// Asks a shard for connections, which go to another one. Either may be about to end.
    pub(crate) fn share(&mut self, source: usize, target: usize, count: usize) -> bool {
        let is_possible = source != target && self.is_running(source) && self.is_running(target);
        if is_possible {
            self.world.share(source, target, count);
        }
        is_possible
    }

    /// The whole server stops when it has answered what has begun.
    pub(crate) fn drain(&mut self) {
        self.is_draining = true;
        self.stop();
    }

    /// The same when the history is over, which is no part of it any more.
    pub(crate) fn stop(&mut self) {
        self.world.stop(PATIENCE);
    }

    /// Moves time on to the next moment at which anything happens, or somebody outside wakes; false
    /// where nothing ever will.
    pub(crate) fn jump(&self, wake: Option<Duration>) -> bool {
        let world = self.world.simulated();
        let next = world.next_moment().map(|next| next.since(world.now()));
        // What is late on its way to a peer is nobody's deadline.
        let late = (self.settings.probability(Fault::Stalled) > 0.0).then_some(LATE);
        let Some(step) = next.into_iter().chain(wake).chain(late).min() else { return false };
        world.advance(step.max(Duration::from_nanos(1)));
        true
    }

    /// How many connections and descriptors are left that ought not to be, if any are.
    pub(crate) fn left(&self) -> Option<String> {
        let (open, descriptors) =
            (self.world.counts().connections_open, self.world.descriptors_open());
        let is_more = open > 0 || descriptors > self.descriptors;
        is_more.then(|| format!("{open} connections and {descriptors} descriptors are left"))
    }
}
