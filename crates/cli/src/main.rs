//! The `springtide` program: serves a directory, or with no arguments the bundled site.
//! It decides about signals and exit codes; everything else is the library's.
#![forbid(unsafe_code)]

mod arguments;
mod serve;
mod site;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    let arguments::Command::Serve(options) = arguments.command.unwrap_or_default();
    match serve::serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("springtide: {error}");
            ExitCode::FAILURE
        }
    }
}
