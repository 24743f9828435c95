//! The load generator against the floors, and against servers that misbehave.
//! It must never depend on a port, a figure or the machine's speed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use bench::floor::{self, options::Kind, options::Options as FloorOptions};
use bench::load::{self, options::Options};
use bench::report::Report;
use clap::Parser;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Runs the load generator with a few requests.
fn run(target: SocketAddr, flags: &[&str]) -> Report {
    let target = target.to_string();
    let few = ["load", &target, "--warmup", "0", "--seconds", "20", "--requests", "2000"];
    let options = Options::parse_from(few.iter().chain(flags));
    load::run(&options).expect("the load generator runs")
}

/// Starts a floor that lives as long as the test's process; `None` when io_uring is refused here.
fn start(kind: &str, load: &[&str], flags: &[&str]) -> Option<SocketAddr> {
    let load_flags = ["load", "127.0.0.1:1"].iter().chain(load);
    let bytes = load::request_bytes(&Options::parse_from(load_flags)).to_string();
    let first = ["floor", "--kind", kind, "--request-bytes", &bytes];
    let options = FloorOptions::parse_from(first.iter().chain(flags));
    let sizes = bench::ring::Sizes { submissions: 8, completions: 16 };
    if options.kind == Kind::Uring && bench::ring::Ring::new(sizes).is_err() {
        eprintln!("io_uring is refused here");
        return None;
    }
    let listener = floor::listen(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || floor::serve(&options, &listener).expect("the floor serves"));
    Some(address)
}

fn check(load: &[&str], floor: &[&str], exact: Option<u64>) {
    // The client itself needs io_uring.
    if start("uring", load, floor).is_none() {
        return;
    }
    for kind in ["uring", "epoll"] {
        let address = start(kind, load, floor).expect("this kind is not refused");
        let report = run(address, load);
        assert_eq!(report.errors, 0, "{kind} {load:?}: {:?}", report.error_samples);
        assert!(report.requests >= exact.unwrap_or(2000), "{kind} {load:?}: {}", report.requests);
        assert!(report.p50_us > 0.0 && report.p50_us <= report.p99_us, "{kind} {load:?}");
    }
}

#[test]
fn closed_loop() {
    check(&[], &[], None);
    check(&["--connections", "1"], &[], None);
    check(&["--connections", "1"], &["--spin-us", "50"], None);
    check(&["--connections", "300", "--active", "3"], &[], None);
}

#[test]
fn pipelined() {
    check(&["--depth", "16"], &[], None);
    check(&["--depth", "200", "--connections", "2"], &[], None);
    check(&["--depth", "16"], &["--direct-sends-max", "1000"], None);
}

#[test]
fn open_loop() {
    check(&["--rate", "50000"], &[], None);
}

/// The slow connections are there, and change nothing about what is asked beside them.
#[test]
fn beside_slow_heads() {
    check(&["--slow-heads", "20"], &[], None);
    let Some(address) = start("uring", &[], &[]) else { return };
    let report = run(address, &["--slow-heads", "20"]);
    assert!(report.p99_alone_us.is_some_and(|alone| alone > 0.0) && report.mode == "slow heads");
}

#[test]
fn a_connection_per_request() {
    check(&["--churn", "--connections", "8"], &["--close"], None);
}

#[test]
fn requests_with_names() {
    check(&["--named", "--requests", "2000"], &[], Some(2000));
    check(&["--named", "--depth", "16", "--requests", "16000"], &[], Some(16000));
}

#[test]
fn bodies_and_files() {
    let post = ["--body-bytes", "100000", "--requests", "200"];
    check(&post, &[], Some(200));
    check(&["--requests", "100"], &["--response", "1m"], Some(100));
    check(&["--requests", "500"], &["--response", "10k", "--direct-sends-max", "0"], Some(500));
}

#[test]
fn raw_echo() {
    check(&["--echo-bytes", "64"], &["--response", "echo"], None);
    let large = ["--echo-bytes", "300000", "--requests", "100", "--connections", "4"];
    check(&large, &["--response", "echo"], Some(100));
    let fits = ["--echo-bytes", "16384", "--buffer-bytes", "16384"];
    check(&fits, &["--response", "echo", "--buffer-bytes", "16384"], None);
}

/// A server that sends `responses` in turn, one for each read, and closes after the last.
fn misbehaving(responses: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            for response in &responses {
                let mut request = [0; 1024];
                if !matches!(stream.read(&mut request), Ok(count) if count > 0) {
                    break;
                }
                if stream.write_all(response).is_err() {
                    break;
                }
            }
        }
    });
    address
}

#[test]
fn what_is_wrong_is_an_error() {
    let good = || RESPONSE.to_vec();
    let not_found = b"HTTP/1.1 404 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let other_body = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nko".to_vec();
    let short = RESPONSE[..RESPONSE.len() - 1].to_vec();
    for (bad, word) in [
        (not_found, "differs"),
        (other_body, "differs"),
        (short, "closed"),
        ([RESPONSE, RESPONSE].concat(), "more responses"),
        (Vec::new(), "closed"),
    ] {
        let address = misbehaving(vec![good(), good(), good(), bad]);
        let flags = ["--connections", "1", "--seconds", "0.2"];
        let target = address.to_string();
        let options = ["load", &target, "--warmup", "0"];
        let options = Options::parse_from(options.iter().chain(&flags));
        let Ok(report) = load::run(&options) else {
            assert!(start("uring", &[], &[]).is_none(), "only a refusal of io_uring may fail");
            return;
        };
        assert!(report.errors > 0, "{word}");
        assert!(report.error_samples[0].contains(word), "{word}: {:?}", report.error_samples);
    }
}

