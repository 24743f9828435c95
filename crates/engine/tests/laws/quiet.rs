//! Sends whose good end nobody waits for, in a world: they go, and are told of later.
//! What is told of at once there hides code that waits for it all the same.

use std::time::Duration;

use springtide_engine::simulated::{Client, Fault, Faults};
use springtide_engine::{Completion, Descriptor, Handle, Key, Outcome};

use crate::shard::Shard;
use crate::stage::{Simulated, Stage};

/// Two connections, and what is in flight on them: a receive on each.
pub(crate) fn two_connections(
    stage: &Simulated,
    shard: &mut Shard,
) -> [(Client, Descriptor, Key); 2] {
    let port = shard.listen();
    [1, 2].map(|token| {
        let client = stage.connect(&port.address);
        let accepted = shard.wait("a connection", |completion| match completion.outcome {
            Outcome::Accepted(socket) => Some(socket),
            _ => None,
        });
        (client, accepted, shard.receive(accepted, token))
    })
}

fn is_told(completions: &[Completion], send: Key) -> bool {
    completions
        .iter()
        .any(|completion| completion.key == send && matches!(completion.outcome, Outcome::Sent(_)))
}

/// What nobody waits for comes with what somebody waits for, and with nothing else.
#[test]
fn a_quiet_send_is_told_of_with_what_comes_next() {
    let stage = Simulated::open();
    stage.world.hold_time(true);
    let mut shard = Shard::new(&stage);
    let [(own, socket, _), (other, ..)] = two_connections(&stage, &mut shard);
    let send = shard.send_quietly(socket, b"quietly", 3);
    for _ in 0..10 {
        let completions = shard.turn();
        assert!(!is_told(&completions, send), "nobody waits for it: {completions:?}");
    }
    let mut came = Vec::new();
    own.read(&mut came);
    assert_eq!(came, b"quietly", "it has gone all the same");
    assert_eq!(other.write(b"louder"), 6);
    assert!(is_told(&shard.turn(), send));
}

/// One that had to wait for room ends a turn by itself.
#[test]
fn a_quiet_send_that_has_waited_is_told_of() {
    let stage = Simulated::open();
    stage.world.hold_time(true);
    let mut shard = Shard::new(&stage);
    let [(own, socket, _), _other] = two_connections(&stage, &mut shard);
    let send = shard.send_quietly(socket, &[b'q'; 300_000], 3);
    assert!(!is_told(&shard.turn(), send), "there is no room for all of it");
    let mut came = Vec::new();
    own.read(&mut came);
    assert!(is_told(&shard.turn(), send));
}

/// A deadline ends a turn as well.
#[test]
fn a_quiet_send_is_told_of_at_a_deadline() {
    let stage = Simulated::open();
    stage.world.hold_time(true);
    let mut shard = Shard::new(&stage);
    let [(_own, socket, _), _other] = two_connections(&stage, &mut shard);
    let send = shard.send_quietly(socket, b"quietly", 3);
    assert!(!is_told(&shard.turn(), send));
    let mut completions = Vec::new();
    shard.engine.turn(Some(stage.world.now()), &mut completions).unwrap();
    assert!(is_told(&completions, send), "{completions:?}");
}

/// A fault leaves it behind, for some milliseconds.
#[test]
fn a_quiet_send_may_be_told_of_late() {
    let stage = Simulated::open();
    stage.world.hold_time(true);
    stage.world.set_faults(Faults::default().with(Fault::LeftBehind, 1.0));
    let mut shard = Shard::new(&stage);
    let [(_own, socket, _), (other, ..)] = two_connections(&stage, &mut shard);
    let send = shard.send_quietly(socket, b"quietly", 3);
    for _ in 0..10 {
        assert_eq!(other.write(b"louder"), 6);
        assert!(!is_told(&shard.turn(), send), "it is left behind");
    }
    stage.world.advance(Duration::from_secs(1));
    assert!(is_told(&shard.turn(), send), "it comes alone");
}

/// Whoever cancels it, or ends everything, is told that all has gone.
#[test]
fn a_quiet_send_that_is_cancelled_has_gone() {
    let stage = Simulated::open();
    stage.world.hold_time(true);
    let mut shard = Shard::new(&stage);
    let [(_own, socket, _), (_other, again, _)] = two_connections(&stage, &mut shard);
    let sends = [socket, again].map(|socket| shard.send_quietly(socket, b"quietly", 3));
    shard.turn();
    shard.cancel(sends[0]);
    assert!(is_told(&shard.turn(), sends[0]));
    let mut completions = Vec::new();
    shard.engine.quiesce(&mut completions).unwrap();
    assert!(sends.iter().any(|send| is_told(&completions, *send)), "{completions:?}");
}
