//! A server that keeps values by keys and speaks RESP2: `redis-cli` and `redis-benchmark` work on it.
//! A protocol of one's own takes a codec, what requests mean, and a few lines that bind them.
//!
//! `cargo run --release -p springtide --example keyvalue`, then `redis-cli set tide low`

pub(crate) mod commands;
#[path = "../common/mod.rs"]
mod common;
pub(crate) mod glob;
pub(crate) mod resp;
pub(crate) mod store;

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use springtide::{Bytes, Error, Limits, Reply, Server};

use resp::Resp;
use store::Store;

fn main() -> Result<(), Error> {
    let running = common::with_flags(keyvalue(), "127.0.0.1:6379")?.start()?;
    for address in running.addresses() {
        println!("keyvalue on {address} by {}", running.engine());
    }
    running.join()
}

/// The server, with an empty store for all its connections.
#[expect(
    clippy::disallowed_methods,
    reason = "no simulated world runs it: the clock is the system's"
)]
pub(crate) fn keyvalue() -> Server {
    let (store, began) = (Mutex::new(Store::default()), Instant::now());
    let mut limits = Limits::default();
    // Who keeps a connection for its next command may keep it for long.
    limits.framed.frame_idle_timeout_ms = u64::MAX;
    let codec = Resp { command_bytes_max: 16 << 20 };
    Server::new().workers(1).limits(limits).framed(codec, move |command: Bytes, reply: Reply| {
        let now_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = commands::execute(&mut store, &command, now_ms);
        match answer.is_last {
            true => reply.send_last(answer.bytes),
            false => reply.send(answer.bytes),
        }
    })
}
