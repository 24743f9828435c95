//! What a job prints: passed on line by line, its tests added up, and kept what is worth saying
//! again at the end, so that nobody searches thousands of lines for the one that failed.

use super::counts::Counts;
use crate::child;
use std::io::IsTerminal;
use std::process::{Command, Stdio};

/// Lines of one step that are said again, at most.
const AGAIN_MAX: usize = 40;
/// Lines behind an error's first one that belong to it.
const BEHIND: usize = 8;

/// What was heard of a job.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) is_success: bool,
    pub(super) counts: Counts,
    /// The names of tests that failed, and the beginnings of errors.
    pub(super) again: Vec<String>,
    /// So many lines still belong to the error before them.
    behind: usize,
}

/// Runs `command` to its end. On a terminal it writes its errors there itself, and so shows its
/// progress.
pub(super) fn listen(mut command: Command) -> std::io::Result<Heard> {
    let is_seen = std::io::stderr().is_terminal();
    let errors = if is_seen { Stdio::inherit() } else { Stdio::piped() };
    let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn()?;
    let mut heard = Heard::default();
    for line in child::lines_of(&mut child) {
        heard.hear(&line);
        println!("{line}");
    }
    heard.is_success = child.wait()?.success();
    Ok(heard)
}

impl Heard {
    fn hear(&mut self, line: &str) {
        if let Some(more) = Counts::read(line) {
            self.counts += more;
        }
        if begins_error(line) {
            self.behind = BEHIND;
        } else {
            self.behind = self.behind.saturating_sub(1);
        }
        if self.behind > 0 && self.again.len() < AGAIN_MAX && !line.is_empty() {
            self.again.push(line.to_owned());
        }
    }
}

/// A failed test, where it panicked, an error of the compiler or a sanitizer, a simulated failure.
fn begins_error(line: &str) -> bool {
    let line = line.trim_start();
    let begins = ["error", "ERROR", "==ERROR", "SUMMARY:", "seed "];
    let is_failed_test = line.starts_with("test ") && line.ends_with(" FAILED");
    let is_named = begins.iter().any(|word| line.starts_with(word));
    is_failed_test || is_named || line.starts_with("---- ") || line.contains("AddressSanitizer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str]) -> Heard {
        let mut heard = Heard::default();
        lines.iter().for_each(|line| heard.hear(line));
        heard
    }

    #[test]
    fn failures_are_said_again_and_nothing_else() {
        let lines = [
            "running 2 tests",
            "test a ... ok",
            "test b ... FAILED",
            "",
            "---- b stdout ----",
            "thread 'b' panicked at src/lib.rs:1:1:",
            "left: 1",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
        ];
        let heard = heard(&lines);
        assert_eq!(heard.counts, Counts { passed: 1, failed: 1, skipped: 0 });
        assert_eq!(heard.again, [&lines[2..3], &lines[4..]].concat());
    }

    #[test]
    fn an_error_is_said_with_a_few_lines_and_all_of_them_are_bounded() {
        let long = heard(&[&["error: no such thing"][..], &["more"; 20]].concat());
        assert_eq!(long.again.len(), BEHIND);
        assert_eq!(heard(&["error[E0308]: mismatched types"; 100]).again.len(), AGAIN_MAX);
    }
}
