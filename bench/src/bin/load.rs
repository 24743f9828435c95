//! The load generator's program: flags in, one line of JSON out.
//! It must never exit with 0 when a response was wrong.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use bench::load::{self, options::Options};
use clap::Parser;

fn main() -> ExitCode {
    let options = Options::parse();
    let report = match load::run(&options) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("load: {error}");
            return ExitCode::from(2);
        }
    };
    eprintln!("{report}");
    match serde_json::to_string(&report) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("load: {error}"),
    }
    if report.errors > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS }
}
