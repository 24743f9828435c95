//! Tasks of raw connections that are held elsewhere, over every backend: the same promises as on the
//! shard, and an end for each of them, whatever becomes of connection and shard.
//! The shard is turned by the test's thread, which asks between turns.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::{Backend, Peer as Client, Stage, over_all_backends};
use crate::{
    Bytes, Elsewhere, Limits, Operation, PeerStatus, Reason, RemotePeer, Server, Status, Task, Wait,
};

/// A stage with one connection, and that from elsewhere.
fn arrive(backend: Backend, limits: Limits) -> (Stage, Client, RemotePeer) {
    let (sender, arrivals) = mpsc::channel();
    let server = Server::new().raw(move |peer| sender.send(peer.remote()).unwrap()).limits(limits);
    let mut stage = Stage::new(backend, server);
    let client = stage.connect();
    let peer = stage.until(|_| arrivals.try_recv().ok());
    (stage, client, peer)
}

/// Turns until a task has ended, and takes what it gives.
fn outcome<O: Operation>(stage: &mut Stage, task: &Task<O, Elsewhere>) -> Result<O::Output, Wait> {
    stage.until(|_| (task.status() != Status::Pending).then_some(()));
    task.wait_for(Duration::ZERO)
}

fn pulled(stage: &mut Stage, task: &Task<crate::Pull, Elsewhere>) -> String {
    let bytes = outcome(stage, task).unwrap().expect("not the end");
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What is written comes to pulls in their order, with what each wants, and pushes leave in theirs.
fn what_is_asked_is_done_in_order(backend: Backend) {
    let (mut stage, mut client, peer) = arrive(backend, Limits::default());
    assert_eq!(peer.status(), PeerStatus::Open);
    let pulls = [peer.pull_exact(3), peer.pull_until("\r\n", 9), peer.pull_exact(2), peer.pull()];
    assert_eq!(client.write(b"abcline\r\nderest"), 15);
    let got = pulls.each_ref().map(|task| pulled(&mut stage, task));
    assert_eq!(got, ["abc", "line\r\n", "de", "rest"]);
    assert_eq!(pulls[0].wait_for(Duration::ZERO), Err(Wait::Failed(Reason::Stale)), "given once");
    for piece in ["one ", "two ", "three"] {
        peer.push(piece).detach();
    }
    let close = peer.close();
    assert_eq!(stage.talk_to_end(&mut client, b""), "one two three");
    assert_eq!(outcome(&mut stage, &close), Ok(()));
    assert_eq!(peer.status(), PeerStatus::Closed);
}

/// What a pull was given that nobody takes is the next one's, and in its place, however far it was.
fn a_dropped_pull_loses_nothing(backend: Backend) {
    let (mut stage, mut client, peer) = arrive(backend, Limits::default());
    drop(peer.pull());
    let (given, untold) = (peer.pull_exact(2), peer.pull());
    let (second, third) = (peer.pull_exact(3), peer.pull_exact(1));
    drop(untold);
    assert_eq!(client.write(b"abcd"), 4);
    stage.until(|_| (given.status() == Status::Succeeded).then_some(()));
    for _ in 0..4 {
        stage.turn();
    }
    assert_eq!(second.status(), Status::Pending, "it waits behind the first");
    drop(given);
    assert_eq!(pulled(&mut stage, &second), "abc");
    assert_eq!(pulled(&mut stage, &third), "d");
}

/// A dropped push is withdrawn, a cancelled one too, and a detached one is not.
fn a_dropped_push_is_withdrawn(backend: Backend) {
    let (mut stage, mut client, peer) = arrive(backend, Limits::default());
    peer.push("one ").detach();
    drop(peer.push("nothing "));
    let cancelled = peer.push("nor this ");
    cancelled.canceller().unwrap().cancel();
    let sent = peer.push(vec![b'x'; 5000]);
    peer.shutdown_write().detach();
    assert_eq!(stage.talk_to_end(&mut client, b""), format!("one {}", "x".repeat(5000)));
    assert_eq!(outcome(&mut stage, &cancelled), Err(Wait::Failed(Reason::Cancelled)));
    assert_eq!(outcome(&mut stage, &sent).map(|bytes| bytes.len()), Ok(5000), "it comes back");
}

/// Callbacks run on the shard, for a task that is pending and for one that has ended; its end is told
/// to those that ask for it.
fn callbacks_run_on_the_shard(backend: Backend) {
    let (mut stage, mut client, peer) = arrive(backend, Limits::default());
    let log = Arc::new(Mutex::new(Vec::new()));
    let tell = |name: &'static str| {
        let log = Arc::clone(&log);
        move |bytes: Option<Bytes>| log.lock().unwrap().push(format!("{name} {bytes:?}"))
    };
    let (early, late, end, never) = (tell("early"), tell("late"), tell("end"), tell("never"));
    peer.pull_exact(1).then(move |peer, bytes| {
        early(Some(bytes));
        peer.push("answered").detach();
    });
    assert_eq!(stage.talk(&mut client, b"ab", 8), b"answered");
    let task = peer.pull();
    stage.until(|_| (task.status() == Status::Succeeded).then_some(()));
    task.then(move |_, bytes| late(Some(bytes)));
    peer.pull().then_result(move |_, result| end(result.unwrap()));
    peer.pull().then(move |_, bytes| never(Some(bytes)));
    client.shutdown();
    // Nobody is called for the end of the last one: the connection ends.
    stage.talk_to_end(&mut client, b"");
    let lines = log.lock().unwrap().clone();
    assert_eq!(lines, ["early Some(b\"a\")", "late Some(b\"b\")", "end None"]);
    stage.until(|_| (peer.status() == PeerStatus::Closed).then_some(()));
}

