//! WebSockets over every backend: handshakes, messages however they are cut, and every way in which a
//! connection ends. The peer's side is the client's machine, so both are held to one form.

mod awaited;
pub(in crate::tests) mod client;
mod compressed;
mod ending;
mod handshake;
mod lent;
mod long;
mod moved;
mod order;
mod pieces;
mod queue;
mod remote;
mod stalled;
mod streamed;
mod timed;
mod topics;

use std::sync::{Arc, Mutex};

use super::{Backend, Stage, over_all_backends};
use crate::{Bytes, CloseReason, Message, Server, Socket, WebSocket};
use client::{Client, OFFER, close, frame};

/// What happened, in order; a handler that echoes and obeys.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn server(&self) -> Server {
        Server::new().websocket("/", self.clone())
    }
}

impl WebSocket for Log {
    fn opened(&self, socket: Socket) {
        assert!(socket.is_open());
        self.add("opened");
    }

    fn message(&self, socket: Socket, message: Message) {
        match message.as_text() {
            Some("close") => socket.close(),
            Some("panic") => panic!("on purpose"),
            Some("ping") => socket.ping("from here"),
            Some("twice") => {
                socket.send("one");
                socket.send("two");
                socket.close();
                socket.send("three");
            }
            _ => socket.send(message),
        }
    }

    fn pong(&self, _: Socket, payload: Bytes) {
        self.add(format!("pong {payload:?}"));
    }

    fn closed(&self, socket: Socket, reason: CloseReason) {
        assert!(!socket.is_open());
        socket.send("to nobody");
        self.add(format!("{reason} ({} sent, {} dropped)", reason.sent(), reason.dropped()));
    }
}

/// What is sent comes back as it was, of any length, in one stream with its handshake or not.
fn what_is_sent_is_echoed(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server());
    let mut client = Client::open(&mut stage);
    let mut expected = Vec::new();
    for length in [0, 1, 125, 126, 1024, 1025, 4096, 20_000, 65_536] {
        let text = "tide".repeat(length / 4);
        let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
        client.send(text.as_str());
        client.send(bytes.clone());
        expected.extend([Message::from(text), bytes.into()]);
    }
    assert_eq!(client.messages(&mut stage, expected.len()), expected);
    let counts = stage.counts();
    assert_eq!((counts.messages_received, counts.messages_sent), (18, 18));
    client.close(&mut stage);
    let ended = "the peer closed with 1000 (18 sent, 0 dropped)";
    assert_eq!(log.lines(), ["opened", ended]);
}

/// Bytes right behind the handshake are the first messages, however all of it is cut.
fn bytes_behind_the_handshake_are_not_lost(backend: Backend) {
    let behind = [frame("first"), frame("second"), close(1000)].concat();
    let said = [OFFER.as_bytes(), &behind].concat();
    for step in [said.len(), OFFER.len() + 3, 1] {
        let log = Log::default();
        let mut stage = Stage::new(backend, log.server());
        let mut client = Client::connect(&stage);
        for piece in said.chunks(step) {
            client.write(&mut stage, piece);
            stage.turn();
        }
        client.read_head(&mut stage);
        assert_eq!(client.messages(&mut stage, 2), [Message::from("first"), "second".into()]);
        client.until_ended(&mut stage);
        assert_eq!(log.lines(), ["opened", "the peer closed with 1000 (2 sent, 0 dropped)"]);
    }
}

/// Fragments with pings between them, byte by byte.
fn fragments_are_joined(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server());
    let mut client = Client::open(&mut stage);
    for (part, is_last) in [("hi", false), ("gh ti", false), ("de", true)] {
        client.send_part(part, is_last);
        client.ping(b"between");
    }
    client.flush_by(&mut stage, 1);
    assert_eq!(client.messages(&mut stage, 1), [Message::from("high tide")]);
    client.until(&mut stage, |client| client.pongs.len() == 3);
    assert_eq!(client.pongs, [b"between"; 3]);
}

fn a_handler_may_ping(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server());
    let mut client = Client::open(&mut stage);
    client.send("ping");
    stage.until(|stage| {
        client.step(stage);
        (log.lines().len() == 2).then_some(())
    });
    assert_eq!(log.lines()[1], "pong b\"from here\"");
}

/// Thousands of messages in one stream come back in order, and nothing is held that is not owed.
fn thousands_are_echoed_in_order(backend: Backend) {
    let mut stage = Stage::new(backend, Log::default().server());
    let mut client = Client::open(&mut stage);
    let expected: Vec<Message> =
        (0..5_000).map(|number| format!("message {number}").into()).collect();
    for message in &expected {
        client.send(message.clone());
    }
    assert_eq!(client.messages(&mut stage, expected.len()), expected);
    assert_eq!(stage.bytes_held(), 0);
}

/// Handles that a handler of one connection keeps reach the others, whatever engine the shard has by then.
fn sockets_can_be_kept(backend: Backend) {
    thread_local! {
        static OPEN: std::cell::RefCell<Vec<Socket>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    struct Chat;
    impl WebSocket for Chat {
        fn opened(&self, socket: Socket) {
            OPEN.with_borrow_mut(|open| open.push(socket));
        }

        fn message(&self, _: Socket, message: Message) {
            let open = OPEN.with_borrow(Vec::clone);
            for number in 0..3 {
                let text = format!("{} {number}", message.as_text().unwrap());
                open.iter().for_each(|socket| socket.send(text.clone()));
            }
        }

        fn closed(&self, socket: Socket, _: CloseReason) {
            OPEN.with_borrow_mut(|open| open.retain(|own| own.id() != socket.id()));
        }
    }
    OPEN.with_borrow_mut(Vec::clear);
    let mut stage = Stage::new(backend, Server::new().websocket("/", Chat));
    let mut clients = [(); 3].map(|()| Client::open(&mut stage));
    for round in 0..5 {
        clients[round % 3].send(format!("round {round}"));
        let expected: Vec<Message> =
            (0..3).map(|at| format!("round {round} {at}").into()).collect();
        clients[round % 3].flush(&mut stage);
        for client in &mut clients {
            assert_eq!(client.messages(&mut stage, 3), expected);
        }
    }
    for mut client in clients {
        client.leave(&mut stage);
    }
    stage.until(|_| OPEN.with_borrow(|open| open.is_empty()).then_some(()));
}

over_all_backends!(
    what_is_sent_is_echoed,
    bytes_behind_the_handshake_are_not_lost,
    fragments_are_joined,
    a_handler_may_ping,
    thousands_are_echoed_in_order,
    sockets_can_be_kept,
);
