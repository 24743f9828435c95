//! Servers with their threads, as programs use them: started, asked, stopped, over both mechanisms.
//! Waiting is for replies, ends and joins only.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use springtide::{Accepting, Address, Engine, Error, Limits, Running, Server};

const ENGINES: [Engine; 3] = [Engine::Uring, Engine::Epoll, Engine::Poll];
const PATIENCE: Duration = Duration::from_secs(30);

fn start(server: Server) -> Running {
    server.listen("127.0.0.1:0").unwrap().start().unwrap()
}

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

/// One request on a connection of its own; the whole reply.
fn fetch(running: &Running, path: &str) -> String {
    let mut stream = connect(running);
    ask_last(&mut stream, path)
}

fn ask_last(stream: &mut (impl Read + Write), path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn thread_name() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

#[test]
fn a_server_answers_and_stops() {
    for engine in ENGINES {
        let server = Server::new().engine(engine).workers(2).get("/", || "here");
        let running = start(server);
        assert_eq!(running.workers(), 2);
        assert!(fetch(&running, "/").ends_with("\r\n\r\nhere"));
        assert_eq!(running.metrics().counts().requests_total, 1);
        running.stop(PATIENCE);
        running.join().unwrap();
        assert!(TcpStream::connect(address(&running)).is_err(), "nobody listens any more");
    }
}

#[test]
fn a_busy_port_is_refused_although_ports_are_shared() {
    for engine in ENGINES {
        let first = start(Server::new().engine(engine).workers(2).get("/", || "first"));
        let taken = address(&first).to_string();
        let second = Server::new().engine(engine).get("/", || "second").listen(&taken).unwrap();
        let error = second.start().unwrap_err();
        assert!(matches!(error, Error::Listen { .. }), "{error}");
        assert!(error.to_string().contains("in use"), "{error}");
        assert!(fetch(&first, "/").ends_with("first"));
        first.stop(PATIENCE);
        first.join().unwrap();
        let again = Server::new().engine(engine).get("/", || "again").listen(&taken).unwrap();
        let again = again.start().expect("the port is free as soon as the first server has ended");
        assert!(fetch(&again, "/").ends_with("again"));
        again.stop(PATIENCE);
        again.join().unwrap();
    }
}

/// A reply is larger than one send: the next one follows although nothing else happens. The first one
/// goes at once when buffers have grown, which takes some replies.
#[test]
fn a_reply_of_several_sends_comes_whole() {
    const BODY_BYTES: usize = 2 << 20;
    for engine in ENGINES {
        let mut limits = Limits { outbox_bytes_max: 2 * BODY_BYTES, ..Limits::default() };
        // No look at a send in flight ends the wait either.
        limits.send_timeout_ms = 600_000;
        let server = Server::new().engine(engine).limits(limits);
        let running = start(server.get("/", || vec![b'x'; BODY_BYTES]));
        let mut stream = connect(&running);
        for _ in 0..8 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            stream.read_exact(&mut vec![0; BODY_BYTES]).unwrap();
        }
        drop(stream);
        running.stop(PATIENCE);
        running.join().unwrap();
    }
}

/// What one read gives. The end of the ring with which this thread found out what works here comes
/// later, and ends a read with a timeout early (io_uring's exit is work of the thread).
fn read_some(stream: &mut TcpStream) -> String {
    let mut reply = [0; 1024];
    loop {
        match stream.read(&mut reply) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            read => return String::from_utf8(reply[..read.unwrap()].to_vec()).unwrap(),
        }
    }
}

/// A burst of connections is spread, although none of them has been counted when it is dealt.
#[test]
fn one_shard_can_deal_to_all() {
    for engine in ENGINES {
        let server = Server::new().engine(engine).workers(3).accepting(Accepting::OneShard);
        let running = start(server.get("/", thread_name));
        let mut open: Vec<_> = (0..90).map(|_| connect(&running)).collect();
        let mut shards = std::collections::BTreeMap::<String, usize>::new();
        for stream in &mut open {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let reply = read_some(stream);
            let name = reply.rsplit("\r\n\r\n").next().unwrap();
            *shards.entry(name.to_owned()).or_default() += 1;
        }
        assert!(shards.len() == 3 && shards.values().all(|count| *count >= 20), "{shards:?}");
        drop(open);
        running.stop(PATIENCE);
        running.join().unwrap();
    }
}

#[test]
fn unix_sockets_are_served() {
    for engine in ENGINES {
        let unique = format!("springtide-{}-{engine:?}.sock", std::process::id());
        let path = std::env::temp_dir().join(unique);
        for round in 0..2 {
            let server = Server::new().engine(engine).workers(2).get("/", || "unix");
            let listening = server.listen(&format!("unix:{}", path.display())).unwrap();
            let running = listening.start().unwrap_or_else(|error| panic!("{round}: {error}"));
            let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
            assert!(ask_last(&mut stream, "/").ends_with("unix"));
            drop(stream);
            running.stop(PATIENCE);
            running.join().unwrap();
        }
        assert!(!path.exists(), "a server that has stopped leaves no file");
    }
}

