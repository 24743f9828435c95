//! Files that take their time: calls that hang. A stop of a server does not wait for them beyond its
//! patience.

use std::time::Duration;

use crate::fs::{self, OpenOptions};
use crate::mailbox::Message;
use crate::tests::freeze::refusal::Refused;
use crate::tests::{Backend, Stage};
use crate::{Peer, Server};

/// What hangs in the system keeps no stop: neither who waits for it nor its file.
#[test]
fn a_call_that_hangs_keeps_no_stop() {
    let server = Server::new().raw_async(async |peer: Peer| {
        let file = fs::open("/there", OpenOptions::new().write(true)).await?;
        file.write_at(0, "x").await?;
        peer.push("syncs").await?;
        file.sync_all().await?;
        peer.push("never").await?;
        Ok(())
    });
    let mut stage = Stage::with_world(Backend::Simulated, server, |world| {
        world.write_file("/there", b"was there");
    });
    let engine = stage.spare_engine();
    stage.move_over(Box::new(Refused { hung: Some(0), ..Refused::over(engine) }));
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"", 5), b"syncs");
    stage.send(Message::Drain { within_ms: 1_000 });
    stage.turn();
    stage.advance(Duration::from_millis(999));
    assert!(!stage.is_over() && !peer.is_ended(), "it is waited for");
    stage.advance(Duration::from_millis(1));
    assert!(!stage.is_over(), "the system has some time for the rest");
    stage.advance(Duration::from_millis(1_999));
    assert!(!stage.is_over());
    stage.advance(Duration::from_millis(1));
    assert!(stage.is_over());
}
