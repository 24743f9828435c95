//! A chat over lines: what one says, all others read.
//! `cargo run --release --example chat`, then `nc 127.0.0.1 7000` in several terminals.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use springtide::{Bytes, Error, Failure, Peer, PeerId, Reason, Server};

/// A line that is longer ends its connection.
const LINE_BYTES_MAX: usize = 1024;

thread_local! {
    /// Who is here. One shard has everybody, so that nobody has to be found on another one.
    static GUESTS: Rc<RefCell<BTreeMap<PeerId, Peer>>> = Rc::default();
}

fn guests() -> Rc<RefCell<BTreeMap<PeerId, Peer>>> {
    GUESTS.with(Rc::clone)
}

/// Who reads too slowly to keep up misses lines: a push beyond what may wait is refused.
fn tell_all(but: PeerId, line: &Bytes) {
    for guest in guests().borrow().values().filter(|guest| guest.id() != but) {
        guest.push(line.clone()).detach();
    }
}

async fn talk(peer: Peer) -> Result<(), Failure> {
    guests().borrow_mut().insert(peer.id(), peer);
    peer.push(format!("you are guest {}, one of {}\n", peer.id(), guests().borrow().len())).await?;
    while let Some(line) = peer.pull_until("\n", LINE_BYTES_MAX).await? {
        let said = [format!("{}: ", peer.id()).as_bytes(), &line].concat();
        tell_all(peer.id(), &Bytes::from(said));
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    let gone = |peer: Peer, reason: Reason| {
        guests().borrow_mut().remove(&peer.id());
        tell_all(peer.id(), &Bytes::from(format!("{} has left: {reason}\n", peer.id())));
    };
    println!("chat on 127.0.0.1:7000");
    Server::new().workers(1).raw_async(talk).closed(gone).listen("127.0.0.1:7000")?.run()
}
