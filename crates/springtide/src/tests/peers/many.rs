//! Ten thousand tasks that are cancelled in one turn, over every backend: all of them end within ten,
//! but for what is partly sent, which ends with its send.
//! Turns are counted by a future that is polled once in each.

use std::time::Duration;

use super::{Log, next_turn};
use crate::tests::{Backend, Stage, over_all_backends, over_simulated_backends};
use crate::{Client, Limits, Listener, Operation, Peer, Reason, Server, Status, Task, sleep};

const MANY: usize = 10_000;
/// Descriptors are fewer in real systems, and each of these takes two.
const CONNECTS: usize = 1_500;
const TURNS_MAX: usize = 10;

/// Whatever may wait may wait in such numbers.
fn limits() -> Limits {
    Limits { pulls_waiting_max: MANY, outbox_bytes_max: 64 << 20, ..Limits::default() }
}

/// Cancels tasks in one turn, and says how many ended so within ten.
async fn cancel_all<O: Operation>(tasks: &[Task<O>]) -> usize {
    tasks.iter().for_each(|task| task.cancel());
    for _ in 0..TURNS_MAX {
        next_turn().await;
    }
    tasks.iter().filter(|task| task.status() == Status::Failed).count()
}

fn cancelled_pulls_end(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |peer: Peer| {
        let tasks: Vec<_> = (0..MANY).map(|_| peer.pull_exact(3)).collect();
        next_turn().await;
        own.add(format!("{} have ended", cancel_all(&tasks).await));
        let rest = peer.pull_exact(3).await?;
        own.add(format!("{rest:?} come behind them"));
        Ok(())
    });
    let mut stage = Stage::new(backend, server.limits(limits()));
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"ab"), 2);
    stage.until(|_| (log.lines().len() == 1).then_some(()));
    assert_eq!(peer.write(b"c"), 1);
    stage.talk_to_end(&mut peer, b"");
    assert_eq!(log.lines(), ["10000 have ended", "Some(b\"abc\") come behind them"]);
}

/// Behind what fills the peer's window nothing has begun to be sent.
fn cancelled_pushes_end(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |peer: Peer| {
        let long = peer.push(vec![b'x'; 8 << 20]);
        for _ in 0..20 {
            next_turn().await;
        }
        let tasks: Vec<_> = (0..MANY).map(|_| peer.push("never")).collect();
        next_turn().await;
        long.cancel();
        own.add(format!("{} have ended", cancel_all(&tasks).await));
        own.add(format!("{} bytes are sent", long.await?.len()));
        Ok(())
    });
    let mut stage = Stage::new(backend, server.limits(limits()));
    let mut peer = stage.connect();
    stage.until(|_| (log.lines().len() == 1).then_some(()));
    let received = stage.talk_to_end(&mut peer, b"");
    assert_eq!(received.len(), 8 << 20, "it is partly sent, and goes on");
    assert_eq!(log.lines(), ["10000 have ended", "8388608 bytes are sent"]);
}

/// They lead to the own server, which is told of those that were there by then.
fn cancelled_connects_end(backend: Backend) {
    springtide_engine::descriptors_max_raise().unwrap();
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |peer: Peer| {
        // The connections that are made have nothing to say.
        let Some(line) = peer.pull_until("\n", 64).await? else { return Ok(()) };
        let address = super::text(&line).trim().parse::<springtide_engine::Address>()?;
        let tasks: Vec<_> = (0..CONNECTS).map(|_| Peer::connect(address.clone())).collect();
        own.add(format!("{} have ended", cancel_all(&tasks).await));
        Ok(())
    });
    let mut stage = Stage::new(backend, server);
    let address = stage.origin().replace("http://", "");
    let mut peer = stage.connect();
    let line = format!("{address}\n");
    assert_eq!(peer.write(line.as_bytes()), line.len());
    stage.until(|_| (log.lines().len() == 1).then_some(()));
    assert_eq!(log.lines(), ["1500 have ended"]);
    peer.shutdown();
    stage.until(|stage| stage.peers().is_empty().then_some(()));
    assert_eq!(stage.at_desk()[0], 0, "no connection that was made is left");
}

/// What is partly sent ends with the peer that takes nothing of it.
fn partly_sent_pushes_end_with_their_deadline(backend: Backend) {
    let log = Log::default();
    let (own, gone) = (log.clone(), log.clone());
    let server = Server::new()
        .raw_async(async move |peer: Peer| {
            let long = peer.push(vec![b'x'; 8 << 20]);
            for _ in 0..20 {
                next_turn().await;
            }
            long.cancel();
            own.add(format!("{:?}", long.await.err()));
            Ok(())
        })
        .closed(move |_, reason| gone.add(format!("closed: {reason:?}")));
    let limits = Limits { send_timeout_ms: 8_000, ..limits() };
    let mut stage = Stage::new(backend, server.limits(limits));
    let _peer = stage.connect();
    for _ in 0..30 {
        stage.turn();
    }
    for _ in 0..7 {
        stage.advance(Duration::from_secs(1));
    }
    assert_eq!(log.lines(), [""; 0]);
    for _ in 0..4 {
        stage.advance(Duration::from_secs(1));
    }
    let reason = Reason::TimedOut("send_timeout");
    assert_eq!(log.lines(), [format!("{:?}", Some(reason)), format!("closed: {reason:?}")]);
}

/// Nobody comes; then somebody does, and is given to who asks then.
fn cancelled_accepts_end(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |_: Peer| {
        let listener = Listener::bind("127.0.0.1:0")?;
        let tasks: Vec<_> = (0..MANY).map(|_| listener.accept()).collect();
        next_turn().await;
        tasks.iter().for_each(|task| task.cancel());
        for _ in 0..TURNS_MAX {
            next_turn().await;
        }
        let ended = tasks.iter().filter(|task| task.status() == Status::Failed).count();
        own.add(format!("{ended} have ended"));
        let client = Client::connect(listener.address());
        listener.accept().await?.write("tide").await?;
        let said = client.await?.read_exact(4).await?;
        own.add(format!("{said:?} comes behind them"));
        Ok(())
    });
    let mut stage = Stage::new(backend, server);
    let _peer = stage.connect();
    stage.until(|_| (log.lines().len() == 2).then_some(()));
    assert_eq!(log.lines(), ["10000 have ended", "Some(b\"tide\") comes behind them"]);
}

/// A timer that is cancelled has ended: none is left, and none calls.
fn cancelled_timers_end(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |_: Peer| {
        let hour = Duration::from_secs(3600);
        let timers: Vec<_> = (0..MANY).map(|_| sleep(hour).then(|| panic!("too late"))).collect();
        next_turn().await;
        timers.iter().for_each(|timer| timer.cancel());
        next_turn().await;
        own.add("cancelled");
        Ok(())
    });
    let mut stage = Stage::new(backend, server);
    let _peer = stage.connect();
    stage.until(|_| (log.lines().len() == 1).then_some(()));
    assert!(stage.held_by_engine() < 100, "no timer of the engine is left");
}

over_all_backends!(
    cancelled_accepts_end,
    cancelled_connects_end,
    cancelled_pulls_end,
    cancelled_pushes_end,
    cancelled_timers_end,
);

mod late {
    use super::{over_simulated_backends, partly_sent_pushes_end_with_their_deadline};
    over_simulated_backends!(partly_sent_pushes_end_with_their_deadline);
}
