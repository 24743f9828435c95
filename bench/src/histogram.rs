//! A log-linear histogram of nanoseconds: 64 steps to each power of two, so at most 1.6 % off.
//! It must never allocate after its creation, nor drop a value.

/// Steps to each power of two, as a power of two.
const STEP_BITS: u32 = 6;
const STEPS: usize = 1 << STEP_BITS;
const BUCKETS: usize = STEPS * (64 - STEP_BITS as usize + 1);

/// Counts values in buckets whose width is 1/64 of their size.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS].into_boxed_slice(), total: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts `times` occurrences of a value.
    pub fn record(&mut self, value: u64, times: u64) {
        self.counts[bucket(value)] += times;
        self.total += times;
        self.max = self.max.max(value);
    }

    /// How many values were recorded.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The largest value, exactly.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The smallest value that at least this share (0 to 1) of all values do not exceed,
    /// as the middle of its bucket.
    pub fn quantile(&self, share: f64) -> u64 {
        assert!((0.0..=1.0).contains(&share), "a share");
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle(index).min(self.max);
            }
        }
        self.max
    }
}

/// Values below 64 have a bucket each; above, the highest seven bits name it.
fn bucket(value: u64) -> usize {
    if value < STEPS as u64 {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - STEP_BITS;
    (shift as usize + 1) * STEPS + ((value >> shift) as usize & (STEPS - 1))
}

fn middle(index: usize) -> u64 {
    if index < STEPS {
        return index as u64;
    }
    let shift = index / STEPS - 1;
    let start = ((STEPS + index % STEPS) as u64) << shift;
    start + ((1u64 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with the exact quantiles of the sorted values.
    fn check(mut values: Vec<u64>) {
        let mut histogram = Histogram::default();
        for value in &values {
            histogram.record(*value, 1);
        }
        values.sort_unstable();
        for share in [0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let rank = ((values.len() as f64 * share).ceil() as usize).max(1);
            let exact = values[rank - 1] as f64;
            let told = histogram.quantile(share) as f64;
            assert!((told - exact).abs() <= exact / 64.0, "{share}: {told} for {exact}");
        }
        assert_eq!(histogram.total(), values.len() as u64);
        assert_eq!(histogram.max(), values[values.len() - 1]);
    }

    #[test]
    fn quantiles_are_within_a_step_of_the_exact_ones() {
        check((0..1000).collect());
        check(vec![7]);
        check(vec![0, u64::MAX]);
        check((1..60).map(|shift| (1u64 << shift) - 1).collect());
        let mut state = 88172645463325252u64;
        let random = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> (state % 60)
        };
        check((0..100_000).map(random).collect());
    }

    #[test]
    fn buckets_follow_each_other_without_gap() {
        let mut last = bucket(0);
        for value in 1..1_000_000u64 {
            let next = bucket(value);
            assert!(next == last || next == last + 1, "{value}");
            last = next;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_value_recorded_many_times_counts_as_many() {
        let mut histogram = Histogram::default();
        histogram.record(10, 99);
        histogram.record(50, 1);
        assert_eq!(histogram.quantile(0.99), 10);
        assert_eq!(histogram.quantile(0.991), 50);
    }
}
