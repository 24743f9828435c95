//! What is left when a shard has ended: nothing.
//! A leak is found by what should have been dropped, not by measuring memory.

use std::sync::{Arc, Weak};
use std::time::Duration;

use springtide_engine::simulated::{Fault, Faults};

use super::{Backend, Stage, over_all_backends};
use crate::{Request, Server};

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
    let mut stage = Stage::with_world(Backend::Simulated, Server::new(), |world| {
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

over_all_backends!(a_shard_leaves_nothing_behind);
