//! Peers: the names of connections that last, whatever shard or engine they move to.
//! A name leads nowhere by itself; places do, and they go stale when a connection moves.

/// Names one connection for its whole life, also when it moves to another shard. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PeerId(u64);

impl PeerId {
    /// As a number, which is nobody else's either.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

/// The low bits count what a shard has opened: at a million a second for eight years.
const COUNTER_BITS: u32 = 48;

const _: () = assert!(springtide_engine::SHARDS_MAX as u64 <= 1 << (u64::BITS - COUNTER_BITS));

/// The peer ids of one shard.
#[derive(Debug)]
pub(crate) struct PeerIds {
    next: u64,
}

impl PeerIds {
    pub(crate) const fn of(shard: usize) -> Self {
        Self { next: (shard as u64) << COUNTER_BITS }
    }

    /// One that was never given before.
    pub(crate) const fn next(&mut self) -> PeerId {
        let id = PeerId(self.next);
        self.next += 1;
        assert!(self.next & ((1 << COUNTER_BITS) - 1) != 0, "a shard opens fewer than 2^48");
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_are_alike() {
        let mut shards = [PeerIds::of(0), PeerIds::of(1), PeerIds::of(1023)];
        let ids = shards.iter_mut().flat_map(|shard| [0; 100].map(|_| shard.next()));
        assert_eq!(ids.collect::<HashSet<_>>().len(), 300);
    }
}
