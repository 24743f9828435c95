//! Connections that are made again: what is told meanwhile, how long it waits, and what ends it.

use std::time::Duration;

use super::worlds::{REFUSED, SILENT, connector, stage};
use super::{Echo, outcome, read};
use crate::tests::{Backend, Stage, over_all_backends, over_simulated_backends};
use crate::{
    Client, Elsewhere, Outgoing, PeerStatus, Reason, Reconnect, Server, Status, Task, Wait,
};

/// A server that ends each connection with its first byte.
fn quitter(backend: Backend) -> Stage {
    let server = Server::new().raw(|peer| peer.pull().then(|peer, _| peer.close().detach()));
    Stage::new(backend, server)
}

fn why(ended: Result<Client, Wait>) -> Reason {
    match ended {
        Err(Wait::Failed(reason)) => reason,
        other => panic!("it has failed: {other:?}"),
    }
}

fn is_pending(task: &Task<Outgoing, Elsewhere>) -> bool {
    task.status() == Status::Pending
}

/// A connection that ends is followed by another; what was asked of the first is told how it ended, and
/// what is asked meanwhile is refused.
fn a_lost_connection_is_made_again(backend: Backend) {
    let mut stage = quitter(backend);
    let address = stage.origin().replace("http://", "");
    let connector = Client::connector().on(stage.link()).address(address);
    let steady = Reconnect::new(connector).back_off(Duration::from_millis(1)).connect().unwrap();
    assert_eq!(steady.status(), PeerStatus::Connecting);
    assert_eq!(why(steady.client().map_err(Wait::Failed)), Reason::NotConnected);
    let refused = steady.write("lost").wait_for(Duration::ZERO);
    assert_eq!(refused, Err(Wait::Failed(Reason::NotConnected)));
    let (waiting, both) = (steady.connected(), steady.connected());
    drop(steady.connected());
    let cancelled = steady.connected();
    cancelled.cancel();
    assert_eq!(why(outcome(&mut stage, &cancelled)), Reason::Cancelled);
    let first = outcome(&mut stage, &waiting).unwrap();
    assert_eq!(outcome(&mut stage, &both).unwrap().id(), first.id(), "it is the same");
    assert_eq!(steady.status(), PeerStatus::Open);
    let end = steady.read();
    steady.write("x").detach();
    assert_eq!(read(&mut stage, &end), None);
    first.close().detach();
    stage.until(|stage| {
        if stage.is_simulated() {
            stage.advance(Duration::from_millis(1));
        }
        steady.client().ok().filter(|client| client.id() != first.id())
    });
    let late = first.write("late");
    assert!(matches!(outcome(&mut stage, &late), Err(Wait::Failed(Reason::Stale))));
    drop(steady);
    drop((waiting, both, end, late, first));
    stage.until(|stage| (stage.at_desk()[0] == 0).then_some(()));
}

/// It is over when it is closed, and nobody waits for it any more.
fn what_is_closed_stays_closed(backend: Backend) {
    let mut echo = Echo::new(backend);
    let address = echo.address();
    let steady = Reconnect::new(echo.connector().address(address)).connect().unwrap();
    let other = steady.clone();
    let connected = steady.connected();
    let client = outcome(&mut echo.stage, &connected).unwrap();
    client.write("x").detach();
    steady.close();
    assert_eq!(other.status(), PeerStatus::Closed);
    assert_eq!(why(other.client().map_err(Wait::Failed)), Reason::Closed);
    let late = other.connected();
    assert_eq!(why(outcome(&mut echo.stage, &late)), Reason::Closed);
    assert_eq!(read(&mut echo.stage, &client.read()).as_deref(), Some("x"), "it is still held");
    drop(client);
    echo.ends(2);
    let mut stage = echo.stage;
    stage.until(|stage| (stage.at_desk()[0] == 0).then_some(()));
}

over_all_backends!(a_lost_connection_is_made_again, what_is_closed_stays_closed);

/// Of each wait at least a half is waited, and all at most; behind the last attempt it is over.
fn waits_are_kept(backend: Backend) {
    let (mut stage, _services) = stage(backend);
    let connector = connector(&mut stage, &[REFUSED]);
    let steady = Reconnect::new(connector).attempts_max(4).connect().unwrap();
    let waiting = steady.connected();
    let mut passed_ms = 0;
    while is_pending(&waiting) {
        stage.advance(Duration::from_millis(1));
        passed_ms += 1;
    }
    // 100, 200 and 400 ms at most; and a turn or two for each attempt.
    assert!((350..720).contains(&passed_ms), "{passed_ms}");
    assert_eq!(why(outcome(&mut stage, &waiting)), Reason::Refused);
    assert_eq!(why(steady.client().map_err(Wait::Failed)), Reason::Refused);
    assert_eq!(steady.status(), PeerStatus::Closed);
    assert_eq!(stage.at_desk()[0], 0);
}

/// Who goes while it waits or tries leaves nothing behind, and a shard that stops ends it.
fn it_ends_with_its_last_handle_or_shard(backend: Backend) {
    let (mut stage, _services) = stage(backend);
    for (address, turns) in [(REFUSED, 1), (REFUSED, 9), (SILENT, 9)] {
        let steady = Reconnect::new(connector(&mut stage, &[address])).connect().unwrap();
        (0..turns).for_each(|_| stage.turn());
        drop(steady);
        (0..20).for_each(|_| stage.turn());
        assert_eq!(stage.at_desk()[0], 0, "{address} {turns}");
    }
    let steady = Reconnect::new(connector(&mut stage, &[REFUSED])).connect().unwrap();
    let waiting = steady.connected();
    (0..9).for_each(|_| stage.turn());
    stage.turns_to_end();
    assert_eq!(why(waiting.wait_for(Duration::ZERO)), Reason::Stopped);
    assert_eq!(steady.status(), PeerStatus::Closed);
}

mod timed {
    use super::*;
    over_simulated_backends!(waits_are_kept, it_ends_with_its_last_handle_or_shard);
}
