//! Live connections move between the shards of a running server, and their peers notice nothing.
//! Waiting is for replies, counts and joins only.

#[path = "common/client.rs"]
mod client;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::Duration;

use client::Client;
use springtide::{Engine, Request, Running, Server};

const ENGINES: [Engine; 2] = [Engine::Uring, Engine::Epoll];
const PATIENCE: Duration = Duration::from_secs(30);

fn server(engine: Engine, workers: usize) -> Running {
    let server = Server::new().engine(engine).workers(workers);
    let server = server
        .get("/", || std::thread::current().name().unwrap_or_default().to_owned())
        .get("/big", || "x".repeat(300_000))
        .post("/echo", |request: Request| request.bytes().clone());
    server.listen("127.0.0.1:0").unwrap().start().unwrap()
}

impl Client {
    /// The number of the shard that answers.
    fn shard(&mut self) -> usize {
        self.words("/").rsplit('-').next().unwrap().parse().unwrap()
    }

    /// Pipelined requests, an upload that comes in two parts among them.
    fn exchange(&mut self, number: usize) {
        let body = format!("{number:07}").repeat(1000);
        let (first, second) = body.split_at(number * 131 % body.len());
        let head =
            format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        self.ask("/big");
        self.write(head.as_bytes());
        self.write(first.as_bytes());
        assert_eq!(self.reply(), [b'x'; 300_000]);
        self.write(second.as_bytes());
        assert_eq!(self.reply(), body.as_bytes());
    }
}

/// Keeps all clients busy while `meanwhile` runs; it is given a way to wait for so many exchanges.
fn under_load(clients: &mut [Client], meanwhile: impl FnOnce(&dyn Fn(usize))) {
    let (is_over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for clients in clients.chunks_mut(6) {
            let (is_over, done) = (&is_over, &done);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    for client in &mut *clients {
                        client.exchange(done.load(Ordering::Relaxed));
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        meanwhile(&|more| {
            let until = done.load(Ordering::Relaxed) + more;
            while done.load(Ordering::Relaxed) < until {
                std::thread::yield_now();
            }
        });
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Waits until the shards have as many connections as they are to have.
fn settle(running: &Running, connections: usize) -> Vec<usize> {
    loop {
        let loads: Vec<usize> = running.loads().into_iter().flatten().collect();
        let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
        if loads.iter().sum::<usize>() == connections && spread <= 1 {
            return loads;
        }
        std::thread::yield_now();
    }
}

/// Under load, unbalanced on purpose: the first shard keeps its connections, the others lose all.
#[test]
fn live_connections_are_rebalanced() {
    for engine in ENGINES {
        let running = server(engine, 3);
        let mut all: Vec<(usize, Client)> = Vec::new();
        while all.iter().filter(|(shard, _)| *shard == 0).count() < 24 {
            let mut client = Client::new(&running);
            all.push((client.shard(), client));
        }
        all.retain(|(shard, _)| *shard == 0);
        let count = all.len();
        while running.metrics().counts().connections_open != count as u64 {
            std::thread::yield_now();
        }
        assert_eq!(running.loads(), [Some(count), Some(0), Some(0)]);
        let mut clients: Vec<Client> = all.into_iter().map(|(_, client)| client).collect();
        under_load(&mut clients, |exchanges| {
            exchanges(100);
            assert_eq!(running.rebalance(), count - count.div_ceil(3));
            settle(&running, count);
            exchanges(300);
            assert_eq!(running.rebalance(), 0, "there is nothing left to move");
        });
        let mut shards = [0; 3];
        clients.iter_mut().for_each(|client| shards[client.shard()] += 1);
        assert!(shards.iter().max().unwrap() - shards.iter().min().unwrap() <= 1, "{shards:?}");
        running.stop(PATIENCE);
        drop(clients);
        running.join().unwrap();
    }
}

/// A shard that stops hands its connections over in the middle of what they do.
#[test]
fn a_shard_that_stops_hands_live_connections_over() {
    for engine in ENGINES {
        let running = server(engine, 3);
        let mut clients: Vec<Client> = (0..24).map(|_| Client::new(&running)).collect();
        under_load(&mut clients, |exchanges| {
            for shard in [1, 0] {
                exchanges(100);
                running.stop_shard(shard, PATIENCE).unwrap();
            }
            exchanges(100);
        });
        clients.iter_mut().for_each(|client| assert_eq!(client.shard(), 2));
        assert_eq!(running.loads(), [None, None, Some(24)]);
        running.stop(PATIENCE);
        drop(clients);
        running.join().unwrap();
    }
}

/// A handler rebalances on the very shard that another thread is stopping.
#[test]
fn a_rebalance_does_not_wait_for_a_shard_that_is_stopped() {
    let own: Arc<OnceLock<Running>> = Arc::default();
    let entered = Arc::new(Barrier::new(2));
    let (handlers, begun) = (own.clone(), entered.clone());
    let server = Server::new()
        .engine(Engine::Epoll)
        .workers(2)
        .get("/", || std::thread::current().name().unwrap_or_default().to_owned());
    let server = server.get("/even", move || {
        begun.wait();
        // There is something to move until the shard is being stopped.
        while handlers.get().unwrap().rebalance() > 0 {
            std::thread::yield_now();
        }
        "evened"
    });
    let running = own.get_or_init(|| server.listen("127.0.0.1:0").unwrap().start().unwrap());
    let mut others: Vec<Client> = Vec::new();
    let mut clients: Vec<Client> = Vec::new();
    while clients.len() < 2 {
        let mut client = Client::new(running);
        if client.shard() == 0 { clients.push(client) } else { others.push(client) }
    }
    drop(others);
    while running.loads() != [Some(2), Some(0)] {
        std::thread::yield_now();
    }
    clients[0].write(b"GET /even HTTP/1.1\r\nHost: a\r\n\r\n");
    entered.wait();
    running.stop_shard(0, PATIENCE).unwrap();
    assert_eq!(clients[0].reply(), b"evened");
    clients.iter_mut().for_each(|client| assert_eq!(client.shard(), 1));
    running.stop(PATIENCE);
    drop(clients);
    running.join().unwrap();
}
