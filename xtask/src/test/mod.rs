//! `cargo xtask test`: everything that must hold, step after step. Changes nothing on the machine
//! unless it is told to install, and never passes over in silence what did not run.

mod counts;
mod output;
mod steps;

use crate::cargo::{self, Compiler};
use crate::error::Error;
use crate::tools::{self, Tool};
use counts::Counts;
use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use steps::{Job, Machine, Plan, Step};

/// The exit code for: nothing failed, and something did not run.
const INCOMPLETE: u8 = 2;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Install what is missing on this machine first (Debian packages, through sudo when not root, and cargo-deny)
    #[arg(long)]
    install: bool,
    /// Run this step only; may be given more than once
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Say what the steps are and run none
    #[arg(long)]
    list: bool,
}

/// Runs the steps and ends with the sum of all tests alone on the last line.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Error> {
    let steps = steps::chosen(&options.only)?;
    if options.list {
        for step in steps {
            println!("{:<14}{}", step.name, step.purpose);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut report = Report::default();
    let mut missing = tools::missing_for_tests();
    if options.install && !tools::install_line(&missing).is_empty() {
        report.rows.push(install(&missing));
        missing = tools::missing_for_tests();
    }
    name_missing(&missing);
    let machine = inspect(root, missing);
    for (index, step) in steps.iter().enumerate() {
        println!("\n== [{}/{}] {}: {}", index + 1, steps.len(), step.name, step.purpose);
        let row = run_step(step, &machine, &mut report);
        println!("== {}: {} in {}", row.name, row.outcome.word(), seconds(row.took));
        report.rows.push(row);
    }
    println!("\n{}", report.to_string().trim_end());
    Ok(report.exit_code())
}

fn inspect(root: &Path, missing: Vec<&'static Tool>) -> Machine {
    let target = cargo::target_folder(root);
    Machine { root: root.to_owned(), target, missing, host: Compiler::ask().host, has_cargo }
}

fn has_cargo(subcommand: &str) -> bool {
    let mut cargo = Command::new("cargo");
    cargo.args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    cargo.status().is_ok_and(|status| status.success())
}

fn install(missing: &[&'static Tool]) -> Row {
    println!("== install: {}", tools::install_line(missing));
    let started = Instant::now();
    let outcome = match tools::install(missing) {
        Ok(()) => Outcome::Passed(Vec::new()),
        Err(error) => Outcome::Failed(error.to_string()),
    };
    Row { name: "install", outcome, took: started.elapsed() }
}

fn name_missing(missing: &[&'static Tool]) {
    if missing.is_empty() {
        return;
    }
    let programs: Vec<&str> = missing.iter().map(|tool| tool.program).collect();
    println!("missing on this machine: {}", programs.join(", "));
    let line = tools::install_line(missing);
    if !line.is_empty() {
        println!("install with: {line}");
    }
}

fn run_step(step: &Step, machine: &Machine, report: &mut Report) -> Row {
    let started = Instant::now();
    let outcome = match (step.plan)(machine) {
        Plan::Run(job) => run_job(step.name, job, machine, report),
        Plan::Count(count) => match count(&machine.root) {
            Ok(counted) if counted.has_failed => Outcome::Failed("see above".to_owned()),
            Ok(counted) => Outcome::Passed(counted.left_out),
            Err(error) => Outcome::Failed(error.to_string()),
        },
        Plan::Blocked(why) => Outcome::NotRun(why),
        Plan::Broken(why) => Outcome::Failed(why),
    };
    Row { name: step.name, outcome, took: started.elapsed() }
}

fn run_job(name: &'static str, job: Job, machine: &Machine, report: &mut Report) -> Outcome {
    let mut cargo = Command::new("cargo");
    cargo.args(&job.arguments).current_dir(&machine.root).stdin(Stdio::null());
    if std::env::var_os("CI").is_some() {
        // Nothing is built twice there: no traces for the next build, no colours for nobody.
        cargo.env("CARGO_INCREMENTAL", "0").env("CARGO_TERM_COLOR", "never");
    }
    cargo.envs(job.variables.iter().map(|(name, value)| (name, value)));
    println!("{}", shown(&job));
    let heard = match output::listen(cargo) {
        Ok(heard) => heard,
        Err(source) => {
            let program = "cargo".to_owned();
            return Outcome::Failed(Error::Spawn { program, source }.to_string());
        }
    };
    if job.counts_tests {
        report.tests += heard.counts;
    }
    match heard.is_success {
        // A test program that is left out by mistake must not look like one that passed.
        true if job.counts_tests && heard.counts.passed == 0 => {
            Outcome::Failed("no test ran".to_owned())
        }
        true => Outcome::Passed(job.left_out),
        false => {
            report.again.push((name, heard.again));
            let left_out = job.left_out.join(", ");
            let why = if left_out.is_empty() {
                String::new()
            } else {
                format!("; did not run: {left_out}")
            };
            Outcome::Failed(format!("see above{why}"))
        }
    }
}

/// The command as a person would type it.
fn shown(job: &Job) -> String {
    let variables = job.variables.iter().map(|(name, value)| {
        if value.contains(' ') { format!("{name}='{value}' ") } else { format!("{name}={value} ") }
    });
    format!("$ {}cargo {}", variables.collect::<String>(), job.arguments.join(" "))
}

#[derive(Default)]
struct Report {
    rows: Vec<Row>,
    tests: Counts,
    /// Of each step that failed, what to say again.
    again: Vec<(&'static str, Vec<String>)>,
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

enum Outcome {
    /// With what it left out because a tool is missing.
    Passed(Vec<String>),
    Failed(String),
    NotRun(String),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed(left_out) if left_out.is_empty() => "passed",
            Self::Passed(_) => "passed in part",
            Self::Failed(_) => "FAILED",
            Self::NotRun(_) => "did not run",
        }
    }

    fn remark(&self) -> String {
        match self {
            Self::Passed(left_out) if left_out.is_empty() => String::new(),
            Self::Passed(left_out) => format!("did not run: {}", left_out.join(", ")),
            Self::Failed(why) | Self::NotRun(why) => why.clone(),
        }
    }
}

impl Report {
    fn exit_code(&self) -> ExitCode {
        let mut outcomes = self.rows.iter().map(|row| &row.outcome);
        if outcomes.clone().any(|outcome| matches!(outcome, Outcome::Failed(_))) {
            return ExitCode::FAILURE;
        }
        let is_incomplete = outcomes.any(|outcome| match outcome {
            Outcome::NotRun(_) => true,
            Outcome::Passed(left_out) => !left_out.is_empty(),
            Outcome::Failed(_) => false,
        });
        if is_incomplete { ExitCode::from(INCOMPLETE) } else { ExitCode::SUCCESS }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, lines) in &self.again {
            lines.iter().try_for_each(|line| writeln!(f, "{name}: {line}"))?;
        }
        for Row { name, outcome, took } in &self.rows {
            let (word, remark) = (outcome.word(), outcome.remark());
            let line = format!("{name:<14}{word:<16}{:>8}  {remark}", seconds(*took));
            writeln!(f, "{}", line.trim_end())?;
        }
        if self.tests == Counts::default() {
            return Ok(());
        }
        write!(f, "\n{}", self.tests)
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: Vec<Outcome>) -> Report {
        let row = |outcome| Row { name: "step", outcome, took: Duration::from_millis(1500) };
        let tests = Counts { passed: 3, failed: 1, skipped: 2 };
        let again = vec![("step", vec!["test a ... FAILED".to_owned()])];
        Report { rows: outcomes.into_iter().map(row).collect(), tests, again }
    }

    fn code(outcomes: Vec<Outcome>) -> String {
        format!("{:?}", report(outcomes).exit_code())
    }

    #[test]
    fn the_exit_code_tells_failed_from_incomplete() {
        let (passed, why) = (|| Outcome::Passed(Vec::new()), || "why".to_owned());
        let success = format!("{:?}", ExitCode::SUCCESS);
        let incomplete = format!("{:?}", ExitCode::from(INCOMPLETE));
        let failure = format!("{:?}", ExitCode::FAILURE);
        assert_eq!(code(vec![passed(), passed()]), success);
        assert_eq!(code(vec![passed(), Outcome::NotRun(why())]), incomplete);
        assert_eq!(code(vec![Outcome::Passed(vec![why()])]), incomplete);
        assert_eq!(code(vec![Outcome::Failed(why()), Outcome::NotRun(why())]), failure);
    }

    #[test]
    fn the_report_ends_with_the_tests_alone() {
        let text = report(vec![Outcome::Failed("see above".to_owned())]).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "step: test a ... FAILED",
                "step          FAILED             1.5 s  see above",
                "",
                "3 passed, 1 failed, 2 skipped"
            ]
        );
    }

    #[test]
    fn a_step_is_shown_as_typed() {
        let job = Job {
            arguments: vec!["test".to_owned(), "--lib".to_owned()],
            variables: vec![("A", "1".to_owned()), ("B", "--cfg c".to_owned())],
            ..Job::default()
        };
        assert_eq!(shown(&job), "$ A=1 B='--cfg c' cargo test --lib");
    }
}
