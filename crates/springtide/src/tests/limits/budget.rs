//! The budget of memory: who is closed where it is spent, and that nobody is for what is gone.
//! Told by who is closed, in virtual time.

use std::time::Duration;

use crate::test::{Peer, World};
use crate::{Limits, Request, Server, sleep, streamed};

const SECOND: Duration = Duration::from_secs(1);
const MIB: usize = 1 << 20;

fn server(memory_max: usize) -> Server {
    let wait_and_take = async |mut request: Request| {
        let mut body = request.take_body();
        sleep(SECOND * 60).await;
        while let Ok(Some(_)) = body.next().await {}
    };
    Server::new()
        .limits(Limits { memory_max, ..Limits::default() })
        .get("/slow", async || sleep(SECOND * 60).await)
        .get("/late", async || {
            sleep(SECOND).await;
            vec![b'~'; 4 * MIB]
        })
        .get("/large", || vec![b'~'; 3 * MIB])
        .put("/untaken", streamed(wait_and_take))
        .put("/taken", streamed(async |request: Request| request.body().await.map(|_| ())))
}

fn say(world: &mut World, said: &str) -> Peer {
    let mut peer = world.connect();
    assert_eq!(peer.write(said.as_bytes()), said.len());
    world.settle();
    peer
}

fn put(path: &str, body: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n{body}")
}

/// Who asks for much behind what takes long goes; who holds nothing, or what the server does not
/// take, stays.
#[test]
fn who_is_not_to_blame_stays() {
    let mut world = World::new(1);
    world.serve(server(MIB));
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let idle = say(&mut world, "");
    let light = say(&mut world, &put("/taken", ""));
    let mut patient = say(&mut world, &put("/untaken", ""));
    let held_up = "x".repeat(4 << 10);
    for _ in 0..40 {
        if patient.write(held_up.as_bytes()) == 0 {
            break;
        }
        world.settle();
    }
    let hog = say(&mut world, &[get("/slow"), get("/late")].concat());
    world.pass(SECOND * 2);
    assert!(hog.reset_cause().is_some(), "it holds 4 MiB");
    for peer in [&idle, &light, &patient] {
        assert!(!peer.is_closed_by_server());
    }
}

/// What a handler has gathered of a body that it waits for is held for its client too.
#[test]
fn what_is_gathered_is_counted() {
    let mut world = World::new(1);
    world.serve(server(MIB / 2));
    let mut peer = say(&mut world, &put("/taken", ""));
    let body = vec![b'x'; 900_000];
    let mut rest = &body[..];
    while !rest.is_empty() && !peer.is_closed_by_server() {
        rest = &rest[peer.write(rest)..];
        world.settle();
    }
    world.pass(SECOND * 2);
    assert!(peer.is_closed_by_server(), "it holds 900 kB");
}

/// A shard that sleeps has told what it holds then, not what it held when it was awake.
#[test]
fn what_is_gone_is_not_counted() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        world.serve(server(5 * MIB).workers(2));
        let mut peers = [world.connect(), world.connect()];
        world.settle();
        for peer in &mut peers {
            let request = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
            assert_eq!(peer.write(request), request.len());
            world.pass(SECOND / 2);
            let mut received = Vec::new();
            while peer.read(MIB, &mut received) > 0 {
                world.settle();
            }
            world.pass(SECOND / 2);
            assert!(received.len() > 3 * MIB && !peer.is_closed_by_server(), "seed {seed}");
        }
    }
}
