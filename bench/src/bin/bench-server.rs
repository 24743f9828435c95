//! Springtide as the bench measures it: the public API, a few routes, nothing tuned.
//! It must never use what an application could not use.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use springtide::{AccessLog, BodyError, Bytes, Compression, Engine, Failure, Json, Limits, Peer};
use springtide::{Request, Response, Server, Socket, WebSocket, WebSockets, body_max, streamed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Springtide with the routes of the bench.
#[derive(Debug, Parser)]
#[command(name = "bench-server", version)]
struct Options {
    /// The address to listen on.
    #[arg(long)]
    listen: String,
    /// Shards.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// How the system is asked: uring, epoll or poll; auto would hide which one is measured.
    #[arg(long, default_value = "uring")]
    engine: String,
    /// Spin for a while before sleeping.
    #[arg(long)]
    latency: bool,
    /// The directory behind /file/.
    #[arg(long)]
    files: Option<PathBuf>,
    /// The file that the access log is written to.
    #[arg(long)]
    access_log: Option<PathBuf>,
    /// The address of the metrics.
    #[arg(long)]
    admin: Option<String>,
    /// Echo raw connections instead of HTTP, from callbacks or from futures.
    #[arg(long, value_enum)]
    raw: Option<Raw>,
}

/// How raw connections are listened to.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Raw {
    Then,
    Await,
}

fn echo(peer: Peer) {
    peer.pull().then(|peer, bytes| peer.push(bytes).then(|peer, _| echo(peer)));
}

async fn echo_awaited(peer: Peer) -> Result<(), Failure> {
    while let Some(bytes) = peer.pull().await? {
        peer.push(bytes).await?;
    }
    Ok(())
}

/// Relays each message to all others.
struct Relay;

impl WebSocket for Relay {
    fn opened(&self, socket: Socket) {
        socket.subscribe("all");
    }

    fn message(&self, socket: Socket, message: springtide::Message) {
        socket.publish_to_others("all", message);
    }
}

/// Longest message of a WebSocket, most of its fragments, and what may wait for its peer: what the cases
/// of Autobahn ask for.
const MESSAGE_BYTES_MAX: u64 = 16 << 20;
const QUEUE_BYTES_MAX: usize = 64 << 20;
const FRAGMENTS_MAX: u32 = 1 << 20;

/// Longest body that is taken piece by piece.
const UPLOAD_BYTES_MAX: u64 = 4 << 30;

/// What a streamed body is made of.
static PIECE: [u8; 64 << 10] = [b'x'; 64 << 10];

/// A body of so many bytes, produced in pieces of 64 KiB.
fn stream(request: &Request) -> Result<Response, Failure> {
    let bytes: u64 = request.param("bytes").parse()?;
    Ok(Response::stream(async move |mut sink| {
        let mut left = bytes;
        while left > 0 {
            let piece = usize::try_from(left).map_or(PIECE.len(), |left| left.min(PIECE.len()));
            sink.send(Bytes::from_static(&PIECE[..piece])).await?;
            left -= piece as u64;
        }
        Ok(())
    }))
}

/// How many bytes a body has, of which nothing is kept.
async fn count(mut request: Request) -> Result<String, BodyError> {
    let (mut body, mut bytes) = (request.take_body(), 0);
    while let Some(piece) = body.next().await? {
        bytes += piece.len();
    }
    Ok(bytes.to_string())
}

#[derive(Debug, Serialize)]
struct Message {
    message: &'static str,
}

fn main() -> ExitCode {
    match serve(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-server: {error}");
            ExitCode::from(2)
        }
    }
}

fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    // The load generator keeps its connections for millions of requests, as it does with the peers.
    let mut limits = Limits { socket_queue_bytes_max: QUEUE_BYTES_MAX, ..Limits::default() };
    limits.http1.requests_max = u32::MAX;
    limits.websocket.socket_fragments_max = FRAGMENTS_MAX;
    let echo_message = |socket: Socket, message: springtide::Message| socket.send(message);
    let sockets = WebSockets::new(echo_message).message_bytes_max(MESSAGE_BYTES_MAX);
    let mut server = Server::new()
        .limits(limits)
        .get("/plaintext", |_: Request| "Hello, World!")
        .get("/json", |_: Request| Json(Message { message: "Hello, World!" }))
        .get("/stream/{bytes}", |request: Request| stream(&request))
        .post("/echo", |request: Request| request.bytes().clone())
        .websocket("/ws", sockets.clone())
        .websocket("/bc", Relay)
        .websocket("/ws-deflate", sockets.compress(Compression::Shared))
        .post("/count", body_max(UPLOAD_BYTES_MAX, streamed(count)))
        .workers(options.workers)
        .engine(options.engine.parse::<Engine>()?)
        .latency(options.latency);
    if let Some(directory) = options.files {
        server = server.files("/file", directory);
    }
    if let Some(path) = options.access_log {
        server = server.access_log(AccessLog::new(std::fs::File::create(path)?));
    }
    if let Some(address) = options.admin {
        server = server.admin(&address)?;
    }
    server = match options.raw {
        None => server,
        Some(Raw::Then) => server.raw(echo),
        Some(Raw::Await) => server.raw_async(echo_awaited),
    };
    let running = server.listen(&options.listen)?.start()?;
    for address in running.addresses() {
        println!("bench-server on {address} by {}", running.engine());
    }
    Ok(running.join()?)
}
