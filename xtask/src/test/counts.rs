//! The numbers in what `cargo test` prints. Never guesses: a line that it does not know adds nothing.

use std::fmt;
use std::ops::AddAssign;

/// Tests by outcome, summed over test programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// Ignored, or left out by name.
    pub(super) skipped: u64,
}

impl Counts {
    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; …`.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (_, numbers) = line.split_once("test result: ")?;
        let mut counts = Self::default();
        for part in numbers.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let Some(Ok(number)) = words.next().map(str::parse::<u64>) else { continue };
            match words.next() {
                Some("passed") => counts.passed = number,
                Some("failed") => counts.failed = number,
                Some("ignored" | "filtered") => counts.skipped += number,
                _ => {}
            }
        }
        Some(counts)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_and_added() {
        let lines = [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.52s",
            "test result: \u{1b}[31mFAILED\u{1b}[m. 3 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out",
            "test http1::passed ... ok",
            "running 3 tests",
        ];
        let mut sum = Counts::default();
        lines.iter().filter_map(|line| Counts::read(line)).for_each(|counts| sum += counts);
        assert_eq!(sum, Counts { passed: 15, failed: 4, skipped: 3 });
        assert_eq!(sum.to_string(), "15 passed, 4 failed, 3 skipped");
    }
}
