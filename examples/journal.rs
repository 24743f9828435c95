//! Keeps what it is told, line by line, in a file, and says so when the disk has it: many lines that
//! come together are one write and one sync.
//! `cargo run --release --example journal /tmp/journal`, then `nc 127.0.0.1 7000`.

use springtide::fs::{self, File, OpenOptions};
use springtide::{Error, Failure, Peer, Server};

/// A line that is longer, with its end, ends its connection.
pub(crate) const LINE_BYTES_MAX: usize = 4096;

/// Takes the lines that are whole with one more piece, up to one that is too long. Only the piece is
/// looked at, and what is left is no line of allowed length: more than that is too long.
fn whole_lines(begun: &mut Vec<u8>, piece: &[u8]) -> Vec<u8> {
    let (before, mut end) = (begun.len(), 0);
    begun.extend_from_slice(piece);
    for (at, _) in piece.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        let next = before + at + 1;
        if next - end > LINE_BYTES_MAX {
            break;
        }
        end = next;
    }
    let rest = begun.split_off(end);
    std::mem::replace(begun, rest)
}

/// Writes lines, of which the last need not have an end, and says how many the disk has.
async fn write(peer: Peer, journal: &File, lines: Vec<u8>) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    let lines = journal.append(lines).await?;
    journal.sync_data().await?;
    let count = lines.split_inclusive(|byte| *byte == b'\n').count();
    peer.push(format!("{count} kept\n")).await?;
    Ok(())
}

async fn keep(peer: Peer, path: &str) -> Result<(), Failure> {
    let journal = fs::open(path, OpenOptions::new().append(true).create(true)).await?;
    let mut begun = Vec::new();
    while let Some(piece) = peer.pull().await? {
        let lines = whole_lines(&mut begun, &piece);
        write(peer, &journal, lines).await?;
        if begun.len() > LINE_BYTES_MAX {
            let words = format!("a line has {LINE_BYTES_MAX} bytes at most; yours is not kept\n");
            peer.push(words).await?;
            return Ok(());
        }
    }
    // The peer has said everything: what it has begun is its last line.
    write(peer, &journal, begun).await
}

/// The server that keeps lines in a file.
pub(crate) fn journal(path: String) -> Server {
    Server::new().raw_async(async move |peer: Peer| keep(peer, &path).await)
}

fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "journal".to_owned());
    println!("a journal on 127.0.0.1:7000");
    journal(path).listen("127.0.0.1:7000")?.run()
}
