//! Histories of raw connections, their tasks, and frames: one seed in seven has one besides.
//! What must come back follows from what was said, to the byte; what the application is told is held
//! against how each peer has ended.

mod awaited;
mod called;
mod elsewhere;
mod guest;
mod history;
mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use springtide::test::{Fault, World};
use springtide::{Framed, Server};

use crate::coverage::Coverage;
use crate::history::{Event, Settings};
use crate::oracle::LINGER;
use crate::pace::{Outcome, Pace};
use crate::peer::Allowed;
use crate::play::{Failure, LATE, PATIENCE, text_of};
use elsewhere::Elsewhere;
use guest::{DROPPED, Guest, IDLE_TIMEOUT_MS};
pub use history::History;
use history::SALT;
pub(crate) use told::MARKS;
use told::{Mark, Told};

/// What a server does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Called,
    Awaited,
    Framed,
}

/// Virtual time after which a history must have ended.
const TIME_MAX: Duration = Duration::from_secs(1800);
/// Where a server that connects to itself listens.
const PORT: u16 = 7_000;

/// Plays the raw history of a seed, if it has one; gives what is the same after the same history.
///
/// # Errors
/// Something came out otherwise than the model says, or code panicked.
pub fn play(seed: u64, coverage: &mut Coverage) -> Result<u64, Failure> {
    let Some(history) = History::of(seed) else { return Ok(0) };
    let (marks, fingerprint) = Play::of(&history)?;
    coverage.see_raw(&marks);
    Ok(fingerprint)
}

/// What was reached, and the fingerprint.
type Played = ([u64; MARKS.len()], u64);

struct Play {
    kind: Kind,
    settings: Settings,
    events: Vec<Event>,
    world: World,
    told: Told,
    guests: BTreeMap<usize, Guest>,
    /// Connections that a thread has which is none of the server's: the player's.
    elsewhere: Vec<Elsewhere>,
    allowed: Allowed,
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
        self.world.turn_shard(number);
        self.elsewhere.extend(self.told.arrivals().into_iter().map(Elsewhere::new));
        for own in &mut self.elsewhere {
            own.go_on(&mut self.world, &self.told);
        }
        self.told.check()
    }
}