/// A socket that nobody listens on is replaced, a live one is refused, and the file has its mode.
#[test]
fn a_unix_socket_is_taken_over_from_the_dead_only() {
    let path = std::env::temp_dir().join(format!("springtide-{}-dead.sock", std::process::id()));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = || {
        let server = Server::new().workers(2).unix_mode(0o620).get("/", || "unix");
        server.listen(&format!("unix:{}", path.display())).unwrap()
    };
    let running = server().start().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o620);
    let refused = server().start().unwrap_err().to_string();
    assert!(refused.contains("Address already in use"), "{refused}");
    running.stop_shard(0, PATIENCE).unwrap();
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    assert!(ask_last(&mut stream, "/").ends_with("unix"));
    running.stop(PATIENCE);
    running.join().unwrap();
    assert!(!path.exists());
}

/// While connections pour in, shards stop one after the other, and none of them is lost.
#[test]
fn a_shard_that_stops_loses_no_connection() {
    for engine in ENGINES {
        for accepting in [Accepting::EveryShard, Accepting::OneShard] {
            let server = Server::new().engine(engine).workers(3).accepting(accepting);
            let running = start(server.get("/", thread_name));
            let answered = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                let flood = || {
                    for _ in 0..1000 {
                        let reply = fetch(&running, "/");
                        assert!(reply.starts_with("HTTP/1.1 200 OK"), "lost: {reply:?}");
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                };
                let clients: Vec<_> = (0..4).map(|_| scope.spawn(flood)).collect();
                for (shard, after) in [(0, 500), (2, 1500)] {
                    while answered.load(Ordering::Relaxed) < after {
                        std::thread::yield_now();
                    }
                    running.stop_shard(shard, PATIENCE).unwrap();
                }
                assert!(matches!(running.stop_shard(2, PATIENCE), Err(Error::NoShard(2))));
                assert!(matches!(running.stop_shard(1, PATIENCE), Err(Error::NoShard(1))));
                clients.into_iter().for_each(|client| client.join().unwrap());
            });
            assert!(fetch(&running, "/").ends_with("springtide-1"));
            running.stop(PATIENCE);
            running.join().unwrap();
        }
    }
}

/// Two calls at once cannot stop the last two shards.
#[test]
fn the_last_shard_is_not_stopped_alone() {
    let running = start(Server::new().workers(2).get("/", || "here"));
    let stopped = std::thread::scope(|scope| {
        let stops = [0, 1].map(|number| {
            let running = &running;
            scope.spawn(move || running.stop_shard(number, PATIENCE).is_ok())
        });
        stops.map(|stop| stop.join().unwrap())
    });
    assert_eq!(stopped.iter().filter(|stopped| **stopped).count(), 1);
    assert!(fetch(&running, "/").ends_with("here"));
    running.stop(PATIENCE);
    running.join().unwrap();
}

/// A request that has begun is answered after the stop; idle connections end at once.
#[test]
fn a_stop_is_graceful() {
    for engine in ENGINES {
        let (begun, has_begun) = mpsc::channel::<()>();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let may_go_on = std::sync::Mutex::new(may_go_on);
        let server = Server::new().engine(engine).workers(2).get("/idle", || "idle").get(
            "/slow",
            move || {
                begun.send(()).unwrap();
                may_go_on.lock().unwrap().recv().unwrap();
                "finished"
            },
        );
        let running = start(server);
        let mut idle = connect(&running);
        idle.write_all(b"GET /idle HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut reply = [0; 1024];
        assert!(idle.read(&mut reply).unwrap() > 0);
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| fetch(&running, "/slow"));
            has_begun.recv().unwrap();
            running.stop(PATIENCE);
            go_on.send(()).unwrap();
            let reply = slow.join().unwrap();
            assert!(reply.ends_with("finished"), "{reply:?}");
        });
        assert_eq!(idle.read(&mut reply).unwrap(), 0, "an idle connection ends");
        drop(idle);
        running.join().unwrap();
        assert_eq!(running.metrics().counts().connections_open, 0);
    }
}

/// A peer that never finishes is cut when patience is over.
#[test]
fn a_stop_ends_in_time() {
    for engine in ENGINES {
        let running = start(Server::new().engine(engine).workers(1).get("/", || "here"));
        let mut stuck = connect(&running);
        stuck.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHos").unwrap();
        let mut reply = [0; 1024];
        assert!(stuck.read(&mut reply).unwrap() > 0);
        running.stop(Duration::from_millis(50));
        running.join().unwrap();
        assert_eq!(stuck.read(&mut reply).unwrap_or(0), 0);
    }
}

#[test]
fn mistakes_are_named() {
    let message = |result: Result<Server, Error>| match result {
        Ok(server) => server.start().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    let clash = Server::new().get("/{a}", || "").get("/{b}", || "").listen("127.0.0.1:0");
    assert!(message(clash).starts_with("the route \"/{b}\" cannot be added"));
    let portless = Server::new().listen("localhost");
    assert_eq!(
        message(portless),
        "cannot listen on \"localhost\": a port is missing: write HOST:PORT"
    );
    let missing = Server::new().files("/", "no/such/directory").listen("127.0.0.1:0");
    assert_eq!(
        message(missing),
        "cannot serve the directory no/such/directory: No such file or directory (os error 2)"
    );
    assert_eq!(message(Ok(Server::new())), "no address to listen on was given");
    let foreign = Server::new().listen("192.0.2.1:0");
    assert!(message(foreign).contains("Cannot assign requested address"));
    assert_eq!(
        message(Server::new().workers(0).listen("127.0.0.1:0")),
        "0 workers: it is 1 to 1023"
    );
    let unknown = "magic".parse::<Engine>().unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "there is no engine \"magic\": it is auto, uring, epoll or poll"
    );
}
