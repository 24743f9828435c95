//! The programs that tasks need beside the toolchain: where they come from and whether they are
//! here. Installs nothing unless it was asked to.

use crate::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program from a Debian package.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    /// Names the program when it lies where `PATH` does not lead.
    variable: Option<&'static str>,
    /// Tests that need it have this in their names; none for what no test needs.
    pub(crate) tests: Option<&'static str>,
}

pub(crate) const CHROMIUM: Tool = Tool {
    program: "chromium",
    package: "chromium",
    variable: Some("SPRINGTIDE_CHROMIUM"),
    tests: Some("browser_"),
};
pub(crate) const CURL: Tool =
    Tool { program: "curl", package: "curl", variable: None, tests: Some("curl_") };
pub(crate) const STRACE: Tool =
    Tool { program: "strace", package: "strace", variable: None, tests: Some("strace_") };
pub(crate) const NGINX: Tool =
    Tool { program: "nginx", package: "nginx-light", variable: None, tests: None };

/// All of them, in the order in which they are named.
pub(crate) const TOOLS: [&Tool; 4] = [&CHROMIUM, &CURL, &STRACE, &NGINX];

impl Tool {
    pub(crate) fn is_here(&self) -> bool {
        let named = self.variable.and_then(std::env::var_os).map(PathBuf::from);
        named.is_some_and(|path| path.is_file()) || on_path(self.program)
    }
}

/// The tools that tests need and this machine does not have.
pub(crate) fn missing_for_tests() -> Vec<&'static Tool> {
    TOOLS.into_iter().filter(|tool| tool.tests.is_some() && !tool.is_here()).collect()
}

/// Servers lie in `sbin`, which is not on everybody's path.
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).any(|folder| is_program(&folder.join(program)))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The one line that installs `tools`, for a person to type.
pub(crate) fn install_line(tools: &[&Tool]) -> String {
    let packages: Vec<&str> = tools.iter().map(|tool| tool.package).collect();
    let sudo = if is_root() { "" } else { "sudo " };
    let packages = packages.join(" ");
    format!("{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {packages}")
}

/// Installs `tools` with the system's package manager; what it prints goes to our output. A list
/// of packages that cannot be renewed is no reason to stop: the old one may do.
pub(crate) fn install(tools: &[&Tool]) -> Result<(), Error> {
    if let Err(error) = run(apt_get(&["update"])) {
        println!("{error}");
    }
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(tools.iter().map(|tool| tool.package));
    run(apt_get(&install))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = if is_root() {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("env");
        sudo
    };
    // A package that asks a question would wait for ever.
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]).args(arguments);
    command.stdin(std::process::Stdio::null());
    command
}

fn run(mut command: Command) -> Result<(), Error> {
    let program = format!("{command:?}").replace('"', "");
    let status = command.status();
    let status = status.map_err(|source| Error::Spawn { program: program.clone(), source })?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Refused { program, said: format!("{status}; its own words are above") })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-anywhere"));
        assert!(!is_program(Path::new("/etc/passwd")));
    }

    #[test]
    fn the_install_line_names_every_package() {
        let line = install_line(&[&CHROMIUM, &CURL]);
        assert!(
            line.ends_with("apt-get install -y --no-install-recommends chromium curl"),
            "{line}"
        );
    }
}
