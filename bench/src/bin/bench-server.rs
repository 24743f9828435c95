//! Springtide as the bench measures it: the public API, a few routes, nothing tuned.
//! It must never use what an application could not use.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use springtide::{Engine, Error, Json, Limits, Request, Server};

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

fn serve(options: Options) -> Result<(), Error> {
    // The load generator keeps its connections for millions of requests, as it does with the peers.
    let mut limits = Limits::default();
    limits.http1.requests_max = u32::MAX;
    let mut server = Server::new()
        .limits(limits)
        .get("/plaintext", |_: Request| "Hello, World!")
        .get("/json", |_: Request| Json(Message { message: "Hello, World!" }))
        .post("/echo", |request: Request| request.bytes().clone())
        .workers(options.workers)
        .engine(options.engine.parse::<Engine>()?)
        .latency(options.latency);
    if let Some(directory) = options.files {
        server = server.files("/file", directory);
    }
    let running = server.listen(&options.listen)?.start()?;
    for address in running.addresses() {
        println!("bench-server on {address} by {}", running.engine());
    }
    running.join()
}
