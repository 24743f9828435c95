//! The handoff: a shard at a turn's border as plain data (law 10), the same for every reason to
//! move. Nothing in it points anywhere or runs, and nothing in it needs the engine it came from.
//!
//! A shard is frozen by ending every operation, keeping what still came, and taking its parts
//! apart; it is thawed by putting them together over another engine and asking for everything
//! again. Each part has its own `freeze` and `thaw` beside it; one connection moves to another
//! shard by the same two.

use springtide_engine::Descriptor;

use crate::connection::FrozenConnection;
use crate::files::FrozenFiles;
use crate::listener::FrozenListeners;
use crate::metrics::Counts;

/// A frozen shard. Its descriptors are open, and nothing is in flight on them.
#[derive(Debug)]
pub(crate) struct Handoff {
    pub(crate) listeners: FrozenListeners,
    /// Accepted at the last, and not connections yet.
    pub(crate) accepted: Vec<Descriptor>,
    pub(crate) connections: Vec<FrozenConnection>,
    pub(crate) files: FrozenFiles,
    /// Sockets for datagrams, open files, and listeners of the application with what came to them; what is
    /// known of them stays with what the application holds.
    pub(crate) held: Vec<Descriptor>,
    pub(crate) counts: Counts,
    /// How many turns of the engine it took until nothing was in flight.
    pub(crate) turns: u64,
}

impl Handoff {
    /// Everything open that is handed over. A file that several connections read from is named
    /// several times.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = Descriptor> {
        let connections = self.connections.iter().flat_map(FrozenConnection::descriptors);
        let files = self.files.roots.iter().chain(&self.files.strays).chain(&self.held);
        self.listeners.descriptors().chain(connections).chain(files.chain(&self.accepted).copied())
    }
}

/// Plain data goes to any thread and outlives what it came from.
const fn is_plain<T: Send + 'static>() {}
const _: () = is_plain::<Handoff>();
