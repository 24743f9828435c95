//! The example that tells the time over UDP, asked by sockets of std over every engine and several shards.
//! Nothing is timed: only that it is a time of today.

#[allow(dead_code, reason = "its `main` is for the program")]
#[path = "../../../examples/clock.rs"]
mod example;

use std::net::UdpSocket;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use springtide::{Engine, Error};

/// What an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn the_clock_tells_the_time() {
    for engine in [Engine::Uring, Engine::Epoll, Engine::Poll] {
        let server = example::clock("127.0.0.1:0").unwrap().engine(engine).workers(3);
        let running = server.start().unwrap();
        let address = running.datagram_addresses()[0];
        let before = now();
        for round in 0..30 {
            // A socket of its own, so that each shard is asked.
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            if round == 20 {
                running.stop_shard(0, PATIENCE).unwrap();
            }
            socket.send_to(&[b'?'; 65], address).unwrap();
            socket.send_to(b"?", address).unwrap();
            let mut answer = [0; 64];
            let (count, from) = socket.recv_from(&mut answer).unwrap();
            assert_eq!(from, address);
            let told = std::str::from_utf8(&answer[..count]).unwrap().trim().parse().unwrap();
            assert!((before..=now()).contains(&told), "{told}");
        }
        running.stop(PATIENCE);
        running.join().unwrap();
        let taken = UdpSocket::bind(address);
        assert!(taken.is_ok(), "its port is free again: {taken:?}");
    }
}

#[test]
fn mistakes_are_named() {
    let busy = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let refused = example::clock(&address.to_string()).unwrap().start().unwrap_err();
    assert!(matches!(refused, Error::Listen { .. }), "{refused}");
    let unix = example::clock("unix:/nowhere").unwrap_err().to_string();
    assert!(unix.contains("datagrams"), "{unix}");
}
