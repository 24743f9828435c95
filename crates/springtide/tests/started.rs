//! Servers as whoever starts them sees them: whether they answer.
//! Waiting is for replies, ends and joins only.

use std::io::{Read, Write};
use std::net::TcpStream;
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
