//! Handlers on the pool: over real threads with every mechanism, and in worlds in seeded order.
//! A handler waits for a gate that the test opens, never for time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::{Backend, Stage, over_still_backends};
use crate::test::{World, for_each_seed};
use crate::{Limits, Priority, Request, Server, offload};

/// Where handlers on real threads wait until the test opens it.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let mut is_open = self.is_open.lock().unwrap();
        while !*is_open {
            is_open = self.opened.wait(is_open).unwrap();
        }
        drop(is_open);
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

const LAST: &str = "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn statuses(replies: &str) -> Vec<&str> {
    replies.match_indices("HTTP/1.1 ").map(|(at, _)| &replies[at + 9..at + 12]).collect()
}

fn server() -> Server {
    Server::new()
        .get("/plain", || "plain~")
        .get("/{number}", offload(|request| format!("{}~", request.param("number"))))
        .post("/echo", offload(|request| request.bytes().clone()))
        .get("/peer", offload(|request| format!("{}~", request.peer_address().is_some())))
        .get("/panic", offload(|_| -> &'static str { panic!("on purpose") }))
        .get("/closed", offload(|request| drop(request.closed())))
}

fn offloaded_handlers_answer_in_order(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    let mut peer = stage.connect();
    let echo = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\ntide~";
    let requests =
        [&get("/1"), &get("/plain"), echo, &get("/panic"), &get("/peer"), &get("/closed"), LAST];
    let replies = stage.talk_to_end(&mut peer, requests.concat().as_bytes());
    assert_eq!(statuses(&replies), ["200", "200", "200", "500", "200", "204", "200"], "{replies}");
    let bodies: Vec<&str> = replies
        .split("\r\n\r\n")
        .skip(1)
        .filter_map(|body| Some(body.split_once('~')?.0))
        .collect();
    assert_eq!(bodies, ["1", "plain", "tide", "true", "plain"]);
    assert_eq!(stage.counts().panics_total, 1);
}

/// Where nothing may wait, threads that have nothing to do still do what comes.
fn idle_threads_take_what_may_not_wait(backend: Backend) {
    let limits = Limits { offload_waiting_max: 0, ..Limits::default() };
    for limits in [limits, Limits::default()] {
        let own = offload(|_| "own~").waiting_max(0);
        let mut stage = Stage::new(backend, server().limits(limits).get("/own", own));
        let mut peer = stage.connect();
        let requests = get("/1") + &get("/own").repeat(3) + &get("/2") + LAST;
        let replies = stage.talk_to_end(&mut peer, requests.as_bytes());
        assert_eq!(statuses(&replies), ["200"; 6], "{replies}");
    }
}

/// One thread is at work, and nothing may wait for it.
fn a_full_queue_is_a_503(backend: Backend) {
    let limits = Limits { offload_waiting_max: 0, offload_threads: 1, ..Limits::default() };
    let gate = Arc::<Gate>::default();
    let held = gate.clone();
    let held = offload(move |_| held.pass());
    let mut stage = Stage::new(backend, server().get("/held", held).limits(limits));
    let (mut first, mut peer) = (stage.connect(), stage.connect());
    if backend.is_simulated() {
        gate.open();
    }
    assert_eq!(first.write(get("/held").as_bytes()), get("/held").len());
    let is_begun = |_: &mut Stage| (gate.begun.load(Ordering::SeqCst) == 1).then_some(());
    let requests = get("/1") + &get("/plain") + &get("/2") + LAST;
    let expected = match backend.is_simulated() {
        // Its work is done between two turns: the first one is taken, and the thread has it.
        true => ["200", "200", "503", "200"],
        false => ["503", "200", "503", "200"],
    };
    stage.until(is_begun);
    let replies = stage.talk_to_end(&mut peer, requests.as_bytes());
    assert_eq!(statuses(&replies), expected, "{replies}");
    let refused = expected.iter().filter(|status| **status == "503").count();
    assert_eq!(replies.matches("retry-after: 1\r\n").count(), refused, "{replies}");
    assert_eq!(stage.counts().offloads_refused, refused as u64);
    gate.open();
    stage.talk(&mut first, b"", 15);
    assert_eq!(stage.held().future_pages, 1, "nothing waits, and one page is kept");
}

/// As many as a thread can take, and as may wait, are taken, and one more is not.
#[test]
fn the_queue_holds_what_it_may() {
    let limits = Limits { offload_waiting_max: 2, offload_threads: 1, ..Limits::default() };
    let mut stage = Stage::new(Backend::Simulated, server().limits(limits));
    let mut peer = stage.connect();
    let requests: String = (0..4).map(|number| get(&format!("/{number}"))).collect();
    let replies = stage.talk_to_end(&mut peer, (requests + LAST).as_bytes());
    assert_eq!(statuses(&replies), ["200", "200", "200", "503", "200"], "{replies}");
}

/// A handler may have fewer places than all together.
#[test]
fn handlers_have_their_own_bound() {
    let slow = offload(|_| "slow~").waiting_max(1);
    let limits = Limits { offload_threads: 1, ..Limits::default() };
    let mut stage = Stage::new(Backend::Simulated, server().get("/slow", slow).limits(limits));
    for _ in 0..2 {
        let mut peer = stage.connect();
        let requests = get("/slow").repeat(4) + &get("/1") + LAST;
        let replies = stage.talk_to_end(&mut peer, requests.as_bytes());
        let expected = ["200", "200", "503", "503", "200", "200"];
        assert_eq!(statuses(&replies), expected, "{replies}");
    }
    // What the pool itself refuses takes no place.
    let limits = Limits { offload_waiting_max: 0, offload_threads: 1, ..Limits::default() };
    let slow = offload(|_| "slow~").waiting_max(1);
    let mut stage = Stage::new(Backend::Simulated, server().get("/slow", slow).limits(limits));
    let mut peer = stage.connect();
    let replies = stage.talk_to_end(&mut peer, (get("/slow").repeat(3) + LAST).as_bytes());
    assert_eq!(statuses(&replies), ["200", "503", "503", "200"]);
    assert_eq!(stage.counts().offloads_refused, 2);
}

/// What a reply has captured may do anything when it is dropped, also when nobody waits for the reply.
#[test]
fn a_reply_for_nobody_is_dropped_apart() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "on purpose");
        }
    }
    let called = Arc::<AtomicUsize>::default();
    let own = called.clone();
    let bad = offload(move |_| {
        own.fetch_add(1, Ordering::SeqCst);
        let bad = Bad;
        crate::Response::stream(async move |_| {
            let _bad = bad;
            Ok(())
        })
    });
    let mut stage = Stage::new(Backend::Simulated, server().get("/bad", bad));
    let mut peer = stage.connect();
    assert_eq!(peer.write(get("/bad").as_bytes()), get("/bad").len());
    stage.until(|_| (called.load(Ordering::SeqCst) == 1).then_some(()));
    peer.reset();
    stage.until(|stage| (stage.counts().panics_total == 1).then_some(()));
    let mut peer = stage.connect();
    assert_eq!(statuses(&stage.talk_to_end(&mut peer, LAST.as_bytes())), ["200"]);
}

