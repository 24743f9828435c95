//! `cargo xtask`: the project's own tasks. Knows no crate of the house: it runs them, as a person
//! would.

#![forbid(unsafe_code)]

mod error;
mod tidy;

use clap::{Parser, Subcommand};
use error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Springtide's own tasks", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the style of the house; part of `cargo test`, too
    Tidy {
        /// The repository to check
        #[arg(long, hide = true)]
        root: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Tidy { root } => tidy(&root.unwrap_or_else(tidy::repository_root)),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("cargo xtask: {error}");
        ExitCode::FAILURE
    })
}

fn tidy(root: &std::path::Path) -> Result<ExitCode, Error> {
    let found = tidy::check(root)?;
    for finding in &found {
        println!("{finding}");
    }
    let warnings = found.iter().filter(|finding| finding.is_warning()).count();
    let errors = found.len() - warnings;
    println!("tidy: {errors} to mend, {warnings} to keep an eye on");
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
