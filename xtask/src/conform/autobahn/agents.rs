//! The servers that Autobahn's suite is asked of: ours, and those of others that can be had here.
//! They end with their guards.

use super::super::peers::{self, free_address, spawn};
use super::super::start;
use super::index::OURS;
use crate::cargo::target_folder;
use crate::error::Error;
use std::any::Any;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// One server, and where it echoes.
pub(super) struct Agent {
    pub(super) name: String,
    pub(super) url: String,
    /// What ends the server when it is dropped.
    _guard: Box<dyn Any>,
}

impl Agent {
    fn new(name: &str, address: SocketAddr, path: &str, guard: impl Any) -> Self {
        let (name, url) = (name.to_owned(), format!("ws://{address}{path}"));
        Self { name, url, _guard: Box::new(guard) }
    }

    /// Starts a program that takes `--listen`.
    fn start(name: &str, path: &str, mut command: Command) -> Result<Self, Error> {
        let address = free_address()?;
        command.args(["--listen", &address.to_string()]);
        Ok(Self::new(name, address, path, spawn(name, address, command)?))
    }
}

/// Long messages are more than a server takes by default.
const LONG: [&str; 3] = ["9", "12", "13"];
const ENGINES: [&str; 2] = ["uring", "epoll"];

/// Ours over each engine: the example, or `bench-server` where messages are long.
pub(super) fn ours(root: &Path, groups: &[&str]) -> Result<Vec<Agent>, Error> {
    let is_long = groups.iter().any(|group| LONG.contains(group));
    let path = match is_long {
        true if groups.contains(&"9") => "/ws",
        true => "/ws-deflate",
        false => "/echo",
    };
    if is_long {
        build_bench_server(root)?;
    }
    let mut agents = Vec::new();
    for engine in ENGINES {
        let name = format!("{OURS}-{engine}");
        if is_long {
            let mut command = Command::new(target_folder(root).join("release/bench-server"));
            command.args(["--engine", engine]);
            agents.push(Agent::start(&name, path, command)?);
        } else {
            let (process, address) = start(root, "websocket", &["--engine", engine])?;
            agents.push(Agent::new(&name, address, path, process));
        }
    }
    Ok(agents)
}

fn build_bench_server(root: &Path) -> Result<(), Error> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "-p", "bench", "--bin", "bench-server"]).current_dir(root);
    let program = "cargo build --bin bench-server".to_owned();
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Refused { program, said: status.to_string() }),
        Err(source) => Err(Error::Spawn { program, source }),
    }
}

/// Those of `bench/peers`; ws where `cargo xtask bench` has put its package down.
pub(super) fn others(root: &Path) -> Result<Vec<Agent>, Error> {
    let folder = target_folder(root).join("peers");
    peers::build(root, &folder, &peers::SOCKETS)?;
    let mut agents = Vec::new();
    for (name, program) in peers::SOCKETS {
        agents.push(Agent::start(name, "/", Command::new(folder.join("release").join(program)))?);
    }
    if folder.join("js/node_modules/ws").is_dir() {
        let mut command = Command::new("node");
        command.arg(folder.join("js/ws.js")).arg("--deflate");
        agents.push(Agent::start("ws", "/", command)?);
    } else {
        println!("ws is not here, `cargo xtask bench` puts it down: its column is left out");
    }
    Ok(agents)
}
