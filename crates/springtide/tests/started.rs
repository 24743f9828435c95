//! Servers as whoever starts them sees them: whether they answer, and sockets that they are given.
//! Waiting is for replies, ends and joins only.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use springtide::{Address, Engine, Running, Server};

const ENGINES: [Engine; 3] = [Engine::Uring, Engine::Epoll, Engine::Poll];
const PATIENCE: Duration = Duration::from_secs(30);

fn ask(running: &Running, path: &str) -> TcpStream {
    let Address::Internet(address) = &running.addresses()[0] else { panic!("it is TCP") };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn reply(mut stream: impl Read) -> String {
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

/// One shard that hangs is enough, and idle ones are not taken for it.
#[test]
fn a_shard_that_hangs_does_not_answer() {
    for engine in ENGINES {
        let (begun, has_begun) = mpsc::channel::<()>();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let may_go_on = Mutex::new(may_go_on);
        let server = Server::new().engine(engine).workers(2).get("/", move || {
            begun.send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
            "finished"
        });
        let running = server.listen("127.0.0.1:0").unwrap().start().unwrap();
        assert!(running.answers(PATIENCE), "idle shards answer");
        let stuck = ask(&running, "/");
        has_begun.recv().unwrap();
        assert!(!running.answers(Duration::from_millis(1)), "{engine:?}");
        go_on.send(()).unwrap();
        assert!(reply(stuck).ends_with("finished"));
        assert!(running.answers(PATIENCE));
        running.stop_shard(0, PATIENCE).unwrap();
        assert!(running.answers(PATIENCE), "who has ended owes no answer");
        running.stop(PATIENCE);
        running.join().unwrap();
        assert!(running.answers(Duration::ZERO));
    }
}

/// What listens already is served by all shards, beside what is listened on by address.
#[test]
fn open_sockets_are_listened_on() {
    let path = std::env::temp_dir().join(format!("springtide-started-{}", std::process::id()));
    for engine in ENGINES {
        let (tcp, unix) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), UnixListener::bind(&path).unwrap());
        let known = tcp.local_addr().unwrap();
        // It waits in the backlog, and is not lost.
        let early = TcpStream::connect(known).unwrap();
        let server = Server::new().engine(engine).workers(2).get("/", || "here");
        let server = server.listen("127.0.0.1:0").unwrap().listen_on(tcp).unwrap();
        let running = server.listen_on(unix).unwrap().start().unwrap();
        let [first, second, third] = running.addresses() else { panic!("there are three") };
        assert!(matches!(first, Address::Internet(own) if *own != known));
        assert_eq!(*second, Address::Internet(known));
        assert_eq!(*third, Address::Unix(Some(path.clone())));
        let mut early = early;
        early.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        assert!(reply(early).ends_with("here"));
        assert!(reply(ask(&running, "/")).ends_with("here"));
        let mut unix = UnixStream::connect(&path).unwrap();
        unix.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        assert!(reply(unix).ends_with("here"));
        running.stop(PATIENCE);
        assert!(running.join().is_ok());
        assert!(TcpStream::connect(known).is_err(), "the server's copies are closed");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_does_not_listen_is_refused() {
    let (one, _other) = UnixStream::pair().unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for (socket, reason) in [
        (OwnedFd::from(one), "it is a socket that does not listen"),
        (datagrams.into(), "it is a socket without streams"),
        (file.into(), "Socket operation on non-socket"),
    ] {
        let error = Server::new().listen_on(socket).unwrap_err().to_string();
        let words = format!("cannot listen on an open socket: {reason}");
        assert!(error.starts_with(&words), "{error}");
    }
}

/// What is bound is not served, and what is given up is free again.
#[test]
fn nobody_is_accepted_before_it_serves() {
    for engine in ENGINES {
        let server = || Server::new().engine(engine).workers(2).get("/", || "here");
        let bound = server().listen("127.0.0.1:0").unwrap().bind().unwrap();
        let Address::Internet(address) = bound.addresses()[0] else { panic!("it is TCP") };
        let mut early = TcpStream::connect(address).unwrap();
        early.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        early.set_nonblocking(true).unwrap();
        assert_eq!(early.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        early.set_nonblocking(false).unwrap();
        let running = bound.serve();
        assert!(reply(early).ends_with("here"));
        running.stop(PATIENCE);
        running.join().unwrap();
        let bound = server().listen(&address.to_string()).unwrap().bind().unwrap();
        drop(bound);
        let again = server().listen(&address.to_string()).unwrap();
        let again = again.start().expect("nobody listens any more");
        again.stop(PATIENCE);
        again.join().unwrap();
    }
}
