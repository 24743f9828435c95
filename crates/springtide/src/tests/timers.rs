//! Timers: what they call and when, what becomes of tasks that have had their time, and that nothing
//! of it is left behind.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Backend, Stage, over_all_backends, over_simulated_backends};
use crate::{Address, Bytes, Limits, Peer, Reason, Server, interval, sleep, timeout};

/// What happened, in order.
type Log = Arc<Mutex<Vec<String>>>;

fn add(log: &Log, line: impl Into<String>) {
    log.lock().unwrap().push(line.into());
}

fn lines(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

const SECOND: Duration = Duration::from_secs(1);

/// Callbacks come in the order of their times, also across freezes; those taken back do not come.
fn timers_call_back(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw(move |peer: Peer| {
        let tell = |name: &'static str| {
            let log = own.clone();
            move || add(&log, name)
        };
        let last = tell("last");
        sleep(Duration::ZERO).then(tell("first"));
        sleep(Duration::from_millis(10)).then(tell("never")).cancel();
        let mut count = 0;
        let (beat, log) = (Rc::new(RefCell::new(None::<crate::Timer>)), own.clone());
        let inner = Rc::clone(&beat);
        let timer = interval(Duration::from_millis(5)).each(move |_| {
            add(&log, "beat");
            count += 1;
            if count == 2 {
                inner.take().unwrap().cancel();
                // However late this is, a third would come before it.
                let last = last.clone();
                sleep(Duration::from_millis(30)).then(move || {
                    last();
                    peer.close().detach();
                });
            }
        });
        beat.replace(Some(timer));
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let mut received = Vec::new();
    stage.until(|stage| {
        if backend.is_simulated() {
            stage.advance(Duration::from_millis(1));
        }
        stage.turn();
        peer.read(&mut received);
        peer.is_ended().then_some(())
    });
    assert_eq!(lines(&log), ["first", "beat", "beat", "last"]);
    assert_eq!(stage.held().timers, 0);
}

/// Times that were missed are skipped and counted, called back or awaited.
fn missed_ticks_are_counted(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |_: Peer| {
        let log = own.clone();
        interval(2 * SECOND).each(move |missed| add(&log, format!("each {missed}")));
        let mut ticks = interval(3 * SECOND);
        loop {
            let missed = ticks.tick().await;
            add(&own, format!("tick {missed}"));
        }
    });
    let mut stage = Stage::new(backend, server);
    let _peer = stage.connect();
    stage.advance(Duration::ZERO);
    let mut after = |seconds: u32, expected: &[&str]| {
        stage.advance(seconds * SECOND);
        let mut came = lines(&log);
        came.sort();
        assert_eq!(came, expected);
    };
    after(2, &["each 0"]);
    after(1, &["tick 0"]);
    after(9, &["each 4", "tick 2"]);
    after(1, &[]);
    after(1, &["each 0"]);
    after(1, &["tick 0"]);
}

/// A task whose time is over holds nobody up who waits behind it, though nobody has looked at it.
fn a_late_task_holds_nobody_up(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw(move |peer: Peer| {
        let (late, log) = (timeout(SECOND, peer.pull_exact(9)), own.clone());
        peer.pull().then(move |peer, bytes| {
            add(&log, format!("{bytes:?}, {:?}", late.status()));
            peer.close().detach();
        });
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"in"), 2);
    stage.advance(Duration::ZERO);
    stage.advance(SECOND / 2);
    assert_eq!(lines(&log), [""; 0]);
    stage.advance(SECOND / 2);
    assert_eq!(peer.write(b" time"), 5);
    stage.advance(Duration::ZERO);
    stage.advance(Duration::ZERO);
    let told = lines(&log);
    assert_eq!(told.len(), 1);
    assert!(told[0].ends_with(", Failed"), "{told:?}");
}

/// A pull, a push, a close and a connect that take too long fail; what comes in time is given, and the
/// bytes that come too late are the next pull's.
fn tasks_have_their_time(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |peer: Peer| {
        let say = |what: &str, result: Result<Option<Bytes>, Reason>| match result {
            Ok(bytes) => add(&own, format!("{what} {}", bytes.map_or(0, |bytes| bytes.len()))),
            Err(reason) => add(&own, format!("{what} {reason:?}")),
        };
        say("in time", timeout(SECOND, peer.pull()).await);
        say("late", timeout(SECOND, peer.pull_exact(3)).await);
        let first = timeout(SECOND, peer.pull_exact(10));
        let second = peer.pull();
        say("exact", first.await);
        say("behind", second.await);
        let address = Address::from(([127, 0, 0, 1], 9));
        let other = timeout(SECOND, Peer::connect(address)).await;
        add(&own, format!("connect {:?}", other.map(drop)));
        peer.push(vec![b'x'; 1 << 20]).detach();
        let waiting = timeout(SECOND, peer.push("never sent"));
        say("push", waiting.await.map(Some));
        say("close", timeout(SECOND, peer.close()).await.map(|()| None));
        Ok(())
    });
    let limits = Limits { outbox_bytes_max: 4 << 20, send_timeout_ms: 60_000, ..Limits::default() };
    let mut nowhere = None;
    let mut stage = Stage::with_world(backend, server.limits(limits), |world| {
        nowhere = Some(world.swallow(&([127, 0, 0, 1], 9).into()).unwrap());
    });
    let mut peer = stage.connect();
    let mut after = |stage: &mut Stage, sent: &[u8], time: Duration, expected: &[&str]| {
        assert_eq!(peer.write(sent), sent.len());
        stage.advance(Duration::ZERO);
        stage.advance(time);
        stage.advance(Duration::ZERO);
        assert_eq!(lines(&log), expected);
    };
    after(&mut stage, b"hi", Duration::ZERO, &["in time 2"]);
    let late = "TimedOut(\"timeout\")";
    after(&mut stage, b"ab", SECOND, &[&format!("late {late}")]);
    after(&mut stage, b"c", SECOND, &[&format!("exact {late}"), "behind 3"]);
    after(&mut stage, b"", SECOND, &[&format!("connect Err({late})")]);
    after(&mut stage, b"", SECOND, &[&format!("push {late}")]);
    after(&mut stage, b"", SECOND, &[&format!("close {late}")]);
    let mut received = Vec::new();
    stage.until(|stage| {
        stage.turn();
        peer.read(&mut received);
        peer.is_ended().then_some(())
    });
    assert_eq!(received, vec![b'x'; 1 << 20]);
    assert_eq!((stage.held().timers, stage.at_desk()[0]), (0, 0));
    drop(nowhere);
}

over_all_backends!(timers_call_back);

mod by_time {
    use super::*;
    over_simulated_backends!(
        missed_ticks_are_counted,
        tasks_have_their_time,
        a_late_task_holds_nobody_up,
    );
}
