//! The floor servers' program: flags in, then serve until killed.
//! It must never be taken for a server: it answers bytes with bytes.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use bench::floor::{self, options::Options};
use clap::Parser;

fn main() -> ExitCode {
    match floor::run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::from(2)
        }
    }
}
