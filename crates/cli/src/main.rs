//! The `springtide` program: serves a directory, or with no arguments the bundled site.
//! It decides about signals and exit codes; everything else is the library's.
#![deny(unsafe_code)]

mod arguments;
mod check;
mod config;
#[cfg(test)]
mod deployment;
#[cfg(test)]
mod guides;
mod limit_flags;
mod log;
#[allow(unsafe_code, reason = "takes over descriptors by their numbers")]
mod passed;
mod proxy_flags;
#[cfg(test)]
mod reference;
mod serve;
mod settings;
mod site;
mod supervisor;
mod user;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use arguments::Command;
use settings::{Settings, SettingsError};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let settings = match Settings::read(std::env::args_os()) {
        Ok(settings) => settings,
        // It says what is wrong, or the help, and ends with the code that fits.
        Err(SettingsError::Flags(error)) => error.exit(),
        Err(SettingsError::File(error)) => return failed(&error),
    };
    let done = match &settings.command {
        Command::Serve(options) => serve::serve(options).map_err(|error| failed(&error)),
        Command::Check => {
            check::check();
            Ok(())
        }
        Command::Config(asked) => {
            settings::config(asked, &settings).map_err(|error| failed(&error))
        }
    };
    done.err().unwrap_or(ExitCode::SUCCESS)
}

fn failed(error: &dyn Display) -> ExitCode {
    complain(format_args!("{error}"));
    ExitCode::FAILURE
}

/// Says what went wrong; where nobody can hear it, that is no reason to fail.
fn complain(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "springtide: {line}");
}
