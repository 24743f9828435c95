//! The simulated backend: a world of virtual time and seeded chance, with no system beneath it.
//! It offers the contract of the real ones, and every fault that they may show.
//!
//! A [`World`] lives on one thread and holds the network, the files, the descriptors and the
//! clock of any number of engines. Time stands still while anybody has something to do: a turn
//! with nothing to do moves it on to the next deadline of all engines. A turn without a deadline
//! comes back at once, so that a test can act between turns.
//!
//! ```
//! use springtide_engine::simulated::World;
//! use springtide_engine::{Address, Engine, EngineOptions, Handle, ListenOptions, Op, Outcome};
//!
//! # fn main() -> Result<(), springtide_engine::Error> {
//! let world = World::new(7);
//! let mut engine = Engine::simulated(&world, &EngineOptions::default());
//! let address = Address::Internet(([127, 0, 0, 1], 80).into());
//! let options =
//!     ListenOptions { address: &address, backlog: 16, joining: false, keepalive: None, mode: None };
//! let listener = engine.listen(&options)?;
//! engine.submit(Op::Accept { listener }, 1);
//! let client = world.connect(&address)?;
//! assert_eq!(client.write(b"hello"), 5);
//! let mut completions = Vec::new();
//! engine.turn(None, &mut completions)?;
//! assert!(matches!(completions[0].outcome, Outcome::Accepted(_)));
//! # Ok(())
//! # }
//! ```

mod chance;
mod client;
mod descriptors;
mod endings;
mod files;
mod network;
mod operations;
mod paths;
mod perform;
mod planned;
mod post;
mod schedule;

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::Backend;
use crate::clock::{Clock, Moment, VIRTUAL_EPOCH_SECONDS};
use crate::error::{Error, OpKind};
use crate::options::{Address, EngineOptions};

pub use chance::{Fault, FaultCounts, Faults};
pub use client::{Client, Service};
pub use network::ResetCause;
pub use post::{Correspondent, PostFaults};

use chance::Chance;
use descriptors::Table;
use files::Files;
use network::Network;
use operations::Simulated;
use planned::Planned;
use schedule::Schedule;

/// A world: its clones are the same world.
#[derive(Clone)]
pub struct World {
    state: Rc<RefCell<State>>,
    now: Rc<Cell<u64>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// Everything in a world but the time.
struct State {
    chance: Chance,
    network: Network,
    files: Files,
    table: Table,
    schedule: Schedule,
    planned: Planned,
}

impl World {
    /// A world whose whole history follows from `seed` and from what is done to it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            chance: Chance::new(seed),
            network: Network::default(),
            files: Files::default(),
            table: Table::default(),
            schedule: Schedule::default(),
            planned: Planned::default(),
        };
        Self { state: Rc::new(RefCell::new(state)), now: Rc::new(Cell::new(0)) }
    }

    pub(crate) fn backend(&self, options: &EngineOptions) -> Box<dyn Backend> {
        Box::new(Simulated::new(self.clone(), options))
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state.borrow_mut().chance.faults = faults;
    }

    /// How often each fault has happened.
    #[must_use]
    pub fn fault_counts(&self) -> FaultCounts {
        self.state.borrow().chance.counts
    }

    /// The present moment of virtual time.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::from_nanoseconds(self.now.get())
    }

    /// Lets time pass, whatever anybody has to do.
    pub fn advance(&self, duration: Duration) {
        self.now.set((self.now() + duration).nanoseconds());
        self.state.borrow_mut().network.activity += 1;
    }

    /// Whether time stands still but for [`advance`](Self::advance): a turn with nothing to do
    /// comes back instead of moving it on.
    pub fn hold_time(&self, is_held: bool) {
        self.state.borrow_mut().schedule.is_held = is_held;
    }

    /// Whether no engine has anything to do at this moment. It takes a turn of each to know.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let state = self.state.borrow();
        state.schedule.is_quiet(state.network.activity, self.now.get())
    }

    /// When an engine will have something to do by itself: a deadline, or a completion that is
    /// late. As of each engine's last turn that found nothing to do.
    #[must_use]
    pub fn next_moment(&self) -> Option<Moment> {
        self.state.borrow().schedule.next_wanted().map(Moment::from_nanoseconds)
    }

    /// Draws a number from 0 to `end - 1` from the world's own chance.
    ///
    /// # Panics
    /// When `end` is 0.
    #[must_use]
    pub fn below(&self, end: usize) -> usize {
        self.state.borrow_mut().chance.below(end)
    }

    /// Connects to a listener from outside the engines.
    ///
    /// # Errors
    /// Nobody listens there, or the backlog is full (ECONNREFUSED).
    pub fn connect(&self, address: &Address) -> Result<Client, Error> {
        let State { network, chance, .. } = &mut *self.state.borrow_mut();
        let end = network.connect(address, None, chance);
        let end = end.map_err(|errno| Error::system(OpKind::Connect, errno))?;
        Ok(Client::new(self.clone(), end))
    }

    /// Listens outside the engines, for what they connect to.
    ///
    /// # Errors
    /// The address is busy.
    pub fn serve(&self, address: &Address) -> Result<Service, Error> {
        self.listen(address, usize::MAX)
    }

    /// Listens outside the engines with a backlog that is full: what connects there is not answered.
    ///
    /// # Errors
    /// The address is busy.
    pub fn swallow(&self, address: &Address) -> Result<Service, Error> {
        self.listen(address, 0)
    }

    fn listen(&self, address: &Address, backlog: usize) -> Result<Service, Error> {
        let listener = self.state.borrow_mut().network.listen(address, backlog, false);
        let listener = listener.map_err(|errno| Error::system(OpKind::Listen, errno))?;
        Ok(Service::new(self.clone(), listener))
    }

    /// Writes a whole file; an existing one is overwritten in place. Directories need not be made.
    ///
    /// # Panics
    /// When the path leads above the root of the world.
    pub fn write_file(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let epoch_ns = i128::from(VIRTUAL_EPOCH_SECONDS) * 1_000_000_000;
        let modified_ns = epoch_ns + i128::from(self.now.get());
        self.state.borrow_mut().files.write(path.as_ref(), bytes, modified_ns);
    }

    /// What a file holds; none where there is no file.
    #[must_use]
    pub fn read_file(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.state.borrow().files.read(path.as_ref())
    }

    /// Takes a file's name away; false when there was none. Who has it open keeps it.
    #[must_use]
    pub fn remove_file(&self, path: impl AsRef<Path>) -> bool {
        self.state.borrow_mut().files.remove(path.as_ref())
    }

    /// How many descriptors the engines may have open, from now on.
    pub fn set_descriptors_max(&self, descriptors_max: usize) {
        self.state.borrow_mut().table.descriptors_max = descriptors_max;
    }

    /// How many descriptors are open.
    #[must_use]
    pub fn descriptors_open(&self) -> usize {
        self.state.borrow().table.open()
    }

    /// How many connections have an end that is not closed.
    #[must_use]
    pub fn connections_open(&self) -> usize {
        self.state.borrow().network.connections_open()
    }

    /// How many turns have found nothing to do and no deadline to move on to.
    #[must_use]
    pub fn idle_turns(&self) -> u64 {
        self.state.borrow().schedule.idle_turns
    }

    /// A number that is the same after the same history.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let state = self.state.borrow();
        let parts = [state.chance.state(), state.network.activity, self.now.get()];
        parts.iter().fold(0, |sum: u64, part| sum.rotate_left(21) ^ part.wrapping_mul(0x9E37_79B9))
    }

    fn clock(&self) -> Clock {
        Clock::Virtual(self.now.clone())
    }
}