#[test]
fn higher_work_comes_first() {
    let order = Arc::<Mutex<Vec<Priority>>>::default();
    let work = |priority| {
        let done = order.clone();
        offload(move |_| done.lock().unwrap().push(priority)).priority(priority)
    };
    let server = server()
        .get("/low", work(Priority::Low))
        .get("/normal", work(Priority::Normal))
        .get("/high", work(Priority::High));
    let mut stage = Stage::new(Backend::Simulated, server);
    let mut peer = stage.connect();
    let paths = ["/low", "/normal", "/high", "/low", "/high"].map(get);
    let replies = stage.talk_to_end(&mut peer, (paths.concat() + LAST).as_bytes());
    assert_eq!(statuses(&replies).len(), 6, "{replies}");
    use Priority::{High, Low, Normal};
    assert_eq!(*order.lock().unwrap(), [High, High, Normal, Low, Low]);
}

fn work_runs_on_without_its_client(backend: Backend) {
    let gate = Arc::<Gate>::default();
    let waits = gate.clone();
    let server = server().get(
        "/wait",
        offload(move |_: Request| {
            waits.pass();
            "wrong~"
        }),
    );
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let request = get("/wait");
    assert_eq!(peer.write(request.as_bytes()), request.len());
    stage.until(|_| (gate.begun.load(Ordering::SeqCst) == 1).then_some(()));
    // The shard is not held up, and neither is another thread of the pool.
    let mut other = stage.connect();
    let replies = stage.talk_to_end(&mut other, (get("/7") + LAST).as_bytes());
    assert_eq!(statuses(&replies), ["200", "200"]);
    // Frozen, its request is answered, and what comes from the pool is nobody's.
    stage.move_to(backend);
    let replies = stage.talk_to_end(&mut peer, LAST.as_bytes());
    assert_eq!(statuses(&replies), ["503", "200"]);
    let mut next = stage.connect();
    assert_eq!(next.write(request.as_bytes()), request.len());
    stage.until(|_| (gate.begun.load(Ordering::SeqCst) == 2).then_some(()));
    drop(next);
    gate.open();
    stage.until(|_| (gate.ended.load(Ordering::SeqCst) == 2).then_some(()));
    let mut last = stage.connect();
    let replies = stage.talk_to_end(&mut last, (get("/8") + LAST).as_bytes());
    assert!(!replies.contains("wrong") && replies.contains("8~"), "{replies}");
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
}

