//! Evening out how many connections the shards have.
//! It only counts: which connections move, and how, is the shards' business.

use std::sync::TryLockError;

use super::Running;
use crate::mailbox::Message;

/// So many connections are to go from one shard to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    source: usize,
    target: usize,
    count: usize,
}

impl Running {
    /// How many connections each shard has, in order of their numbers; none for a shard that was
    /// stopped. The counts are those of each shard's last turn.
    #[must_use]
    pub fn loads(&self) -> Vec<Option<usize>> {
        let shards = self.shards.iter().map(|shard| &shard.neighbour.counts);
        let loads = shards.map(|counts| {
            let connections = usize::try_from(counts.connections()).unwrap_or(usize::MAX);
            (!counts.has_ended()).then_some(connections)
        });
        loads.collect()
    }

    /// Evens out how many connections the shards have: live ones move, with whatever they have
    /// received, owe and are in the middle of, from the most to the least loaded shards. Peers
    /// notice nothing. Returns at once with the number of connections that were asked to move;
    /// they do within the next turns, and [`Running::loads`] shows it. When none comes or goes
    /// meanwhile, loads differ by one at most afterwards. None are asked while another thread does
    /// the same, or waits in [`Running::stop_shard`].
    ///
    /// A connection stays where it is while it is sent a file that others are sent from the same
    /// open descriptor; another one moves in its place.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), springtide::Error> {
    /// let running = springtide::Server::new().listen("127.0.0.1:8080")?.start()?;
    /// let moving = running.rebalance();
    /// println!("{moving} connections move; now: {:?}", running.loads());
    /// # Ok(())
    /// # }
    /// ```
    pub fn rebalance(&self) -> usize {
        // Whoever waits for a shard to stop may be waiting for the one that this is called on.
        let _one_at_a_time = match self.stopping.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return 0,
        };
        let shares = shares(&self.loads());
        for Share { source, target, count } in &shares {
            let target = u16::try_from(*target).expect("WORKERS_MAX is below SHARDS_MAX");
            let message = Message::Share { target, count: *count };
            self.shards[*source].neighbour.mailbox.send(message);
        }
        shares.iter().map(|share| share.count).sum()
    }
}

/// What must move so that loads differ by one at most, and no more than that.
fn shares(loads: &[Option<usize>]) -> Vec<Share> {
    let alive = loads.iter().enumerate().filter_map(|(number, load)| Some((number, (*load)?)));
    let mut alive: Vec<(usize, usize)> = alive.collect();
    // The most loaded keep the odd ones.
    alive.sort_by_key(|(number, load)| (std::cmp::Reverse(*load), *number));
    let (total, count) = (alive.iter().map(|(_, load)| load).sum::<usize>(), alive.len().max(1));
    let wanted = |rank: usize| total / count + usize::from(rank < total % count);
    let mut lacking: Vec<(usize, usize)> = Vec::new();
    for (rank, (number, load)) in alive.iter().enumerate() {
        lacking.push((*number, wanted(rank).saturating_sub(*load)));
    }
    let mut shares = Vec::new();
    for (rank, (source, load)) in alive.iter().enumerate() {
        let mut excess = load.saturating_sub(wanted(rank));
        for (target, lack) in &mut lacking {
            let count = excess.min(*lack);
            if count > 0 {
                shares.push(Share { source: *source, target: *target, count });
                (*lack, excess) = (*lack - count, excess - count);
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_evened_out_with_few_moves() {
        let cases: [(&[Option<usize>], usize); 8] = [
            (&[], 0),
            (&[Some(7)], 0),
            (&[Some(4), Some(5), Some(4)], 0),
            (&[Some(10), Some(0)], 5),
            (&[Some(0), Some(9), Some(0)], 6),
            (&[Some(3), None, Some(8)], 2),
            (&[Some(1), Some(1), Some(1), Some(30)], 21),
            (&[None, None], 0),
        ];
        for (loads, moves) in cases {
            let mut after = loads.to_vec();
            let shares = shares(loads);
            for Share { source, target, count } in &shares {
                after[*source] = after[*source].map(|load| load - count);
                after[*target] = after[*target].map(|load| load + count);
            }
            let moved: usize = shares.iter().map(|share| share.count).sum();
            assert_eq!(moved, moves, "{loads:?} {shares:?}");
            let alive: Vec<usize> = after.iter().flatten().copied().collect();
            let spread = alive.iter().max().unwrap_or(&0) - alive.iter().min().unwrap_or(&0);
            assert!(spread <= 1, "{loads:?} became {after:?}");
        }
    }
}
