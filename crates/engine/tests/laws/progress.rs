//! How far a send has come: what the peer's system has taken, whatever the own system still holds.
//! A look changes nothing.

use springtide_engine::{Handle, Key, Outcome};

use crate::shard::{Patience, Shard, pattern};
use crate::stage::{Outside, Stage};

/// More than twice what the buffers of both ends hold when they have grown to their limits.
const ALL: usize = 64 << 20;
/// Turns in which nothing has to change to say that nothing will.
const TURNS: usize = 10;

/// A send that nobody reads from comes to a rest; each time its peer reads, it goes on, also where
/// that makes too little room for the system to take any more of it; read to its end, it is done.
pub(crate) fn a_send_tells_its_progress<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let send = shard.send(socket, pattern(0, ALL), 1);
    let mut bytes = Vec::new();
    let mut last = at_rest(&mut shard, send, 0);
    for _ in 0..5 {
        let read = outside.read(&mut bytes);
        assert!(read > 0, "a send at rest has filled what its peer reads from");
        last = at_rest(&mut shard, send, bytes_of(bytes.len()).max(last + 1));
    }
    let patience = Patience::until("all bytes are there");
    let mut is_done = false;
    while !is_done || bytes.len() < ALL {
        is_done |= shard.turn().iter().any(|completion| completion.key == send);
        outside.read(&mut bytes);
        patience.spend();
    }
    assert_eq!(shard.engine.send_progress(send), None, "it has ended");
}

/// What was sent before counts against a send until it is taken.
pub(crate) fn progress_begins_behind_what_was_sent<S: Stage>(stage: &S) {
    const FIRST: usize = 50_000;
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let mut bytes = Vec::new();
    let receive = shard.receive(socket, 2);
    assert_eq!(shard.engine.send_progress(receive), None, "a receive is no send");
    assert_eq!(shard.engine.send_progress(Key::NONE), None);
    let first = shard.send(socket, pattern(0, FIRST), 1);
    assert!(matches!(shard.last(first), Outcome::Sent(_)));
    let second = shard.send(socket, pattern(FIRST, ALL), 1);
    // Nothing of it has gone before the turn; of the first, the peer's system may hold all.
    let before = shard.engine.send_progress(second).unwrap();
    assert!((-bytes_of(FIRST)..=0).contains(&before), "{before}");
    if S::IS_SIMULATED {
        assert_eq!(before, -50_000, "what nobody has read is not taken");
        outside.read(&mut bytes);
        assert_eq!(shard.engine.send_progress(second), Some(0));
    }
    at_rest(&mut shard, second, bytes_of(bytes.len()) - bytes_of(FIRST));
    shard.cancel(second);
    shard.last(second);
}

/// Turns until so many bytes of a send are taken, and until its progress stays as it is.
fn at_rest(shard: &mut Shard, send: Key, taken_min: i64) -> i64 {
    let patience = Patience::until("a send has its progress, and is at rest");
    let (mut last, mut same) = (i64::MIN, 0);
    while last < taken_min || same < TURNS {
        assert!(shard.turn().is_empty(), "more than fits is sent");
        let progress = shard.engine.send_progress(send).unwrap();
        same = if progress == last { same + 1 } else { 0 };
        last = progress;
        patience.spend();
    }
    last
}

fn bytes_of(count: usize) -> i64 {
    i64::try_from(count).unwrap()
}
