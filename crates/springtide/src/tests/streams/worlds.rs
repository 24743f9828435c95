//! Producers in worlds: with time that passes, and with several shards.

use std::sync::Arc;
use std::time::Duration;

use super::{Desk, Given, get, much, server};
use crate::test::{Fault, Faults, Reply, World, for_each_seed};
use crate::{Event, Response, Server, StreamError, sleep};

/// A producer that pauses is not its client's fault, however long; a client that reads nothing is.
#[test]
fn deadlines_are_for_clients() {
    let server = Server::new()
        .get("/pause", || {
            Response::stream(async |mut sink| {
                sink.send("low").await?;
                sleep(Duration::from_secs(86_400)).await;
                Ok(sink.send(" tide").await?)
            })
        })
        .get("/much", || much(1000, &Arc::<Given>::default()));
    let mut world = World::new(1);
    world.serve(server);
    let (mut patient, mut stalled) = (world.connect(), world.connect());
    let _ = patient.write(get("/pause").as_bytes());
    let _ = stalled.write(get("/much").as_bytes());
    world.pass(Duration::from_secs(40));
    assert_eq!((world.counts().connections_open, world.counts().deadlines_total), (1, 1));
    assert_eq!(world.counts().futures_dropped, 1);
    world.pass(Duration::from_secs(86_400));
    assert_eq!(patient.reply().expect("an answer").body(), b"low tide");
}

/// Connections are given away and shards stop while bodies are produced: each stays where its
/// producer is until that has ended, and its peer notices nothing.
#[test]
fn who_is_sent_a_body_stays_on_its_shard() {
    for_each_seed(50, |world| {
        let desk = Arc::<Desk>::default();
        world.serve(server(&desk).workers(2));
        let mut peers: Vec<_> = (0..8).map(|_| world.connect()).collect();
        for (number, peer) in peers.iter_mut().enumerate() {
            let _ = peer.write(get(&format!("/slow/{number}")).as_bytes());
        }
        world.settle();
        assert_eq!(desk.waiting(), 8);
        let source = world.below(2);
        if world.below(2) == 0 {
            world.share(source, 1 - source, 8);
        } else {
            world.stop_shard(source, Duration::from_secs(30));
        }
        world.settle();
        assert_eq!(desk.drops(), 0, "nothing was touched");
        for number in 0..8 {
            desk.let_go(number).wake();
        }
        world.settle();
        for (number, peer) in peers.iter_mut().enumerate() {
            let reply = peer.reply().expect("an answer");
            assert_eq!(reply.body(), format!("low tide {number}").as_bytes());
            let _ = peer.write(get("/plain").as_bytes());
        }
        world.settle();
        for peer in &mut peers {
            assert_eq!(peer.reply().expect("an answer").body(), b"plain");
        }
    });
}

/// Events leave as they are sent; silence is broken before a proxy would close.
#[test]
fn events_are_kept_alive() {
    let server = Server::new().get("/", || {
        Response::events(async |mut events| {
            for number in 0..3 {
                let event = Event::new(format!("low\ntide {number}"));
                events.send(event.id(number).name("depth")).await?;
                sleep(Duration::from_secs(10)).await;
            }
            assert_eq!(events.send(Event::new("x").id("\n")).await, Err(StreamError::Event));
            events.comment("so long").await?;
            sleep(Duration::from_secs(40)).await;
            Ok(events.send("the end").await?)
        })
    });
    let mut world = World::new(1);
    world.serve(server);
    let mut peer = world.connect();
    let _ = peer.write(get("/").as_bytes());
    world.settle();
    let mut received = Vec::new();
    peer.read(usize::MAX, &mut received);
    assert!(received.ends_with(b"event: depth\nid: 0\ndata: low\ndata: tide 0\n\n\r\n"));
    let head = String::from_utf8(received).unwrap();
    assert!(head.contains("\r\nContent-Type: text/event-stream\r\n"), "{head}");
    assert!(head.contains("\r\ncache-control: no-cache\r\n"), "{head}");
    let rest = |seconds, peer: &mut crate::test::Peer, world: &mut World| {
        world.pass(Duration::from_secs(seconds));
        let mut received = Vec::new();
        peer.read(usize::MAX, &mut received);
        let lines = String::from_utf8(received).unwrap();
        lines.split("\r\n").skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let events = [1, 2].map(|id| format!("event: depth\nid: {id}\ndata: low\ndata: tide {id}\n\n"));
    assert_eq!(rest(29, &mut peer, &mut world), events);
    assert_eq!(rest(29, &mut peer, &mut world), [": so long\n\n", ":\n\n"]);
    assert_eq!(rest(2, &mut peer, &mut world), [":\n\n"]);
    assert_eq!(rest(9, &mut peer, &mut world), [""; 0]);
    assert_eq!(rest(1, &mut peer, &mut world)[..2], ["data: the end\n\n", ""]);
}

/// Whatever the system does to sends and completions, and however slowly peers read, bodies come
/// whole and in order, and nothing is left behind.
#[test]
fn bodies_come_whole_through_faults() {
    const PIECES: usize = 16;
    for_each_seed(50, |world| {
        world.set_faults(Faults::all(0.1).with(Fault::Reset, 0.0).with(Fault::Refused, 0.0));
        let given = Arc::<Given>::default();
        let server = server(&Arc::default()).get("/much", move || much(PIECES, &given));
        world.serve(server.workers(2));
        let mut peers: Vec<_> = (0..4).map(|_| (world.connect(), Vec::new(), 0)).collect();
        let requests = ["/much", "/plain", "/sized", "/much", "/empty", "/sized"].map(get).concat();
        for (peer, _, _) in &mut peers {
            assert_eq!(peer.write(requests.as_bytes()), requests.len());
        }
        let sizes = [PIECES * super::PIECE, 5, 9, PIECES * super::PIECE, 0, 9];
        while peers.iter().any(|(_, _, replies)| *replies < sizes.len()) {
            world.pass(Duration::from_millis(100));
            for (peer, received, replies) in &mut peers {
                peer.read(world.below(1 << 20), received);
                while let Some((reply, length)) = Reply::parse(received, false) {
                    received.drain(..length);
                    assert_eq!(reply.body().len(), sizes[*replies], "reply {replies}");
                    *replies += 1;
                }
            }
        }
        drop(peers);
        world.pass(Duration::from_secs(10));
        let counts = world.counts();
        assert_eq!((counts.connections_open, counts.futures_dropped), (0, 0));
    });
}
