//! Echo: every request, whatever its method and path, is answered with its own body.
//! It keeps nothing between requests, and reads every body to its end.
//!
//! `cargo run --release -p springtide --example echo`, then `curl -d tide http://127.0.0.1:8080/`

use springtide::{Error, Request, Server};

mod common;

fn main() -> Result<(), Error> {
    let server = Server::new().fallback(|request: Request| request.bytes().clone());
    let running = common::with_flags(server, "127.0.0.1:8080")?.start()?;
    for address in running.addresses() {
        println!("echo on http://{address} by {}", running.engine());
    }
    running.join()
}