/// Whether it was woken.
#[derive(Default)]
struct Flag(Mutex<bool>);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() = true;
    }
}

/// Any executor can await a task: its waker is called when that has ended, also by the shard's end.
fn tasks_are_awaited_anywhere(backend: Backend) {
    let (mut stage, mut client, peer) = arrive(backend, Limits::default());
    for ends in [false, true] {
        let (flag, mut task) = (Arc::new(Flag::default()), peer.pull());
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        assert!(std::pin::pin!(&mut task).poll(&mut context).is_pending());
        if ends {
            // A shard that ends without a word, as one does that cannot go on.
            drop(stage);
            assert!(*flag.0.lock().unwrap(), "it is woken");
            let polled = std::pin::pin!(&mut task).poll(&mut context);
            assert_eq!(polled, Poll::Ready(Err(Reason::Stale)));
            break;
        }
        assert_eq!(client.write(b"high"), 4);
        stage.until(|_| flag.0.lock().unwrap().then_some(()));
        let polled = std::pin::pin!(&mut task).poll(&mut context);
        assert_eq!(polled, Poll::Ready(Ok(Some(Bytes::from_static(b"high")))));
    }
    // Asked after the end.
    assert_eq!(peer.push("late").wait_for(Duration::ZERO), Err(Wait::Failed(Reason::Stale)));
    assert_eq!(peer.status(), PeerStatus::Closed);
}

/// Nothing waits for ever when the connection ends, or the shard stops.
fn every_task_ends(backend: Backend) {
    for end in ["reset", "stop"] {
        let (mut stage, client, peer) = arrive(backend, Limits::default());
        let mut client = Some(client);
        let tasks = [peer.pull(), peer.pull_exact(9)];
        for _ in 0..4 {
            stage.turn();
        }
        let unseen = peer.pull();
        match end {
            "reset" => client.take().expect("there is one").reset(),
            _ => _ = stage.turns_to_end(),
        }
        for task in tasks.iter().chain([&unseen]) {
            let ended = if end == "stop" {
                task.wait_for(Duration::ZERO)
            } else {
                outcome(&mut stage, task)
            };
            // By then the connection is reset, about to end, or gone.
            let is_told = match &ended {
                Ok(bytes) => end == "stop" && bytes.is_none(),
                Err(Wait::Failed(reason)) => match reason {
                    Reason::Stopped => end == "stop",
                    Reason::Reset => end == "reset",
                    reason => matches!(reason, Reason::Closed | Reason::Stale),
                },
                Err(Wait::Pending) => false,
            };
            assert!(is_told, "{end}: {ended:?}");
        }
        if end != "stop" {
            let late = peer.push("late");
            assert_eq!(outcome(&mut stage, &late), Err(Wait::Failed(Reason::Stale)), "{end}");
        }
    }
}

/// There are so many at a time, and one more fails at once; those that are gone make room.
fn tasks_have_a_limit(backend: Backend) {
    let limits = Limits { remote_tasks_max: 2, ..Limits::default() };
    let (mut stage, mut client, peer) = arrive(backend, limits);
    let first = [peer.pull(), peer.pull()];
    let third = peer.pull();
    let refused = Err(Wait::Failed(Reason::Limit("remote_tasks_max")));
    assert_eq!(third.wait_for(Duration::ZERO), refused);
    assert_eq!(stage.met("remote_tasks_max"), 1);
    drop(first);
    // Not before the shard has heard of it.
    assert_eq!(client.write(b"x"), 1);
    let task = stage.until(|stage| {
        stage.turn();
        let task = peer.pull();
        (task.status() == Status::Pending).then_some(task)
    });
    assert_eq!(pulled(&mut stage, &task), "x");
}

over_all_backends!(
    what_is_asked_is_done_in_order,
    a_dropped_pull_loses_nothing,
    a_dropped_push_is_withdrawn,
    callbacks_run_on_the_shard,
    tasks_are_awaited_anywhere,
    every_task_ends,
    tasks_have_a_limit,
);

/// A wait that nobody could end is refused: in a world, and in anything that a shard calls.
#[test]
fn a_wait_that_would_never_end_is_refused() {
    let (mut stage, mut client, peer) = arrive(Backend::Simulated, Limits::default());
    assert_eq!(peer.pull().wait(), Err(Reason::Deadlock), "nobody turns the world");
    assert_eq!(client.write(b"ab"), 2);
    let task = peer.pull_exact(1);
    stage.until(|_| (task.status() == Status::Succeeded).then_some(()));
    assert!(task.wait().is_ok(), "it has ended");

    let turning = crate::current::turn();
    let task = peer.pull_exact(1);
    assert_eq!(task.wait_for(Duration::from_secs(3600)), Err(Wait::Failed(Reason::Deadlock)));
    drop(turning);
    assert_eq!(pulled(&mut stage, &task), "b", "the task goes on");
}
