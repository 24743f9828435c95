//! What examples promise to whoever means them ill. Nothing is timed: waiting is for bytes that come.

#[allow(dead_code, reason = "its `main` is for the program")]
#[path = "../../../examples/journal.rs"]
mod journal;
#[allow(dead_code, reason = "its `main` is for the program")]
#[path = "../../../examples/rooms.rs"]
mod rooms;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use springtide::{Address, Limits, Running, Server};

const PATIENCE: Duration = Duration::from_secs(30);

fn start(server: Server) -> Running {
    server.workers(1).listen("127.0.0.1:0").unwrap().start().unwrap()
}

fn stop(running: Running) {
    running.stop(PATIENCE);
    running.join().unwrap();
}

fn connect(running: &Running) -> TcpStream {
    let [Address::Internet(address), ..] = running.addresses() else { panic!("a TCP address") };
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Asks for a WebSocket in a room; the head of the answer, and the connection behind it.
fn enter(running: &Running, room: &str) -> (String, TcpStream) {
    let mut stream = connect(running);
    let offer = format!(
        "GET /rooms/{room}?name=Tern HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(offer.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (String::from_utf8(head).unwrap(), stream)
}

/// The next frame, which is short: its first byte and its payload.
fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut payload = vec![0; usize::from(head[1])];
    stream.read_exact(&mut payload).unwrap();
    (head[0], payload)
}

#[test]
fn rooms_have_names_that_stand_for_one_room() {
    let running = start(rooms::rooms());
    let long = "x".repeat(33);
    for room in ["*", "%2A", "a.*", "a.b", "Lobby", "%C3%A9", "a%20b", &long] {
        let (head, _) = enter(&running, room);
        assert!(head.starts_with("HTTP/1.1 404 "), "{room}: {head}");
    }
    for room in ["lobby", "room-5", &long[1..]] {
        let (head, mut stream) = enter(&running, room);
        assert!(head.starts_with("HTTP/1.1 101 "), "{room}: {head}");
        assert_eq!(frame(&mut stream), (0x81, b"Tern has come; 1 are here".to_vec()));
    }
    assert_eq!(running.topics().topic("room.*").subscribers, 0);
    stop(running);
}

#[test]
fn who_finds_no_place_in_a_room_is_told() {
    let limits = Limits { topic_bytes_max: "room.lobby".len(), ..Limits::default() };
    let running = start(rooms::rooms().limits(limits));
    let (_, mut inside) = enter(&running, "lobby");
    frame(&mut inside);
    let (_, mut stream) = enter(&running, "lighthouse");
    let (kind, text) = frame(&mut stream);
    let text = String::from_utf8(text).unwrap();
    assert!(kind == 0x81 && text.starts_with("you cannot enter: "), "{text}");
    assert!(text.contains("topic_bytes_max"), "{text}");
    assert_eq!(frame(&mut stream), (0x88, 1000_u16.to_be_bytes().to_vec()));
    drop((inside, stream));
    stop(running);
}

/// What the journal answers to these bytes, and what it has kept of them.
fn keep(name: &str, pieces: &[&[u8]]) -> (String, Vec<u8>) {
    let unique = format!("springtide-journal-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(unique);
    // Of an earlier run, if there is any.
    let _ = std::fs::remove_file(&path);
    let running = start(journal::journal(path.display().to_string()));
    let mut stream = connect(&running);
    for piece in pieces {
        stream.write_all(piece).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    stop(running);
    let kept = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    (said, kept)
}

/// How many lines it has said that it keeps.
fn count(said: &str) -> usize {
    said.lines().filter_map(|line| line.strip_suffix(" kept")?.parse::<usize>().ok()).sum()
}

#[test]
fn a_journal_keeps_the_last_line_without_an_end() {
    let (said, kept) = keep("last", &[b"low\nhi", b"gh\n\nnoon"]);
    assert_eq!(kept, b"low\nhigh\n\nnoon");
    assert_eq!(count(&said), 4, "{said}");
    let longest = [b"x".repeat(journal::LINE_BYTES_MAX - 1), b"\n".to_vec()].concat().repeat(3);
    let (said, kept) = keep("longest", &[&longest]);
    assert_eq!((count(&said), kept), (3, longest));
}

#[test]
fn a_journal_takes_no_line_without_end() {
    let long = "x".repeat(journal::LINE_BYTES_MAX);
    for (name, sent) in
        [("whole", format!("low\n{long}\nhigh\n")), ("begun", format!("low\n{long}x"))]
    {
        let (said, kept) = keep(name, &[sent.as_bytes()]);
        assert_eq!(kept, b"low\n", "{name}");
        assert_eq!(count(&said), 1, "{said}");
        assert!(said.ends_with("a line has 4096 bytes at most; yours is not kept\n"), "{said}");
    }
}
