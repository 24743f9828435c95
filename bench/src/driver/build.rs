//! Builds what is to be measured, as far as it can be built.
//! It must never stop the driver: what is not there is named in the results.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::servers::Places;

const BENCH: &str = env!("CARGO_MANIFEST_DIR");

/// Builds the bench's programs, the examples that are measured and the peers, optimized.
pub(super) fn all(places: &Places) {
    let target = places.release.parent().unwrap_or(&places.release);
    cargo(target, &["-p", "bench", "--bins"]);
    cargo(target, &["-p", "springtide-engine", "--example", "engine_echo"]);
    cargo(target, &["-p", "springtide", "--example", "keyvalue", "--example", "forward"]);
    let manifest = Path::new(BENCH).join("peers").join("Cargo.toml");
    let manifest = manifest.display().to_string();
    cargo(&target.join("peers"), &["--manifest-path", &manifest, "--locked"]);
    if let Err(error) = scripts(&Path::new(BENCH).join("peers").join("js"), &places.scripts) {
        eprintln!("npm ci: {error}");
    }
}

/// Copies the peers in JavaScript to where their packages are put down.
fn scripts(source: &Path, target: &Path) -> io::Result<()> {
    fs::create_dir_all(target)?;
    for file in fs::read_dir(source)? {
        let file = file?;
        fs::copy(file.path(), target.join(file.file_name()))?;
    }
    if target.join("node_modules").exists() {
        return Ok(());
    }
    let status = Command::new("npm").args(["ci", "--silent"]).current_dir(target).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

fn cargo(target: &Path, arguments: &[&str]) {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(["build", "--release", "--quiet", "--target-dir"]).arg(target).args(arguments);
    let failed = match command.current_dir(BENCH).status() {
        Ok(status) => (!status.success()).then(|| status.to_string()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(why) = failed {
        eprintln!("cargo build {}: {why}", arguments.join(" "));
    }
}
