//! Builds what is to be measured, as far as it can be built.
//! It must never stop the driver: what is not there is named in the results.

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
