//! Descriptors are spent under a server with its threads: it stops accepting without going round in
//! circles, and everybody who waited is answered later. One test, for the limit is the process's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use nix::sys::resource::{Resource, setrlimit};
use socket2::{Domain, Socket, Type};
use springtide::{Address, Engine, Server};

/// How many connect, and the descriptors that there are for them and the server itself.
const CLIENTS: usize = 40;
const FREE: u64 = 30;
/// Requests that are asked while nobody can be accepted.
const ASKED: u64 = 300;

/// The number that the next descriptor of this process gets.
fn first_free() -> u64 {
    let next = std::fs::File::open("/dev/null").unwrap();
    u64::try_from(next.as_raw_fd()).unwrap()
}

/// One request, and all of its reply.
fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let (mut reply, mut part) = (Vec::new(), [0; 1024]);
    while !reply.ends_with(b"\r\n\r\nhere") {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "cut behind {:?}", String::from_utf8_lossy(&reply));
        reply.extend_from_slice(&part[..count]);
    }
}

fn survive(engine: Engine) {
    let sockets: Vec<Socket> =
        (0..CLIENTS).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();
    let server = Server::new().engine(engine).workers(1).get("/", || "here");
    let running = server.listen("127.0.0.1:0").unwrap().start().unwrap();
    let Address::Internet(address) = running.addresses()[0] else { panic!("it is TCP") };
    let connected = sockets.into_iter().map(|socket| {
        socket.connect(&address.into()).unwrap();
        TcpStream::from(socket)
    });
    let mut clients: Vec<TcpStream> = connected.collect();
    let counts = || running.metrics().counts();
    while counts().accepts_paused == 0 {
        std::thread::yield_now();
    }
    assert!(counts().connections_open < CLIENTS as u64, "{:?}", counts());
    let before = counts().turns_total;
    for _ in 0..ASKED {
        ask(&mut clients[0]);
    }
    let turns = counts().turns_total - before;
    assert!(turns < 4 * ASKED, "{turns} turns for {ASKED} requests");
    for mut client in clients {
        ask(&mut client);
    }
    assert_eq!(counts().requests_total, ASKED + CLIENTS as u64);
    running.stop(std::time::Duration::from_secs(5));
    running.join().unwrap();
    assert_eq!(counts().connections_open, 0);
}

#[test]
fn spent_descriptors_pause_accepting() {
    // Before any server starts: an accept of the ring has the limit of when it was armed.
    let limit = first_free() + CLIENTS as u64 + FREE;
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit).unwrap();
    for engine in [Engine::Uring, Engine::Epoll, Engine::Poll] {
        survive(engine);
    }
}
