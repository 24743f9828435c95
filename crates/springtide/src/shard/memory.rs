//! The budget of memory: what connections hold, and who is given up when it is too much.
//! Without a budget nothing is counted, and with one not more often than ten times a second.

use super::{Connection, Shard};
use crate::limits::place_of;
use crate::table::Place;

/// How often it is looked at.
const LOOK_EVERY_MS: u64 = 100;

impl Shard {
    /// Looks what the connections hold. Where all shards together are over the budget accepting
    /// pauses, and the heaviest of those here that wait for their peers are closed.
    #[inline(never)]
    pub(super) fn look_at_memory(&mut self) {
        if self.room.now_ms < self.memory_look_ms {
            return;
        }
        self.memory_look_ms = self.room.now_ms + LOOK_EVERY_MS;
        let own: usize = self.connections.iter().map(Connection::bytes_held).sum();
        let counts = &self.standing.counts;
        counts.hold(own);
        let others = self.standing.neighbours.iter().enumerate();
        let others = others.filter(|(number, _)| *number != self.standing.number);
        let all = own + others.map(|(_, other)| other.counts.bytes_held()).sum::<usize>();
        self.is_short = all > self.room.limits.memory_max;
        if self.is_short {
            self.shed(own, all);
        }
    }

    /// Bytes that all connections hold.
    #[cfg(test)]
    pub(crate) fn bytes_held(&self) -> usize {
        self.connections.iter().map(Connection::bytes_held).sum()
    }

    /// Gives up as many connections as bring the sum down to the budget, the heaviest first.
    fn shed(&mut self, own: usize, all: usize) {
        let place = const { place_of("memory_max") };
        if self.standing.stopping.is_none() && !self.listeners.is_paused() {
            self.room.tell_load(place, format_args!("accepting pauses: {all} bytes are held"));
            self.listeners.pause(&mut self.room);
        }
        let slow = self.connections.iter().filter(|own| own.waits_for_its_peer());
        let mut slow: Vec<(usize, Place)> =
            slow.map(|own| (own.bytes_held(), own.place())).collect();
        slow.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut excess = all - self.room.limits.memory_max;
        let mut left = own;
        for (bytes, heavy) in slow {
            self.with(heavy, |connection, room| {
                let what = format_args!("closed: it holds {bytes} bytes, and memory is short");
                room.tell_limit(place, connection.socket(), what);
                connection.give_up(room);
            });
            left -= bytes;
            excess = excess.saturating_sub(bytes);
            if excess == 0 {
                break;
            }
        }
        self.standing.counts.hold(left);
    }
}
