//! Datagrams over every backend: what handlers and tasks are given, and what ends none of it.
//! Loopback and a calm world keep all of them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::{Backend, Correspondent, Stage, over_all_backends};
use crate::{DatagramSocket, Failure, Limits, Peer, Reason, Server};

type Log = Arc<Mutex<Vec<String>>>;

fn next(stage: &mut Stage, outside: &Correspondent) -> (Vec<u8>, SocketAddr) {
    stage.until(|stage| {
        stage.turn();
        outside.receive()
    })
}

fn echo() -> Server {
    Server::new()
        .datagrams("127.0.0.1:0", |socket, datagram| {
            assert_ne!(&datagram.bytes[..], b"panic", "as it was told");
            let cut = if datagram.is_cut() { "cut" } else { "whole" };
            let answer = format!("{} of {} {cut}", datagram.bytes.len(), datagram.length());
            socket.send_to(answer, datagram.from).detach();
        })
        .unwrap()
}

/// Each is handled once and answered, also when one before it was cut, led nowhere or made its handler
/// panic.
fn datagrams_are_answered(backend: Backend) {
    let limits = Limits { datagram_bytes_max: 1000, ..Limits::default() };
    let mut stage = Stage::new(backend, echo().limits(limits));
    let (post, outside) = (stage.post[0], stage.correspondent());
    for (length, answer) in [
        (0, "0 of 0 whole"),
        (1, "1 of 1 whole"),
        (1000, "1000 of 1000 whole"),
        (1001, "1000 of 1001 cut"),
        (20_000, "1000 of 20000 cut"),
    ] {
        outside.send_to(&vec![b'x'; length], post);
        assert_eq!(next(&mut stage, &outside), (answer.into(), post));
    }
    outside.send_to(b"panic", post);
    let gone = stage.correspondent();
    gone.send_to(b"who is gone before the answer", post);
    drop(gone);
    for _ in 0..20 {
        stage.turn();
    }
    for _ in 0..100 {
        outside.send_to(b"and on", post);
    }
    for _ in 0..100 {
        assert_eq!(next(&mut stage, &outside).0, b"6 of 6 whole");
    }
    assert_eq!(outside.receive(), None);
    assert_eq!(stage.counts().panics_total, 1);
}

/// What a connection of the test below does with a socket.
async fn use_socket(peer: Peer, log: Log) -> Result<(), Failure> {
    let say = |line: String| log.lock().unwrap().push(line);
    let to: SocketAddr = {
        let line = peer.pull_until("\n", 64).await?.unwrap_or_default();
        std::str::from_utf8(&line)?.trim().parse()?
    };
    let socket = DatagramSocket::bind(([127, 0, 0, 1], 0))?;
    let busy = DatagramSocket::bind(socket.local_address().unwrap());
    say(format!("busy {}", matches!(busy, Err(Reason::System(_)))));
    let [first, second] = [socket.receive_from(), socket.receive_from()];
    let dropped = socket.receive_from();
    let third = socket.receive_from();
    drop(dropped);
    drop(socket.send_to("withdrawn", to));
    say(format!("sent {:?}", socket.send_to("hello", to).await?));
    say(format!("second {:?}", second.await?.bytes));
    say(format!("first {:?}", first.await?.bytes));
    third.cancel();
    say(format!("third {:?}", third.await.map(|came| came.bytes)));
    say(format!("long {:?}", socket.send_to(vec![0; 70_000], to).await.is_err()));
    peer.push("all sent\n").await?;
    peer.pull().await?;
    for _ in 0..3 {
        say(format!("waited {:?}", socket.receive_from().await?.bytes));
    }
    let waiting = socket.receive_from();
    socket.close().await?;
    say(format!("{:?}", waiting.await.map(|came| came.bytes)));
    say(format!("{:?} {:?}", socket.send_to("", to).await, socket.local_address()));
    Ok(())
}

/// Sockets of the application: tasks are served in order, what nobody asks for waits to a limit, and a
/// socket that is closed is closed.
fn sockets_are_tasks(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server =
        Server::new().raw_async(async move |peer: Peer| use_socket(peer, own.clone()).await);
    let mut stage = Stage::new(backend, server);
    let outside = stage.correspondent();
    let mut peer = stage.connect();
    let line = format!("{}\n", outside.address());
    assert_eq!(peer.write(line.as_bytes()), line.len());
    let (hello, socket) = next(&mut stage, &outside);
    assert_eq!(hello, b"hello");
    for word in ["one", "two"] {
        outside.send_to(word.as_bytes(), socket);
    }
    let is_simulated = backend.is_simulated();
    if is_simulated {
        // A world sends what no system would.
        stage.until(|stage| {
            stage.turn();
            outside.receive()
        });
    }
    assert_eq!(stage.talk(&mut peer, b"", 9), b"all sent\n");
    for word in ["three", "four", "five"] {
        outside.send_to(word.as_bytes(), socket);
    }
    assert_eq!(stage.talk_to_end(&mut peer, b"go on"), "");
    let lines = log.lock().unwrap();
    assert_eq!(
        *lines,
        [
            "busy true",
            "sent b\"hello\"",
            "second b\"two\"",
            "first b\"one\"",
            "third Err(Cancelled)",
            &format!("long {}", !is_simulated),
            "waited b\"three\"",
            "waited b\"four\"",
            "waited b\"five\"",
            "Err(Closed)",
            "Err(Stale) None",
        ]
    );
}

/// What nobody takes waits up to a limit, and tasks do; a server that stops ends all of them.
fn what_waits_has_a_limit(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |peer: Peer| {
        let own = own.clone();
        let socket = DatagramSocket::bind(([127, 0, 0, 1], 0))?;
        peer.push(format!("{}\n", socket.local_address().unwrap())).await?;
        let tasks = [(); 4].map(|()| socket.receive_from());
        for (number, task) in tasks.into_iter().enumerate() {
            let own = own.clone();
            task.then_result(move |_, came| {
                let came = came.map(|came| came.bytes);
                own.lock().unwrap().push(format!("{number} {came:?}"));
            });
        }
        peer.pull().await?;
        Ok(())
    });
    let limits = Limits { datagrams_waiting_max: 3, ..Limits::default() };
    let mut stage = Stage::new(backend, server.limits(limits));
    let outside = stage.correspondent();
    let mut peer = stage.connect();
    let line = String::from_utf8(stage.talk(&mut peer, b"", 10)).unwrap();
    outside.send_to(b"one", line.trim().parse().unwrap());
    stage.until(|stage| {
        stage.turn();
        (log.lock().unwrap().len() == 2).then_some(())
    });
    stage.turns_to_end();
    let lines = log.lock().unwrap();
    let limit = Reason::Limit("datagrams_waiting_max");
    assert_eq!(lines[..2], [format!("3 Err({limit:?})"), "0 Ok(b\"one\")".to_owned()]);
    assert_eq!(lines[2..], ["1 Err(Stopped)", "2 Err(Stopped)"]);
}

over_all_backends!(datagrams_are_answered, sockets_are_tasks, what_waits_has_a_limit);
