//! Async handlers over every backend: order, wakers, clients that go, the end of a server.
//! What a future does is told by a desk that tests hold, never by time that passes.

mod clients;
mod desk;
mod wakers;
mod worlds;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use super::{Backend, Peer, Stage, over_all_backends, over_still_backends};
use crate::mailbox::Message;
use crate::{Request, Response, Server, StatusCode, sleep};

pub(in crate::tests) use desk::{Desk, Guest};

fn server(desk: &Arc<Desk>) -> Server {
    let (wait, listen, spin) = (desk.clone(), desk.clone(), desk.clone());
    Server::new()
        .get("/now", async |_: Request| "now")
        .get("/bare", async || "bare")
        .get("/plain", || "plain")
        .post("/echo", async |request: Request| request.bytes().clone())
        .get("/panic", async |_: Request| -> &'static str { panic!("on purpose") })
        .get("/late-panic", async |_: Request| -> &'static str {
            yield_once().await;
            panic!("on purpose")
        })
        .get("/interim", async |_: Request| StatusCode::CONTINUE)
        .get("/result", async |request: Request| -> Result<String, Response> {
            Ok(request.text()?.len().to_string())
        })
        .get("/wait/{number}", async move |request: Request| {
            let number = request.param("number").parse().unwrap();
            wait.wait(number).await;
            format!("~{number}")
        })
        .get("/listen", async move |request: Request| {
            let (mut closed, mut wait) = (pin!(request.closed()), pin!(listen.wait(0)));
            std::future::poll_fn(|context| match closed.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready("~gone"),
                Poll::Pending => wait.as_mut().poll(context).map(|()| "~here"),
            })
            .await
        })
        .get("/spin", async move |_: Request| {
            let _guest = Guest(spin.clone());
            loop {
                spin.polls.fetch_add(1, Ordering::Relaxed);
                yield_once().await;
            }
            #[expect(unreachable_code, reason = "it says what a reply would be")]
            ()
        })
}

/// Is woken by itself, and goes on in the next turn.
pub(super) async fn yield_once() {
    let mut has_waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

pub(super) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

pub(super) fn ask(stage: &Stage, path: &str) -> Peer {
    let mut peer = stage.connect();
    let request = get(path);
    assert_eq!(peer.write(request.as_bytes()), request.len());
    peer
}

/// Turns until so many futures wait at the desk.
pub(super) fn until_waiting(stage: &mut Stage, desk: &Desk, count: usize) {
    stage.until(|_| (desk.waiting() == count).then_some(()));
}

/// Turns until a reply's body has come.
pub(super) fn read_until(stage: &mut Stage, peer: &mut Peer, end: &str) -> String {
    let mut received = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        received.ends_with(end.as_bytes()).then_some(())
    });
    String::from_utf8(received).unwrap()
}

