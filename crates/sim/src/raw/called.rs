//! Raw connections in callbacks: they give back what comes, or have it forwarded, and lose interest in
//! much on the way.
//! What comes back must not show it: a withdrawn push is poison.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use springtide::{Bytes, Peer, Pull, Reason, Task};

use super::guest::{Hello, PULL_BYTES_MAX, Way};
use super::told::{Mark, Told};
use crate::chance::Chance;

/// What the callbacks of one connection share.
pub(super) struct Own {
    pub(super) chance: Chance,
    pub(super) told: Told,
    /// The stream has ended but for what is left of it.
    at_end: bool,
}

type Shared = Rc<RefCell<Own>>;

/// What must never be sent.
const POISON: &str = "poison";
/// Where nobody listens.
const NOBODY: ([u8; 4], u16) = ([127, 0, 0, 1], 1);
/// Pulls that leave little to be pushed at a time.
const FEW: usize = 40;

pub(super) fn intro(peer: Peer, seed: u64, address: SocketAddr, told: &Told) {
    told.open();
    told.begin();
    let told = told.clone();
    peer.pull_until("\n", Hello::BYTES_MAX).then_result(move |peer, line| {
        told.end(peer, &line);
        let Some(hello) = line.ok().flatten().and_then(|line| Hello::parse(&line)) else {
            return peer.close().detach();
        };
        told.name(peer, hello.number);
        let chance = Chance::new(seed ^ u64::from(hello.number));
        let own = Own { chance, told: told.clone(), at_end: false };
        match hello.way {
            Way::Echo => serve(peer, &Rc::new(RefCell::new(own))),
            Way::Forward => forward(peer, &hello, address, own),
            Way::Elsewhere => told.arrive(peer.remote()),
            Way::Fails => {
                told.begin();
                peer.pull().then_result(move |peer, result| {
                    told.end(peer, &result);
                    assert!(!matches!(result, Ok(Some(_))), "on purpose");
                    peer.close().detach();
                });
            }
        }
    });
}

/// The next bytes go back.
fn serve(peer: Peer, shared: &Shared) {
    let own = &mut *shared.borrow_mut();
    for _ in 0..own.chance.below(3) {
        own.play_about(peer);
    }
    let count = match own.chance.below(6) {
        _ if own.at_end => None,
        0 => Some(own.chance.between(1, 60)),
        1 => Some(own.chance.below(PULL_BYTES_MAX) + 1),
        2 => {
            own.told.mark(Mark::PullsInARow);
            let first = peer.pull_exact(own.chance.between(1, FEW));
            own.give_back(first);
            None
        }
        _ => None,
    };
    let task = count.map_or_else(|| peer.pull(), |count| peer.pull_exact(count));
    own.told.begin();
    let next = Rc::clone(shared);
    task.then_result(move |peer, result| {
        let told = next.borrow().told.clone();
        told.end(peer, &result);
        match result {
            Ok(Some(bytes)) => {
                if count.is_some_and(|count| count != bytes.len()) {
                    told.mistake(format!("{} bytes in place of {count:?}", bytes.len()));
                }
                push_back(peer, bytes, next);
            }
            Ok(None) if count.is_some() => {
                next.borrow_mut().at_end = true;
                serve(peer, &next);
            }
            Ok(None) => {
                told.begin();
                peer.close().then_result(move |peer, result| told.end(peer, &result));
            }
            Err(_) => {}
        }
    });
}

fn push_back(peer: Peer, bytes: Bytes, next: Shared) {
    let told = next.borrow().told.clone();
    told.begin();
    peer.push(bytes).then_result(move |peer, result| {
        told.end(peer, &result);
        match result {
            Ok(_) => serve(peer, &next),
            Err(Reason::Limit(limit)) => told.mistake(format!("a push exceeds {limit}")),
            Err(_) => {}
        }
    });
}

impl Own {
    /// Something that leaves no trace in either stream.
    fn play_about(&mut self, peer: Peer) {
        let told = self.told.clone();
        match self.chance.below(4) {
            0 => {
                told.mark(Mark::PullDropped);
                drop(peer.pull());
            }
            1 => {
                told.mark(Mark::PullCancelled);
                let task = peer.pull_exact(self.chance.between(1, FEW));
                task.cancel();
                self.give_back(task);
            }
            2 => {
                told.mark(Mark::PushDropped);
                drop(peer.push(POISON));
            }
            _ => {
                told.mark(Mark::PushCancelled);
                told.begin();
                let task = peer.push(POISON);
                task.cancel();
                task.then_result(move |peer, result| {
                    told.end(peer, &result);
                    if result.is_ok() {
                        told.mistake("a withdrawn push is sent".to_owned());
                    }
                });
            }
        }
    }

    fn give_back(&self, task: Task<Pull>) {
        let told = self.told.clone();
        told.begin();
        task.then_result(move |peer, result| {
            told.end(peer, &result);
            if let Ok(Some(bytes)) = result {
                peer.push(bytes).detach();
            }
        });
    }
}

/// Connects to the own server, as another peer of it, and sends on what comes from either.
fn forward(peer: Peer, hello: &Hello, address: SocketAddr, mut own: Own) {
    if own.chance.percent(50) {
        own.told.mark(Mark::ConnectDropped);
        drop(Peer::connect(address));
    }
    if own.chance.percent(50) {
        let told = own.told.clone();
        Peer::connect(SocketAddr::from(NOBODY)).then_result(move |_, result| match result {
            Ok(_) => told.mistake("nobody listens there".to_owned()),
            Err(_) => told.mark(Mark::NotConnected),
        });
    }
    if own.chance.percent(50) {
        own.told.mark(Mark::ConnectCancelled);
        let task = Peer::connect(address);
        task.cancel();
        task.then_result(|_, result| {
            if let Ok(other) = result {
                other.close().detach();
            }
        });
    }
    let (line, told) = (Hello { number: hello.number + 1_000, way: Way::Echo }.line(), own.told);
    Peer::connect(address).then_result(move |_, other| match other {
        Ok(other) => {
            told.mark(Mark::Connected);
            told.open();
            other.push(line).detach();
            pump(peer, other, told.clone());
            pump(other, peer, told);
        }
        Err(_) => {
            told.mark(Mark::NotConnected);
            peer.close().detach();
        }
    });
}

fn pump(from: Peer, to: Peer, told: Told) {
    told.begin();
    from.pull().then_result(move |from, result| {
        told.end(from, &result);
        match result {
            Ok(Some(bytes)) => {
                told.begin();
                to.push(bytes).then_result(move |to, result| {
                    told.end(to, &result);
                    match result {
                        Ok(_) => pump(from, to, told),
                        Err(_) => from.close().detach(),
                    }
                });
            }
            Ok(None) => to.shutdown_write().detach(),
            Err(_) => to.close().detach(),
        }
    });
}
