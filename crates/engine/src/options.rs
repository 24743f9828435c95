//! What an engine and its listeners are made with: mechanism, sizes and limits, addresses.
//! Plain data, but for the probe that finds out which mechanism works here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::Engine;
use crate::error::{Error, OpKind};
use crate::system::spawn_thread;

/// Where a socket listens or comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and a port.
    Internet(SocketAddr),
    /// A Unix socket, by its path if it has one.
    Unix(Option<PathBuf>),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Internet(address) => address.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
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
