//! Who looks for a mutant: a program of tests, or the simulator. Built in a copy of the tree, run
//! until it has found something; one that falls silent has found something, too.

use super::tree::Tree;
use crate::error::Error;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// A program that says nothing for so long hangs. Each test and each few seconds of simulation say
/// a line, and no test takes half of it.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// The most histories that are played to find a mutant, and so many pass without one.
const SEEDS_MAX: u32 = 20_000;

/// A program that finds mutants.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    name: &'static str,
    /// What cargo builds it by.
    build: &'static [&'static str],
    /// The folder of its package, where its tests run.
    folder: &'static str,
    variables: &'static [(&'static str, &'static str)],
    is_simulator: bool,
}

const fn tests(name: &'static str, build: &'static [&'static str], folder: &'static str) -> Kind {
    Kind { name, build, folder, variables: &[], is_simulator: false }
}

/// All of them: those that need least to be built come first.
const KINDS: [Kind; 11] = [
    tests("parsing", &["test", "-p", "springtide-proto", "--lib"], "crates/proto"),
    tests("proto", &["test", "-p", "springtide-proto", "--test", "http1"], "crates/proto"),
    tests("framed", &["test", "-p", "springtide-proto", "--test", "framed"], "crates/proto"),
    tests("websocket", &["test", "-p", "springtide-proto", "--test", "websocket"], "crates/proto"),
    Kind {
        variables: &[("RUSTFLAGS", "--cfg loom")],
        ..tests("loom", &["test", "-p", "springtide-engine", "--test", "loom"], "crates/engine")
    },
    tests("engine", &["test", "-p", "springtide-engine", "--lib"], "crates/engine"),
    tests("laws", &["test", "-p", "springtide-engine", "--test", "laws"], "crates/engine"),
    tests("server", &["test", "-p", "springtide", "--lib"], "crates/springtide"),
    tests("threads", &["test", "-p", "springtide", "--test", "server"], "crates/springtide"),
    tests("worlds", &["test", "-p", "springtide", "--test", "worlds"], "crates/springtide"),
    Kind { is_simulator: true, ..tests("sim", &["build", "-p", "springtide-sim"], "crates/sim") },
];

/// A program, and which of its tests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finder {
    /// Its index among all, by which mutants are sorted.
    kind: usize,
    /// Parts of the names of its tests; all tests when there is none.
    filters: Vec<String>,
}

/// What a finder says of a tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Something is wrong, and what.
    Found(String),
    /// All is well.
    Passed,
}

impl Finder {
    /// Reads `KIND [FILTER…]`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let kind = KINDS.iter().position(|kind| kind.name == name).ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            format!("nobody is called `{name}`: {} find mutants", names.join(", "))
        })?;
        Ok(Self { kind, filters: words.map(str::to_owned).collect() })
    }

    /// One finder for each kind that is among `finders`, with all their filters: what must pass
    /// before any of them can find a mutant.
    pub(super) fn together<'a>(finders: impl Iterator<Item = &'a Self>) -> Vec<Self> {
        let mut sums: Vec<Self> = Vec::new();
        for Self { kind, filters } in finders {
            match sums.iter_mut().find(|sum| sum.kind == *kind) {
                Some(sum) => sum.filters.extend(filters.iter().cloned()),
                None => sums.push(Self { kind: *kind, filters: filters.clone() }),
            }
        }
        sums
    }

    pub(super) fn order(&self) -> usize {
        self.kind
    }

    /// Its kind and its filters.
    pub(super) fn name(&self) -> String {
        let mut words = vec![KINDS[self.kind].name];
        words.extend(self.filters.iter().map(String::as_str));
        words.join(" ")
    }

    /// Builds it from a tree and runs it.
    ///
    /// # Errors
    /// It does not build, or cannot be run.
    pub(super) fn look(&self, tree: &Tree) -> Result<Verdict, Error> {
        let kind = &KINDS[self.kind];
        let mut program = Command::new(kind.build_in(tree)?);
        program.current_dir(tree.source.join(kind.folder));
        if kind.is_simulator {
            program.args(["--seeds", &SEEDS_MAX.to_string()]);
        } else {
            program.args(&self.filters);
        }
        let (verdict, tests) = run(program)?;
        if verdict == Verdict::Passed && tests == 0 && !kind.is_simulator {
            return Err(Error::NoTest { filters: self.filters.join(" ") });
        }
        Ok(verdict)
    }
}

