//! Keeps what it is told, line by line, in a file, and says so when the disk has it: many lines that
//! come together are one write and one sync.
//! `cargo run --release --example journal /tmp/journal`, then `nc 127.0.0.1 7000`.

use springtide::fs::{self, OpenOptions};
use springtide::{Error, Failure, Peer, Server};

async fn keep(peer: Peer, path: &str) -> Result<(), Failure> {
    let journal = fs::open(path, OpenOptions::new().append(true).create(true)).await?;
    let mut begun = Vec::new();
    while let Some(bytes) = peer.pull().await? {
        begun.extend_from_slice(&bytes);
        let Some(end) = begun.iter().rposition(|byte| *byte == b'\n') else { continue };
        let rest = begun.split_off(end + 1);
        let lines = journal.append(std::mem::replace(&mut begun, rest)).await?;
        journal.sync_data().await?;
        let count = lines.iter().filter(|byte| **byte == b'\n').count();
        peer.push(format!("{count} kept\n")).await?;
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "journal".to_owned());
    println!("a journal on 127.0.0.1:7000");
    let server = Server::new().raw_async(async move |peer: Peer| keep(peer, &path).await);
    server.listen("127.0.0.1:7000")?.run()
}
