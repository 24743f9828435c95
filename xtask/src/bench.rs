//! `cargo xtask bench`: builds the load generator for release and hands it the arguments. Measures
//! nothing itself.

use crate::error::Error;
use crate::tools::{self, NGINX};
use std::path::Path;
use std::process::{Command, ExitCode};

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<ExitCode, Error> {
    if !NGINX.is_here() {
        eprintln!(
            "nginx is not here to compare with; install with: {}",
            tools::install_line(&[&NGINX])
        );
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--release", "-p", "bench", "--bin", "bench", "--"]).args(arguments);
    let status = cargo.current_dir(root).status();
    let status = status.map_err(|source| Error::Spawn { program: "cargo".to_owned(), source })?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
