//! Connections by protocol: each is counted where it is, and in none once it is gone.

use super::{Backend, Peer, Stage, over_all_backends};
use crate::test::World;
use crate::{Framed, Message, Server, Socket};

/// Open and begun, of each protocol that there were connections of.
fn counted(metrics: &crate::Metrics) -> Vec<(&'static str, u64, u64)> {
    let protocols = metrics.protocols().filter(|own| own.total > 0 || own.open > 0);
    protocols.map(|own| (own.name, own.open, own.total)).collect()
}

fn until_counted(stage: &mut Stage, expected: &[(&'static str, u64, u64)]) {
    let metrics = stage.metrics();
    stage.until(|_| (counted(&metrics) == expected).then_some(()));
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OFFER: &[u8] = b"GET /talk HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn leave(stage: &mut Stage, peer: &mut Peer) {
    peer.shutdown();
    stage.until(|_| {
        peer.read(&mut Vec::new());
        peer.is_ended().then_some(())
    });
}

/// A connection that becomes a WebSocket is one of HTTP no longer.
fn connections_are_counted_by_protocol(backend: Backend) {
    let echo = |socket: Socket, message: Message| socket.send(message);
    let server = Server::new().get("/", || "tide").websocket("/talk", echo);
    let mut stage = Stage::new(backend, server);
    assert_eq!(counted(&stage.metrics()), []);
    let (mut plain, mut upgraded) = (stage.connect(), stage.connect());
    stage.talk(&mut plain, GET, 1);
    stage.talk(&mut upgraded, OFFER, 1);
    until_counted(&mut stage, &[("http", 1, 2), ("websocket", 1, 1)]);
    leave(&mut stage, &mut plain);
    until_counted(&mut stage, &[("http", 0, 2), ("websocket", 1, 1)]);
    upgraded.reset();
    until_counted(&mut stage, &[("http", 0, 2), ("websocket", 0, 1)]);
}

fn other_protocols_are_counted_as_what_they_are(backend: Backend) {
    let raw = Server::new().raw(|peer| peer.push("tide").detach());
    let framed = Server::new().framed(Framed::lines(), |line, reply| reply.send(line));
    for (server, name) in [(raw, "raw"), (framed, "framed")] {
        let mut stage = Stage::new(backend, server);
        let mut peer = stage.connect();
        stage.talk(&mut peer, b"tide\n", 4);
        until_counted(&mut stage, &[(name, 1, 1)]);
        peer.reset();
        until_counted(&mut stage, &[(name, 0, 1)]);
    }
}

over_all_backends!(
    connections_are_counted_by_protocol,
    other_protocols_are_counted_as_what_they_are,
);

/// A connection that moves is open on one shard, and was begun once.
#[test]
fn what_moves_is_counted_once() {
    let server = Server::new().get("/", || "tide").workers(2);
    let metrics = server.metrics();
    let mut world = World::new(1);
    world.serve(server);
    let mut peers: Vec<_> = (0..6).map(|_| world.connect()).collect();
    for round in 0..6 {
        peers.iter_mut().for_each(|peer| assert_eq!(peer.write(GET), GET.len()));
        world.settle();
        world.share(round % 2, (round + 1) % 2, 6);
        world.settle();
        world.freeze_shard(round % 2);
        world.settle();
        assert_eq!(counted(&metrics), [("http", 6, 6)]);
    }
    peers.iter_mut().for_each(crate::test::Peer::reset);
    world.settle();
    assert_eq!(counted(&metrics), [("http", 0, 6)]);
}
