//! `cargo xtask bench`: builds the load generator for release and hands it the arguments. Measures
//! nothing itself.

use crate::error::Error;
use crate::tools::{self, NGINX, REDIS_SERVER, Tool};
use std::path::Path;
use std::process::{Command, ExitCode};

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<ExitCode, Error> {
    let peers: [&Tool; 2] = [&NGINX, &REDIS_SERVER];
    for peer in peers.into_iter().filter(|peer| !peer.is_here()) {
        let (name, line) = (peer.program, tools::install_line(&[peer]));
        eprintln!("{name} is not here to compare with; install with: {line}");
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--release", "-p", "bench", "--bin", "bench", "--"]).args(arguments);
    let status = cargo.current_dir(root).status();
    let status = status.map_err(|source| Error::Spawn { program: "cargo".to_owned(), source })?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
