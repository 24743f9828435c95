//! A seeded order, so that a run can be repeated.
//! It must never be used where unpredictability matters.

/// Marsaglia's xorshift with 64 bits of state.
#[derive(Debug, Clone)]
pub(super) struct Shuffle(u64);

impl Shuffle {
    pub(super) fn new(seed: u64) -> Shuffle {
        // The state must not be zero.
        Shuffle(seed | 1)
    }

    /// Puts the items into random order (Fisher and Yates).
    pub(super) fn order<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = (self.next() % (last as u64 + 1)) as usize;
            items.swap(last, other);
        }
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_item_and_repeats_with_its_seed() {
        let (mut first, mut second) = ([0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6]);
        Shuffle::new(7).order(&mut first);
        Shuffle::new(7).order(&mut second);
        assert_eq!(first, second);
        second.sort_unstable();
        assert_eq!(second, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn every_order_of_three_comes_up() {
        let mut shuffle = Shuffle::new(1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut items = [1, 2, 3];
            shuffle.order(&mut items);
            seen.insert(items);
        }
        assert_eq!(seen.len(), 6);
    }
}
