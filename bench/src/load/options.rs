//! The flags of the load generator.
//! It must never decide anything: a value means what its flag says.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

/// A client for HTTP/1.1, WebSocket, raw echo and Redis servers that costs little and checks every response.
///
/// Closed loop by default: each active connection sends its next request when the last response
/// has come. Exits with 1 when any response was wrong. One line of JSON goes to stdout.
#[derive(Debug, Clone, Parser)]
#[command(name = "load", version, args_override_self = true)]
pub struct Options {
    /// The server's address.
    pub target: SocketAddr,
    /// The path of every request.
    #[arg(long, default_value = "/plaintext")]
    pub path: String,
    /// A further header, `Name: value`; may be repeated.
    #[arg(long)]
    pub header: Vec<String>,
    /// Give each request a field that names it, so that no two in a row have the same fields.
    #[arg(long, conflicts_with = "echo_bytes")]
    pub named: bool,
    /// POST a body of this many bytes instead of GET.
    #[arg(long)]
    pub body_bytes: Option<usize>,
    /// Raw echo instead of HTTP: send this many bytes and expect the same back.
    #[arg(long, conflicts_with_all = ["body_bytes", "churn"])]
    pub echo_bytes: Option<usize>,
    /// WebSockets at --path: a request is a message of this many bytes, and its response its echo.
    #[arg(long, conflicts_with_all = ["body_bytes", "churn", "named", "echo_bytes"])]
    pub socket_bytes: Option<usize>,
    /// One WebSocket more, whose messages come to all others: a response is a delivery, and --depth
    /// messages are under way at once.
    #[arg(long, requires = "socket_bytes", conflicts_with_all = ["rate", "memory", "active"])]
    pub broadcast: bool,
    /// Offer to compress messages, each by itself.
    #[arg(long, requires = "socket_bytes")]
    pub deflate: bool,
    /// A command of Redis instead of HTTP, with the reply that its protocol has for it.
    #[arg(long, value_enum, conflicts_with_all = [
        "body_bytes", "churn", "named", "echo_bytes", "socket_bytes", "down_bytes", "up_bytes",
    ])]
    pub resp: Option<Command>,
    /// Open connections.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// How many of them send requests; the others had one request each and stay idle.
    #[arg(long)]
    pub active: Option<usize>,
    /// Requests that a connection sends at once, before it waits for all their responses.
    #[arg(long, default_value_t = 1)]
    pub depth: u32,
    /// Open loop: this many requests a second over all active connections, due at fixed times.
    /// Latency counts from the time that a request was due.
    #[arg(long, conflicts_with_all = ["depth", "churn"])]
    pub rate: Option<u64>,
    /// A connection per request: the request carries `Connection: close`, and a connection
    /// counts when the response is complete and the server has closed.
    #[arg(long)]
    pub churn: bool,
    /// Measure the server's resident memory with all connections idle after one request each,
    /// and again after they have closed. Needs --server-pid.
    #[arg(long, requires = "server_pid", conflicts_with_all = ["churn", "rate"])]
    pub memory: bool,
    /// Run twice, the second time beside this many connections whose heads never end; the report is
    /// of the second run, with the p99 of the first.
    #[arg(long, conflicts_with_all = ["churn", "memory"])]
    pub slow_heads: Option<usize>,
    /// One connection that asks for bodies of this many bytes, one after another; each is counted
    /// when it has come to its end. The first one is the warm-up.
    #[arg(long, conflicts_with_all = ["up_bytes", "body_bytes", "echo_bytes", "churn", "memory"])]
    pub down_bytes: Option<u64>,
    /// The same the other way: POST bodies of this many bytes, each written part by part.
    #[arg(long, conflicts_with_all = ["body_bytes", "echo_bytes", "churn", "memory"])]
    pub up_bytes: Option<u64>,
    /// Seconds before the counted window.
    #[arg(long, default_value_t = 0.5)]
    pub warmup: f64,
    /// Seconds of the counted window.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// End the counted window after this many responses, if that is earlier.
    #[arg(long)]
    pub requests: Option<u64>,
    /// Process whose CPU is read at both ends of the counted window.
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// Bytes of one receive buffer.
    #[arg(long, default_value_t = 4096)]
    pub buffer_bytes: u32,
    /// Pin to this core.
    #[arg(long)]
    pub core: Option<usize>,
    /// Never sleep: a shorter wait for the client, and no wake-up for the server to pay.
    #[arg(long)]
    pub spin: bool,
}

/// The commands of `--resp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Command {
    Ping,
    /// One key, again and again.
    Set,
    /// The key of `set`, which is set before.
    Get,
}

impl Options {
    /// Whether long bodies are transferred, one at a time.
    #[must_use]
    pub fn is_bulk(&self) -> bool {
        self.down_bytes.or(self.up_bytes).is_some()
    }
}
