//! Forwards a port: whoever connects talks to another address. Both connections are of one shard, which has
//! the system pass long runs of bytes from one to the other.
//!
//! `cargo run --release -p springtide --example forward -- --listen 127.0.0.1:7001 --to 127.0.0.1:6379`,
//! or `--to unix:/run/other.sock`

mod common;

use springtide::{Address, Error, Peer, Server};

/// Sends on to one what comes from the other, and the end of it too. The slower one holds the other back.
fn pass_on(from: Peer, to: Peer) {
    from.forward(to).then_result(move |_, forwarded| match forwarded {
        Ok(_) => to.shutdown_write().detach(),
        Err(_) => {
            from.close().detach();
            to.close().detach();
        }
    });
}

fn forward(peer: Peer, target: &Address) {
    let told = target.clone();
    Peer::connect(target.clone()).then_result(move |_, other| match other {
        Ok(other) => {
            pass_on(peer, other);
            pass_on(other, peer);
        }
        Err(reason) => {
            eprintln!("{told}: {reason}");
            peer.close().detach();
        }
    });
}

fn main() -> Result<(), Error> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|flag| flag == "--help") {
        println!("forward --to ADDRESS, and of {}", common::FLAGS);
        return Ok(());
    }
    let mut target = "127.0.0.1:7000".to_owned();
    while let Some(at) = arguments.iter().position(|flag| flag == "--to") {
        target = arguments.drain(at..arguments.len().min(at + 2)).nth(1).unwrap_or_default();
    }
    let Ok(target) = target.parse::<Address>() else {
        eprintln!("--to {target}: write an address like 127.0.0.1:7000 or unix:/run/other.sock");
        std::process::exit(2);
    };
    let told = target.clone();
    let server = Server::new().raw(move |peer| forward(peer, &target));
    let server = common::with_arguments(server, "127.0.0.1:7001", arguments.into_iter())?;
    let running = server.start()?;
    for address in running.addresses() {
        println!("forward on {address} to {told} by {}", running.engine());
    }
    running.join()
}
