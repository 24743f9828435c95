//! The steps of a full test, as data: what each runs, with what around it, and what it needs. Runs
//! nothing itself.

use crate::conform::autobahn;
use crate::error::Error;
use crate::instructions::{self, Outcome};
use crate::tools::{NeededBy, Tool, VALGRIND};
use std::path::{Path, PathBuf};

/// One step: what it is for, and how its command is made on this machine.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) purpose: &'static str,
    pub(super) plan: fn(&Machine) -> Plan,
}

/// What a step knows before it runs.
pub(super) struct Machine {
    pub(super) root: PathBuf,
    pub(super) target: PathBuf,
    pub(super) missing: Vec<&'static Tool>,
    /// The host as rustc names it; empty when rustc does not say.
    pub(super) host: String,
    /// Asks whether `cargo NAME` exists.
    pub(super) has_cargo: fn(&str) -> bool,
}

pub(super) enum Plan {
    Run(Job),
    /// A check of our own, which prints what it finds.
    Count(fn(&Path) -> Result<Outcome, Error>),
    /// Cannot run here, and a full test is not full without it.
    Blocked(String),
    /// Cannot run anywhere: the repository itself lacks something.
    Broken(String),
}

/// One run of cargo.
#[derive(Default)]
pub(super) struct Job {
    pub(super) arguments: Vec<String>,
    pub(super) variables: Vec<(&'static str, String)>,
    /// Its output has `test result:` lines to add up.
    pub(super) counts_tests: bool,
    /// What it leaves out because a tool is missing.
    pub(super) left_out: Vec<String>,
}

impl Job {
    fn cargo(line: &str) -> Self {
        let arguments = line.split_whitespace().map(str::to_owned).collect();
        Self { arguments, ..Self::default() }
    }

