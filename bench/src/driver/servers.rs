//! The servers that can be measured: where their binaries are and how they are started.
//! It must never leave a process behind: a started server dies with its guard or its driver.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::haproxy;
use super::nginx;
use super::options::Options;
use super::rows::Row;
use crate::floor::options::Canned;
use crate::system;

const START_DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
/// The file of the rows that stream one. It has no blocks; its pages in memory are as any others.
const GIGABYTE_FILE: &str = "1g.bin";
const GIGABYTE: u64 = 1 << 30;

/// Bun's program as its package puts it down on every system.
const BUN: &str = "node_modules/bun/bin/bun.exe";
/// Flags of `bench-server` for raw connections by futures.
const AWAIT: [&str; 2] = ["--raw", "await"];
/// Redis on one thread, with no file of its own.
const IN_MEMORY: [&str; 8] =
    ["--save", "", "--appendonly", "no", "--io-threads", "1", "--tcp-backlog", "4096"];

/// Every server that a row may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Server {
    FloorUring,
    FloorEpoll,
    OursUring,
    OursEpoll,
    /// With an access log and metrics.
    OursLogged,
    /// Raw connections, awaited instead of called back.
    OursAwait,
    /// Two shards, on the one core that a server has.
    OursTwo,
    EngineUring,
    EngineEpoll,
    /// The example `keyvalue`.
    KeyValueUring,
    KeyValueEpoll,
    /// The example `forward`, to an echo of the floor's.
    ForwardUring,
    ForwardEpoll,
    Ntex,
    May,
    Actix,
    Axum,
    Nginx,
    Tokio,
    Ringline,
    Redis,
    FastWebSockets,
    Tungstenite,
    Bun,
    Ws,
    /// Passing bytes on, through memory of its own or within the system.
    Haproxy,
    HaproxySplice,
}

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Floor,
    Ours,
    Peer,
}

impl Server {
    /// The name in flags and tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Server::FloorUring => "floor-uring",
            Server::FloorEpoll => "floor-epoll",
            Server::OursUring => "springtide-uring",
            Server::OursEpoll => "springtide-epoll",
            Server::OursLogged => "springtide-logged",
            Server::OursAwait => "springtide-await",
            Server::OursTwo => "springtide-two",
            Server::EngineUring => "engine-uring",
            Server::EngineEpoll => "engine-epoll",
            Server::KeyValueUring => "keyvalue-uring",
            Server::KeyValueEpoll => "keyvalue-epoll",
            Server::Ntex => "ntex-uring",
            Server::May => "may_minihttp",
            Server::Actix => "actix-web",
            Server::Axum => "axum",
            Server::Nginx => "nginx",
            Server::Tokio => "tokio",
            Server::Ringline => "ringline",
            Server::Redis => "redis",
            Server::FastWebSockets => "fastwebsockets",
            Server::Tungstenite => "tungstenite",
            Server::Bun => "bun",
            Server::Ws => "ws",
            Server::ForwardUring => "forward-uring",
            Server::ForwardEpoll => "forward-epoll",
            Server::Haproxy => "haproxy",
            Server::HaproxySplice => "haproxy-splice",
        }
    }

    pub(super) fn class(self) -> Class {
        match self {
            Server::FloorUring | Server::FloorEpoll => Class::Floor,
            Server::OursUring | Server::OursEpoll | Server::OursLogged => Class::Ours,
            Server::OursAwait | Server::OursTwo => Class::Ours,
            Server::EngineUring | Server::EngineEpoll => Class::Ours,
            Server::KeyValueUring | Server::KeyValueEpoll => Class::Ours,
            Server::ForwardUring | Server::ForwardEpoll => Class::Ours,
            _ => Class::Peer,
        }
    }

    /// The floor that a server is compared with: its own system interface for ours.
    pub(super) fn floor(self) -> Server {
        match self {
            Server::OursEpoll | Server::EngineEpoll => Server::FloorEpoll,
            Server::KeyValueEpoll | Server::ForwardEpoll => Server::FloorEpoll,
            _ => Server::FloorUring,
        }
    }

    /// Whether it needs somebody whom it leads to.
    fn forwards(self) -> bool {
        let own = matches!(self, Server::ForwardUring | Server::ForwardEpoll);
        own || matches!(self, Server::Haproxy | Server::HaproxySplice)
    }
}

/// Where binaries, files and captured responses are.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) release: PathBuf,
    pub(super) peers: PathBuf,
    /// The peers in JavaScript, with the packages that they need.
    pub(super) scripts: PathBuf,
    /// A directory of this run only, removed at its end.
    pub(super) scratch: PathBuf,
    pub(super) files: PathBuf,
}

