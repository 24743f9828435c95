//! `cargo xtask fuzz`: builds the fuzz targets with coverage and AddressSanitizer and runs them for
//! a while each. Installs nothing: what is missing is named.

use crate::cargo::{Compiler, target_folder};
use crate::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Run the fuzz targets for a while each, from the corpora in `fuzz/corpus`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The targets to run; all of them when none is named
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
    /// How long each runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

const TARGETS: [&str; 13] = [
    "head",
    "answers",
    "chunked",
    "connection",
    "ranges",
    "paths",
    "multipart",
    "framed",
    "handshake",
    "frames",
    "deflate",
    "utf8",
    "detect",
];

/// What makes a program tell the fuzzer where it has been, as `cargo fuzz` sets it too.
const FLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Zsanitizer=address",
];

/// The longest input: more than any limit of a head, so that limits are reached too.
const INPUT_BYTES_MAX: u32 = 4096;

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Error> {
    let host = Compiler::ask().host;
    let folder = build(root, &host)?;
    let is_chosen =
        |name: &str| options.targets.is_empty() || options.targets.iter().any(|t| t == name);
    let mut code = ExitCode::SUCCESS;
    for target in TARGETS.into_iter().filter(|target| is_chosen(target)) {
        match fuzz(root, &folder, target, options.seconds)? {
            Some(executions) => println!("{target}: {executions} executions, nothing found"),
            None => {
                println!("{target}: failed; its input is beside fuzz/artifacts/{target}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// Builds all targets and gives the folder they lie in. Coverage and sanitizers are not stable:
/// the one variable lets the stable compiler have them, for these programs alone.
fn build(root: &Path, host: &str) -> Result<PathBuf, Error> {
    let target = target_folder(root).join("fuzz");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--bins", "--target", host]).current_dir(root.join("fuzz"));
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", FLAGS.join(" "));
    cargo.env("CARGO_TARGET_DIR", &target);
    let program = "cargo build in fuzz".to_owned();
    match cargo.status() {
        Ok(status) if status.success() => Ok(target.join(host).join("release")),
        Ok(status) => {
            let missing = "libfuzzer-sys comes from crates.io and needs a C++ compiler (c++)";
            Err(Error::Refused { program, said: format!("{status}; {missing}") })
        }
        Err(source) => Err(Error::Spawn { program, source }),
    }
}

/// Runs one target: how often it was executed, or none when it failed. What is found new stays in
/// the folder of everything that is built; a person chooses what becomes part of the corpus.
fn fuzz(root: &Path, folder: &Path, target: &str, seconds: u32) -> Result<Option<u64>, Error> {
    let (found, artifacts) =
        (folder.join("found").join(target), root.join("fuzz/artifacts").join(target));
    for path in [&found, &artifacts] {
        let wrap = |source| Error::Write { path: path.clone(), source };
        std::fs::create_dir_all(path).map_err(wrap)?;
    }
    let mut command = Command::new(folder.join(target));
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={INPUT_BYTES_MAX}"));
    command.args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=2048", "-verbosity=0"]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.arg(found).arg(root.join("fuzz/corpus").join(target));
    let output = command.output();
    let output = output.map_err(|source| Error::Spawn { program: target.to_owned(), source })?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprint!("{said}");
        return Ok(None);
    }
    let stat = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let executions = stat.and_then(|number| number.trim().parse().ok());
    let wrong = || Error::Refused { program: target.to_owned(), said: said.clone().into_owned() };
    executions.map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target without a file, a corpus or a replay would be left out silently.
    #[test]
    fn every_target_is_there() {
        let root = crate::tidy::repository_root();
        let manifest = std::fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
        let replays = std::fs::read_to_string(root.join("crates/sim/tests/corpora.rs")).unwrap();
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        for target in TARGETS {
            assert!(root.join(format!("fuzz/fuzz_targets/{target}.rs")).is_file(), "{target}");
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
            assert!(replays.contains(&format!("replay(\"{target}\"")), "{target}");
        }
    }
}
