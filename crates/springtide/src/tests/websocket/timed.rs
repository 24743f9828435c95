//! Pings and dead peers, in virtual time: only bytes that come are life.

use std::time::Duration;

use super::Log;
use super::client::Client;
use crate::tests::{Backend, Stage, over_simulated_backends};

const SECOND: Duration = Duration::from_secs(1);

/// A peer that answers pings lives for ever; nothing else is asked of it.
fn a_silent_peer_is_asked(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server());
    let mut client = Client::open(&mut stage);
    for count in 1..=5 {
        stage.advance(SECOND * 24);
        client.step(&mut stage);
        assert_eq!(client.pings.len(), count - 1);
        stage.advance(SECOND);
        client.until(&mut stage, |client| client.pings.len() == count);
        client.flush(&mut stage);
    }
    assert!(!client.peer.is_ended());
    assert_eq!(stage.met("socket_ping_ms".trim_end_matches("_ms")), 5);
}

/// A peer that answers nothing is gone after 33 seconds, whatever is sent to it.
fn a_dead_peer_is_found(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server());
    let mut client = Client::open(&mut stage);
    client.send("x");
    client.messages(&mut stage, 1);
    stage.advance(SECOND * 25);
    stage.advance(SECOND * 7);
    assert_eq!(log.lines(), ["opened"]);
    stage.advance(SECOND * 2);
    stage.until(|_| (log.lines().len() == 2).then_some(()));
    assert_eq!(log.lines()[1], "the time of socket_dead is over (1 sent, 0 dropped)");
    assert_eq!(stage.counts().deadlines_total, 1);
}

/// Who does not answer a close has five seconds.
fn a_close_is_not_waited_for_for_ever(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server());
    let mut client = Client::open(&mut stage);
    client.write(&mut stage, &super::frame("close"));
    stage.advance(Duration::ZERO);
    stage.advance(SECOND * 4);
    assert_eq!(log.lines(), ["opened"]);
    stage.advance(SECOND * 2);
    stage.until(|_| (log.lines().len() == 2).then_some(()));
    assert_eq!(log.lines()[1], "closed here with 1000 (0 sent, 0 dropped)");
    assert_eq!(stage.met("socket_close_timeout"), 1);
}

over_simulated_backends!(
    a_silent_peer_is_asked,
    a_dead_peer_is_found,
    a_close_is_not_waited_for_for_ever,
);