    fn tests(line: &str) -> Self {
        Self { counts_tests: true, ..Self::cargo(line) }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Leaves out the tests that need a tool which is not here, and says so.
    fn without_missing(mut self, missing: &[&'static Tool]) -> Self {
        for tool in missing {
            let NeededBy::Tests(tests) = tool.needed_by else { continue };
            if self.left_out.is_empty() {
                self.arguments.push("--".to_owned());
            }
            self.arguments.extend(["--skip".to_owned(), tests.to_owned()]);
            self.left_out.push(format!("the tests `{tests}…` (no {})", tool.program));
        }
        self
    }
}

pub(super) const STEPS: [Step; 12] = [
    Step { name: "fmt", purpose: "the layout is rustfmt's", plan: fmt },
    Step { name: "clippy", purpose: "no lint fires in the program and its examples", plan: clippy },
    Step { name: "clippy-tests", purpose: "no lint fires in the tests", plan: clippy_tests },
    Step { name: "test", purpose: "unit, law, browser and documentation tests; tidy", plan: test },
    Step { name: "build", purpose: "the programs build for release", plan: build },
    Step {
        name: "instructions",
        purpose: "no request costs more instructions than it did",
        plan: count_instructions,
    },
    Step {
        name: "doc",
        purpose: "the documentation builds and its links lead somewhere",
        plan: doc,
    },
    Step { name: "loom", purpose: "the queues hold under every interleaving", plan: loom },
    Step {
        name: "asan",
        purpose: "no test touches memory that is not its own, or leaks",
        plan: asan,
    },
    Step {
        name: "sim",
        purpose: "every simulated history is as the model says, and together they reach everything",
        plan: sim,
    },
    Step {
        name: "autobahn",
        purpose: "WebSockets are as another project's cases want them",
        plan: ask_autobahn,
    },
    Step { name: "deny", purpose: "licences and sources of dependencies", plan: deny },
];

/// The steps called `only`, or all of them.
pub(super) fn chosen(only: &[String]) -> Result<Vec<&'static Step>, Error> {
    for name in only {
        if !STEPS.iter().any(|step| step.name == *name) {
            return Err(Error::UnknownStep { name: name.clone() });
        }
    }
    let is_chosen = |step: &&Step| only.is_empty() || only.iter().any(|name| name == step.name);
    Ok(STEPS.iter().filter(is_chosen).collect())
}

fn fmt(machine: &Machine) -> Plan {
    if !(machine.has_cargo)("fmt") {
        return Plan::Blocked("rustfmt is missing: rustup component add rustfmt".to_owned());
    }
    Plan::Run(Job::cargo("fmt --all --check"))
}

fn clippy(machine: &Machine) -> Plan {
    clippy_job(machine, "clippy --workspace --lib --bins --examples -- -D warnings")
}

/// Tests may unwrap anywhere, and run on real time, threads and files: the bans in the crates'
/// `clippy.toml` are for what the step before has checked.
fn clippy_tests(machine: &Machine) -> Plan {
    let line = "clippy --workspace --tests -- -D warnings \
                -A clippy::unwrap_used -A clippy::disallowed_methods";
    clippy_job(machine, line)
}

fn clippy_job(machine: &Machine, line: &str) -> Plan {
    if !(machine.has_cargo)("clippy") {
        return Plan::Blocked("clippy is missing: rustup component add clippy".to_owned());
    }
    Plan::Run(Job::cargo(line))
}

fn test(machine: &Machine) -> Plan {
    Plan::Run(Job::tests("test --workspace --no-fail-fast").without_missing(&machine.missing))
}

/// The examples are built with the tests: linking each of them for release says nothing more of them.
fn build(_: &Machine) -> Plan {
    Plan::Run(Job::cargo("build --release -p springtide-cli -p bench --bins"))
}

fn count_instructions(machine: &Machine) -> Plan {
    if machine.missing.contains(&&VALGRIND) {
        return Plan::Blocked("valgrind is missing".to_owned());
    }
    Plan::Count(instructions::check)
}

fn ask_autobahn(_: &Machine) -> Plan {
    match autobahn::python() {
        Ok(_) => Plan::Count(autobahn::check),
        Err(error) => Plan::Blocked(format!("its suite runs on Python 2.7 only: {error}")),
    }
}

fn doc(_: &Machine) -> Plan {
    let job = Job::cargo("doc --workspace --no-deps --lib").with("RUSTDOCFLAGS", "-D warnings");
    Plan::Run(job)
}

/// Loom replaces the atomics of the whole build, so it has a target folder of its own; it explores
/// millions of states, so it runs optimized, but without the program's slow linking.
fn loom(machine: &Machine) -> Plan {
    let file = "crates/engine/tests/loom.rs";
    if !machine.root.join(file).is_file() {
        return Plan::Broken(format!("{file} is not there"));
    }
    let job = Job::tests("test -p springtide-engine --release --test loom --no-fail-fast")
        .with("RUSTFLAGS", "--cfg loom")
        .with("CARGO_PROFILE_RELEASE_LTO", "off")
        .with("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .with("CARGO_TARGET_DIR", machine.target.join("loom").display().to_string());
    Plan::Run(job)
}

/// The packages whose tests run under the address sanitizer, and where they lie.
const ASAN_PACKAGES: [(&str, &str); 3] = [
    ("springtide-engine", "crates/engine"),
    ("springtide-proto", "crates/proto"),
    ("springtide", "crates/springtide"),
];

/// Test targets that say nothing under the sanitizer, with the reason. Each must exist.
const ASAN_LEFT_OUT: &[(&str, &str)] =
    &[("crates/engine/tests/loom.rs", "empty without `--cfg loom`, and has its own step")];

/// The sanitizer comes with the compiler but its switch is not stable; the variable opens it. A
/// target is named so that build scripts and macros stay as they are.
fn asan(machine: &Machine) -> Plan {
    if !matches!(machine.host.as_str(), "x86_64-unknown-linux-gnu" | "aarch64-unknown-linux-gnu") {
        let advice = "the address sanitizer runs on x86-64 and ARM64 Linux with glibc only";
        return Plan::Blocked(format!("{advice}, and this is {:?}", machine.host));
    }
    let mut line = format!("test --target {} --no-fail-fast --lib", machine.host);
    for (package, folder) in ASAN_PACKAGES {
        line.push_str(&format!(" -p {package}"));
        for name in test_targets(&machine.root, folder) {
            line.push_str(&format!(" --test {name}"));
        }
    }
    let leaks = machine.root.join("xtask/asan-leaks.txt");
    let job = Job::tests(&line)
        .with("RUSTC_BOOTSTRAP", "1")
        .with("RUSTFLAGS", "-Zsanitizer=address")
        .with("LSAN_OPTIONS", format!("suppressions={}:print_suppressions=0", leaks.display()))
        .with("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1")
        .with("CARGO_TARGET_DIR", machine.target.join("asan").display().to_string())
        .without_missing(&machine.missing);
    Plan::Run(job)
}

/// The integration tests of the package in `folder` but for those left out under the sanitizer.
fn test_targets(root: &Path, folder: &str) -> Vec<String> {
    let tests = root.join(folder).join("tests");
    let entries = std::fs::read_dir(tests).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_left_out =
                ASAN_LEFT_OUT.iter().any(|(path, _)| *path == format!("{folder}/tests/{name}"));
            let has_main = entry.path().join("main.rs").is_file();
            let target = name.strip_suffix(".rs").or_else(|| has_main.then_some(name.as_str()))?;
            (!is_left_out).then(|| target.to_owned())
        })
        .collect();
    names.sort();
    names
}

/// As many histories as fit a minute on one core, and how often each fault and state is reached in
/// them at least.
const SIM: &str = "run -p springtide-sim --release -- --seeds 30000 --least 1000";

fn sim(_: &Machine) -> Plan {
    Plan::Run(Job::cargo(SIM))
}

/// Advisories are left to the forge: their list comes from another place than the crates do.
fn deny(machine: &Machine) -> Plan {
    if !(machine.has_cargo)("deny") {
        return Plan::Blocked("cargo-deny is missing".to_owned());
    }
    Plan::Run(Job::cargo("deny --log-level error check bans licenses sources"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{CHROMIUM, NETWORK_NAMESPACE, NGINX};

    fn machine(missing: Vec<&'static Tool>, has_cargo: fn(&str) -> bool) -> Machine {
        let root = crate::tidy::repository_root();
        let target = root.join("target");
        Machine { root, target, missing, host: "x86_64-unknown-linux-gnu".to_owned(), has_cargo }
    }

    #[test]
    fn tests_of_a_missing_tool_are_left_out_and_named() {
        let Plan::Run(job) = test(&machine(vec![&CHROMIUM], |_| true)) else { panic!("blocked") };
        let tail: Vec<&str> = job.arguments.iter().rev().take(3).map(String::as_str).collect();
        assert_eq!(tail, ["browser_", "--skip", "--"]);
        assert_eq!(job.left_out, ["the tests `browser_…` (no chromium)"]);
        let missing = vec![&NETWORK_NAMESPACE];
        let Plan::Run(job) = test(&machine(missing, |_| true)) else { panic!("blocked") };
        let why = "the tests `netns_…` (no network namespace of one's own: that takes root)";
        assert_eq!(job.left_out, [why]);
        let Plan::Run(job) = test(&machine(vec![&NGINX], |_| true)) else { panic!("blocked") };
        assert!(job.left_out.is_empty() && !job.arguments.contains(&"--".to_owned()));
    }

    #[test]
    fn a_missing_component_blocks() {
        let machine = machine(Vec::new(), |_| false);
        for plan in [fmt, clippy, clippy_tests, deny] {
            assert!(matches!(plan(&machine), Plan::Blocked(_)));
        }
    }

    #[test]
    fn instructions_are_counted_where_valgrind_is() {
        let plan = |missing| count_instructions(&machine(missing, |_| true));
        assert!(matches!(plan(vec![&VALGRIND]), Plan::Blocked(_)));
        assert!(matches!(plan(vec![&NGINX]), Plan::Count(_)));
    }

    #[test]
    fn another_host_has_no_sanitizer() {
        let mut machine = machine(Vec::new(), |_| true);
        machine.host = "x86_64-unknown-linux-musl".to_owned();
        assert!(matches!(asan(&machine), Plan::Blocked(_)));
    }

    #[test]
    fn steps_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap().len(), STEPS.len());
        let names = ["doc".to_owned(), "fmt".to_owned()];
        let chosen_names: Vec<_> = chosen(&names).unwrap().iter().map(|s| s.name).collect();
        assert_eq!(chosen_names, ["fmt", "doc"]);
        assert!(chosen(&["all".to_owned()]).is_err());
    }
}
