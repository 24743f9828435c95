//! Async handlers over every backend: order, wakers, clients that go, the end of a server.
//! What a future does is told by a desk that tests hold, never by time that passes.

mod wakers;
mod worlds;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Backend, Peer, Stage, over_all_backends, over_still_backends};
use crate::mailbox::Message;
use crate::{Request, Response, Server, StatusCode, sleep, to_the_end};

/// Where futures wait until a test lets them go on, by a number.
#[derive(Default)]
pub(super) struct Desk {
    open: Mutex<HashMap<usize, bool>>,
    wakers: Mutex<HashMap<usize, Waker>>,
    polls: AtomicUsize,
    drops: AtomicUsize,
}

/// Counts that a future was dropped.
pub(super) struct Guest(pub(super) Arc<Desk>);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Ordering::Relaxed);
    }
}

impl Desk {
    pub(super) async fn wait(self: &Arc<Self>, number: usize) {
        let _guest = Guest(self.clone());
        std::future::poll_fn(|context| {
            self.polls.fetch_add(1, Ordering::Relaxed);
            if self.open.lock().unwrap().contains_key(&number) {
                return Poll::Ready(());
            }
            self.wakers.lock().unwrap().insert(number, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(super) fn waiting(&self) -> usize {
        self.wakers.lock().unwrap().len()
    }

    pub(super) fn let_go(&self, number: usize) -> Waker {
        self.open.lock().unwrap().insert(number, true);
        self.wakers.lock().unwrap().remove(&number).unwrap()
    }

    fn polls(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }

    pub(super) fn drops(&self) -> usize {
        self.drops.load(Ordering::Relaxed)
    }
}

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

fn a_client_that_goes_drops_its_futures_once(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    let mut peer = stage.connect();
    let requests: String = (0..5).map(|number| get(&format!("/wait/{number}"))).collect();
    assert_eq!(peer.write(requests.as_bytes()), requests.len());
    until_waiting(&mut stage, &desk, 5);
    let polls = desk.polls();
    let late = desk.let_go(3);
    peer.reset();
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    late.wake();
    for _ in 0..5 {
        stage.turn();
    }
    assert_eq!((desk.drops(), stage.counts().futures_dropped), (5, 5));
    assert_eq!(desk.polls(), polls, "dropped where they stood");
    assert_eq!(stage.counts().requests_total, 0);
}

/// Who only ends its side waits for what it has asked (RFC 9112 §9.6), and gets all of it.
fn who_ends_its_side_is_answered(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    let mut peer = stage.connect();
    let requests = get("/wait/1") + &get("/now") + &get("/listen");
    assert_eq!(peer.write(requests.as_bytes()), requests.len());
    peer.shutdown();
    until_waiting(&mut stage, &desk, 2);
    for _ in 0..10 {
        stage.turn();
    }
    assert_eq!((desk.waiting(), desk.drops()), (2, 0), "all wait on");
    desk.let_go(0).wake();
    stage.turn();
    desk.let_go(1).wake();
    let replies = stage.talk_to_end(&mut peer, b"");
    assert_eq!(replies.matches("200 OK").count(), 3, "{replies}");
    assert!(replies.ends_with("~here"), "{replies}");
    assert_eq!((desk.drops(), stage.counts().futures_dropped), (2, 0));
}

/// What is to run to its end does so without its client, and its reply is nobody's.
fn what_runs_to_its_end_needs_no_client(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let (first, second) = (desk.clone(), desk.clone());
    let server = server(&desk).get(
        "/order",
        to_the_end(async move |request: Request| {
            first.wait(1).await;
            request.closed().await;
            second.wait(2).await;
        }),
    );
    let mut stage = Stage::new(backend, server);
    let peer = ask(&stage, "/order");
    until_waiting(&mut stage, &desk, 1);
    peer.reset();
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    assert_eq!(desk.drops(), 0, "it goes on");
    desk.let_go(1).wake();
    until_waiting(&mut stage, &desk, 1);
    // A server that stops waits for it.
    stage.send(Message::Drain { within_ms: 60_000 });
    for _ in 0..5 {
        stage.turn();
    }
    assert_eq!((desk.drops(), stage.held().futures), (1, 1), "the first wait has ended");
    assert!(!stage.is_over());
    desk.let_go(2).wake();
    stage.until(|stage| stage.is_over().then_some(()));
    assert_eq!((desk.drops(), stage.counts().futures_dropped), (2, 0));
    assert_eq!((stage.counts().requests_total, stage.counts().panics_total), (0, 0));
}

/// Too many that run on without their clients keep others from beginning, until they have ended.
fn what_runs_on_alone_has_a_limit(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let own = desk.clone();
    let wait = move |request: Request| {
        let (desk, number) = (own.clone(), request.param("number").parse().unwrap());
        async move { desk.wait(number).await }
    };
    let limits = crate::Limits { futures_alone_max: 2, ..crate::Limits::default() };
    let server = server(&desk)
        .get("/end/{number}", to_the_end(async move |request: Request| wait(request).await))
        .limits(limits);
    let mut stage = Stage::new(backend, server);
    for number in 0..2 {
        let peer = ask(&stage, &format!("/end/{number}"));
        until_waiting(&mut stage, &desk, number + 1);
        peer.reset();
        stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    }
    let mut peer = ask(&stage, "/end/2");
    let reply = read_until(&mut stage, &mut peer, "Unavailable");
    assert!(reply.contains("HTTP/1.1 503 ") && reply.contains("etry-"), "{reply}");
    assert_eq!(stage.met("futures_alone_max"), 1);
    desk.let_go(0).wake();
    stage.until(|_| (desk.drops() == 1).then_some(()));
    let mut peer = ask(&stage, "/end/3");
    until_waiting(&mut stage, &desk, 2);
    desk.let_go(3).wake();
    read_until(&mut stage, &mut peer, "\r\n\r\n");
}

/// Who has gone is told to a future that listens, which has one more poll.
fn a_future_can_listen_for_the_end(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    let peer = ask(&stage, "/listen");
    until_waiting(&mut stage, &desk, 1);
    let polls = desk.polls();
    peer.reset();
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    stage.until(|_| (desk.drops() == 1).then_some(()));
    assert_eq!((desk.polls(), stage.counts().futures_dropped), (polls, 0), "it said ~gone");
}

fn what_futures_took_goes_back(backend: Backend) {
    const CONNECTIONS: usize = 100;
    let desk = Arc::<Desk>::default();
    let sleepy = async |_: Request| sleep(Duration::from_secs(3600)).await;
    let mut stage = Stage::new(backend, server(&desk).get("/sleep", sleepy));
    let mut peers: Vec<Peer> = Vec::new();
    for number in 0..CONNECTIONS {
        let mut peer = stage.connect();
        let requests = get("/sleep").repeat(20) + &get(&format!("/wait/{number}"));
        assert_eq!(peer.write(requests.as_bytes()), requests.len());
        peers.push(peer);
    }
    until_waiting(&mut stage, &desk, CONNECTIONS);
    let busy = stage.held();
    assert!(busy.future_pages > 3 && busy.timer_pages > 3, "{busy:?}");
    peers.drain(..).for_each(Peer::reset);
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    stage.turn();
    let rest = stage.held();
    assert!(rest.future_pages <= 1 && rest.timer_pages <= 1, "{rest:?}");
    assert_eq!(desk.drops(), CONNECTIONS);
}

/// Who has ended its side is answered also while more of its requests wait than may be in flight.
fn who_ends_its_side_may_have_asked_for_more(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut limits = crate::Limits::default();
    limits.http1.exchanges_max = 4;
    for first in [0, 32] {
        let mut stage = Stage::new(backend, server(&desk).limits(limits.clone()));
        let mut peer = stage.connect();
        let mut requests = get("/plain").repeat(first);
        let numbers = first..first + 10;
        numbers.clone().for_each(|number| requests.push_str(&get(&format!("/wait/{number}"))));
        assert_eq!(peer.write(requests.as_bytes()), requests.len());
        peer.shutdown();
        for number in numbers {
            stage.until(|_| desk.wakers.lock().unwrap().contains_key(&number).then_some(()));
            desk.let_go(number).wake();
        }
        let replies = stage.talk_to_end(&mut peer, b"");
        assert_eq!(replies.matches("200 OK").count(), first + 10, "{replies}");
        stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    }
}

/// What a future holds when its client goes: its `Drop` is code of the application.
fn captures_may_do_anything_when_dropped(backend: Backend) {
    struct Loud(Arc<Desk>, Option<Request>);
    impl Drop for Loud {
        fn drop(&mut self) {
            self.0.drops.fetch_add(1, Ordering::Relaxed);
            // It asks the engine, wakes another, sets a timer, and gives its request back.
            let request = self.1.take().unwrap();
            drop(request.peer_address());
            self.0.let_go(7).wake();
            let mut nap = Box::pin(sleep(Duration::from_millis(1)));
            let _ = nap.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop((request, nap));
            panic!("on purpose");
        }
    }
    let desk = Arc::<Desk>::default();
    let own = desk.clone();
    let server = server(&desk).get("/loud", async move |request: Request| {
        let _loud = Loud(own.clone(), Some(request));
        std::future::pending::<()>().await;
    });
    let mut stage = Stage::new(backend, server);
    let mut waits = ask(&stage, "/wait/7");
    until_waiting(&mut stage, &desk, 1);
    let loud = ask(&stage, "/loud");
    stage.until(|stage| (stage.held().futures == 2).then_some(()));
    loud.reset();
    read_until(&mut stage, &mut waits, "~7");
    assert_eq!((desk.drops(), stage.counts().panics_total), (2, 1));
    assert_eq!(stage.held().futures, 0);
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
    a_client_that_goes_drops_its_futures_once,
    a_future_can_listen_for_the_end,
    what_futures_took_goes_back,
    who_ends_its_side_is_answered,
    who_ends_its_side_may_have_asked_for_more,
    captures_may_do_anything_when_dropped,
    what_runs_to_its_end_needs_no_client,
    what_runs_on_alone_has_a_limit,
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
