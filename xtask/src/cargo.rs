//! What cargo builds for a task, with which compiler, and where it lies. Never builds but when it
//! was asked to.

use crate::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler that `cargo` takes here, in its own words.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Compiler {
    /// `rustc 1.88.0 (6b00bc388 2025-06-23)`; empty when rustc does not say.
    pub(crate) version: String,
    /// `x86_64-unknown-linux-gnu`; empty when rustc does not say.
    pub(crate) host: String,
}

impl Compiler {
    pub(crate) fn ask() -> Self {
        let said = Command::new("rustc").arg("-vV").output();
        said.map(|output| Self::read(&String::from_utf8_lossy(&output.stdout))).unwrap_or_default()
    }

    /// Reads what `rustc -vV` prints.
    fn read(said: &str) -> Self {
        let host = said.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let version = said.lines().next().unwrap_or_default();
        Self { version: version.to_owned(), host: host.to_owned() }
    }
}

/// The folder of everything that cargo builds for the repository at `root`.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root.join(target)
}

/// Runs `cargo build --release` with `arguments`; its output goes to ours.
pub(crate) fn build_release(root: &Path, arguments: &[&str]) -> Result<(), Error> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release"]).args(arguments).current_dir(root);
    let program = format!("cargo build --release {}", arguments.join(" "));
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Refused { program, said: status.to_string() }),
        Err(source) => Err(Error::Spawn { program, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_is_read() {
        let said = "rustc 1.88.0 (6b00bc388 2025-06-23)\nbinary: rustc\n\
                    host: x86_64-unknown-linux-gnu\nrelease: 1.88.0\n";
        let compiler = Compiler::read(said);
        assert_eq!(compiler.version, "rustc 1.88.0 (6b00bc388 2025-06-23)");
        assert_eq!(compiler.host, "x86_64-unknown-linux-gnu");
        assert_eq!(Compiler::read(""), Compiler::default());
    }
}