fn async_handlers_answer(backend: Backend) {
    let mut stage = Stage::new(backend, server(&Arc::default()));
    for (request, status, body) in [
        (get("/now"), "200 OK", "now"),
        (get("/bare"), "200 OK", "bare"),
        (get("/result"), "200 OK", "0"),
        (get("/panic"), "500 ", "Internal Server Error"),
        (get("/late-panic"), "500 ", "Internal Server Error"),
        (get("/interim"), "500 ", "Internal Server Error"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ntide".into(), "200", "tide"),
    ] {
        // What waits in a future is not moved.
        stage.turn_behind_a_move();
        let mut peer = stage.connect();
        assert_eq!(peer.write(request.as_bytes()), request.len());
        let reply = read_until(&mut stage, &mut peer, body);
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{request}{reply}");
    }
    assert_eq!(stage.counts().panics_total, 2);
    if !backend.is_moving() {
        assert_eq!(stage.held().spare_alarms, 1, "one after the other they have the same");
    }
}

/// A handler that does not wait is answered in the turn that brought its request.
fn a_handler_that_is_ready_takes_one_turn(backend: Backend) {
    let mut turns = Vec::new();
    for path in ["/plain", "/now"] {
        let mut stage = Stage::at_once(backend, server(&Arc::default()));
        let mut peer = ask(&stage, path);
        read_until(&mut stage, &mut peer, &path[1..]);
        turns.push(stage.turns);
    }
    assert_eq!(turns[0], turns[1], "{backend:?}");
}

fn replies_leave_in_order(backend: Backend) {
    const PIPELINED: usize = 32;
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    let mut peer = stage.connect();
    let requests: String = (0..PIPELINED).map(|number| get(&format!("/wait/{number}"))).collect();
    assert_eq!(peer.write(requests.as_bytes()), requests.len());
    until_waiting(&mut stage, &desk, PIPELINED);
    let mut received = Vec::new();
    for number in (0..PIPELINED).rev() {
        assert_eq!(received, b"", "nothing leaves before the first");
        desk.let_go(number).wake();
        stage.turn();
        stage.turn();
        if number > 0 {
            peer.read(&mut received);
        }
    }
    let replies = read_until(&mut stage, &mut peer, "~31");
    let bodies = replies.split('~').skip(1).map(|rest| rest.split("HTTP").next().unwrap());
    let expected: Vec<String> = (0..PIPELINED).map(|number| number.to_string()).collect();
    assert_eq!(bodies.collect::<Vec<_>>(), expected);
    assert_eq!(desk.drops(), PIPELINED);
}

/// More requests than may be in flight wait, and go on as replies leave.
fn exchanges_in_flight_have_a_limit(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut limits = crate::Limits::default();
    limits.http1.exchanges_max = 4;
    let mut stage = Stage::new(backend, server(&desk).limits(limits));
    let mut peer = stage.connect();
    let requests: String = (0..10).map(|number| get(&format!("/wait/{number}"))).collect();
    assert_eq!(peer.write(requests.as_bytes()), requests.len());
    for number in 0..10 {
        until_waiting(&mut stage, &desk, (10 - number).min(4));
        for _ in 0..10 {
            stage.turn();
        }
        assert_eq!(desk.waiting(), (10 - number).min(4));
        desk.let_go(number).wake();
    }
    read_until(&mut stage, &mut peer, "~9");
}

fn wakers_wake_from_anywhere(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    let mut peer = ask(&stage, "/wait/1");
    until_waiting(&mut stage, &desk, 1);
    let waker = desk.let_go(1);
    let (twice, late) = (waker.clone(), waker.clone());
    let polls = desk.polls();
    // Another thread wakes it, twice, and the second time it is woken already.
    springtide_engine::spawn_thread("wakes", move || {
        waker.wake_by_ref();
        twice.wake();
    })
    .unwrap()
    .join()
    .unwrap();
    read_until(&mut stage, &mut peer, "~1");
    assert_eq!(desk.polls(), polls + 1);
    // What is woken behind its end is nobody, and least of all whoever has its place now.
    let mut next = ask(&stage, "/wait/2");
    until_waiting(&mut stage, &desk, 1);
    let polls = desk.polls();
    late.wake_by_ref();
    late.wake();
    for _ in 0..10 {
        stage.turn();
    }
    assert_eq!(desk.polls(), polls);
    desk.let_go(2).wake();
    read_until(&mut stage, &mut next, "~2");
}

/// A waker that is used on the shard itself, by another handler.
fn handlers_wake_each_other(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let (plain, awaited) = (desk.clone(), desk.clone());
    let server = server(&desk)
        .get("/go/1", move || plain.let_go(1).wake())
        .get("/go/2", async move |_: Request| awaited.let_go(2).wake());
    let mut stage = Stage::new(backend, server);
    for number in [1, 2] {
        let mut waits = ask(&stage, &format!("/wait/{number}"));
        until_waiting(&mut stage, &desk, 1);
        let mut goes = ask(&stage, &format!("/go/{number}"));
        read_until(&mut stage, &mut goes, "\r\n\r\n");
        read_until(&mut stage, &mut waits, &format!("~{number}"));
    }
}

fn who_wakes_itself_starves_nobody(backend: Backend) {
    const SPINNING: usize = 50;
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::at_once(backend, server(&desk));
    let _spinning: Vec<Peer> = (0..SPINNING).map(|_| ask(&stage, "/spin")).collect();
    stage.until(|stage| (stage.counts().connections_open == SPINNING as u64).then_some(()));
    for _ in 0..5 {
        stage.turn();
    }
    let (turns, polls) = (stage.turns, desk.polls());
    let mut modest = ask(&stage, "/plain");
    read_until(&mut stage, &mut modest, "plain");
    let turns = stage.turns - turns;
    assert!(turns <= 3, "it took {turns} turns on {backend:?}");
    let polls = desk.polls() - polls;
    assert_eq!(polls as u64, turns * SPINNING as u64, "each is polled once a turn");
    drop(stage);
    assert_eq!(desk.drops(), SPINNING, "they end with their shard");
}

/// Everything is frozen and nothing of a future can be: its request is answered all the same.
fn a_frozen_shard_answers_what_waits(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    let mut peer = stage.connect();
    let requests = get("/plain") + &get("/wait/1") + &get("/now") + &get("/wait/2") + &get("/now");
    assert_eq!(peer.write(requests.as_bytes()), requests.len());
    until_waiting(&mut stage, &desk, 2);
    stage.turn();
    let late = desk.let_go(2);
    stage.move_to(backend);
    assert_eq!(desk.drops(), 2);
    // The wakers of before wake nobody, also when the place is taken again.
    let mut next = ask(&stage, "/wait/3");
    until_waiting(&mut stage, &desk, 2);
    let polls = desk.polls();
    late.wake();
    desk.let_go(1).wake();
    for _ in 0..10 {
        stage.turn();
    }
    assert_eq!(desk.polls(), polls);
    let mut received = Vec::new();
    peer.read(&mut received);
    let replies = String::from_utf8(received).unwrap();
    let statuses = replies.match_indices("HTTP/1.1 ").map(|(at, _)| &replies[at + 9..at + 12]);
    assert_eq!(statuses.collect::<Vec<_>>(), ["200", "503", "200", "503", "200"], "{replies}");
    assert_eq!(replies.matches("retry-after: 1\r\n").count(), 2, "{replies}");
    desk.let_go(3).wake();
    read_until(&mut stage, &mut next, "~3");
}

/// The end waits for futures as long as it has patience, and then for nobody.
fn the_end_has_patience(backend: Backend) {
    for (wakes, drops) in [(1, 1), (0, 1)] {
        let desk = Arc::<Desk>::default();
        let mut stage = Stage::new(backend, server(&desk));
        let mut peer = ask(&stage, "/wait/1");
        until_waiting(&mut stage, &desk, 1);
        stage.send(Message::Drain { within_ms: 1_000 });
        stage.turn();
        stage.advance(Duration::from_millis(998));
        assert_eq!(desk.drops(), 0);
        if wakes == 1 {
            desk.let_go(1).wake();
            let reply = stage.talk_to_end(&mut peer, b"");
            assert!(reply.contains("Connection: close") && reply.ends_with("~1"), "{reply}");
        } else {
            stage.advance(Duration::from_millis(3));
            let reply = stage.talk_to_end(&mut peer, b"");
            assert_eq!(reply, "");
        }
        assert_eq!(desk.drops(), drops);
        assert_eq!(stage.counts().futures_dropped, 1 - wakes);
    }
}

/// To the millisecond, however many sleep, and none that is not awaited any more.
fn sleeps_end_in_time(backend: Backend) {
    let server = Server::new().get("/{ms}", async |request: Request| {
        let ms = request.param("ms").parse().unwrap();
        let forgotten = sleep(Duration::from_millis(1));
        drop(forgotten);
        sleep(Duration::from_millis(ms)).await;
        format!("~{ms}")
    });
    let mut stage = Stage::new(backend, server);
    let times = [5000, 1, 0, 64, 4096, 63, 65, 100_000];
    let asked = times.map(|ms| (ms, ask(&stage, &format!("/{ms}"))));
    for _ in 0..8 {
        stage.turn();
    }
    let mut slept = 0;
    let mut asked: Vec<(u64, Peer)> = asked.into();
    asked.sort_by_key(|(ms, _)| *ms);
    for (ms, mut peer) in asked {
        let mut received = Vec::new();
        if ms > slept + 1 {
            stage.advance(Duration::from_millis(ms - slept - 1));
            slept = ms - 1;
            peer.read(&mut received);
            assert_eq!(received, b"", "{ms} ms ended too early");
        }
        if ms > slept {
            stage.advance(Duration::from_millis(ms - slept));
            slept = ms;
        }
        peer.read(&mut received);
        assert!(received.ends_with(format!("~{ms}").as_bytes()), "{ms} ms: {received:?}");
    }
}

mod everywhere {
    use super::async_handlers_answer;
    super::over_all_backends!(async_handlers_answer);
}
over_still_backends!(
    a_handler_that_is_ready_takes_one_turn,
    replies_leave_in_order,
    exchanges_in_flight_have_a_limit,
    wakers_wake_from_anywhere,
    handlers_wake_each_other,
    who_wakes_itself_starves_nobody,
    a_frozen_shard_answers_what_waits,
);
mod virtual_time {
    #[test]
    fn the_end_has_patience() {
        super::the_end_has_patience(super::Backend::Simulated);
    }

    #[test]
    fn sleeps_end_in_time() {
        super::sleeps_end_in_time(super::Backend::Simulated);
    }
}