impl Places {
    /// Finds the target directory by the running driver and makes the scratch directory.
    pub(super) fn find(options: &Options) -> io::Result<Places> {
        let program = std::env::current_exe()?;
        let target = program.parent().and_then(Path::parent);
        let target =
            target.ok_or_else(|| io::Error::other("the driver has no target directory"))?;
        let peers = target.join("peers").join("release");
        let scratch = std::env::temp_dir().join(format!("springtide-bench-{}", std::process::id()));
        let files = scratch.join("files");
        fs::create_dir_all(&files)?;
        fs::write(files.join("10k.txt"), [b'x'; 10 * 1024])?;
        fs::write(files.join("1m.txt"), vec![b'x'; 1024 * 1024])?;
        let peers = options.peers_dir.clone().unwrap_or(peers);
        let (release, scripts) = (target.join("release"), target.join("peers").join("js"));
        Ok(Places { release, peers, scripts, scratch, files })
    }

    /// The program of a server, whether or not it is there.
    pub(super) fn program(&self, server: Server) -> PathBuf {
        match server {
            Server::FloorUring | Server::FloorEpoll => self.release.join("floor"),
            Server::OursUring
            | Server::OursEpoll
            | Server::OursLogged
            | Server::OursAwait
            | Server::OursTwo => self.release.join("bench-server"),
            Server::EngineUring | Server::EngineEpoll => {
                self.release.join("examples").join("engine_echo")
            }
            Server::KeyValueUring | Server::KeyValueEpoll => {
                self.release.join("examples").join("keyvalue")
            }
            Server::ForwardUring | Server::ForwardEpoll => {
                self.release.join("examples").join("forward")
            }
            Server::Ntex => self.peers.join("peer-ntex"),
            Server::May => self.peers.join("peer-may"),
            Server::Actix => self.peers.join("peer-actix"),
            Server::Axum => self.peers.join("peer-axum"),
            Server::Tokio => self.peers.join("peer-tokio"),
            Server::Ringline => self.peers.join("peer-ringline"),
            Server::Nginx => installed("nginx"),
            Server::Redis => installed("redis-server"),
            Server::FastWebSockets => self.peers.join("peer-fastwebsockets"),
            Server::Tungstenite => self.peers.join("peer-tungstenite"),
            Server::Bun => self.scripts.join(BUN),
            Server::Ws => installed("node"),
            Server::Haproxy | Server::HaproxySplice => installed("haproxy"),
        }
    }

    /// Makes the file of a row that no other row has: long, and not written to the disk.
    pub(super) fn prepare(&self, row: &Row) -> io::Result<()> {
        if row.load.iter().any(|flag| flag.ends_with(GIGABYTE_FILE)) {
            let file = File::create(self.files.join(GIGABYTE_FILE))?;
            file.set_len(GIGABYTE)?;
        }
        Ok(())
    }

