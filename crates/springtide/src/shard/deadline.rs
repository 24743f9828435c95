//! Until when a turn of a shard may wait.
//! It only looks.

use springtide_engine::Moment;

use super::Shard;

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
        // Once patience is over everything was given up: only the last operations have to end.
        let stop = self.standing.stopping.as_ref().map(|stopping| stopping.until_ms);
        let stop = stop.filter(|until_ms| *until_ms > room.now_ms);
        let timer = room.requests.timers.borrow().next_ms();
        let mut next = earlier(self.wheel.next_ms(), timer);
        if stop.is_some() || room.log.is_some() || self.is_memory_stale {
            let look = self.is_memory_stale.then_some(self.memory_look_ms);
            let log = room.log.as_ref().and_then(|log| log.due_ms());
            next = earlier(earlier(next, stop), earlier(look, log));
        }
        next.map(Moment::from_milliseconds)
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
