//! Sends back what it receives, from callbacks: a raw server in four lines.
//! `cargo run --release --example echo_raw`, then `nc 127.0.0.1 7000`. With `await` behind it the same
//! is done by a future for each connection.

use springtide::{Error, Failure, Peer, Server};

fn intro(peer: Peer) {
    peer.pull().then(|peer, bytes| peer.push(bytes).then(|peer, _| intro(peer)));
}

async fn awaited(peer: Peer) -> Result<(), Failure> {
    while let Some(bytes) = peer.pull().await? {
        peer.push(bytes).await?;
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    let server = match std::env::args().nth(1).as_deref() {
        Some("await") => Server::new().raw_async(awaited),
        _ => Server::new().raw(intro),
    };
    println!("echo on 127.0.0.1:7000");
    server.listen("127.0.0.1:7000")?.run()
}
