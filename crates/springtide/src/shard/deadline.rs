//! Until when a turn of a shard may wait, and when it has had its last one.
//! It only looks.

use springtide_engine::Moment;

use super::{Shard, Stopping};

impl Shard {
    /// When the next turn has something to do whatever happens; none: not before something does.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Moment> {
        let room = &self.room;
        let is_ready = !(room.ready.is_empty() && room.dirty.is_empty() && self.due.is_empty());
        let has_orders = !room.requests.tasks.is_at_rest() || room.requests.topics.has_arrived();
        if is_ready || room.executor.is_busy() || has_orders {
            return Some(Moment::ZERO);
        }
        let stopping = self.standing.stopping.as_ref();
        let stop = stopping.and_then(|stopping| stopping.next_ms(room.now_ms));
        let timer = room.requests.timers.borrow().next_ms();
        let mut next = earlier(self.wheel.next_ms(), timer);
        if stop.is_some() || room.log.is_some() || self.is_memory_stale {
            let look = self.is_memory_stale.then_some(self.memory_look_ms);
            let log = room.log.as_ref().and_then(|log| log.due_ms());
            next = earlier(earlier(next, stop), earlier(look, log));
        }
        next.map(Moment::from_milliseconds)
    }

    /// Whether a shard that is to end has done so.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.standing.stopping.as_ref().is_some_and(|stopping| self.has_stopped(stopping))
    }

    /// What hangs in the system when all patience is over, as a call on a disk that does not answer, is
    /// left to the engine.
    #[cold]
    fn has_stopped(&self, stopping: &Stopping) -> bool {
        let (room, is_given_up) = (&self.room, stopping.next_ms(self.room.now_ms).is_none());
        let is_waited_for = room.executor.alone() > 0 && room.now_ms < stopping.until_ms;
        !is_waited_for
            && self.connections.len() == 0
            && !self.listeners.is_accepting()
            && (is_given_up || room.requests.engine.borrow().in_flight() == 0 && self.close_files())
    }
}

/// How long the last operations may take to end behind a stop's patience, when everything was given up.
const LAST_OPERATIONS_MS: u64 = 2_000;

impl Stopping {
    /// When its patience is over next, first with what had begun and then with the system; none when it is
    /// over with both.
    #[cold]
    fn next_ms(&self, now_ms: u64) -> Option<u64> {
        let last_ms = self.until_ms.saturating_add(LAST_OPERATIONS_MS);
        [self.until_ms, last_ms].into_iter().find(|at_ms| *at_ms > now_ms)
    }
}

/// The earlier one of two moments, of those that there are.
#[inline]
fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
