//! The bench driver's program: `cargo xtask bench` runs it.
//! It must never exit with 0 when nothing could be measured for a reason of its own.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use bench::driver::{self, options::Options};
use clap::Parser;

fn main() -> ExitCode {
    match driver::run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}
