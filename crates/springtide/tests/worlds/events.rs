//! The events of a server whose shards give connections to each other, are frozen and stop: each of its
//! connections is told of once, and in its order, wherever it is by then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use springtide::events::{self, Events, Protocol};
use springtide::test::{Fault, Faults, Peer as Outside, World, for_each_seed};
use springtide::{
    Accepting, Bytes, CloseReason, IntoResponse, Message, Peer, PeerId, Reason, Request, Response,
    Server, Socket,
};

use super::SECOND;

const OFFER: &[u8] = b"GET /live HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x84\0\0\0\0tide";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<BTreeMap<PeerId, Vec<&'static str>>>>);

impl Log {
    fn add(&self, id: PeerId, what: &'static str) {
        self.0.lock().unwrap().entry(id).or_default().push(what);
    }
}

impl Events for Log {
    fn accepted(&self, peer: Peer, _: Protocol) {
        self.add(peer.id(), "accepted");
    }

    fn raw_read(&self, peer: Peer, bytes: Bytes) {
        self.add(peer.id(), "raw_read");
        peer.push(bytes).detach();
    }

    fn request(&self, _: Request) -> Response {
        "here".into_response()
    }

    fn message(&self, socket: Socket, message: Message) {
        self.add(socket.id(), "message");
        socket.send(message);
    }

    fn raw_written(&self, peer: Peer, _: usize) {
        self.add(peer.id(), "raw_written");
    }

    fn http_written(&self, id: PeerId, _: usize) {
        self.add(id, "http_written");
    }

    fn websocket_written(&self, socket: Socket, _: usize) {
        self.add(socket.id(), "websocket_written");
    }

    fn raw_closed(&self, peer: Peer, _: Reason) {
        self.add(peer.id(), "closed");
    }

    fn http_closed(&self, id: PeerId, _: Reason) {
        self.add(id, "closed");
    }

    fn websocket_closed(&self, socket: Socket, _: CloseReason) {
        self.add(socket.id(), "closed");
    }
}

/// What may happen to a world in between.
fn happen(world: &mut World, peers: &mut [Outside]) {
    let (at, shard) = (world.below(peers.len()), world.below(2));
    match world.below(12) {
        0 => world.share(0, 1, 2),
        1 => world.share(1, 0, 2),
        2 => world.freeze_shard(shard),
        3 => peers[at].shutdown(),
        4 => peers[at].reset(),
        5 => {
            let _ = peers[at].write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        _ => world.turn(),
    }
}

#[test]
fn connections_are_told_of_once_wherever_they_are() {
    let (mut told, mut moved) = (0, 0);
    for_each_seed(300, |world| {
        world.set_faults(Faults::all(0.05).with(Fault::NoDescriptors, 0.0));
        let log = Log::default();
        let server = Server::new()
            .raw(events::pull)
            .fallback(events::answer)
            .websocket("/live", |_: Socket, _: Message| {})
            .events(log.clone());
        world.serve(server.workers(2).accepting(Accepting::OneShard));
        let said: [&[u8]; 4] = [b"GET /ebb HTTP/1.1\r\nHost: a\r\n\r\n", b"tide", OFFER, b"GET"];
        let mut peers: Vec<Outside> = (0..8).map(|_| world.connect()).collect();
        for (number, peer) in peers.iter_mut().enumerate() {
            let _ = peer.write(said[number % said.len()]);
        }
        for _ in 0..100 {
            happen(world, &mut peers);
        }
        let stopping = world.below(4);
        if stopping < 2 {
            world.stop_shard(stopping, SECOND);
        }
        (0..20).for_each(|_| world.turn());
        world.stop(SECOND);
        world.pass(20 * SECOND);
        for (id, lines) in log.0.lock().unwrap().iter() {
            let seen = |what: &str| lines.iter().filter(|own| **own == what).count();
            let ends = (lines[0], lines[lines.len() - 1]);
            assert_eq!(ends, ("accepted", "closed"), "{id}: {lines:?}");
            assert_eq!((seen("accepted"), seen("closed")), (1, 1), "{id}: {lines:?}");
            told += lines.len();
            moved += 1;
        }
    });
    assert!(told > 3_000 && moved > 1_000, "{told} of {moved}");
}
