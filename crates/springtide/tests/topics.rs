//! Topics of a running server with several shards and threads that publish: everybody hears everything
//! in the order of each thread. Waiting is for messages and joins only.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use springtide::{Address, Engine, Message, PeerId, Running, Server, Socket, WebSocket};

const ENGINES: [Engine; 3] = [Engine::Uring, Engine::Epoll, Engine::Poll];
const PATIENCE: Duration = Duration::from_secs(30);
const GUESTS: usize = 20;
const THREADS: usize = 3;
const SAID: usize = 200;

/// Tells the test who has come.
struct Door(mpsc::Sender<PeerId>);

impl WebSocket for Door {
    fn opened(&self, socket: Socket) {
        socket.subscribe("news.tide");
        socket.subscribe("news.*");
        self.0.send(socket.id()).unwrap();
    }

    fn message(&self, socket: Socket, message: Message) {
        socket.publish("news.tide", message);
    }
}

/// A guest behind its handshake.
fn enter(running: &Running) -> TcpStream {
    let [Address::Internet(address), ..] = running.addresses() else { panic!("a TCP address") };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let offer = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(offer).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    stream
}

/// The next text, which is short.
fn text(stream: &mut TcpStream) -> String {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x81);
    let mut text = vec![0; usize::from(head[1])];
    stream.read_exact(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn any_thread_publishes_to_everybody() {
    for engine in ENGINES {
        let (sender, came) = mpsc::channel();
        let server = Server::new().engine(engine).workers(2).websocket("/", Door(sender));
        let running = server.listen("127.0.0.1:0").unwrap().start().unwrap();
        let mut guests: Vec<TcpStream> = (0..GUESTS).map(|_| enter(&running)).collect();
        let ids: Vec<PeerId> = came.iter().take(GUESTS).collect();
        assert_eq!(running.topic("news.tide").subscribers, GUESTS);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let running = &running;
                scope.spawn(move || {
                    for number in 0..SAID {
                        assert_eq!(running.publish("news.tide", format!("{thread} {number}")), 0);
                    }
                });
            }
            for guest in &mut guests {
                scope.spawn(|| {
                    let mut next = [0; THREADS];
                    for _ in 0..THREADS * SAID {
                        let text = text(guest);
                        let (thread, number) = text.split_once(' ').unwrap();
                        let thread: usize = thread.parse().unwrap();
                        assert_eq!(number.parse(), Ok(next[thread]), "in order, and once");
                        next[thread] += 1;
                    }
                });
            }
        });
        // One says something, and the handler publishes it.
        guests[0].write_all(&[0x81, 0x84, 0, 0, 0, 0, b'h', b'i', b'g', b'h']).unwrap();
        assert!(guests.iter_mut().all(|guest| text(guest) == "high"));
        assert_eq!(running.broadcast(ids[..5].iter().copied(), "five"), 0);
        assert_eq!(running.publish("news.*", "nobody"), 0);
        assert_eq!(running.broadcast(ids.iter().copied(), "all"), 0);
        let heard: Vec<String> = guests.iter_mut().map(text).collect();
        assert_eq!(heard.iter().filter(|text| *text == "five").count(), 5);
        assert_eq!(heard.iter().filter(|text| *text == "all").count(), GUESTS - 5);
        let (mut counts, all) =
            (running.metrics().counts(), (GUESTS * (THREADS * SAID + 2) + 5) as u64);
        while counts.deliveries_total < all {
            // Counts are published at the end of a turn.
            std::thread::yield_now();
            counts = running.metrics().counts();
        }
        assert_eq!((counts.deliveries_total, counts.deliveries_dropped), (all, 0));
        drop(guests);
        running.stop(PATIENCE);
        running.join().unwrap();
        assert_eq!(running.topics().all(), [], "subscriptions end with their connections");
    }
}
