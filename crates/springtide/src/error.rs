//! What a server can fail with before and while it runs: whose fault, and what to do.
//! What goes wrong with one connection never stands here.

use std::path::PathBuf;

use springtide_engine::Address;

use crate::route::RouteError;

/// Why a server cannot be started or cannot go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A route cannot be added.
    Route(RouteError),
    /// Two values of this type were given as state.
    StateTwice(&'static str),
    /// A trusted proxy is neither a network nor an address.
    Network(String),
    /// Headers of proxies are required, and no proxy is trusted.
    NoProxy,
    /// An address names nothing that can be listened on.
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An open socket cannot be listened on: it is none, or no listening one of TCP or Unix streams.
    Socket(std::io::Error),
    /// Connections were to begin in two ways: raw, with frames, or behind the header of a proxy.
    TwoProtocols,
    /// Nothing to listen on was given.
    NoAddress,
    /// No such engine.
    UnknownEngine(String),
    /// The number of workers is not from 1 to 1,023.
    Workers(usize),
    /// The engine cannot start: what was asked for is refused by the system, or no descriptor is
    /// free.
    Engine(springtide_engine::Error),
    /// An address cannot be listened on.
    Listen {
        /// Which one.
        address: Address,
        /// Why.
        error: springtide_engine::Error,
    },
    /// A directory to be served cannot be read.
    Directory {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: springtide_engine::Error,
    },
    /// A thread cannot be started.
    Thread(std::io::Error),
    /// A shard cannot go on.
    Shard(springtide_engine::Error),
    /// There is no such shard, or it has stopped already.
    NoShard(usize),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Route(error) => error.fmt(f),
            Self::StateTwice(name) => {
                write!(
                    f,
                    "two values of the type {name} were given as state: wrap one in a type of its own"
                )
            }
            Self::Network(text) => {
                write!(f, "{text:?} is no network: write ADDRESS, ADDRESS/BITS or unix")
            }
            Self::NoProxy => {
                f.write_str("the PROXY protocol is required of nobody: name `trusted_proxies`")
            }
            Self::Address { address, reason } => {
                write!(f, "cannot listen on {address:?}: {reason}")
            }
            Self::Socket(error) => write!(f, "cannot listen on an open socket: {error}"),
            Self::TwoProtocols => f.write_str(
                "connections of a server begin in one way: raw, with frames, or behind a proxy's header",
            ),
            Self::NoAddress => f.write_str("no address to listen on was given"),
            Self::UnknownEngine(name) => {
                write!(f, "there is no engine {name:?}: it is auto, uring, epoll or poll")
            }
            Self::Workers(count) => write!(f, "{count} workers: it is 1 to 1023"),
            Self::Engine(error @ springtide_engine::Error::Refused(_)) => {
                write!(f, "{error}; the engine auto takes what works")
            }
            Self::Engine(error) => write!(f, "the engine cannot start: {error}"),
            Self::Listen { address, error } => {
                write!(f, "cannot listen on {address}: {}", said(error))
            }
            Self::Directory { path, error } => {
                write!(f, "cannot serve the directory {}: {}", path.display(), said(error))
            }
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
            Self::Shard(error) => write!(f, "a shard cannot go on: {error}"),
            Self::NoShard(number) => write!(f, "there is no shard {number} that runs"),
        }
    }
}

/// The system's words for an error, without the operation.
fn said(error: &springtide_engine::Error) -> String {
    match error.errno() {
        Some(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
        None => error.to_string(),
    }
}

impl std::error::Error for Error {}