    /// The captured response of a row, if our server could be asked for it.
    pub(super) fn response(&self, row: &Row) -> PathBuf {
        self.scratch.join(format!("{}.response", row.name))
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // A directory that cannot be removed is in the system's temporary one anyway.
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    pub(super) address: SocketAddr,
    /// Whom it leads to.
    _upstream: Option<Box<Running>>,
}

impl Running {
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server on a free port and on its core, and waits until it accepts. Whom it leads to has the
/// core of the load.
pub(super) fn start(
    server: Server,
    row: &Row,
    places: &Places,
    options: &Options,
) -> io::Result<Running> {
    let launch = |server, core, upstream| launch(server, row, places, options, core, upstream);
    let upstream = server.forwards().then(|| launch(Server::FloorEpoll, options.client_core, None));
    launch(server, options.server_core, upstream.transpose()?.map(Box::new))
}

fn launch(
    server: Server,
    row: &Row,
    places: &Places,
    options: &Options,
    core: usize,
    upstream: Option<Box<Running>>,
) -> io::Result<Running> {
    let address = free_address()?;
    let log = places.scratch.join(format!("{}.log", server.name()));
    let mut command = command(server, row, places, address)?;
    if let Some(upstream) = &upstream {
        lead_to(&mut command, server, places, address, upstream.address)?;
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
    system::die_with_parent(&mut command);
    let child = super::spawn(&mut command, row, core, options)?;
    let mut running = Running { child, address, _upstream: upstream };
    let deadline = Instant::now() + START_DEADLINE;
    while TcpStream::connect(address).is_err() {
        let ended = running.child.try_wait()?;
        if ended.is_some() || Instant::now() > deadline {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let said = said.trim().lines().next_back().unwrap_or("nothing").to_owned();
            return Err(io::Error::other(format!("did not start; it said: {said}")));
        }
        thread::sleep(POLL);
    }
    Ok(running)
}

/// A program of the system: Debian's place, or wherever else it usually is.
fn installed(name: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let places = places.map(|place| Path::new(place).join(name));
    places.iter().find(|path| path.exists()).unwrap_or(&places[0]).clone()
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn command(server: Server, row: &Row, places: &Places, address: SocketAddr) -> io::Result<Command> {
    let mut command = Command::new(places.program(server));
    let address_text = address.to_string();
    match server {
        Server::FloorUring | Server::FloorEpoll => {
            let kind = if server == Server::FloorUring { "uring" } else { "epoll" };
            command.args(["--kind", kind, "--listen", &address_text]).args(row.floor);
            floor_flags(&mut command, row, places)?;
        }
        Server::OursUring
        | Server::OursEpoll
        | Server::OursLogged
        | Server::OursAwait
        | Server::OursTwo => {
            let engine = if server == Server::OursEpoll { "epoll" } else { "uring" };
            let workers = if server == Server::OursTwo { "2" } else { "1" };
            let flags = if server == Server::OursAwait { &AWAIT } else { row.ours };
            command.args(["--listen", &address_text, "--workers", workers, "--engine", engine]);
            command.arg("--files").arg(&places.files).args(flags);
            if server == Server::OursLogged {
                command.arg("--access-log").arg(places.scratch.join("access.log"));
                command.args(["--admin", &free_address()?.to_string()]);
            }
        }
        Server::EngineUring | Server::EngineEpoll => {
            let engine = if server == Server::EngineUring { "uring" } else { "epoll" };
            command.args(["--listen", &address_text, "--engine", engine]);
        }
        Server::KeyValueUring
        | Server::KeyValueEpoll
        | Server::ForwardUring
        | Server::ForwardEpoll => {
            let is_uring = matches!(server, Server::KeyValueUring | Server::ForwardUring);
            let engine = if is_uring { "uring" } else { "epoll" };
            command.args(["--listen", &address_text, "--workers", "1", "--engine", engine]);
        }
        Server::Redis => {
            let (ip, port) = (address.ip().to_string(), address.port().to_string());
            command.args(["--bind", &ip, "--port", &port]).args(IN_MEMORY);
        }
        Server::Nginx => {
            command.args(nginx::arguments(&places.scratch, &places.files, address)?);
        }
        // Its configuration says whom it leads to.
        Server::Haproxy | Server::HaproxySplice => {}
        Server::Ntex
        | Server::May
        | Server::Actix
        | Server::Axum
        | Server::Tokio
        | Server::Ringline
        | Server::FastWebSockets
        | Server::Tungstenite => {
            command.args(["--listen", &address_text]).arg("--files").arg(&places.files);
        }
        Server::Bun => {
            command.arg(places.scripts.join("bun.js")).args(["--listen", &address_text]);
        }
        Server::Ws => {
            command.arg(places.scripts.join("ws.js")).args(["--listen", &address_text]);
        }
    }
    Ok(command)
}

/// Tells a forwarder whom it leads to.
fn lead_to(
    command: &mut Command,
    server: Server,
    places: &Places,
    address: SocketAddr,
    to: SocketAddr,
) -> io::Result<()> {
    match server {
        Server::Haproxy | Server::HaproxySplice => {
            let splices = server == Server::HaproxySplice;
            command.args(haproxy::arguments(&places.scratch, address, to, splices)?);
        }
        _ => _ = command.args(["--to", &to.to_string()]),
    }
    Ok(())
}

fn floor_flags(command: &mut Command, row: &Row, places: &Places) -> io::Result<()> {
    if !row.http() {
        return Ok(());
    }
    let load = super::load_options(row, ([127, 0, 0, 1], 1).into())?;
    command.arg("--request-bytes").arg(crate::load::request_bytes(&load).to_string());
    let captured = places.response(row);
    if captured.exists() {
        command.arg("--response-file").arg(captured);
        return Ok(());
    }
    let canned = match row.canned {
        Some(Canned::Json) => "json",
        Some(Canned::TenKilobytes) => "10k",
        Some(Canned::Megabyte) => "1m",
        Some(Canned::Plaintext) => "plaintext",
        Some(Canned::Echo) | None => {
            return Err(io::Error::other("this floor needs the response of our server"));
        }
    };
    command.args(["--response", canned]);
    Ok(())
}
