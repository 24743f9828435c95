//! What is left when a shard has ended: nothing.
//! A leak is found by what should have been dropped, not by measuring memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use springtide_engine::simulated::{Fault, Faults};

use super::{Backend, Stage, over_all_backends};
use crate::{Address, Request, Server};

/// The application's own state is dropped with the shard that served it.
fn a_shard_leaves_nothing_behind(backend: Backend) {
    let state = Arc::new("state of the application".to_owned());
    let witness: Weak<String> = Arc::downgrade(&state);
    let server = Server::new().get("/", move |_: Request| state.as_str().to_owned());
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let reply = stage.talk(&mut peer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 100);
    assert!(reply.ends_with(b"state of the application"));
    assert!(witness.upgrade().is_some());
    drop(stage);
    assert!(witness.upgrade().is_none(), "the shard's parts keep each other alive");
}

/// A shard that has lost its patience waits for its last closes as for anything else.
#[test]
fn the_last_closes_are_waited_for() {
    let server = Server::new().get("/", || "");
    let mut stage = Stage::with_world(Backend::Simulated, server, |world| {
        world.set_faults(Faults::default().with(Fault::Delayed, 1.0));
    });
    let _peers = [stage.connect(), stage.connect()];
    stage.advance(Duration::from_secs(1));
    stage.advance(Duration::from_secs(1));
    assert_eq!(stage.counts().connections_open, 2);
    // A close for each connection and one for the listener, each as late as it may be.
    let turns = stage.turns_to_end();
    assert!(turns <= 20, "it took {turns} turns");
}

/// A server without anything to serve has nobody wait for it, and asks who comes all the same.
fn connections_end_at_once_where_nothing_is_served(backend: Backend) {
    let asked = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&asked);
    let admit = move |_: &Address| own.fetch_add(1, Ordering::Relaxed) < usize::MAX;
    let mut stage = Stage::at_once(backend, Server::new().admit(admit));
    let mut peers = [stage.connect(), stage.connect()];
    for peer in &mut peers {
        assert_eq!(stage.talk_to_end(peer, b""), "");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let counts = stage.counts();
    assert_eq!((counts.connections_total, counts.connections_refused), (2, 2));
    assert_eq!(counts.connections_open, 0);
}

over_all_backends!(a_shard_leaves_nothing_behind, connections_end_at_once_where_nothing_is_served,);
