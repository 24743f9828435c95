//! Servers in simulated worlds, as applications test theirs: what a server promises
//! holds in every order of turns. Nothing here waits in real time.

use std::time::Duration;

use springtide::test::{Peer, for_each_seed};
use springtide::{Limits, Server};

const SECOND: Duration = Duration::from_secs(1);

/// While a shard hands its connections over, no more are open than are allowed.
#[test]
fn the_limit_on_connections_holds_while_they_move() {
    for_each_seed(50, |world| {
        let limits = Limits { connections_max: 3, ..Limits::default() };
        world.serve(Server::new().get("/", || "here").workers(2).limits(limits));
        let mut peers: Vec<Peer> = (0..3).map(|_| world.connect()).collect();
        world.settle();
        world.stop_shard(world.seed() as usize % 2, SECOND);
        peers.extend((0..4).map(|_| world.connect()));
        for _ in 0..40 {
            world.turn();
            assert!(world.counts().connections_open <= 3, "{:?}", world.counts());
        }
        assert_eq!(world.shards_running(), 1);
    });
}
