//! What other threads say to WebSockets, over every backend: in order, bounded, and to nobody else.

use std::sync::{Arc, Mutex};

use super::client::Client;
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{CloseFrame, Limits, Message, Reason, RemoteSocket, Server, Socket, WebSocket};

/// The handles of all connections, in the order in which they came.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<Vec<RemoteSocket>>>);

impl WebSocket for Arrivals {
    fn opened(&self, socket: Socket) {
        self.0.lock().unwrap().push(socket.remote());
    }

    fn message(&self, socket: Socket, message: Message) {
        socket.send(message);
    }
}

impl Arrivals {
    fn get(&self, index: usize) -> RemoteSocket {
        self.0.lock().unwrap()[index].clone()
    }
}

fn what_threads_say_comes_in_order(backend: Backend) {
    let arrivals = Arrivals::default();
    let mut stage = Stage::new(backend, Server::new().websocket("/", arrivals.clone()));
    let mut clients = [Client::open(&mut stage), Client::open(&mut stage)];
    for (index, client) in clients.iter_mut().enumerate() {
        let socket = arrivals.get(index);
        let talking = std::thread::spawn(move || {
            for number in 0..100 {
                socket.send(format!("{index}: {number}")).unwrap();
            }
            socket.ping("and").unwrap();
        });
        let expected: Vec<Message> =
            (0..100).map(|number| format!("{index}: {number}").into()).collect();
        assert_eq!(client.messages(&mut stage, 100), expected);
        client.until(&mut stage, |client| client.pings == [b"and"]);
        talking.join().unwrap();
    }
    for (index, mut client) in clients.into_iter().enumerate() {
        let socket = arrivals.get(index);
        assert!(socket.is_open());
        socket.close().unwrap();
        client.until(&mut stage, |client| client.closed.is_some() && client.peer.is_ended());
        assert_eq!(client.closed.map(|frame| frame.code()), Some(1000));
        stage.until(|stage| {
            stage.turn();
            (!socket.is_open()).then_some(())
        });
        assert_eq!(socket.send("to nobody"), Err(Reason::Stale));
    }
}

/// What the shard has not looked at is bounded, and room is made as it looks.
fn what_waits_is_bounded(backend: Backend) {
    let limits = Limits { remote_tasks_max: 3, ..Limits::default() };
    let arrivals = Arrivals::default();
    let server = Server::new().websocket("/", arrivals.clone()).limits(limits);
    let mut stage = Stage::new(backend, server);
    let mut client = Client::open(&mut stage);
    let socket = arrivals.get(0);
    for _ in 0..3 {
        for number in 0..3 {
            assert_eq!(socket.send(format!("{number}")), Ok(()));
        }
        assert_eq!(socket.send("too much"), Err(Reason::Limit("remote_tasks_max")));
        let expected = ["0", "1", "2"].map(Message::from);
        assert_eq!(client.messages(&mut stage, 3), expected);
    }
    let close = CloseFrame::new(4001, "enough").unwrap();
    socket.close_with(close).unwrap();
    client.until_ended(&mut stage);
    assert_eq!(client.closed.map(|frame| frame.reason().to_owned()), Some("enough".to_owned()));
}

over_all_backends!(what_threads_say_comes_in_order, what_waits_is_bounded);
