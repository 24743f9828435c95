//! `cargo xtask instructions`: what one request costs in instructions of user space, on each engine,
//! held against the figures in the repository. Unlike a time, such a count is the same on a busy
//! machine. Never changes a figure unless it is told to.

mod figures;
mod measure;

use crate::cargo::{self, Compiler};
use crate::error::Error;
use crate::tools::{self, VALGRIND};
use figures::{Figures, PATH, Verdict};
use measure::{Measured, Workload, measure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

const ENGINES: [&str; 2] = ["uring", "epoll"];
/// What a turn costs is shared by the requests of the turn, and a busy machine changes how many that
/// are: with these many in flight a row varies by 0.3 %, and by 1 % beside three busy loops on two
/// cores.
const WORKLOADS: [Workload; 8] = [
    // What comes alone has a turn of its own, as at a moderate rate.
    Workload { name: "alone", flags: &["--connections", "1"], requests: [2_000, 12_000], ..PLAIN },
    PLAIN,
    Workload {
        name: "pipelined",
        flags: &["--connections", "64", "--depth", "16"],
        requests: [16_000, 64_000],
        ..PLAIN
    },
    Workload {
        name: "churn",
        flags: &["--connections", "256", "--churn"],
        requests: [2_000, 12_000],
        ..PLAIN
    },
    // A file of some kilobytes that lies in memory.
    Workload {
        name: "file",
        server: &["--files", "."],
        flags: &["--connections", "64", "--path", "/file/LICENSE-APACHE"],
        ..PLAIN
    },
    // A message of a raw connection, answered from callbacks or from a future.
    Workload { name: "raw", server: &["--raw", "then"], flags: ECHO, ..PLAIN },
    Workload { name: "rawawait", server: &["--raw", "await"], flags: ECHO, ..PLAIN },
    Workload { name: "websocket", flags: SOCKETS, ..PLAIN },
];

const PLAIN: Workload = Workload {
    name: "plaintext",
    server: &[],
    flags: &["--connections", "64"],
    requests: [4_000, 34_000],
};
const ECHO: &[&str] = &["--connections", "64", "--echo-bytes", "64"];
const SOCKETS: &[&str] = &["--connections", "64", "--path", "/ws", "--socket-bytes", "64"];

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write what is measured as the new figures
    #[arg(long)]
    write: bool,
}

/// What came out, with everything else already printed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) has_failed: bool,
    /// The rows that could not be measured here, and why.
    pub(crate) left_out: Vec<String>,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Error> {
    if !VALGRIND.is_here() {
        println!("valgrind is missing; install with: {}", tools::install_line(&[&VALGRIND]));
        return Ok(ExitCode::from(2));
    }
    if options.write {
        write(root)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Outcome { has_failed, left_out } = check(root)?;
    for what in &left_out {
        println!("did not run: {what}");
    }
    Ok(match (has_failed, left_out.is_empty()) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(2),
    })
}

/// Measures every row and holds it against its figure.
pub(crate) fn check(root: &Path) -> Result<Outcome, Error> {
    let figures = Figures::read(root)?;
    let compiler = Compiler::ask();
    if figures.compiler.host != compiler.host {
        let hosts = format!("{}, and this is {:?}", figures.compiler.host, compiler.host);
        let left_out = vec![format!("every row ({PATH} is of {hosts})")];
        return Ok(Outcome { left_out, ..Outcome::default() });
    }
    let tolerance_percent = figures.tolerance_percent(&compiler);
    if figures.compiler.version != compiler.version {
        let versions = format!("{}, and this is {}", figures.compiler.version, compiler.version);
        println!("{PATH} is of {versions}: rows may differ by {tolerance_percent} %");
    }
    let (measured, left_out) = measure_all(root, &figures)?;
    let mut said = figures.strays(&names());
    let mut advice = Vec::new();
    for (name, cost) in &measured {
        match figures.judge(name, *cost, tolerance_percent) {
            Verdict::Held => {}
            Verdict::Lower(why) => advice.push(why),
            Verdict::Failed(why) => said.push(why),
        }
    }
    said.iter().for_each(|why| println!("FAILED: {why}"));
    advice.iter().for_each(|why| println!("warning: {why}"));
    Ok(Outcome { has_failed: !said.is_empty(), left_out })
}

/// Writes the figures of this machine; all of them or none, since they are of one compiler.
fn write(root: &Path) -> Result<(), Error> {
    // The old ones are only shown beside the new ones: any may be written over.
    let old = Figures::read(root).unwrap_or_default();
    let (rows, left_out) = measure_all(root, &old)?;
    if !left_out.is_empty() {
        let program = "bench-server".to_owned();
        return Err(Error::Refused { program, said: left_out.join(", ") });
    }
    Figures { compiler: Compiler::ask(), rows }.write(root)?;
    println!("written: {PATH}");
    Ok(())
}

/// Every row's cost, and the rows that this machine refuses with the reason; prints as it goes.
fn measure_all(
    root: &Path,
    figures: &Figures,
) -> Result<(BTreeMap<String, u64>, Vec<String>), Error> {
    cargo::build_release(root, &["-p", "bench", "--bins"])?;
    let (mut measured, mut left_out) = (BTreeMap::new(), Vec::new());
    println!("  {:<20}{:>14}{:>10}{:>9}", "instructions", "a request", "written", "change");
    for workload in &WORKLOADS {
        for engine in ENGINES {
            let name = name(workload, engine);
            match measure(root, engine, workload)? {
                Measured::Cost(cost) => {
                    println!("{}", line(&name, cost, figures.rows.get(&name).copied()));
                    measured.insert(name, cost);
                }
                Measured::Refused(why) => left_out.push(format!("{name} ({why})")),
            }
        }
    }
    Ok((measured, left_out))
}

fn name(workload: &Workload, engine: &str) -> String {
    format!("{}-{engine}", workload.name)
}

fn names() -> Vec<String> {
    WORKLOADS.iter().flat_map(|workload| ENGINES.map(|engine| name(workload, engine))).collect()
}

fn line(name: &str, cost: u64, written: Option<u64>) -> String {
    let Some(written) = written else { return format!("  {name:<20}{cost:>14}{:>10}", "-") };
    let change = 100.0 * (cost as f64 - written as f64) / written as f64;
    format!("  {name:<20}{cost:>14}{written:>10}{change:>+8.1}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_has_a_figure_for_every_row_and_no_other() {
        let figures = Figures::read(&crate::tidy::repository_root()).unwrap();
        let written: Vec<String> = figures.rows.into_keys().collect();
        let mut names = names();
        names.sort();
        assert_eq!(written, names);
    }

    #[test]
    fn a_line_tells_the_change() {
        assert_eq!(line("a", 102, Some(100)).split_whitespace().last(), Some("+2.0%"));
        assert_eq!(line("a", 102, None).split_whitespace().last(), Some("-"));
    }
}
