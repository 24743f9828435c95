//! Futures whose clients end their side, or go: who is answered, dropped, told, and who runs on.
//! What a client does is seen by the server before anything is asserted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::Duration;

use super::{Desk, ask, get, read_until, server, until_waiting};
use crate::mailbox::Message;
use crate::tests::{Backend, Peer, Stage, over_still_backends};
use crate::{Request, sleep, streamed, to_the_end};

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

/// A reset right behind a part of a long body is one, and no end of a side behind which somebody
/// waits.
fn a_reset_behind_a_part_of_a_body_is_one(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let own = desk.clone();
    let waits = streamed(async move |_: Request| own.wait(1).await);
    let mut stage = Stage::new(backend, server(&desk).post("/up", waits));
    let mut peer = stage.connect();
    stage.until(|stage| (stage.counts().connections_open == 1).then_some(()));
    let part = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\ntide";
    assert_eq!(peer.write(part), part.len());
    peer.reset();
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    assert_eq!((desk.drops(), stage.counts().futures_dropped), (1, 1));
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

/// Who ends its side first, and goes later, has gone: nobody makes a reply for it for ever.
fn who_goes_behind_its_end_is_gone(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let limits = crate::Limits { keepalive_ms: 8, ..crate::Limits::default() };
    let mut stage = Stage::new(backend, server(&desk).limits(limits));
    let mut peer = ask(&stage, "/wait/1");
    until_waiting(&mut stage, &desk, 1);
    peer.shutdown();
    (0..10).for_each(|_| stage.turn());
    assert_eq!(desk.drops(), 0, "it waits");
    peer.reset();
    stage.until(|stage| {
        if backend.is_simulated() {
            stage.advance(Duration::from_millis(1));
        }
        (stage.counts().connections_open == 0).then_some(())
    });
    assert_eq!((desk.drops(), stage.counts().futures_dropped), (1, 1));
    assert_eq!(stage.met("keepalive"), 1);
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
    const CONNECTIONS: usize = 200;
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

over_still_backends!(
    a_reset_behind_a_part_of_a_body_is_one,
    a_client_that_goes_drops_its_futures_once,
    who_ends_its_side_is_answered,
    who_goes_behind_its_end_is_gone,
    what_runs_to_its_end_needs_no_client,
    what_runs_on_alone_has_a_limit,
    a_future_can_listen_for_the_end,
    what_futures_took_goes_back,
    who_ends_its_side_may_have_asked_for_more,
    captures_may_do_anything_when_dropped,
);
