//! How long requests took, counted by bounds: a histogram of each shard.
//! It reads no clock: who notes a duration has it already.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bounds, as OpenTelemetry advises them for `http.server.request.duration`.
const BOUNDS_MS: [u64; 14] =
    [5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000];

/// One for each bound, and what is beyond all of them.
const COUNTS: usize = BOUNDS_MS.len() + 1;

/// The durations of one shard's requests.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    counts: [AtomicU64; COUNTS],
    sum_ms: AtomicU64,
}

/// The sums over all shards.
#[derive(Debug, Default)]
pub(super) struct Sums {
    counts: [u64; COUNTS],
    sum_ms: u64,
}

impl Durations {
    /// A request took so long. Only the shard itself writes, so nothing has to be added atomically.
    pub(crate) fn note(&self, took_ms: u64) {
        let place = BOUNDS_MS.partition_point(|bound_ms| *bound_ms < took_ms);
        let add = |value: &AtomicU64, more| {
            value.store(value.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        };
        add(&self.counts[place], 1);
        add(&self.sum_ms, took_ms);
    }
}

impl Sums {
    pub(super) fn add(&mut self, own: &Durations) {
        for (sum, count) in self.counts.iter_mut().zip(&own.counts) {
            *sum += count.load(Ordering::Relaxed);
        }
        self.sum_ms += own.sum_ms.load(Ordering::Relaxed);
    }

    /// The lines of a histogram of this name, in seconds: each bound has all that are not beyond it.
    pub(super) fn write(&self, name: &str, text: &mut String) {
        let mut total = 0;
        let bounds = BOUNDS_MS.iter().map(|bound_ms| seconds(*bound_ms));
        for (bound, count) in bounds.chain([String::from("+Inf")]).zip(self.counts) {
            total += count;
            // Writing to text cannot fail, here and below.
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {total}");
        }
        let _ = writeln!(text, "{name}_sum {}\n{name}_count {total}", seconds(self.sum_ms));
    }
}

/// Milliseconds as seconds, to the last digit.
#[expect(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285,000 years")]
fn seconds(ms: u64) -> String {
    (ms as f64 / 1000.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_has_what_is_not_beyond_it() {
        let (durations, mut sums, mut text) =
            (Durations::default(), Sums::default(), String::new());
        for took_ms in [0, 5, 6, 10_000, 10_001] {
            durations.note(took_ms);
        }
        sums.add(&durations);
        sums.add(&durations);
        sums.write("d", &mut text);
        for line in [
            "d_bucket{le=\"0.005\"} 4",
            "d_bucket{le=\"0.01\"} 6",
            "d_bucket{le=\"7.5\"} 6",
            "d_bucket{le=\"10\"} 8",
            "d_bucket{le=\"+Inf\"} 10",
            "d_sum 40.024",
            "d_count 10",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} is missing:\n{text}");
        }
        assert_eq!(text.lines().count(), COUNTS + 2);
    }
}
