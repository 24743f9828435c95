//! Checks on the length of files, as a ratchet: an exception is listed with its length and may only
//! shrink. Tests are not counted.

use super::source::Source;
use super::{Finding, RATCHET};
use std::collections::BTreeMap;

/// From here on a file is better split.
const LINES_GOOD_MAX: usize = 500;
/// Past this a file is split, or listed from before the rule.
const LINES_MAX: usize = 800;

pub(super) fn lengths(sources: &[Source], ratchet: &BTreeMap<String, usize>) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources {
        let lines = source.production_lines();
        let listed = ratchet.get(&source.path).copied();
        let finding = |advice: &str| Finding::new("length", &source.path, 1, advice);
        match listed {
            None if lines > LINES_MAX => found.push(finding(&format!(
                "{lines} lines without tests are past {LINES_MAX}: split it by concept"
            ))),
            None if lines > LINES_GOOD_MAX => found.push(
                finding(&format!("{lines} lines without tests: split it by concept"))
                    .into_warning(),
            ),
            Some(_) if lines <= LINES_GOOD_MAX => found.push(finding(&format!(
                "{lines} lines need no exception: take it out of {RATCHET}"
            ))),
            Some(most) if lines > most => found.push(finding(&format!(
                "it grew from {most} to {lines} lines: an exception may only shrink"
            ))),
            Some(most) if lines < most => found.push(finding(&format!(
                "it shrank from {most} to {lines} lines: write {lines} in {RATCHET}"
            ))),
            None | Some(_) => {}
        }
    }
    for path in ratchet.keys() {
        if !sources.iter().any(|source| source.path == *path) {
            let advice = format!("lists `{path}`, which is not there: take it out");
            found.push(Finding::new("length", RATCHET, 1, &advice));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings and warnings for a file of `lines` lines that is listed with `listed`.
    fn counts(lines: usize, listed: Option<usize>) -> (usize, usize) {
        let path = "crates/engine/src/x.rs";
        let sources = [Source::parse(path, &"//! x\n".repeat(lines)).unwrap()];
        let ratchet = listed.into_iter().map(|most| (path.to_owned(), most)).collect();
        let found = lengths(&sources, &ratchet);
        let warnings = found.iter().filter(|finding| finding.is_warning()).count();
        (found.len() - warnings, warnings)
    }

    #[test]
    fn lengths_only_shrink() {
        let cases = [
            (500, None, (0, 0)),
            (501, None, (0, 1)),
            (800, None, (0, 1)),
            (801, None, (1, 0)),
            (901, Some(901), (0, 0)),
            (902, Some(901), (1, 0)),
            (900, Some(901), (1, 0)),
            (600, Some(600), (0, 0)),
            (601, Some(600), (1, 0)),
            (500, Some(600), (1, 0)),
        ];
        for (lines, listed, expected) in cases {
            assert_eq!(counts(lines, listed), expected, "{lines} lines, listed with {listed:?}");
        }
    }

    #[test]
    fn a_listed_file_is_there() {
        let ratchet = [("crates/gone.rs".to_owned(), 900)].into_iter().collect();
        assert_eq!(lengths(&[], &ratchet).len(), 1);
    }
}
