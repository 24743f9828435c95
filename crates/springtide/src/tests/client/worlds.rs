//! Requests to the own server in worlds: with faults, with several shards, frozen in the middle.
//! What is answered is right and whole, and in the end nothing is left.

use std::time::Duration;

use super::{Origin, server};
use crate::test::{Faults, Peer, Reply, World, for_each_seed};
use crate::{ClientLimits, HttpClient};

const ADDRESS: &str = "192.0.2.1:80";

/// What peers ask, and what comes if it is answered well: a status and the end of a body.
const ASKED: &[(&str, &str)] = &[
    ("GET /fetch/plain HTTP/1.1\r\nHost: a\r\n\r\n", "200 plain~~"),
    ("GET /pass/plain HTTP/1.1\r\nHost: a\r\n\r\n", "plain~"),
    ("GET /fetch/pass/plain HTTP/1.1\r\nHost: a\r\n\r\n", "200 plain~~"),
    ("POST /pass/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nhello~", "hello~"),
    (
        "PUT /pass/count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        "5~",
    ),
    ("GET /fetch/moved/302/plain HTTP/1.1\r\nHost: a\r\n\r\n", "200 plain~~"),
];

fn serve(world: &mut World, workers: usize) {
    let limits = ClientLimits { redirects_max: 3, ..ClientLimits::default() };
    let origin = Origin::default();
    origin.set(format!("http://{ADDRESS}")).unwrap();
    let server = server(&HttpClient::new().limits(limits), &origin);
    world.serve(server.workers(workers).listen(ADDRESS).unwrap());
    world.settle();
}

/// Peers that have asked, each with what it is to get.
fn ask(world: &mut World, count: usize) -> Vec<(Peer, &'static str)> {
    let mut peers = Vec::new();
    for _ in 0..count {
        let (request, answer) = ASKED[world.below(ASKED.len())];
        let mut peer = world.connect();
        assert_eq!(peer.write(request.as_bytes()), request.len());
        (0..world.below(6)).for_each(|_| world.turn());
        peers.push((peer, answer));
    }
    peers
}

/// It is what was asked for, or says that the server behind it did not answer.
fn fits(reply: &Reply, answer: &str) -> bool {
    let is_told = reply.body().starts_with(b"502 ") || reply.body().starts_with(b"503 ");
    reply.status().is_server_error() || is_told || reply.body() == answer.as_bytes()
}

/// Nobody is left, and everything is given back.
fn leave(world: &mut World, peers: Vec<(Peer, &'static str)>, before: usize) {
    drop(peers);
    world.set_faults(Faults::default());
    world.pass(Duration::from_secs(600));
    assert_eq!(world.descriptors_open(), before, "a connection is left");
    world.stop(Duration::from_secs(30));
    world.pass(Duration::from_secs(60));
    assert_eq!(world.shards_running(), 0, "something is left");
}

#[test]
fn calm_worlds_answer_everything() {
    for_each_seed(100, |world| {
        let workers = 1 + world.below(2);
        serve(world, workers);
        let before = world.descriptors_open();
        let mut peers = ask(world, 8);
        world.settle();
        for (peer, answer) in &mut peers {
            let reply = peer.reply().expect("an answer");
            assert_eq!(reply.body(), answer.as_bytes());
        }
        leave(world, peers, before);
    });
}

#[test]
fn what_is_answered_in_faulty_worlds_is_right() {
    for_each_seed(200, |world| {
        let workers = 1 + world.below(2);
        serve(world, workers);
        let before = world.descriptors_open();
        world.set_faults(Faults::all(0.05));
        let mut peers = ask(world, 8);
        world.pass(Duration::from_secs(5));
        for (peer, answer) in &mut peers {
            let Some(reply) = peer.reply() else { continue };
            assert!(fits(&reply, answer), "{answer}: {reply:?}");
        }
        leave(world, peers, before);
    });
}

/// A shard that is frozen drops the futures of its handlers: their requests end with them.
#[test]
fn a_freeze_leaves_nothing_behind() {
    for_each_seed(200, |world| {
        serve(world, 1);
        let before = world.descriptors_open();
        for _ in 0..3 {
            let mut peers = ask(world, 4);
            (0..world.below(20)).for_each(|_| world.turn());
            world.freeze_shard(0);
            world.settle();
            for (peer, answer) in &mut peers {
                let Some(reply) = peer.reply() else { continue };
                assert!(fits(&reply, answer), "{answer}: {reply:?}");
            }
        }
        leave(world, Vec::new(), before);
    });
}

/// A server that stops lets requests that have begun finish, and closes what rests.
#[test]
fn a_stop_ends_connections_at_rest() {
    for_each_seed(50, |world| {
        serve(world, 2);
        let mut peers = ask(world, 6);
        let is_settled = world.below(2) == 0;
        if is_settled {
            world.settle();
        }
        world.stop(Duration::from_secs(30));
        world.pass(Duration::from_secs(60));
        assert_eq!(world.shards_running(), 0, "something is left");
        for (peer, answer) in &mut peers {
            match peer.reply() {
                Some(reply) if is_settled => assert_eq!(reply.body(), answer.as_bytes()),
                Some(reply) => assert!(fits(&reply, answer), "{answer}: {reply:?}"),
                None => assert!(!is_settled, "{answer}"),
            }
        }
    });
}
