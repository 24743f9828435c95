//! What the figures were measured on, and when.
//! It must never name the machine or its user.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Kernel release, processor model and number of cores, in one line.
pub(super) fn describe() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = processor.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or("?", |(_, value)| value.trim())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = cores.max(processor.lines().filter(|l| l.starts_with("processor")).count());
    format!(
        "Linux {}, {} (family {}, model {}), {cores} cores",
        kernel.trim(),
        field("model name"),
        field("cpu family"),
        field("model\t")
    )
}

/// Today as year-month-day (UTC).
pub(super) fn today() -> String {
    let (year, month, day) = civil(seconds() / 86_400);
    format!("{year}-{month:02}-{day:02}")
}

/// A seed for runs that ask for none.
pub(super) fn clock_seed() -> u64 {
    seconds()
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The date of a day since 1970, after Howard Hinnant's `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        let check = |days, date| assert_eq!(civil(days), date);
        check(0, (1970, 1, 1));
        check(59, (1970, 3, 1));
        check(11_016, (2000, 2, 29));
        check(11_017, (2000, 3, 1));
        check(20_454, (2026, 1, 1));
        check(20_818, (2026, 12, 31));
    }
}
