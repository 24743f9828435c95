//! A server that keeps values by keys and speaks RESP2: `redis-cli` and `redis-benchmark` work on it.
//! What a protocol of one's own takes: a codec, what requests mean, and a few lines to bind them.

mod commands;
mod glob;
mod resp;
mod store;

use std::io::{Read, Write};

/// Does the commands that it reads, and writes what each is answered.
fn main() -> std::io::Result<()> {
    use springtide::framed::{Codec, Progress, Scan};

    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    let (codec, mut store, mut at) =
        (resp::Resp { command_bytes_max: 16 << 20 }, store::Store::default(), 0);
    while at < input.len() {
        let rest = &input[at..];
        at += match codec.read(rest, &mut Progress::default()) {
            Ok(Scan::Whole { consumed, payload }) => {
                let answer = commands::execute(&mut store, &rest[payload], 0);
                std::io::stdout().write_all(&answer.bytes)?;
                if answer.is_last {
                    break;
                }
                consumed
            }
            Ok(Scan::Skipped { consumed }) => consumed,
            Ok(Scan::NeedBytes { .. }) => break,
            Err(refusal) => return Err(std::io::Error::other(refusal)),
        };
    }
    Ok(())
}