/// Replies are what the protocol says, whatever the server's first one was.
#[test]
fn commands() {
    if start("uring", &[], &[]).is_none() {
        return;
    }
    let ask = |command, replies: &[&str]| {
        let replies = replies.iter().map(|reply| reply.as_bytes().to_vec());
        let target = misbehaving(replies.collect()).to_string();
        let flags = ["load", &target, "--connections", "1", "--warmup", "0", "--requests", "1000"];
        load::run(&Options::parse_from(flags.iter().chain(&[
            "--seconds",
            "0.2",
            "--resp",
            command,
        ])))
    };
    let refused = |result: std::io::Result<Report>, word| {
        let error = result.expect_err(word).to_string();
        assert!(error.contains(word), "{word}: {error}");
    };
    for (command, reply) in [("ping", "+PONG\r\n"), ("set", "+OK\r\n")] {
        let report = ask(command, &[reply; 2000]).expect("good replies");
        assert!(report.requests > 0 && report.errors == 0, "{:?}", report.error_samples);
        let report = ask(command, &[reply, reply, "-ERR\r\n"]).expect("two good replies");
        assert!(report.error_samples[0].contains("at byte 0"), "{:?}", report.error_samples);
        refused(ask(command, &["-ERR\r\n"]), "at byte 0");
    }
    // The key is set before, and its value is what must come back.
    refused(ask("get", &["-ERR\r\n"]), "not set");
    refused(ask("get", &["+OK\r\n"]), "at byte 0");
}

/// A server that answers each request on its one connection when `bytes` of a body have come.
fn taking(bytes: usize, responses: Vec<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        for response in responses {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a head");
                request.push(byte[0]);
            }
            stream.read_exact(&mut vec![0; bytes]).expect("a body");
            stream.write_all(response).expect("somebody reads");
        }
    });
    address
}

/// A transfer counts when its whole body came, whichever way its length is said, and the first one
/// is the warm-up.
#[test]
fn long_bodies() {
    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n";
    for (bad, word) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok!"[..], "3 bytes, not 2"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", "more bytes"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nok", "not a 200"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", "closed"),
        (&CHUNKED[..CHUNKED.len() - 4], "closed"),
    ] {
        let report = run(taking(0, vec![RESPONSE, CHUNKED, bad]), &["--down-bytes", "2"]);
        assert_eq!((report.requests, report.errors), (1, 1), "{word}");
        assert!(report.error_samples[0].contains(word), "{word}: {:?}", report.error_samples);
    }
    let counted = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n600000";
    let up = taking(600_000, vec![counted; 3]);
    let report = run(up, &["--up-bytes", "600000", "--requests", "2"]);
    assert_eq!((report.requests, report.errors), (2, 0), "{:?}", report.error_samples);
    let fewer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n599999";
    let up = taking(600_000, vec![counted, fewer]);
    let report = run(up, &["--up-bytes", "600000"]);
    assert_eq!((report.requests, report.errors), (0, 1));
    assert!(report.error_samples[0].contains("599999"), "{:?}", report.error_samples);
}

/// Relays each message to all others.
struct Relay;

impl springtide::WebSocket for Relay {
    fn opened(&self, socket: springtide::Socket) {
        socket.subscribe("all");
    }

    fn message(&self, socket: springtide::Socket, message: springtide::Message) {
        socket.publish_to_others("all", message);
    }
}

/// A server of WebSockets as users write it, for as long as it is held.
fn sockets() -> Option<springtide::Running> {
    let echo = |socket: springtide::Socket, message: springtide::Message| socket.send(message);
    start("uring", &[], &[])?;
    let server =
        springtide::Server::new().workers(1).websocket("/ws", echo).websocket("/bc", Relay);
    Some(server.listen("127.0.0.1:0").expect("an address").start().expect("a server"))
}

#[test]
fn websockets() {
    let Some(server) = sockets() else { return };
    let springtide::Address::Internet(address) = server.addresses()[0] else { unreachable!() };
    for bytes in ["0", "64", "126", "20000"] {
        let report = run(address, &["--path", "/ws", "--socket-bytes", bytes]);
        assert_eq!(report.errors, 0, "{bytes}: {:?}", report.error_samples);
        assert!(report.requests >= 2000, "{bytes}: {}", report.requests);
    }
    let flags = ["load", &address.to_string(), "--path", "/none", "--socket-bytes", "64"];
    let error = load::run(&Options::parse_from(flags)).expect_err("there is no such path");
    assert!(error.to_string().contains("404"), "{error}");
}

#[test]
fn broadcasts() {
    let Some(server) = sockets() else { return };
    let springtide::Address::Internet(address) = server.addresses()[0] else { unreachable!() };
    for depth in ["1", "4"] {
        let flags = ["--path", "/bc", "--socket-bytes", "128", "--connections", "50"];
        let report = run(address, &[&flags[..], &["--broadcast", "--depth", depth]].concat());
        assert_eq!(report.errors, 0, "{depth}: {:?}", report.error_samples);
        assert!(report.requests >= 2000, "{depth}: {}", report.requests);
    }
    // Where nobody relays, nothing comes.
    let target = address.to_string();
    let flags = ["load", &target, "--path", "/ws", "--socket-bytes", "128", "--broadcast"];
    let few = ["--connections", "2", "--warmup", "0", "--seconds", "0.01"];
    let options = Options::parse_from(flags.iter().chain(&few));
    let report = load::run(&options).expect("the load generator runs");
    assert!(report.errors > 0 && report.requests == 0);
}
