//! What is told of a shard to whoever looks at it from outside.
//! It only looks: nothing here changes a shard.

use super::Shard;
use crate::connection::Connection;
use crate::mailbox::Neighbour;

/// Memory of a shard, for tests that count it.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) connection_pages: usize,
    pub(crate) operation_pages: u64,
    pub(crate) spare_bytes: usize,
    /// For how many pieces there is room in what waits for the next connection.
    pub(crate) spare_pieces: usize,
    pub(crate) spare_pieces_max: usize,
    pub(crate) futures: usize,
    pub(crate) spare_alarms: usize,
    pub(crate) future_pages: usize,
    pub(crate) timer_pages: usize,
    pub(crate) timers: usize,
}

impl Shard {
    /// All shards of the server, as far as this one knows them.
    pub(crate) fn neighbours(&self) -> &[Neighbour] {
        &self.standing.neighbours
    }

    /// What it holds of memory that connections come and go in.
    #[cfg(test)]
    pub(crate) fn held(&self) -> Held {
        Held {
            connection_pages: self.connections.pages_held(),
            operation_pages: self.room.requests.engine.borrow().stats().operation_pages,
            spare_bytes: self.room.spare_bytes(),
            spare_pieces: self.room.spare_pieces(),
            spare_pieces_max: self.room.spare_pieces_max(),
            spare_alarms: self.room.executor.spare_alarms(),
            futures: self.room.executor.len(),
            future_pages: self.room.executor.pages_held(),
            timer_pages: self.room.requests.timers.borrow().pages_held(),
            timers: self.room.requests.timers.borrow().len(),
        }
    }

    /// Whether the application holds a task, or is to be told of one.
    #[cfg(test)]
    pub(crate) fn keeps_tasks(&self) -> bool {
        self.room.requests.tasks.has_kept()
    }

    /// What was told of limits that were met.
    #[cfg(test)]
    pub(crate) fn told(&self) -> &[String] {
        &self.room.met.lines
    }

    /// The counts of the engine, and its operations in flight.
    pub(crate) fn engine_stats(&self) -> (springtide_engine::Stats, usize) {
        let engine = self.room.requests.engine.borrow();
        (engine.stats(), engine.in_flight())
    }

    /// Shows every connection.
    pub(crate) fn look(&self, see: impl FnMut(crate::test::View)) {
        self.connections.iter().map(Connection::view).for_each(see);
    }
}
