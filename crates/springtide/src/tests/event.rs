//! Events over every backend and on shards that are frozen all the time: what is counted is given once,
//! to whoever waits first, whatever becomes of those who do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::event::Event;
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{Limits, Peer, Reason, Server, timeout};

type Log = Arc<Mutex<Vec<String>>>;

fn stage(
    backend: Backend,
    code: impl AsyncFn(Event, Log) -> Result<(), Reason> + Send + Sync + 'static,
) -> (Stage, Event, Log) {
    let (event, log) = (Event::open(), Log::default());
    let (own, own_log, code) = (event.clone(), log.clone(), Arc::new(code));
    let server = Server::new().raw_async(async move |peer: Peer| {
        peer.push("ready").await?;
        code(own.clone(), own_log.clone()).await?;
        peer.push("done").await?;
        Ok(())
    });
    (Stage::new(backend, server), event, log)
}

/// Triggers from another thread are counted together, and none is lost.
fn triggers_are_counted(backend: Backend) {
    let (mut stage, event, log) = stage(backend, async |event: Event, log: Log| {
        let mut sum = 0;
        while let Some(count) = event.wait().await? {
            sum += count;
        }
        log.lock().unwrap().push(format!("{sum}"));
        Ok(())
    });
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"", 5), b"ready");
    let threads = (0..4).map(|_| {
        let event = event.clone();
        std::thread::spawn(move || (0..1000).for_each(|_| assert!(event.trigger(2))))
    });
    for thread in threads.collect::<Vec<_>>() {
        stage.turn();
        thread.join().unwrap();
    }
    stage.turn();
    event.close();
    assert!(!event.trigger(1));
    assert_eq!(stage.talk(&mut peer, b"", 4), b"done");
    assert_eq!(*log.lock().unwrap(), ["8000"]);
}

/// One who waits first is given all; who has gone is given nothing, and the next one is.
fn who_waits_first_is_given_all(backend: Backend) {
    let (mut stage, event, log) = stage(backend, async |event: Event, log: Log| {
        let say = |line: String| log.lock().unwrap().push(line);
        event.trigger(3);
        event.trigger(4);
        say(format!("{:?}", event.wait().await));
        let dropped = event.wait();
        let [cancelled, first, second] = [event.wait(), event.wait(), event.wait()];
        drop(dropped);
        cancelled.cancel();
        say(format!("{:?}", cancelled.await));
        event.trigger(1);
        say(format!("{:?}", first.await));
        event.trigger(u64::MAX - 1);
        event.trigger(5);
        say(format!("{:?}", second.await));
        // Nobody who gives up takes room.
        for _ in 0..1000 {
            drop(event.wait());
        }
        let last = event.wait();
        event.trigger(2);
        event.close();
        say(format!("{:?} {:?} {:?}", last.await, event.wait().await, event.wait().await));
        Ok(())
    });
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"", 9), b"readydone");
    let most = format!("Ok(Some({}))", u64::MAX);
    let expected =
        ["Ok(Some(7))", "Err(Cancelled)", "Ok(Some(1))", &most, "Ok(Some(2)) Ok(None) Ok(None)"];
    assert_eq!(*log.lock().unwrap(), expected);
    drop(event);
}

/// Who waits on a shard that stops is told so, and callbacks hear of values only.
fn a_stop_ends_waits(backend: Backend) {
    let (event, log) = (Event::open(), Log::default());
    let (own, own_log) = (event.clone(), log.clone());
    let server = Server::new().raw(move |peer: Peer| {
        let [called, stopped] = [own_log.clone(), own_log.clone()];
        own.wait().then(move |_, count| {
            called.lock().unwrap().push(format!("{count}"));
            peer.push("called").detach();
        });
        own.wait().then_result(move |_, ended| {
            stopped.lock().unwrap().push(format!("{ended:?}"));
        });
        peer.push("ready").detach();
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"", 5), b"ready");
    event.trigger(9);
    assert_eq!(stage.talk(&mut peer, b"", 6), b"called");
    stage.turns_to_end();
    assert_eq!(*log.lock().unwrap(), ["9", "Err(Stopped)"]);
}

/// As many wait as may: one more is refused by name, unless there is something for it, and who has gone
/// takes no room.
fn waits_have_a_limit(backend: Backend) {
    let (event, other, log) = (Event::open(), Event::open(), Log::default());
    let (own, own_other, own_log) = (event.clone(), other.clone(), log.clone());
    let limits = Limits { event_waits_max: 100, ..Limits::default() };
    let server = Server::new().limits(limits).raw_async(async move |peer: Peer| {
        let say = |line: String| own_log.lock().unwrap().push(line);
        let mut waiting: Vec<_> = (0..99).map(|_| own.wait()).collect();
        waiting.push(own_other.wait());
        say(format!("{:?}", own.wait().await));
        say(format!("{:?}", own_other.wait().await));
        let full = Event::open();
        full.trigger(3);
        say(format!("{:?}", full.wait().await));
        full.close();
        say(format!("{:?}", full.wait().await));
        waiting.pop();
        waiting.push(own_other.wait());
        say(format!("{:?}", own.wait().await));
        own.trigger(1);
        say(format!("{:?}", waiting.remove(0).await));
        let last = own.wait();
        say(format!("{:?}", own_other.wait().await));
        drop(last);
        peer.push("done").await?;
        Ok(())
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"", 4), b"done");
    let refused = "Err(Limit(\"event_waits_max\"))";
    let expected = [refused, refused, "Ok(Some(3))", "Ok(None)", refused, "Ok(Some(1))", refused];
    assert_eq!(*log.lock().unwrap(), expected);
    assert_eq!(stage.met("event_waits_max"), 4);
}

/// A wait may have a time, and what comes behind it is the next one's.
#[test]
fn a_wait_may_have_a_time() {
    let event = Event::open();
    let own = event.clone();
    let server = Server::new().raw_async(async move |peer: Peer| {
        let late = timeout(Duration::from_secs(1), own.wait()).await;
        peer.push(format!("{late:?} ")).await?;
        peer.push(format!("{:?}", own.wait().await?)).await?;
        Ok(())
    });
    let mut world = crate::test::World::new(3);
    world.serve(server);
    let mut peer = world.connect();
    world.pass(Duration::from_secs(2));
    event.trigger(6);
    world.settle();
    let mut received = Vec::new();
    peer.read(usize::MAX, &mut received);
    let late = Reason::TimedOut("timeout");
    assert_eq!(String::from_utf8(received).unwrap(), format!("Err({late:?}) Some(6)"));
}

/// Other threads wait in the background, each trigger is given to one of them, and all hear of the end.
#[test]
fn any_thread_waits() {
    let event = Event::open();
    let threads = (0..4).map(|_| {
        let remote = event.remote().unwrap();
        std::thread::spawn(move || {
            let mut sum = 0;
            while let Some(count) = remote.wait().wait().unwrap() {
                sum += count;
            }
            sum
        })
    });
    let threads: Vec<_> = threads.collect();
    for count in 1..=1000 {
        event.trigger(count);
    }
    event.close();
    let sum: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(sum, 500_500);
}

over_all_backends!(
    waits_have_a_limit,
    triggers_are_counted,
    who_waits_first_is_given_all,
    a_stop_ends_waits
);
