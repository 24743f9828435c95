//! Replies that are given later, from a future, another request or another thread; and what becomes of
//! those that wait when their peer, the server or its engine goes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::echo;
use crate::mailbox::Message;
use crate::tests::futures::{Desk, Guest, until_waiting};
use crate::tests::{Backend, Stage, over_still_backends};
use crate::{Bytes, Framed, Limits, RemoteReply, Reply, Server};

/// A handler that waits at the desk, each request at the number that it says.
fn waiting(desk: &Arc<Desk>) -> Server {
    let desk = Arc::clone(desk);
    let codec = Framed::lines().dropped(b"gone");
    Server::new().framed_async(codec, async move |request: Bytes, reply: Reply| {
        let _guest = Guest(Arc::clone(&desk));
        let number = std::str::from_utf8(&request).unwrap().parse().unwrap();
        desk.wait(number).await;
        match number {
            7 => drop(reply),
            8 => panic!("on purpose"),
            _ => reply.send(request),
        }
    })
}

fn replies_leave_in_order_whenever_they_are_given(backend: Backend) {
    let desk = Arc::default();
    let mut stage = Stage::new(backend, waiting(&desk));
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"1\n7\n2\n8\n3\n"), 10);
    until_waiting(&mut stage, &desk, 5);
    let mut received = Vec::new();
    for number in [8, 3, 7, 2] {
        desk.let_go(number).wake();
        (0..10).for_each(|_| stage.turn());
        peer.read(&mut received);
        assert!(received.is_empty(), "the first is owed");
    }
    desk.let_go(1).wake();
    assert_eq!(stage.talk(&mut peer, b"", 16), b"1\ngone\n2\ngone\n3\n");
    assert_eq!(stage.counts().panics_total, 1);
}

fn no_more_begin_than_may_be_in_flight(backend: Backend) {
    let desk = Arc::default();
    let mut limits = Limits::default();
    limits.framed.in_flight_max = 2;
    let mut stage = Stage::new(backend, waiting(&desk).limits(limits));
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"1\n2\n3\n4\n"), 8);
    until_waiting(&mut stage, &desk, 2);
    (0..10).for_each(|_| stage.turn());
    assert_eq!(desk.waiting(), 2);
    desk.let_go(2).wake();
    (0..10).for_each(|_| stage.turn());
    assert_eq!(desk.waiting(), 1, "what is held is in flight");
    desk.let_go(1).wake();
    until_waiting(&mut stage, &desk, 2);
    desk.let_go(3).wake();
    desk.let_go(4).wake();
    assert_eq!(stage.talk(&mut peer, b"", 8), b"1\n2\n3\n4\n");
}

fn futures_go_with_their_peer(backend: Backend) {
    let desk = Arc::default();
    let mut stage = Stage::new(backend, waiting(&desk));
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"1\n2\n"), 4);
    until_waiting(&mut stage, &desk, 2);
    peer.reset();
    // The guest of the future and that of the desk.
    stage.until(|stage| {
        stage.turn();
        (desk.drops() == 4).then_some(())
    });
    assert_eq!(stage.counts().futures_dropped, 2);
}

fn who_ends_its_side_is_answered(backend: Backend) {
    let desk = Arc::default();
    let mut stage = Stage::new(backend, waiting(&desk));
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"1\n2\n"), 4);
    peer.shutdown();
    until_waiting(&mut stage, &desk, 2);
    desk.let_go(2).wake();
    desk.let_go(1).wake();
    assert_eq!(stage.talk_to_end(&mut peer, b""), "1\n2\n");
}

/// What a freeze meets unanswered is given up, and what was answered by then is not.
fn a_freeze_gives_up_what_nobody_has_answered(backend: Backend) {
    let desk = Arc::default();
    let mut stage = Stage::new(backend, waiting(&desk));
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"1\n2\n3\n4"), 7);
    until_waiting(&mut stage, &desk, 3);
    desk.let_go(2).wake();
    (0..10).for_each(|_| stage.turn());
    stage.move_to(backend);
    assert_eq!(stage.talk(&mut peer, b"", 12), b"gone\n2\ngone\n");
    assert_eq!(peer.write(b"\n"), 1);
    until_waiting(&mut stage, &desk, 3);
    desk.let_go(4).wake();
    assert_eq!(stage.talk(&mut peer, b"", 2), b"4\n");
}

