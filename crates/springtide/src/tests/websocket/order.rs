//! What is said to WebSockets in which order, behind a close, and at their end: nothing passes what was
//! said before, nothing is told behind a close, and every message is counted.

use std::cell::Cell;

use super::Log;
use super::client::Client;
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{Bytes, Limits, Message, Overflow, Server, Socket, WebSocket, WebSockets};

thread_local! {
    /// The first that opened.
    static FIRST: Cell<Option<Socket>> = const { Cell::new(None) };
}

fn first() -> Socket {
    FIRST.get().expect("it has opened")
}

/// Does what it is told, to itself or to the first.
struct Obeys(Log);

impl WebSocket for Obeys {
    fn opened(&self, socket: Socket) {
        FIRST.set(FIRST.get().or(Some(socket)));
    }

    fn message(&self, socket: Socket, message: Message) {
        match message.as_text() {
            Some("big") => socket.send(vec![7; 1_000_000]),
            Some("two to the first") => {
                first().send("one");
                first().send("two");
            }
            Some("close behind much") => {
                socket.send(vec![7; 50_000]);
                socket.send("waits");
                socket.close();
                self.0.add(format!("open: {}", socket.is_open()));
            }
            Some("too much for the first") => {
                (0..300).for_each(|_| first().send(vec![7; 1_000]));
            }
            Some("look") => {
                self.0.add(format!("open: {}", first().is_open()));
                socket.send("looked");
            }
            Some("pings") => {
                (0..5_000).for_each(|_| socket.ping(vec![7; 100]));
                socket.send("pinged");
            }
            Some("to the first") => {
                if first().is_open() {
                    first().send("counted");
                    self.0.add("sent");
                }
                socket.send("done");
            }
            _ => {
                self.0.add("told");
                socket.send(message);
            }
        }
    }

    fn pong(&self, _: Socket, _: Bytes) {
        self.0.add("told of a pong");
    }
}

fn server(limits: Limits) -> (Server, Log) {
    FIRST.set(None);
    let log = Log::default();
    let sockets = WebSockets::new(Obeys(log.clone())).overflow(Overflow::Close);
    (Server::new().websocket("/", sockets).limits(limits), log)
}

fn stage(backend: Backend, limits: Limits) -> (Stage, Log) {
    let (server, log) = server(limits);
    (Stage::new(backend, server), log)
}

/// What a handler says in the middle of what others have said to it comes behind that.
fn nothing_passes_what_was_said_before(backend: Backend) {
    let limits = Limits { outbox_bytes_max: 10_000, ..Limits::default() };
    // Its buffers are small: the long reply stays on its way.
    let mut stage = Stage::on_unix(backend, server(limits).0, "order");
    let (mut held, mut other) = (Client::open(&mut stage), Client::open(&mut stage));
    // The second message is read when the reply to the first is being sent.
    held.send("big");
    held.send("between");
    held.flush_all(&mut stage);
    (0..10).for_each(|_| stage.turn());
    other.send("two to the first");
    other.send("look");
    assert_eq!(other.messages(&mut stage, 1), [Message::from("looked")]);
    let texts = held.messages(&mut stage, 4).split_off(1);
    let one = texts.iter().position(|text| *text == Message::from("one")).unwrap();
    assert_eq!(texts.get(one + 1), Some(&Message::from("two")), "{texts:?}");
}

/// Behind a close nothing is told, also while that waits for what was said before.
fn nothing_is_told_behind_a_close(backend: Backend) {
    let (mut stage, log) = stage(backend, Limits::default());
    let mut client = Client::open(&mut stage);
    client.send("close behind much");
    client.send("late");
    client.pong(b"late");
    assert_eq!(client.messages(&mut stage, 2).last(), Some(&Message::from("waits")));
    client.until_ended(&mut stage);
    assert_eq!(client.closed.map(|frame| frame.code()), Some(1000));
    assert_eq!(log.lines(), ["open: false"]);
}

/// Whoever holds a socket sees that it closes, whatever has closed it.
fn a_socket_that_closes_is_not_open(backend: Backend) {
    let limits = Limits { socket_queue_bytes_max: 100_000, ..Limits::default() };
    let (mut stage, log) = stage(backend, limits);
    let (held, mut other) = (Client::open(&mut stage), Client::open(&mut stage));
    for said in ["look", "too much for the first", "look"] {
        other.send(said);
        other.flush(&mut stage);
    }
    assert_eq!(other.messages(&mut stage, 2).len(), 2);
    assert_eq!(log.lines(), ["open: true", "open: false"]);
    assert!(!held.peer.is_ended(), "it has not read what was sent before");
}

/// Messages to a connection that ends at the same time are sent or dropped.
fn every_message_is_counted(backend: Backend) {
    for _ in 0..20 {
        let (mut stage, log) = stage(backend, Limits::default());
        let (going, mut other) = (Client::open(&mut stage), Client::open(&mut stage));
        other.send("to the first");
        going.peer.reset();
        assert_eq!(other.messages(&mut stage, 1), [Message::from("done")]);
        other.send("to the first");
        assert_eq!(other.messages(&mut stage, 1), [Message::from("done")]);
        let said = log.lines().iter().filter(|line| *line == "sent").count() as u64;
        let counts = stage.counts();
        assert_eq!(counts.messages_sent + counts.messages_dropped, said + 2);
    }
}

/// Pings wait in memory like anything else: too many are not sent.
fn pings_are_bounded(backend: Backend) {
    let limits = Limits { outbox_bytes_max: 10_000, ..Limits::default() };
    let (mut stage, _) = stage(backend, limits);
    let mut client = Client::open(&mut stage);
    client.send("pings");
    assert_eq!(client.messages(&mut stage, 1), [Message::from("pinged")]);
    assert!((10..200).contains(&client.pings.len()), "{}", client.pings.len());
}

over_all_backends!(
    nothing_passes_what_was_said_before,
    nothing_is_told_behind_a_close,
    a_socket_that_closes_is_not_open,
    every_message_is_counted,
    pings_are_bounded,
);
