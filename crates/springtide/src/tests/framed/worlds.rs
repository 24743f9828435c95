//! Frames in worlds: shards that give connections to each other, stop and are frozen, networks that cut
//! and delay, in an order by chance. Every request is answered once and in order, or its peer is told.

use std::time::Duration;

use crate::test::{Fault, Faults, Peer, World, for_each_seed};
use crate::{Bytes, Framed, Reply, Server, sleep};

/// What a request says is when it is answered: at once, later, or not.
fn server() -> Server {
    let codec = Framed::lines().dropped(b"gone");
    Server::new().framed_async(codec, async |request: Bytes, reply: Reply| match request[0] {
        b'a' => reply.send(request),
        b'b' => {
            sleep(Duration::from_millis(request.len() as u64)).await;
            reply.send(request);
        }
        b'c' => {
            sleep(Duration::from_millis(1)).await;
            drop(reply);
        }
        _ => drop(reply),
    })
}

/// One who asks, and what has come back.
struct Asker {
    peer: Peer,
    said: Vec<u8>,
    written: usize,
    received: Vec<u8>,
}

impl Asker {
    fn new(world: &mut World) -> Self {
        let mut said = Vec::new();
        for number in 0..40 {
            let kind = b"aaabcd"[world.below(6)];
            let len = [1, 30, 3_000][world.below(3)];
            said.extend([vec![kind; len], format!(" {number}\n").into_bytes()].concat());
        }
        Self { peer: world.connect(), said, written: 0, received: Vec::new() }
    }

    fn step(&mut self, world: &mut World) {
        let count = world.below(5_000).min(self.said.len() - self.written);
        self.written += self.peer.write(&self.said[self.written..][..count]);
        self.peer.read(world.below(9_000), &mut self.received);
    }

    /// Every whole reply that has come is that of its request; whether all have come.
    fn check(&self, is_frozen: bool) -> bool {
        let mut replies = self.received.split_inclusive(|byte| *byte == b'\n');
        for request in self.said.split_inclusive(|byte| *byte == b'\n') {
            let Some(reply) = replies.next() else { return false };
            if !reply.ends_with(b"\n") {
                return false;
            }
            let may_be_gone = request[0] > b'b' || is_frozen;
            let is_right =
                (reply == request && request[0] <= b'b') || (reply == b"gone\n" && may_be_gone);
            assert!(is_right, "{} of {}", reply.escape_ascii(), request.escape_ascii());
        }
        assert!(replies.next().is_none(), "nothing is answered twice");
        true
    }
}

/// Nothing is lost, whatever shards do with their connections.
#[test]
fn every_request_is_answered_in_order() {
    for_each_seed(60, |world| {
        world.serve(server().workers(3));
        world.set_faults(Faults::all(0.02).with(Fault::Reset, 0.0).with(Fault::Refused, 0.0));
        let mut askers: Vec<Asker> = (0..6).map(|_| Asker::new(world)).collect();
        // A shard that is frozen gives up what waits, and one that only gives connections away does not.
        let is_frozen = world.below(2) == 0;
        for _ in 0..400 {
            for asker in &mut askers {
                asker.step(world);
            }
            world.turn();
            match world.below(60) {
                0 if is_frozen => {
                    let number = world.below(3);
                    world.freeze_shard(number);
                }
                1 => {
                    let (source, target) = (world.below(3), world.below(3));
                    if source != target {
                        world.share(source, target, 3);
                    }
                }
                2 => world.pass(Duration::from_millis(5)),
                _ => {}
            }
        }
        world.set_faults(Faults::default());
        let mut rounds = 0;
        while !askers.iter().all(|asker| asker.check(is_frozen)) {
            for asker in &mut askers {
                asker.step(world);
            }
            world.pass(Duration::from_millis(500));
            rounds += 1;
            assert!(rounds < 1_000, "somebody is never answered");
        }
        for asker in &mut askers {
            asker.peer.shutdown();
        }
        world.pass(Duration::from_secs(10));
        assert_eq!(world.counts().connections_open, 0);
    });
}