over_still_backends!(
    offloaded_handlers_answer_in_order,
    idle_threads_take_what_may_not_wait,
    a_full_queue_is_a_503,
);
mod threads {
    #[test]
    fn work_runs_on_without_its_client() {
        for backend in super::super::stage::SYSTEM {
            super::work_runs_on_without_its_client(*backend);
        }
    }
}

/// What a world's pool does, and in which order.
fn ask_in_a_world(world: &mut World) -> Vec<usize> {
    const PEERS: usize = 12;
    let order = Arc::<Mutex<Vec<usize>>>::default();
    let done = order.clone();
    let work = move |request: Request| {
        let number: usize = request.param("number").parse().unwrap();
        done.lock().unwrap().push(number);
        number.to_string()
    };
    world.serve(Server::new().get("/{number}", offload(work)).workers(2));
    let mut peers: Vec<_> = (0..PEERS).map(|number| (number, world.connect())).collect();
    for (number, peer) in &mut peers {
        let request = get(&format!("/{number}"));
        assert_eq!(peer.write(request.as_bytes()), request.len());
    }
    // Some go while their work waits.
    world.turn();
    for (number, mut peer) in peers.split_off(PEERS / 2) {
        if world.below(2) == 0 {
            peer.reset();
        } else {
            peers.push((number, peer));
        }
    }
    world.settle();
    for (number, mut peer) in peers {
        let reply = peer.reply().expect("an answer");
        assert_eq!(reply.body(), number.to_string().as_bytes());
    }
    order.lock().unwrap().clone()
}

#[test]
fn worlds_order_the_work_by_their_seed() {
    let mut orders = std::collections::HashSet::new();
    for_each_seed(20, |world| {
        let order = ask_in_a_world(world);
        let again = ask_in_a_world(&mut World::new(world.seed()));
        assert_eq!(order, again, "the same seed gives the same history");
        assert!(order.len() >= 6, "{order:?}");
    });
    for seed in 0..20 {
        orders.insert(ask_in_a_world(&mut World::new(seed)));
    }
    assert!(orders.len() > 10, "chance decides: {}", orders.len());
}
