//! WebSockets beside other connections on a shard that is frozen: all of them change places, and handles
//! that are kept, or that futures hold, lead to their own.

use std::cell::Cell;

use super::client::Client;
use crate::tests::{Backend, Peer, Stage, over_all_backends};
use crate::{CloseReason, Message, Messages, Server, Socket, WebSocket};

thread_local! {
    static KEPT: Cell<Option<Socket>> = const { Cell::new(None) };
}

/// Speaks by the handle that it was opened with.
struct Keeps;

impl WebSocket for Keeps {
    fn opened(&self, socket: Socket) {
        KEPT.set(Some(socket));
    }

    fn message(&self, _: Socket, message: Message) {
        KEPT.get().expect("it was opened").send(message);
    }

    fn closed(&self, _: Socket, _: CloseReason) {
        assert!(!KEPT.get().expect("it was opened").is_open());
    }
}

async fn echo(socket: Socket, mut messages: Messages) -> Result<(), crate::Failure> {
    while let Some(message) = messages.next().await? {
        socket.send(message);
    }
    Ok(())
}

const REQUEST: &[u8] = b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";

fn kept_handles_lead_to_their_own(backend: Backend) {
    for is_async in [false, true] {
        let server = Server::new().get("/plain", || "plain");
        let server = match is_async {
            false => server.websocket("/", Keeps),
            true => server.websocket_async("/", echo),
        };
        let mut stage = Stage::new(backend, server);
        let mut others: Vec<Peer> = (0..3).map(|_| stage.connect()).collect();
        let mut client = Client::open(&mut stage);
        others.extend((0..3).map(|_| stage.connect()));
        for round in 0..6 {
            for other in &mut others {
                let reply = stage.talk(other, REQUEST, 1);
                assert!(reply.starts_with(b"HTTP/1.1 200"));
            }
            // Whoever goes leaves a place to others.
            others.swap_remove(round * 7 % others.len()).shutdown();
            stage.until(|stage| {
                stage.turn();
                (stage.counts().connections_open == 1 + others.len() as u64).then_some(())
            });
            let spare = stage.spare_engine();
            stage.move_over(spare);
            let text = format!("round {round}");
            client.send(text.as_str());
            assert_eq!(client.messages(&mut stage, 1), [Message::from(text)]);
        }
        client.close(&mut stage);
    }
}

over_all_backends!(kept_handles_lead_to_their_own);
