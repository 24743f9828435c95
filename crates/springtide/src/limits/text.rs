//! Limits as people write them: `16KiB`, `30s`, `100`.
//! It never guesses: a size or a time without its unit is refused.

use springtide_proto::Unit;

/// The units of sizes, the largest first.
const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
/// The units of times, the largest first.
const TIMES: &[(&str, u64)] = &[("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// What a text of this unit looks like.
pub(super) const fn expected(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "it is a size: 100B, 16KiB, 4MiB or 1GiB",
        Unit::BytesPerSecond => "it is a size in a second: 500B, 1KiB or 1MiB",
        Unit::Milliseconds => "it is a time: 500ms, 30s, 5m or 1h",
        Unit::Count => "it is a number",
        Unit::PerSecond => "it is a number in a second",
    }
}

const fn units(unit: Unit) -> &'static [(&'static str, u64)] {
    match unit {
        Unit::Bytes | Unit::BytesPerSecond => SIZES,
        Unit::Milliseconds => TIMES,
        Unit::Count | Unit::PerSecond => &[("", 1)],
    }
}

/// The number that a text says; none when it says none of this unit.
pub(super) fn parse(unit: Unit, text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'_')).count();
    let (digits, suffix) = text.split_at(digits);
    let number: u64 = digits.replace('_', "").parse().ok()?;
    if number == 0 && suffix.is_empty() {
        return Some(0);
    }
    let (_, factor) = units(unit).iter().find(|(name, _)| *name == suffix.trim_start())?;
    number.checked_mul(*factor)
}

/// A number in the largest unit that says it whole.
pub(super) fn show(unit: Unit, value: u64) -> String {
    let fits = |(_, factor): &&(&str, u64)| value > 0 && value.is_multiple_of(*factor);
    let (name, factor) = units(unit).iter().find(fits).copied().unwrap_or_else(|| smallest(unit));
    format!("{}{name}", value / factor)
}

const fn smallest(unit: Unit) -> (&'static str, u64) {
    match unit {
        Unit::Bytes | Unit::BytesPerSecond => ("B", 1),
        Unit::Milliseconds => ("ms", 1),
        Unit::Count | Unit::PerSecond => ("", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_parsed() {
        for (unit, value, text) in [
            (Unit::Bytes, 0, "0B"),
            (Unit::Bytes, 1023, "1023B"),
            (Unit::Bytes, 16 << 10, "16KiB"),
            (Unit::Bytes, 3 << 30, "3GiB"),
            (Unit::BytesPerSecond, 1024, "1KiB"),
            (Unit::Milliseconds, 0, "0ms"),
            (Unit::Milliseconds, 1500, "1500ms"),
            (Unit::Milliseconds, 30_000, "30s"),
            (Unit::Milliseconds, 90_000, "90s"),
            (Unit::Milliseconds, 3_600_000, "1h"),
            (Unit::Count, 10_000, "10000"),
        ] {
            assert_eq!(show(unit, value), text);
            assert_eq!(parse(unit, text), Some(value), "{text}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for text in ["", "16", "KiB", "16kb", "16KB", "1.5MiB", "-1KiB", "16KiB ", "1s"] {
            assert_eq!(parse(Unit::Bytes, text), None, "{text:?}");
        }
        assert_eq!(parse(Unit::Milliseconds, "5"), None);
        assert_eq!(parse(Unit::Milliseconds, "1 s"), Some(1000));
        assert_eq!(parse(Unit::Count, "10_000"), Some(10_000));
    }
}
