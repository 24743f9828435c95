//! The budget of memory: what connections hold, and who is given up when it is too much.
//! Without a budget nothing is counted, and with one not more often than ten times a second.

use super::{Connection, Shard};
use crate::limits::place_of;
use crate::peer::Reason;
use crate::table::Place;

/// How often it is looked at.
const LOOK_EVERY_MS: u64 = 100;

impl Shard {
    /// Looks what the connections hold. Where all shards together are over the budget accepting
    /// pauses, and the heaviest of those here that wait for their peers are closed.
    #[inline(never)]
    pub(super) fn look_at_memory(&mut self) {
        if self.room.now_ms < self.memory_look_ms {
            // Something may have come or gone since: a shard that sleeps wakes to tell of it.
            self.is_memory_stale = true;
            return;
        }
        self.memory_look_ms = self.room.now_ms + LOOK_EVERY_MS;
        let own: usize = self.connections.iter().map(Connection::bytes_held).sum();
        let counts = &self.standing.counts;
        counts.hold(own);
        self.is_memory_stale = own > 0;
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

    /// Gives up as many connections as bring the sum down to the budget as far as this shard has
    /// brought it above, the heaviest first.
    fn shed(&mut self, own: usize, all: usize) {
        let place = const { place_of("memory_max") };
        if self.standing.stopping.is_none() && !self.listeners.is_paused() {
            self.room.tell_load(place, format_args!("accepting pauses: {all} bytes are held"));
            self.listeners.pause(&mut self.room);
        }
        let slow = self.connections.iter().filter(|own| own.may_be_shed());
        let slow = slow.map(|own| (own.bytes_held(), own.place()));
        let mut slow: Vec<(usize, Place)> = slow.filter(|(bytes, _)| *bytes > 0).collect();
        slow.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut excess = part_of(all - self.room.limits.memory_max, own, all);
        let mut left = own;
        for (bytes, heavy) in slow {
            if excess == 0 {
                break;
            }
            self.with(heavy, |connection, room| {
                let what = format_args!("closed: it holds {bytes} bytes, and memory is short");
                room.tell_limit(place, connection.socket(), what);
                room.blame(connection.id(), Reason::Limit("memory_max"));
                connection.cut_off(room);
            });
            left -= bytes;
            excess = excess.saturating_sub(bytes);
        }
        self.standing.counts.hold(left);
    }
}

/// What one shard has to give back of an excess: as much of it as of all bytes is its own. Others,
/// which look at the same moment, give back the rest.
fn part_of(excess: usize, own: usize, all: usize) -> usize {
    let part = (excess as u128 * own as u128).div_ceil(all.max(1) as u128);
    usize::try_from(part).unwrap_or(excess)
}

#[cfg(test)]
mod tests {
    use super::part_of;

    #[test]
    fn shards_give_back_their_parts() {
        for (excess, own, all, part) in [
            (3, 8, 8, 3),
            (3, 0, 8, 0),
            (4, 2, 8, 1),
            (3, 4, 8, 2),
            (usize::MAX / 2, usize::MAX / 2, usize::MAX / 2, usize::MAX / 2),
        ] {
            assert_eq!(part_of(excess, own, all), part, "{excess} {own} {all}");
        }
    }
}
