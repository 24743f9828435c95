//! Futures in worlds: with several shards, and nothing left to do behind them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Desk, get, server};
use crate::test::{World, for_each_seed};
use crate::{ProxyProtocol, Request, sleep, to_the_end};

/// Turns until so many futures wait at the desk.
fn until_waiting(world: &mut World, desk: &Desk, count: usize) {
    world.settle();
    assert_eq!(desk.waiting(), count);
}

/// A shard that was told something about a future that has ended sleeps again.
#[test]
fn stale_news_leave_nothing_to_do() {
    for is_reset in [false, true] {
        let desk = Arc::<Desk>::default();
        let mut world = World::new(1);
        world.serve(server(&desk));
        let mut peer = world.connect();
        let _ = peer.write(get("/wait/1").as_bytes());
        until_waiting(&mut world, &desk, 1);
        let late = desk.let_go(1);
        if is_reset {
            peer.reset();
        } else {
            late.wake_by_ref();
        }
        world.settle();
        assert_eq!(desk.drops(), 1);
        // Who keeps a waker rings once more; `settle` fails when the shard does not rest.
        late.wake();
        world.settle();
        world.pass(Duration::from_secs(120));
        assert_eq!(world.counts().connections_open, 0);
    }
}

/// Timers that are forgotten, and not dropped, keep nobody awake.
#[test]
fn forgotten_timers_leave_nothing_to_do() {
    let server = crate::Server::new().get("/", async |_: Request| {
        let mut nap = Box::pin(sleep(Duration::from_millis(5)));
        std::future::poll_fn(|context| {
            assert!(nap.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        std::mem::forget(nap);
    });
    let mut world = World::new(1);
    world.serve(server);
    let mut peer = world.connect();
    let _ = peer.write(get("/").as_bytes());
    world.settle();
    assert_eq!(peer.reply().expect("an answer").status(), 204);
    world.pass(Duration::from_secs(1));
}

/// Connections are given away and shards stop while futures wait: each stays where its future is
/// until that has ended, goes then, and its peer notices nothing.
#[test]
fn who_waits_stays_on_its_shard() {
    for_each_seed(50, |world| {
        let desk = Arc::<Desk>::default();
        world.serve(server(&desk).workers(2));
        let mut peers: Vec<_> = (0..8).map(|_| world.connect()).collect();
        for (number, peer) in peers.iter_mut().enumerate() {
            let _ = peer.write(get(&format!("/wait/{number}")).as_bytes());
        }
        until_waiting(world, &desk, 8);
        let polls = desk.polls();
        let source = world.below(2);
        if world.below(2) == 0 {
            world.share(source, 1 - source, 8);
            world.settle();
        } else {
            world.stop_shard(source, Duration::from_secs(30));
            world.settle();
        }
        assert_eq!((desk.polls(), desk.drops()), (polls, 0), "nothing was touched");
        let first = world.below(8);
        for number in (first..8).chain(0..first) {
            desk.let_go(number).wake();
            if world.below(2) == 0 {
                world.settle();
            }
        }
        world.settle();
        for (number, peer) in peers.iter_mut().enumerate() {
            let reply = peer.reply().expect("an answer");
            assert_eq!(reply.body(), format!("~{number}").as_bytes());
            let _ = peer.write(get("/now").as_bytes());
        }
        world.settle();
        for peer in &mut peers {
            assert_eq!(peer.reply().expect("an answer").body(), b"now");
        }
    });
}

/// A handler that runs on without its client never takes another one for it.
#[test]
fn an_address_is_that_of_its_own_client() {
    let seen = Arc::<Mutex<Vec<_>>>::default();
    let ends = seen.clone();
    let server = crate::Server::new().get("/now", || "now").get(
        "/pay",
        to_the_end(async move |request: Request| {
            let address = || (request.peer_address(), request.client_address());
            let before = address();
            sleep(Duration::from_secs(5)).await;
            ends.lock().unwrap().push((before, address()));
        }),
    );
    let mut world = World::new(1);
    world.serve(server);
    let mut peer = world.connect();
    let _ = peer.write(get("/pay").as_bytes());
    world.settle();
    peer.reset();
    world.settle();
    let mut others: Vec<_> = (0..3).map(|_| world.connect()).collect();
    for other in &mut others {
        let _ = other.write(get("/now").as_bytes());
    }
    world.settle();
    world.pass(Duration::from_secs(6));
    let seen = seen.lock().unwrap();
    let (before, after) = &seen[0];
    assert!(before.0.is_some() && before == after, "{seen:?}");
}

/// The last poll of a future whose client has gone names the client, and not its proxy.
#[test]
fn a_client_behind_a_proxy_is_named_to_the_end() {
    let seen = Arc::<Mutex<Vec<_>>>::default();
    let ends = seen.clone();
    let handler = async move |request: Request| {
        request.closed().await;
        ends.lock().unwrap().push(request.client_address());
    };
    let mut world = World::new(1);
    let server = crate::Server::new().get("/", handler);
    let server = server.proxy_protocol(ProxyProtocol::Required).trusted_proxies(["127.0.0.1"]);
    world.serve(server);
    let mut peer = world.connect();
    let _ = peer.write(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n");
    let _ = peer.write(get("/").as_bytes());
    world.settle();
    peer.reset();
    world.settle();
    assert_eq!(*seen.lock().unwrap(), ["192.0.2.7".parse().ok()]);
}