impl Kind {
    /// Builds the program; where it lies.
    fn build_in(&self, tree: &Tree) -> Result<PathBuf, Error> {
        let mut cargo = Command::new("cargo");
        cargo.args(self.build).args(["--quiet", "--message-format=json-render-diagnostics"]);
        if !self.is_simulator {
            cargo.arg("--no-run");
        }
        let target = if self.variables.is_empty() { "target" } else { self.name };
        cargo.env("CARGO_TARGET_DIR", tree.folder.join(target));
        // Mutants leave something unused now and then: that is no error. Nobody debugs them.
        cargo.env_remove("RUSTFLAGS").env("CARGO_PROFILE_DEV_DEBUG", "0");
        cargo.envs(self.variables.iter().copied()).current_dir(&tree.source);
        let program = format!("cargo {}", self.build.join(" "));
        let output = cargo.stdin(Stdio::null()).output();
        let output = output.map_err(|source| Error::Spawn { program: program.clone(), source })?;
        let said = String::from_utf8_lossy(&output.stdout);
        match executable(&said).filter(|_| output.status.success()) {
            Some(path) => Ok(path),
            None => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                Err(Error::Refused { program, said })
            }
        }
    }
}

/// The program in cargo's messages, of which the last one with a program is the one asked for.
fn executable(messages: &str) -> Option<PathBuf> {
    let (_, behind) = messages.rsplit_once(r#""executable":""#)?;
    behind.split_once('"').map(|(path, _)| PathBuf::from(path))
}

/// A program with everything that it started, all of which ends with it.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Once it has been waited for, its number may be somebody else's.
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        let mut kill = Command::new("kill");
        kill.args(["-KILL", "--", &format!("-{}", self.0.id())]);
        // Where there is no such program, at least the child ends.
        let _ = kill.status();
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a program says, and how many tests passed before that.
fn run(mut program: Command) -> Result<(Verdict, usize), Error> {
    let name = program.get_program().to_string_lossy().into_owned();
    let wrap = |source| Error::Spawn { program: name.clone(), source };
    program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut group = Group(program.spawn().map_err(wrap)?);
    let output = group.0.stdout.take().expect("the output of the child was just asked for");
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            // Nobody listens any more when something was found.
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
    let mut passed = 0;
    let verdict = loop {
        match lines.recv_timeout(SILENCE_MAX) {
            Ok(line) => {
                if let Some(what) = failure_in(&line) {
                    break Verdict::Found(what);
                }
                passed += usize::from(line.starts_with("test ") && line.ends_with(" ... ok"));
            }
            Err(RecvTimeoutError::Timeout) => {
                break Verdict::Found(format!("it hangs for {SILENCE_MAX:?}"));
            }
            Err(RecvTimeoutError::Disconnected) => {
                break verdict_of(group.0.wait().map_err(wrap)?);
            }
        }
    };
    Ok((verdict, passed))
}

/// What a line says that went wrong: a test's, or a history's.
fn failure_in(line: &str) -> Option<String> {
    if let Some(test) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"))
    {
        return Some(test.to_owned());
    }
    let is_history = line.starts_with("seed ") && line.contains(" fails: ");
    is_history.then(|| line.replacen(" fails", "", 1))
}

fn verdict_of(status: ExitStatus) -> Verdict {
    match status.signal() {
        None if status.success() => Verdict::Passed,
        None => Verdict::Found(format!("it ends with {status}")),
        Some(signal) => Verdict::Found(format!("it dies of signal {signal}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(script: &str) -> Verdict {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        run(shell).unwrap().0
    }

    #[test]
    fn what_goes_wrong_is_found() {
        let found = |what: &str| Verdict::Found(what.to_owned());
        assert_eq!(verdict("echo test a::b ... ok"), Verdict::Passed);
        assert_eq!(verdict("echo test a::b ... FAILED; sleep 1000"), found("a::b"));
        let history = "seed 7 fails: a reply is missing";
        assert_eq!(verdict(&format!("echo {history}")), found("seed 7: a reply is missing"));
        assert_eq!(verdict("exit 1"), found("it ends with exit status: 1"));
        assert_eq!(verdict("kill -ABRT $$"), found("it dies of signal 6"));
    }

    #[test]
    fn programs_are_read_from_what_cargo_says() {
        let messages = r#"{"reason":"a","executable":null}
{"reason":"a","executable":"/a/first","fresh":false}
{"reason":"a","executable":"/a/last","fresh":false}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/a/last")));
        assert_eq!(executable("{}"), None);
    }

    #[test]
    fn finders_of_a_kind_run_together() {
        let finders = ["laws a", "sim", "laws b c", "sim"].map(|text| Finder::parse(text).unwrap());
        let together = Finder::together(finders.iter());
        let names: Vec<String> = together.iter().map(Finder::name).collect();
        assert_eq!(names, ["laws a b c", "sim"]);
        assert!(Finder::parse("nobody").is_err());
    }
}
