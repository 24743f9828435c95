//! `cargo xtask`: the project's own tasks. Knows no crate of the house: it runs them, as a person
//! would.

#![forbid(unsafe_code)]

mod bench;
mod cargo;
mod child;
mod client;
mod conform;
mod error;
mod fuzz;
mod instructions;
mod mutants;
mod test;
mod tidy;
mod tools;
mod trace;

use clap::{Parser, Subcommand};
use error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "xtask",
    bin_name = "cargo xtask",
    about = "Springtide's own tasks",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test and check, say what did not run, and exit with 2 if something did not
    Test(test::Options),
    /// Check the style of the house; part of `cargo test`, too
    Tidy {
        /// The repository to check
        #[arg(long, hide = true)]
        root: Option<PathBuf>,
    },
    /// Count the system calls of a request on each engine
    Trace(trace::Options),
    /// Count the instructions of a request on each engine, and hold them against the figures
    Instructions(instructions::Options),
    Mutants(mutants::Options),
    Fuzz(fuzz::Options),
    Conform(conform::Options),
    /// Measure: hands its arguments to the load generator (`cargo xtask bench --help`)
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let root = tidy::repository_root();
    let outcome = match Arguments::parse().task {
        Task::Test(options) => test::run(&root, &options),
        Task::Tidy { root: other } => tidy(&other.unwrap_or(root)),
        Task::Trace(options) => trace::run(&root, &options),
        Task::Instructions(options) => instructions::run(&root, &options),
        Task::Mutants(options) => mutants::run(&root, &options),
        Task::Fuzz(options) => fuzz::run(&root, &options),
        Task::Conform(options) => conform::run(&root, &options),
        Task::Bench { arguments } => bench::run(&root, &arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("cargo xtask: {error}");
        ExitCode::FAILURE
    })
}

fn tidy(root: &Path) -> Result<ExitCode, Error> {
    let found = tidy::check(root)?;
    for finding in &found {
        println!("{finding}");
    }
    let warnings = found.iter().filter(|finding| finding.is_warning()).count();
    let errors = found.len() - warnings;
    println!("tidy: {errors} to mend, {warnings} to keep an eye on");
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
