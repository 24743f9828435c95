//! Tasks that other threads wait for, over every mechanism: what wakes them, and what is theirs.
//! Waiting is for tasks, replies and joins only.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use springtide::{
    Address, Engine, Reason, RemotePeer, Request, Running, Server, Status, Wait, offload,
};

const ENGINES: [Engine; 3] = [Engine::Uring, Engine::Epoll, Engine::Poll];
const PATIENCE: Duration = Duration::from_secs(30);

fn address(running: &Running) -> SocketAddr {
    match running.addresses() {
        [Address::Internet(address), ..] => *address,
        other => panic!("not a TCP address: {other:?}"),
    }
}

fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(address(running)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A server, a connection to it, and the same from elsewhere.
fn arrive(engine: Engine) -> (Running, TcpStream, RemotePeer) {
    let (sender, arrivals) = mpsc::channel();
    let server = Server::new().raw(move |peer| sender.send(peer.remote()).unwrap());
    let running = server.engine(engine).workers(1).listen("127.0.0.1:0").unwrap().start().unwrap();
    let stream = connect(&running);
    let peer = arrivals.recv_timeout(PATIENCE).unwrap();
    (running, stream, peer)
}

fn end(running: &Running) {
    running.stop(Duration::ZERO);
    running.join().unwrap();
}

#[test]
fn a_wait_ends_with_what_comes() {
    for engine in ENGINES {
        let (running, mut stream, peer) = arrive(engine);
        let pull = peer.pull();
        assert_eq!(pull.wait_for(Duration::ZERO), Err(Wait::Pending));
        assert_eq!(pull.wait_until(Instant::now()), Err(Wait::Pending), "it goes on");
        let waiting = std::thread::spawn(move || pull.wait());
        stream.write_all(b"high").unwrap();
        assert_eq!(waiting.join().unwrap().unwrap().as_deref(), Some(&b"high"[..]));
        let push = peer.push("tide");
        assert_eq!(push.wait_for(PATIENCE).unwrap(), "tide");
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"tide");
        end(&running);
    }
}

/// Whoever waits when the server ends is told so, and whoever asks behind that as well.
#[test]
fn a_wait_ends_with_the_server() {
    for engine in ENGINES {
        let (running, _stream, peer) = arrive(engine);
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let peer = peer.clone();
                std::thread::spawn(move || {
                    while peer.pull().wait().is_ok() {}
                    peer.pull().wait().unwrap_err()
                })
            })
            .collect();
        end(&running);
        for waiting in waiting {
            let reason = waiting.join().unwrap();
            assert!(matches!(reason, Reason::Stale | Reason::Stopped | Reason::Closed), "{reason}");
        }
        assert_eq!(peer.push("late").wait(), Err(Reason::Stale));
    }
}

/// Draws numbers: the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Tasks are dropped, cancelled and waited for at any time: the stream is whole in both directions, but
/// for pushes that were withdrawn, which are missing as a whole.
#[test]
fn no_byte_is_lost_by_whoever_loses_interest() {
    const COUNT: u32 = 20_000;
    for (seed, engine) in (1..).zip(ENGINES) {
        let (running, mut stream, peer) = arrive(engine);
        let mut sending = stream.try_clone().unwrap();
        let writer = std::thread::spawn(move || {
            let mut chance = Chance(0x5eed + seed);
            let bytes: Vec<u8> = (0..COUNT).flat_map(u32::to_be_bytes).collect();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let count = rest.len().min(1 + usize::try_from(chance.below(300)).unwrap());
                sending.write_all(&rest[..count]).unwrap();
                rest = &rest[count..];
            }
            sending.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut chance = Chance(0xace + seed);
        let (mut received, mut left) = (Vec::new(), Vec::new());
        loop {
            let task = match chance.below(3) {
                0 => peer.pull_exact(1 + usize::try_from(chance.below(9)).unwrap()),
                _ => peer.pull(),
            };
            match chance.below(6) {
                0 => drop(task),
                1 => task.cancel(),
                2 => left.push(task),
                _ => {
                    left.clear();
                    // One that wants more than is left gives nothing at the end, and leaves it.
                    let pulled = task.wait().unwrap().or_else(|| peer.pull().wait().unwrap());
                    let Some(bytes) = pulled else { break };
                    received.extend_from_slice(&bytes);
                }
            }
        }
        writer.join().unwrap();
        let expected: Vec<u8> = (0..COUNT).flat_map(u32::to_be_bytes).collect();
        assert!(received == expected, "{} of {} bytes", received.len(), expected.len());
        pushes_are_whole(&peer, &mut stream, &mut chance);
        end(&running);
    }
}

fn pushes_are_whole(peer: &RemotePeer, stream: &mut TcpStream, chance: &mut Chance) {
    const COUNT: u32 = 3_000;
    let mut certain = Vec::new();
    let mut waiting = Vec::new();
    for number in 0..COUNT {
        let task = peer.push(number.to_be_bytes().to_vec());
        match chance.below(4) {
            0 => drop(task),
            1 => {
                task.cancel();
                waiting.push((number, task));
            }
            2 => {
                certain.push(number);
                task.detach();
            }
            _ => {
                certain.push(number);
                task.wait().unwrap();
            }
        }
    }
    for (number, task) in waiting {
        match task.wait() {
            Ok(_) => certain.push(number),
            Err(reason) => assert_eq!(reason, Reason::Cancelled),
        }
    }
    peer.close().wait().unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let (numbers, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    let numbers: Vec<u32> = numbers.iter().map(|bytes| u32::from_be_bytes(*bytes)).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "each once, in order");
    for number in certain {
        assert!(numbers.binary_search(&number).is_ok(), "{number} was sent");
    }
}

/// A handler on a shard cannot wait, whichever shard it waits for; one on the pool can.
#[test]
fn who_turns_a_shard_cannot_wait() {
    for engine in ENGINES {
        let (raw, mut stream, peer) = arrive(engine);
        let (here, pooled) = (peer.clone(), peer);
        let server = Server::new()
            .get("/shard", move |_: Request| {
                let pull = here.pull();
                let waits =
                    [pull.wait_for(PATIENCE).err(), here.pull().wait().err().map(Wait::Failed)];
                assert_eq!(waits, [Some(Wait::Failed(Reason::Deadlock)); 2]);
                assert_eq!(pull.status(), Status::Pending);
                "refused"
            })
            .get("/pool", offload(move |_| pooled.pull().wait().unwrap().unwrap().to_vec()));
        let running =
            server.engine(engine).workers(1).listen("127.0.0.1:0").unwrap().start().unwrap();
        for (path, answer) in [("shard", "refused"), ("pool", "tide")] {
            let mut asking = connect(&running);
            let request = format!("GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            asking.write_all(request.as_bytes()).unwrap();
            if path == "pool" {
                stream.write_all(b"tide").unwrap();
            }
            let mut reply = String::new();
            asking.read_to_string(&mut reply).unwrap();
            assert!(reply.ends_with(&format!("\r\n\r\n{answer}")), "{reply}");
        }
        end(&running);
        end(&raw);
    }
}
