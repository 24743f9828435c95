//! Forwards a port: whoever connects to 127.0.0.1:7001 talks to 127.0.0.1:7000, or to the address that
//! is given. Both connections are of one shard, and the slower of them holds the other back.
//! `cargo run --release --example forward -- 127.0.0.1:6379`, or `-- unix:/run/other.sock`

use springtide::{Address, Error, Peer, Server};

/// Sends on to one what comes from the other: nothing is pulled before the last piece has gone out.
fn pump(from: Peer, to: Peer) {
    from.pull().then_result(move |_, bytes| match bytes {
        Ok(Some(bytes)) => to.push(bytes).then_result(move |_, result| match result {
            Ok(_) => pump(from, to),
            Err(_) => from.close().detach(),
        }),
        Ok(None) => to.shutdown_write().detach(),
        Err(_) => to.close().detach(),
    });
}

fn main() -> Result<(), Error> {
    let target = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    let Ok(target) = target.parse::<Address>() else {
        eprintln!("{target} is no address: write one like 127.0.0.1:7000 or unix:/run/other.sock");
        std::process::exit(2);
    };
    println!("127.0.0.1:7001 leads to {target}");
    let intro = move |peer: Peer| {
        let told = target.clone();
        Peer::connect(target.clone()).then_result(move |_, other| match other {
            Ok(other) => {
                pump(peer, other);
                pump(other, peer);
            }
            Err(reason) => {
                eprintln!("{told}: {reason}");
                peer.close().detach();
            }
        });
    };
    Server::new().raw(intro).listen("127.0.0.1:7001")?.run()
}
