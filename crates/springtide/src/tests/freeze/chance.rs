//! Chance with a seed, so that a failure comes again.
//! It is not random enough for anything but tests.

pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`, which is not zero (xorshift64).
    pub(super) const fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    /// True once in so many times.
    pub(super) const fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