fn replies_come_from_other_threads(backend: Backend) {
    type Kept = Arc<Mutex<HashMap<Bytes, RemoteReply>>>;
    let kept = Kept::default();
    let own = Arc::clone(&kept);
    let codec = Framed::lines().dropped(b"gone");
    let server = Server::new().framed(codec, move |request: Bytes, reply: Reply| {
        own.lock().unwrap().insert(request, reply.detach());
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"1\n2\n3\n"), 6);
    stage.until(|stage| {
        stage.turn();
        (kept.lock().unwrap().len() == 3).then_some(())
    });
    for number in ["3", "1", "2"] {
        let reply = kept.lock().unwrap().remove(number.as_bytes()).unwrap();
        let answer = move || if number == "2" { drop(reply) } else { reply.send(number) };
        std::thread::spawn(answer).join().unwrap();
    }
    assert_eq!(stage.talk(&mut peer, b"", 9), b"1\ngone\n3\n");

    assert_eq!(peer.write(b"4\n"), 2);
    let late = stage.until(|stage| {
        stage.turn();
        kept.lock().unwrap().remove(b"4".as_slice())
    });
    peer.reset();
    stage.until(|stage| {
        stage.turn();
        stage.peers().is_empty().then_some(())
    });
    late.send("to nobody");
    (0..10).for_each(|_| stage.turn());
}

thread_local! {
    /// The reply to the request before, on the shard's thread.
    static BEFORE: RefCell<Option<Reply>> = const { RefCell::new(None) };
}

/// Two connections: each request answers the one before, of whichever connection that was.
fn a_handler_answers_others(backend: Backend) {
    let server = Server::new().framed(Framed::lines(), |request: Bytes, reply: Reply| {
        let other = BEFORE.with_borrow_mut(|before| before.replace(reply));
        if let Some(other) = other {
            other.send(request);
        }
    });
    let mut stage = Stage::new(backend, server);
    let (mut one, mut two) = (stage.connect(), stage.connect());
    stage.talk(&mut one, b"a\n", 0);
    stage.until(|stage| {
        stage.turn();
        (stage.counts().bytes_received == 2).then_some(())
    });
    stage.talk(&mut two, b"b\n", 0);
    assert_eq!(stage.talk(&mut one, b"c\n", 2), b"b\n");
    assert_eq!(stage.talk(&mut two, b"", 2), b"c\n");
    // Dropped at no time of the server's.
    drop(BEFORE.take());
    assert_eq!(stage.talk_to_end(&mut one, b""), "");
}

/// The turns that a modest peer waits beside one who floods are few, and each has its share.
fn a_flood_holds_nobody_up(backend: Backend) {
    let mut stage = Stage::at_once(backend, echo(Framed::lines()));
    let (mut flooder, mut modest) = (stage.connect(), stage.connect());
    let flood = b"x\n".repeat(50_000);
    for round in 0..50 {
        flooder.write(&flood);
        let said = format!("{round}\n");
        assert_eq!(modest.write(said.as_bytes()), said.len());
        let (mut received, began) = (Vec::new(), stage.turns);
        stage.until(|stage| {
            let before = stage.counts().requests_total;
            stage.turn();
            let handled = stage.counts().requests_total - before;
            assert!(handled <= 2 * 32 + 1, "{handled} requests in one turn");
            flooder.read(&mut Vec::new());
            modest.read(&mut received);
            (received == said.as_bytes()).then_some(())
        });
        assert!(stage.turns - began <= 3, "{} turns", stage.turns - began);
    }
}

/// Who reads nothing is sent no more than the outbox holds, and asks no more.
fn who_reads_nothing_is_not_read(backend: Backend) {
    let limits = Limits { outbox_bytes_max: 64 << 10, ..Limits::default() };
    let server = Server::new().limits(limits).framed(Framed::lines(), |_: Bytes, reply: Reply| {
        reply.send(vec![b'x'; 10_000]);
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let said = b"more\n".repeat(20_000);
    let mut rest = &*said;
    for _ in 0..500 {
        let written = peer.write(rest);
        rest = &rest[written..];
        stage.turn();
        assert!(stage.bytes_held() <= 400 << 10, "{}", stage.bytes_held());
    }
    let mut received = 0;
    stage.until(|stage| {
        let written = peer.write(rest);
        rest = &rest[written..];
        stage.turn();
        let mut come = Vec::new();
        peer.read(&mut come);
        received += come.len();
        (received == 20_000 * 10_001).then_some(())
    });
}

fn a_drain_answers_what_has_come(backend: Backend) {
    let desk = Arc::default();
    let mut stage = Stage::new(backend, waiting(&desk));
    let (mut peer, mut idle) = (stage.connect(), stage.connect());
    assert_eq!(peer.write(b"1\n2\n"), 4);
    until_waiting(&mut stage, &desk, 2);
    stage.send(Message::Drain { within_ms: 60_000 });
    assert_eq!(stage.talk_to_end(&mut idle, b""), "");
    desk.let_go(2).wake();
    desk.let_go(1).wake();
    assert_eq!(stage.talk_to_end(&mut peer, b""), "1\n2\n");
}

over_still_backends!(
    replies_leave_in_order_whenever_they_are_given,
    no_more_begin_than_may_be_in_flight,
    futures_go_with_their_peer,
    who_ends_its_side_is_answered,
    a_freeze_gives_up_what_nobody_has_answered,
    replies_come_from_other_threads,
    a_handler_answers_others,
    a_flood_holds_nobody_up,
    who_reads_nothing_is_not_read,
    a_drain_answers_what_has_come,
);
