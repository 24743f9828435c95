//! The flags of the floor servers.
//! It must never decide anything: a value means what its flag says.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// A canned responder on one thread: the lower bound that servers are compared with.
#[derive(Debug, Clone, Parser)]
#[command(name = "floor", version)]
pub struct Options {
    /// How the system is asked.
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// What is sent for each request.
    #[arg(long, value_enum, default_value_t = Canned::Plaintext)]
    pub response: Canned,
    /// A file with the bytes of one whole response (head and body), in place of --response.
    #[arg(long)]
    pub response_file: Option<PathBuf>,
    /// Bytes of one request; so many received bytes are answered with one response.
    /// The default is what `load` sends for /plaintext.
    #[arg(long, default_value_t = 86)]
    pub request_bytes: usize,
    /// Close each connection after one response: the close follows the last byte sent, plainly,
    /// with nothing unread (on the ring as a linked operation).
    #[arg(long)]
    pub close: bool,
    /// Bytes of one receive buffer on the ring. An echo sends buffer by buffer, so that messages
    /// cost the fewest calls when each fits in one.
    #[arg(long, default_value_t = 4096)]
    pub buffer_bytes: u32,
    /// Turns with at most this many sends do them at once instead of through the ring.
    #[arg(long, default_value_t = 2)]
    pub direct_sends_max: usize,
    /// Look for completions that long before sleeping.
    #[arg(long, default_value_t = 0)]
    pub spin_us: u64,
    /// Pin to this core.
    #[arg(long)]
    pub core: Option<usize>,
}

/// The system interface that a floor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Uring,
    Epoll,
}

/// The canned responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Canned {
    Plaintext,
    Json,
    #[value(name = "10k")]
    TenKilobytes,
    #[value(name = "1m")]
    Megabyte,
    /// Whatever came, sent back.
    Echo,
}
