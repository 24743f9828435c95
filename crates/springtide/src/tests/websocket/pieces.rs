//! What leaves in one send: the head of a reply or of a frame and its payload, joined without a copy.
//! A stand-in notes where each piece of a send lies.

use std::sync::Arc;

use super::client::Client;
use crate::tests::freeze::refusal::{Refused, Sends};
use crate::tests::{Backend, Stage};
use crate::{Bytes, Message, Server, Socket};

/// Longer than what is copied behind a head.
const LENGTH: usize = 4096;

/// A stage over a stand-in, and what that notes.
fn noted(server: Server) -> (Stage, Sends) {
    let mut stage = Stage::new(Backend::Simulated, server);
    let (engine, sends) = (stage.spare_engine(), Sends::default());
    stage.move_over(Box::new(Refused { sends: Arc::clone(&sends), ..Refused::over(engine) }));
    (stage, sends)
}

/// The send that has a payload: it is that very memory, behind a head of its own.
fn assert_joined(sends: &Sends, payload: &Bytes) {
    let (place, sends) = (payload.as_ptr().addr(), sends.lock().unwrap());
    let send = sends.iter().find(|send| send.contains(&(place, LENGTH)));
    let send = send.unwrap_or_else(|| panic!("it was copied: {sends:?}"));
    assert_eq!(send.len(), 2, "a head and the payload: {send:?}");
    assert_eq!(send[1], (place, LENGTH));
}

#[test]
fn a_reply_is_its_head_and_its_body_where_it_lies() {
    let payload = Bytes::from(vec![b'x'; LENGTH]);
    let own = payload.clone();
    let (mut stage, sends) = noted(Server::new().get("/", move || own.clone()));
    let mut peer = stage.connect();
    let reply =
        stage.talk_to_end(&mut peer, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(reply.ends_with(&"x".repeat(LENGTH)));
    assert_joined(&sends, &payload);
}

#[test]
fn a_message_is_its_head_and_its_payload_where_it_lies() {
    let payload = Bytes::from(vec![b'x'; LENGTH]);
    let own = payload.clone();
    let server = Server::new().websocket("/", move |socket: Socket, _: Message| {
        socket.send(own.clone());
    });
    let (mut stage, sends) = noted(server);
    let mut client = Client::open(&mut stage);
    client.send("more");
    assert_eq!(client.messages(&mut stage, 1), [Message::Binary(payload.clone())]);
    assert_joined(&sends, &payload);
}
