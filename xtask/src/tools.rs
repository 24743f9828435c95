//! The programs that tasks need beside the toolchain: where they come from and whether they are
//! here. Installs nothing unless it was asked to.

use crate::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program, where it comes from and what cannot be done without it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    origin: Origin,
    /// Names the program when it lies where `PATH` does not lead.
    variable: Option<&'static str>,
    pub(crate) needed_by: NeededBy,
}

#[derive(Debug, PartialEq, Eq)]
enum Origin {
    Debian(&'static str),
    /// Built from crates.io, without optimizing: that takes a minute, and checking is quick anyway.
    Cargo(&'static str),
    /// No package gives it: what it says lacks root's rights.
    Root,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NeededBy {
    /// Tests with this in their names.
    Tests(&'static str),
    /// A whole step of `cargo xtask test`.
    Step,
    /// Measurements only.
    Bench,
}

pub(crate) const CHROMIUM: Tool = Tool {
    program: "chromium",
    origin: Origin::Debian("chromium"),
    variable: Some("SPRINGTIDE_CHROMIUM"),
    needed_by: NeededBy::Tests("browser_"),
};
pub(crate) const CURL: Tool = Tool {
    program: "curl",
    origin: Origin::Debian("curl"),
    variable: None,
    needed_by: NeededBy::Tests("curl_"),
};
pub(crate) const STRACE: Tool = Tool {
    program: "strace",
    origin: Origin::Debian("strace"),
    variable: None,
    needed_by: NeededBy::Tests("strace_"),
};
pub(crate) const VALGRIND: Tool = Tool {
    program: "valgrind",
    origin: Origin::Debian("valgrind"),
    variable: None,
    needed_by: NeededBy::Step,
};
pub(crate) const CARGO_DENY: Tool = Tool {
    program: "cargo-deny",
    origin: Origin::Cargo("cargo-deny"),
    variable: None,
    needed_by: NeededBy::Step,
};
pub(crate) const NGINX: Tool = Tool {
    program: "nginx",
    origin: Origin::Debian("nginx-light"),
    variable: None,
    needed_by: NeededBy::Bench,
};
pub(crate) const REDIS_SERVER: Tool = Tool {
    program: "redis-server",
    origin: Origin::Debian("redis-server"),
    variable: None,
    needed_by: NeededBy::Bench,
};

const SLOWHTTPTEST: Tool = Tool {
    program: "slowhttptest",
    origin: Origin::Debian("slowhttptest"),
    variable: None,
    needed_by: NeededBy::Tests("slowhttptest_"),
};
const REDIS: Tool = Tool {
    program: "redis-benchmark",
    origin: Origin::Debian("redis-tools"),
    variable: None,
    needed_by: NeededBy::Tests("redis_"),
};
const IP: Tool = Tool {
    program: "ip",
    origin: Origin::Debian("iproute2"),
    variable: None,
    needed_by: NeededBy::Tests("netns_"),
};
const NFT: Tool = Tool {
    program: "nft",
    origin: Origin::Debian("nftables"),
    variable: None,
    needed_by: NeededBy::Tests("netns_"),
};
pub(crate) const NETWORK_NAMESPACE: Tool = Tool {
    program: "network namespace of one's own: that takes root",
    origin: Origin::Root,
    variable: None,
    needed_by: NeededBy::Tests("netns_"),
};

/// All of them, in the order in which they are named.
const TOOLS: [&Tool; 12] = [
    &CHROMIUM,
    &CURL,
    &STRACE,
    &SLOWHTTPTEST,
    &REDIS,
    &IP,
    &NFT,
    &NETWORK_NAMESPACE,
    &VALGRIND,
    &CARGO_DENY,
    &NGINX,
    &REDIS_SERVER,
];

impl Tool {
    pub(crate) fn is_here(&self) -> bool {
        if self.origin == Origin::Root {
            return can_unshare();
        }
        let named = self.variable.and_then(std::env::var_os).map(PathBuf::from);
        named.is_some_and(|path| path.is_file()) || on_path(self.program)
    }
}

/// The tools that `cargo xtask test` needs and this machine does not have.
pub(crate) fn missing_for_tests() -> Vec<&'static Tool> {
    let is_needed = |tool: &&Tool| tool.needed_by != NeededBy::Bench;
    TOOLS.into_iter().filter(|tool| is_needed(tool) && !tool.is_here()).collect()
}

/// Whether we may leave the machine's network for one of our own, which may be refused to root too.
fn can_unshare() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "true"]).stderr(std::process::Stdio::null());
    unshare.status().is_ok_and(|status| status.success())
}

/// Servers lie in `sbin`, and what cargo installs in its own folder: neither is on everybody's
/// path.
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let more = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let more = more.into_iter().chain(cargo.map(|folder| folder.join("bin")));
    std::env::split_paths(&path).chain(more).any(|folder| is_program(&folder.join(program)))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The one line that installs `tools`, for a person to type.
pub(crate) fn install_line(tools: &[&Tool]) -> String {
    let sudo = if is_root() { "" } else { "sudo " };
    let mut parts = Vec::new();
    let (debian, crates) = by_origin(tools);
    if !debian.is_empty() {
        parts.push(format!("{sudo}apt-get update"));
        let packages = debian.join(" ");
        parts.push(format!("{sudo}apt-get install -y --no-install-recommends {packages}"));
    }
    if !crates.is_empty() {
        parts.push(format!("cargo install --locked --debug {}", crates.join(" ")));
    }
    parts.join(" && ")
}

/// Installs `tools` with the system's package manager and with cargo; what they print goes to our
/// output. A list of packages that cannot be renewed is no reason to stop: the old one may do.
pub(crate) fn install(tools: &[&Tool]) -> Result<(), Error> {
    let (debian, crates) = by_origin(tools);
    if !debian.is_empty() {
        if let Err(error) = run(apt_get(&["update"])) {
            println!("{error}");
        }
        let mut install = vec!["install", "-y", "--no-install-recommends"];
        install.extend(debian);
        run(apt_get(&install))?;
    }
    if !crates.is_empty() {
        let mut cargo = Command::new("cargo");
        cargo.args(["install", "--locked", "--debug"]).args(crates);
        run(cargo)?;
    }
    Ok(())
}

fn by_origin(tools: &[&Tool]) -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut debian, mut crates) = (Vec::new(), Vec::new());
    for tool in tools {
        match tool.origin {
            Origin::Debian(package) => debian.push(package),
            Origin::Cargo(package) => crates.push(package),
            Origin::Root => {}
        }
    }
    (debian, crates)
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
        let line = install_line(&[&CHROMIUM, &CARGO_DENY, &CURL]);
        let debian = "apt-get install -y --no-install-recommends chromium curl";
        assert!(line.ends_with(&format!("{debian} && cargo install --locked --debug cargo-deny")));
        assert!(install_line(&[&CARGO_DENY]).starts_with("cargo install"));
        assert_eq!(install_line(&[&NETWORK_NAMESPACE]), "");
    }
}