impl Play {
    /// Plays a history: what was reached, and what is the same after the same one.
    fn of(history: &History) -> Result<Played, Failure> {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut play = Self::new(history.clone());
            play.play().map_err(|what| format!("{what}\n{play}"))?;
            Ok((play.told.marks(), play.world.fingerprint()))
        }));
        let played = played.unwrap_or_else(|panic| Err(format!("raw, {}", text_of(&*panic))));
        played.map_err(|what| Failure { what })
    }

    fn new(history: History) -> Self {
        let History { seed, kind, settings, events, guests, may_freeze } = history;
        let told = Told::default();
        let mut world = World::new(seed ^ SALT);
        world.set_engine_options(settings.engine.clone());
        let server = server(kind, seed, &told).workers(settings.shards);
        let server = server.accepting(settings.accepting).limits(settings.limits.clone());
        world.serve(server.listen(&format!("127.0.0.1:{PORT}")).expect("an address"));
        world.set_faults(settings.faults());
        if let Some(descriptors_max) = settings.descriptors_max {
            world.simulated().set_descriptors_max(descriptors_max);
        }
        let is_short = settings.descriptors_max.is_some();
        let may_refuse = settings.limits.connections_max < usize::MAX;
        let no_faults = settings.faults.iter().all(|probability| *probability <= 0.0);
        let allowed = Allowed {
            is_calm: no_faults && !is_short && !may_refuse,
            may_refuse,
            may_stall: settings.probability(Fault::Stalled) > 0.0,
            may_be_busy: is_short,
            may_drop: may_freeze,
            may_shed: false,
        };
        // Each shard that ever paused keeps one in reserve, also when it has no listener.
        let descriptors = world.descriptors_open().max(2 * settings.shards + 1);
        let (elsewhere, is_stopping) = Default::default();
        Self {
            kind,
            settings,
            events,
            world,
            told,
            guests,
            elsewhere,
            allowed,
            is_stopping,
            descriptors,
        }
    }

    fn play(&mut self) -> Outcome {
        for event in std::mem::take(&mut self.events) {
            self.happen(event)?;
            if event != Event::Turn && self.world.below(2) == 0 {
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

    fn happen(&mut self, event: Event) -> Outcome {
        match event {
            Event::Write(peer, count) => _ = self.write(peer, count),
            Event::Read(peer, count) => _ = self.read(peer, count)?,
            Event::Pass(ms) => self.pass(Duration::from_millis(ms))?,
            Event::Retire(number) if self.settings.shards > 1 && !self.is_stopping => {
                if number < self.settings.shards {
                    self.is_stopping = true;
                    self.world.stop_shard(number, PATIENCE);
                }
            }
            Event::Freeze(number) => self.freeze(number),
            Event::Share { source, target, count } if source != target => {
                if self.is_running(source) && self.is_running(target) {
                    self.world.share(source, target, count);
                }
            }
            Event::Drain => {
                self.is_stopping = true;
                self.world.stop(PATIENCE);
            }
            Event::Turn => self.round()?,
            Event::Change | Event::Retire(_) | Event::Share { .. } => {}
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

    fn write(&mut self, peer: usize, count: usize) -> usize {
        let now_ms = self.now_ms();
        // Who stops may have nobody who listens any more.
        let may_come = !self.is_stopping;
        let Some(guest) = self.guests.get_mut(&peer) else { return 0 };
        if !may_come && !guest.is_connected() {
            guest.is_over = true;
        }
        guest.write(count, &mut self.world, now_ms)
    }

    fn read(&mut self, peer: usize, count: usize) -> Outcome<usize> {
        let now_ms = self.now_ms();
        let Some(guest) = self.guests.get_mut(&peer) else { return Ok(0) };
        let read = guest.read(count, now_ms)?;
        Ok(read + guest.look(&self.told, self.allowed, self.is_stopping, now_ms)?)
    }

    /// Everybody does all that can be done, and time moves on from deadline to deadline.
    fn go_on_to_the_end(&mut self) -> Outcome {
        loop {
            self.settle()?;
            let mut acts = 0;
            let peers: Vec<usize> = self.guests.keys().copied().collect();
            for peer in peers {
                acts += self.write(peer, usize::MAX / 8);
                acts += self.read(peer, usize::MAX)?;
            }
            if acts > 0 {
                continue;
            }
            let waiting = self.guests.values().filter(|guest| !guest.is_over);
            let mut waiting = waiting.map(Guest::stand).peekable();
            if waiting.peek().is_none() {
                return Ok(());
            }
            if self.world.now() > TIME_MAX {
                let waiting: Vec<_> = waiting.collect();
                return Err(format!("these peers wait for ever: {waiting:?}"));
            }
            let late = self.allowed.may_stall.then_some(LATE);
            let world = self.world.simulated();
            let next = world.next_moment().map(|next| next.since(world.now()));
            let Some(step) = next.into_iter().chain(late).min() else {
                return Err("these peers wait, and nothing will happen".to_owned());
            };
            world.advance(step.max(Duration::from_nanos(1)));
        }
    }

    /// Nothing is left, and everybody was told of it.
    fn check_end(&mut self) -> Outcome {
        self.pass(LINGER)?;
        self.elsewhere.clear();
        self.settle()?;
        let open = self.world.counts().connections_open;
        if open > 0 {
            // Of two that were connected to each other one may not have noticed yet.
            self.pass(Duration::from_millis(2 * IDLE_TIMEOUT_MS))?;
        }
        let (open, descriptors) =
            (self.world.counts().connections_open, self.world.descriptors_open());
        if open > 0 || descriptors > self.descriptors {
            return Err(format!("{open} connections and {descriptors} descriptors are left"));
        }
        self.world.stop(PATIENCE);
        self.pass(LINGER)?;
        let (running, descriptors) = (self.world.shards_running(), self.world.descriptors_open());
        if running > 0 || descriptors > 0 {
            return Err(format!("{running} shards and {descriptors} descriptors are left"));
        }
        self.told.check_end()?;
        let is_plain = self.allowed.is_calm && !self.is_stopping && self.kind != Kind::Framed;
        for guest in self.guests.values().filter(|_| is_plain) {
            guest.check_reason(&self.told)?;
        }
        self.see_ways();
        Ok(())
    }

    fn see_ways(&self) {
        for guest in self.guests.values().filter(|guest| guest.has_all()) {
            if let Some(mark) = guest.mark(self.kind) {
                self.told.mark(mark);
            }
        }
    }
}

impl fmt::Display for Play {
    /// How far everybody has come.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.guests.values().try_for_each(|guest| writeln!(f, "  {}", guest.stand()))
    }
}

fn server(kind: Kind, seed: u64, told: &Told) -> Server {
    let (own, gone) = (told.clone(), told.clone());
    let address = SocketAddr::from(([127, 0, 0, 1], PORT));
    let server = match kind {
        Kind::Called => Server::new().raw(move |peer| called::intro(peer, seed, address, &own)),
        Kind::Awaited => {
            Server::new().raw_async(async move |peer| awaited::serve(peer, seed, &own).await)
        }
        Kind::Framed => {
            let codec = Framed::u32_be().frame_bytes_max(1 << 20).dropped(DROPPED);
            return Server::new().framed_async(codec, async move |request, reply| {
                awaited::answer(request, reply, &own).await;
            });
        }
    };
    server.closed(move |peer, reason| gone.close(peer, reason))
}
