//! The other servers of the scorecard: built or found, and started on free ports. Measures none of
//! them, and names those that are not here.

use super::STARTED_WITHIN;
use crate::cargo::target_folder;
use crate::child::Killed;
use crate::error::Error;
use crate::tools::NGINX;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A server that runs, and goes with this.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    _process: Option<Killed>,
}

impl Peer {
    /// One that somebody else has started.
    pub(super) const fn started(name: String, address: SocketAddr) -> Self {
        Self { name, address, _process: None }
    }
}

/// Those of `bench/peers` that can answer every request with its own body.
const BUILT: [(&str, &str); 2] = [("actix-web", "peer-actix"), ("axum", "peer-axum")];

/// Those of `bench/peers` that echo the messages of WebSockets.
pub(super) const SOCKETS: [(&str, &str); 2] =
    [("fastwebsockets", "peer-fastwebsockets"), ("tungstenite", "peer-tungstenite")];

/// Every peer that can be had here; the others are named.
pub(super) fn start(root: &Path) -> Result<Vec<Peer>, Error> {
    let folder = target_folder(root).join("peers");
    build(root, &folder, &BUILT)?;
    let mut peers = Vec::new();
    for (name, program) in BUILT {
        let address = free_address()?;
        let mut command = Command::new(folder.join("release").join(program));
        command.args(["--echo", "--listen", &address.to_string()]);
        peers.push(spawn(name, address, command)?);
    }
    if NGINX.is_here() {
        peers.push(nginx(&target_folder(root).join("conform/nginx"))?);
    } else {
        println!("nginx is not here: its column is left out");
    }
    Ok(peers)
}

/// Builds some of `bench/peers`.
pub(super) fn build(root: &Path, folder: &Path, programs: &[(&str, &str)]) -> Result<(), Error> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--manifest-path", "bench/peers/Cargo.toml"]);
    cargo.arg("--target-dir");
    cargo.arg(folder).current_dir(root);
    for (_, program) in programs {
        cargo.args(["--bin", program]);
    }
    let program = "cargo build in bench/peers".to_owned();
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Refused { program, said: status.to_string() }),
        Err(source) => Err(Error::Spawn { program, source }),
    }
}

/// As Debian has it, answering whatever it understands; bodies are read over.
fn nginx(place: &Path) -> Result<Peer, Error> {
    let address = free_address()?;
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; error_log error.log crit;\n\
         events {{ }}\n\
         http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy;\n\
         fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         server {{ listen {address}; location / {{ return 200 \"ok\"; }} }} }}\n"
    );
    let path = place.join("nginx.conf");
    let wrap = |source| Error::Write { path: path.clone(), source };
    std::fs::create_dir_all(place).map_err(wrap)?;
    std::fs::write(&path, configuration).map_err(wrap)?;
    let mut command = Command::new("nginx");
    let outer = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{outer}:/usr/sbin:/usr/local/sbin"));
    command.arg("-p").arg(place).arg("-c").arg(&path).arg("-e").arg(place.join("error.log"));
    spawn("nginx", address, command)
}

pub(super) fn free_address() -> Result<SocketAddr, Error> {
    let failed = |source| Error::Network { doing: "looking for a free port", source };
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(failed)
}

/// Starts a server and waits until it accepts.
pub(super) fn spawn(name: &str, address: SocketAddr, mut command: Command) -> Result<Peer, Error> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let wrap = |source| Error::Spawn { program: name.to_owned(), source };
    let mut process = Killed(command.spawn().map_err(wrap)?);
    let deadline = Instant::now() + STARTED_WITHIN;
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        let has_ended = process.0.try_wait().map_err(wrap)?.is_some();
        if has_ended || Instant::now() > deadline {
            let said = "it does not listen".to_owned();
            return Err(Error::Refused { program: name.to_owned(), said });
        }
        std::thread::yield_now();
    }
    Ok(Peer { name: name.to_owned(), address, _process: Some(process) })
}
