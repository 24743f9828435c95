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
use std::time::Duration;

use springtide::test::Fault;
use springtide::{Framed, Server};

use crate::history::Event;
use crate::pace::{Outcome, Pace};
use crate::peer::Allowed;
use crate::player::{LINGER, Player};
use crate::scene::Scene;
use crate::side::{Side as _, SideHistory};
use elsewhere::Elsewhere;
use guest::{DROPPED, Guest, IDLE_TIMEOUT_MS};
pub(crate) use history::Raw;
pub(crate) use told::MARKS;
use told::{Mark, Told};

/// What a server does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Called,
    Awaited,
    Framed,
}

/// Where a server that connects to itself listens.
const PORT: u16 = 7_000;

pub(crate) struct Play {
    kind: Kind,
    scene: Scene,
    told: Told,
    guests: BTreeMap<usize, Guest>,
    /// Connections that a thread has which is none of the server's: the player's.
    elsewhere: Vec<Elsewhere>,
    allowed: Allowed,
}

impl Pace for Play {
    fn scene(&mut self) -> &mut Scene {
        &mut self.scene
    }

    fn turn(&mut self, number: usize) -> Outcome {
        if self.scene.moves_by_chance() {
            self.freeze(number);
        }
        self.scene.world.turn_shard(number);
        self.elsewhere.extend(self.told.arrivals().into_iter().map(Elsewhere::new));
        for own in &mut self.elsewhere {
            own.go_on(&mut self.scene.world, &self.told);
        }
        self.told.check()
    }
}

impl Player for Play {
    type Event = Event;

    fn happen(&mut self, event: Event) -> Outcome {
        self.happen_as_ever(event).map(drop)
    }

    fn write(&mut self, peer: usize, count: usize) -> usize {
        let now_ms = self.scene.now_ms();
        let Some(guest) = self.guests.get_mut(&peer) else { return 0 };
        // Who stops may have nobody who listens any more.
        if self.scene.is_stopping() && !guest.is_connected() {
            guest.is_over = true;
        }
        guest.write(count, &mut self.scene.world, now_ms)
    }

    fn read(&mut self, peer: usize, count: usize) -> Outcome<usize> {
        let (now_ms, is_stopping) = (self.scene.now_ms(), self.scene.is_stopping());
        let Some(guest) = self.guests.get_mut(&peer) else { return Ok(0) };
        let read = guest.read(count, now_ms)?;
        Ok(read + guest.look(&self.told, self.allowed, is_stopping, now_ms)?)
    }

    fn peers(&self) -> usize {
        Raw::PEERS_MAX
    }

    fn waiting(&self) -> Vec<usize> {
        let waiting = self.guests.iter().filter(|(_, guest)| !guest.is_over);
        waiting.map(|(number, _)| *number).collect()
    }

    fn see_frozen(&mut self) {
        self.told.mark(Mark::Frozen);
    }

    /// Nothing is left, and everybody was told of it.
    fn check_end(&mut self) -> Outcome {
        self.pass(LINGER)?;
        self.elsewhere.clear();
        self.settle()?;
        // Of two that were connected to each other one may not have noticed yet.
        self.check_left(Duration::from_millis(2 * IDLE_TIMEOUT_MS))?;
        self.end()?;
        self.told.check_end()?;
        let is_plain =
            self.allowed.is_calm && !self.scene.is_stopping() && self.kind != Kind::Framed;
        for guest in self.guests.values().filter(|_| is_plain) {
            guest.check_reason(&self.told)?;
        }
        self.see_ways();
        Ok(())
    }
}

impl Play {
    fn new(history: &SideHistory<Raw>) -> Self {
        let SideHistory { side: Raw { kind, may_freeze }, seed, settings, plans, .. } = history;
        let told = Told::default();
        let mut scene = Scene::new(seed ^ Raw::SALT, settings);
        let server = settings.shape(server(*kind, *seed, &told));
        scene.serve(server.listen(&format!("127.0.0.1:{PORT}")).expect("an address"));
        let allowed = Allowed {
            is_calm: settings.is_calm(),
            may_refuse: settings.limits.connections_max < usize::MAX,
            may_stall: settings.probability(Fault::Stalled) > 0.0,
            may_be_busy: settings.descriptors_max.is_some(),
            may_drop: *may_freeze,
            may_shed: false,
        };
        let guests = plans.iter().map(|(number, plan)| (*number, Guest::new(plan.clone())));
        let (guests, elsewhere) = (guests.collect(), Vec::new());
        Self { kind: *kind, scene, told, guests, elsewhere, allowed }
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
