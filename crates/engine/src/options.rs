//! What an engine and its listeners are made with: mechanism, sizes and limits, addresses.
//! Plain data, but for the probe that finds out which mechanism works here.

use std::ffi::OsString;
use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::engine::Engine;
use crate::error::{Error, OpKind};
use crate::system::spawn_thread;

/// Where a socket listens or comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and a port.
    Internet(SocketAddr),
    /// A Unix socket, by its path if it has one. A name without a file (unix(7), abstract) begins with
    /// a NUL byte.
    Unix(Option<PathBuf>),
}

impl Address {
    /// A Unix socket by its path, or with `@` in front by its abstract name, which is no file and goes
    /// with its last listener.
    ///
    /// ```
    /// use springtide_engine::Address;
    /// assert_eq!(Address::unix("/run/site.sock").to_string(), "unix:/run/site.sock");
    /// assert_eq!(Address::unix("@site").to_string(), "unix:@site");
    /// ```
    #[must_use]
    pub fn unix(name: impl AsRef<Path>) -> Self {
        let bytes = name.as_ref().as_os_str().as_bytes();
        Self::Unix(Some(match bytes.strip_prefix(b"@") {
            Some(name) => PathBuf::from(OsString::from_vec([b"\0", name].concat())),
            None => name.as_ref().to_path_buf(),
        }))
    }

    /// The path of its file, where it has one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Unix(Some(path)) => (abstract_name(path).is_none()).then_some(path),
            _ => None,
        }
    }
}

/// The name of a Unix socket that is no file.
fn abstract_name(path: &Path) -> Option<&[u8]> {
    path.as_os_str().as_bytes().strip_prefix(b"\0")
}

/// `unix:` and a name as [`Address::unix`] takes it, or an IP address and a port: no name is looked up.
///
/// ```
/// use springtide_engine::Address;
/// assert_eq!("unix:/run/site.sock".parse(), Ok(Address::unix("/run/site.sock")));
/// assert_eq!("[::1]:80".parse(), Ok(Address::Internet(([0, 0, 0, 0, 0, 0, 0, 1], 80).into())));
/// ```
impl FromStr for Address {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        match text.strip_prefix("unix:") {
            Some(name) => Ok(Self::unix(name)),
            None => text.parse().map(Self::Internet),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Internet(address)
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Address {
    fn from(address: (I, u16)) -> Self {
        Self::Internet(address.into())
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Unix(Some(path.to_path_buf()))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Internet(address) => address.fmt(f),
            Self::Unix(Some(path)) => match abstract_name(path) {
                Some(name) => write!(f, "unix:@{}", name.escape_ascii()),
                None => write!(f, "unix:{}", path.display()),
            },
            Self::Unix(None) => f.write_str("unix"),
        }
    }
}

/// How to make a listener.
#[derive(Clone, Copy, Debug)]
pub struct ListenOptions<'a> {
    /// Where.
    pub address: &'a Address,
    /// How many connections may wait to be accepted (listen(2)).
    pub backlog: i32,
    /// Joins a listener of this process on the same port, instead of refusing a busy one.
    pub joining: bool,
    /// How long an accepted TCP connection may be silent before its peer's system is asked whether it
    /// is there; one that does not answer for as long again is reset (tcp(7), TCP_KEEPIDLE). Whole
    /// seconds, one at least. None: as the system does, which mostly asks nobody.
    pub keepalive: Option<Duration>,
    /// The permissions of a Unix socket's file (chmod(2)), set before anybody can connect; none: what
    /// the process leaves to new files (umask(2)).
    pub mode: Option<u32>,
}

/// The mechanisms to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// io_uring (Linux 6.1 and later).
    Uring,
    /// epoll(7).
    Epoll,
    /// poll(2): for systems without the others. A wait costs by what is watched, not by what is
    /// ready: with thousands of connections of which few are busy, each request costs several times
    /// what it costs over epoll.
    Poll,
}

impl Mechanism {
    /// Its name, as in `--engine`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
            Self::Poll => "poll",
        }
    }
}

/// The mechanism that was chosen, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which one.
    pub mechanism: Mechanism,
    /// Why, for the line at the start; without the mechanism's name.
    pub reason: String,
}

impl Choice {
    /// Takes the mechanism that was asked for, or with `None` the best one that works here, found
    /// out by doing operations with it: io_uring, then epoll, then poll(2).
    ///
    /// # Errors
    /// The mechanism that was asked for is refused by the system, or no descriptor is free.
    pub fn probe(asked: Option<Mechanism>) -> Result<Self, Error> {
        if let Some(mechanism) = asked {
            attempt(mechanism)?;
            return Ok(Self { mechanism, reason: "asked for".to_owned() });
        }
        let refused = match attempt(Mechanism::Uring) {
            Ok(()) => {
                let reason = "the fastest that works here".to_owned();
                return Ok(Self { mechanism: Mechanism::Uring, reason });
            }
            Err(error @ Error::Refused(_)) => error,
            Err(error) => return Err(error),
        };
        match attempt(Mechanism::Epoll) {
            Ok(()) => Ok(Self { mechanism: Mechanism::Epoll, reason: refused.to_string() }),
            Err(error @ Error::System { .. }) => {
                let reason = format!("{refused}; epoll is refused too: {error}");
                attempt(Mechanism::Poll)?;
                Ok(Self { mechanism: Mechanism::Poll, reason })
            }
            Err(error) => Err(error),
        }
    }
}

/// The trial has a thread of its own: one that has used a ring is interrupted by the system some
/// milliseconds after the ring's end, in whatever it waits for by then (EINTR).
fn attempt(mechanism: Mechanism) -> Result<(), Error> {
    // The smallest that a shard would take where little memory may be locked.
    let options = EngineOptions { ring_chunks: 64, cq_entries: 256, ..EngineOptions::default() };
    let trial = move || Engine::new(mechanism, options).map(drop);
    let thread = spawn_thread("springtide-try", trial);
    let thread = thread.map_err(|error| Error::from_io(OpKind::Start, &error))?;
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Sizes and limits of an engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The shard's number, below [`SHARDS_MAX`](crate::SHARDS_MAX).
    pub shard: u16,
    /// Operations in flight.
    pub operations_max: u32,
    /// Chunks that the kernel can fill at a time: a power of two.
    pub ring_chunks: u16,
    /// Chunks held past their turn, before connections that hold more are paused.
    pub chunks_given_away_max: usize,
    /// Completions the kernel can queue.
    pub cq_entries: u32,
    /// How long to spin before sleeping while little time passes between completions, in
    /// microseconds; 0 never spins (io_uring only).
    pub spin_us: u32,
}

impl Default for EngineOptions {
    /// For 10,000 connections a shard: 2 MB of chunks in the ring, 64 MB held at most.
    fn default() -> Self {
        Self {
            shard: 0,
            operations_max: 1 << 20,
            ring_chunks: 512,
            chunks_given_away_max: 16_384,
            cq_entries: 32_768,
            spin_us: 0,
        }
    }
}
