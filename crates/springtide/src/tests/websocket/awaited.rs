//! WebSockets whose handler is a future: what it is given and when, what holds what up, and every end.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::Log;
use super::client::{Client, close, frame};
use crate::tests::{Backend, Stage, over_all_backends, over_simulated_backends};
use crate::{CloseFrame, Limits, Message, MessageParts, Messages, Server, Socket, WebSockets};

/// Where futures wait until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(AtomicBool, Mutex<Vec<Waker>>)>);

impl Gate {
    fn open(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        self.0.1.lock().unwrap().drain(..).for_each(Waker::wake);
    }

    async fn passed(&self) {
        poll_fn(|context| match self.0.0.load(Ordering::SeqCst) {
            true => Poll::Ready(()),
            false => {
                self.0.1.lock().unwrap().push(context.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }
}

/// Notes that what holds it was dropped.
struct Dropped(Log);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add("dropped");
    }
}

/// Echoes, behind a gate, and notes what it is told and when it goes.
fn echo(log: &Log, gate: &Gate) -> Server {
    let (log, gate) = (log.clone(), gate.clone());
    Server::new().websocket_async("/", async move |socket: Socket, mut messages: Messages| {
        let _dropped = Dropped(log.clone());
        loop {
            gate.passed().await;
            match messages.next().await {
                Ok(Some(message)) if message.as_text() == Some("panic") => panic!("on purpose"),
                Ok(Some(message)) if message.as_text() == Some("fail") => {
                    Err(std::io::Error::other("on purpose"))?;
                }
                Ok(Some(message)) if message.as_text() == Some("return") => return Ok(()),
                Ok(Some(message)) => socket.send(message),
                Ok(None) => {
                    log.add(format!("{}", messages.reason().unwrap()));
                    return Ok(());
                }
                Err(lost) => {
                    log.add(format!("lost: {lost}"));
                    return Err(lost.into());
                }
            }
        }
    })
}

pub(super) fn opened(backend: Backend, server: Server) -> (Stage, Client) {
    let mut stage = Stage::new(backend, server);
    let client = Client::open(&mut stage);
    (stage, client)
}

pub(super) fn lines(stage: &mut Stage, log: &Log, expected: &[&str]) {
    stage.until(|_| (log.lines().len() >= expected.len()).then_some(()));
    assert_eq!(log.lines(), expected);
}

fn open_gate() -> Gate {
    let gate = Gate::default();
    gate.open();
    gate
}

/// Thousands of messages go through the future in order, however often its shard is frozen.
fn messages_are_echoed_in_order(backend: Backend) {
    let log = Log::default();
    let (mut stage, mut client) = opened(backend, echo(&log, &open_gate()));
    let expected: Vec<Message> = (0..3_000)
        .map(|number| "x".repeat(number % 300).into())
        .chain([Message::from(vec![7; 60_000])])
        .collect();
    for message in &expected {
        client.send(message.clone());
    }
    assert_eq!(client.messages(&mut stage, expected.len()), expected);
    assert_eq!(stage.bytes_held(), 0);
    client.close(&mut stage);
    lines(&mut stage, &log, &["the peer closed with 1000", "dropped"]);
}

/// Messages and a close in one stream with the handshake: all are answered before the close is.
fn a_close_is_answered_behind_the_messages(backend: Backend) {
    let (log, gate) = (Log::default(), Gate::default());
    let mut stage = Stage::new(backend, echo(&log, &gate));
    let mut client = Client::connect(&stage);
    let said = [super::OFFER.as_bytes(), &frame("one"), &frame("two"), &close(4000)].concat();
    client.write(&mut stage, &said);
    client.read_head(&mut stage);
    stage.until(|stage| (stage.counts().messages_received == 2).then_some(()));
    (0..50).for_each(|_| client.step(&mut stage));
    assert!(client.closed.is_none() && log.lines().is_empty());
    gate.open();
    assert_eq!(client.messages(&mut stage, 2), [Message::from("one"), "two".into()]);
    client.until_ended(&mut stage);
    assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(4000));
    lines(&mut stage, &log, &["the peer closed with 4000", "dropped"]);
}

/// What is not asked for is not received: a bounded part of a flood is held, and all of it comes.
fn a_future_that_does_not_ask_holds_its_peer_up(backend: Backend) {
    const COUNT: usize = 5_000;
    let (log, gate) = (Log::default(), Gate::default());
    let (mut stage, mut client) = opened(backend, echo(&log, &gate));
    let flood: Vec<u8> =
        (0..COUNT).flat_map(|number| frame(number.to_string().repeat(500))).collect();
    let mut written = 0;
    for _ in 0..500 {
        written += client.peer.write(&flood[written..]);
        stage.turn();
    }
    assert!(written < flood.len(), "somebody stopped it");
    assert!(stage.bytes_held() < 1 << 19, "{}", stage.bytes_held());
    assert!(stage.counts().messages_received < 100);
    gate.open();
    let mut read = 0;
    while read < COUNT {
        written += client.peer.write(&flood[written..]);
        for message in client.messages(&mut stage, 1) {
            assert_eq!(message.as_text().unwrap(), read.to_string().repeat(500));
            read += 1;
        }
    }
    assert_eq!(stage.bytes_held(), 0);
}

/// Each way in which a future ends has its code.
fn its_end_closes_the_connection(backend: Backend) {
    for (said, code, panics) in [("return", 1000, 0), ("fail", 1011, 0), ("panic", 1011, 1)] {
        let log = Log::default();
        let (mut stage, mut client) = opened(backend, echo(&log, &open_gate()));
        client.send("before");
        client.send(said);
        client.send("behind");
        assert_eq!(client.messages(&mut stage, 1), [Message::from("before")]);
        client.until_ended(&mut stage);
        assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(code), "{said}");
        assert_eq!(stage.counts().panics_total, panics);
        lines(&mut stage, &log, &["dropped"]);
    }
}

/// One that waits for messages is told of the end; one that waits elsewhere is dropped there.
fn the_end_of_the_connection_ends_it(backend: Backend) {
    for (gate, expected) in [
        (open_gate(), ["lost: the peer has reset the connection", "dropped"].as_slice()),
        (Gate::default(), &["dropped"]),
    ] {
        let log = Log::default();
        let (mut stage, mut client) = opened(backend, echo(&log, &gate));
        client.flush(&mut stage);
        (0..10).for_each(|_| stage.turn());
        client.peer.reset();
        lines(&mut stage, &log, expected);
    }
}

/// A peer that ends its stream without a close is lost, behind the answers to what it said.
fn the_end_of_the_stream_waits_for_the_future(backend: Backend) {
    let (log, gate) = (Log::default(), Gate::default());
    let (mut stage, mut client) = opened(backend, echo(&log, &gate));
    client.send("one");
    client.flush(&mut stage);
    client.peer.shutdown();
    (0..50).for_each(|_| stage.turn());
    assert!(log.lines().is_empty());
    gate.open();
    assert_eq!(client.messages(&mut stage, 1), [Message::from("one")]);
    lines(&mut stage, &log, &["lost: the peer has ended the connection", "dropped"]);
}

/// A server that stops closes with 1001, and says so to the future.
fn a_stop_is_told(backend: Backend) {
    let log = Log::default();
    let (mut stage, mut client) = opened(backend, echo(&log, &open_gate()));
    client.flush(&mut stage);
    stage.send(crate::mailbox::Message::Drain { within_ms: 30_000 });
    client.until(&mut stage, |client| client.closed.is_some());
    assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1001));
    client.step(&mut stage);
    lines(&mut stage, &log, &["closed here with 1001: the server stops", "dropped"]);
}

/// Who waits until its peer is not behind never fills the queue, and sends all.
fn ready_waits_for_the_peer(backend: Backend) {
    const COUNT: u32 = 4_000;
    let handler = WebSockets::new_async(async |socket: Socket, _: Messages| {
        for number in 0..COUNT {
            socket.send([number.to_be_bytes().as_slice(), &[7; 996]].concat());
            socket.ready().await?;
        }
        Ok(())
    });
    let limits = Limits { socket_queue_bytes_max: 100_000, ..Limits::default() };
    let (mut stage, mut client) =
        opened(backend, Server::new().websocket("/", handler).limits(limits));
    for _ in 0..2_000 {
        stage.turn();
        assert!(stage.bytes_held() < 200_000, "{}", stage.bytes_held());
    }
    let read = client.messages(&mut stage, COUNT as usize);
    for (number, message) in read.iter().enumerate() {
        assert_eq!(message.as_bytes()[..4], (number as u32).to_be_bytes());
    }
    assert_eq!(read.len(), COUNT as usize);
    client.until_ended(&mut stage);
    assert_eq!(stage.counts().messages_dropped, 0);
}

/// Who waits for that hears of the end of the connection.
fn ready_fails_at_the_end(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().websocket_async("/", async move |socket: Socket, _: Messages| {
        let reason = loop {
            socket.send(vec![7; 100_000]);
            if let Err(reason) = socket.ready().await {
                break reason;
            }
        };
        own.add(reason.to_string());
        assert_eq!(socket.ready().await, Err(crate::Reason::Stale));
        own.add("stale");
        Ok(())
    });
    let (mut stage, client) = opened(backend, server);
    (0..200).for_each(|_| stage.turn());
    client.peer.reset();
    stage.until(|_| (log.lines().len() == 2).then_some(()));
    assert_ne!(log.lines()[0], "the connection is gone", "it has waited");
}

/// A handler that wants no messages holds nothing up, and a push to nobody ends with its connection.
fn messages_may_be_dropped(backend: Backend) {
    let gate = Gate::default();
    let own = gate.clone();
    let server =
        Server::new().websocket_async("/", async move |socket: Socket, messages: Messages| {
            drop(messages);
            own.passed().await;
            socket.send("late");
            Ok(())
        });
    let (mut stage, mut client) = opened(backend, server);
    (0..500).for_each(|_| client.send("nobody hears this"));
    client.flush(&mut stage);
    stage.until(|stage| (stage.counts().messages_received == 500).then_some(()));
    assert_eq!(stage.bytes_held(), 0);
    gate.open();
    assert_eq!(client.messages(&mut stage, 1), [Message::from("late")]);
    client.until_ended(&mut stage);
}

/// A long message comes in parts as it is sent, with other messages around it, and nothing of it is held
/// but what waits.
fn long_messages_come_in_parts(backend: Backend) {
    const LENGTH: usize = 3_000_000;
    let (log, gate) = (Log::default(), Gate::default());
    let (own, open) = (log.clone(), gate.clone());
    let sockets =
        WebSockets::in_parts(10_000, async move |socket: Socket, mut parts: MessageParts| {
            let (mut count, mut said) = (0, Vec::new());
            while let Some(part) = parts.next().await? {
                open.passed().await;
                (count, said) = (count + 1, [said, part.piece.as_bytes().to_vec()].concat());
                assert!(part.is_last || part.piece.len() >= 10_000);
                if part.is_last {
                    let whole = String::from_utf8(std::mem::take(&mut said)).unwrap();
                    assert!(whole.chars().all(|own| own == 'ö'));
                    socket.send(format!("{}", whole.len()));
                    own.add(if count == 1 { "whole" } else { "parts" });
                    count = 0;
                }
            }
            Ok(())
        });
    let sockets = sockets.message_bytes_max(LENGTH as u64).compress(crate::Compression::Shared);
    let (mut stage, mut client) = opened(backend, Server::new().websocket("/", sockets));
    let mut said = frame("ö");
    said.extend(frame("ö".repeat(LENGTH / 2)));
    said.extend(frame("ö".repeat(4_999)));
    let mut written = 0;
    for _ in 0..300 {
        written += client.peer.write(&said[written..]);
        stage.turn();
        assert!(stage.bytes_held() < LENGTH / 3, "{}", stage.bytes_held());
    }
    gate.open();
    while client.messages(&mut stage, 0).is_empty() && written < said.len() {
        written += client.peer.write(&said[written..]);
        stage.turn();
    }
    let expected = ["2", "3000000", "9998"].map(Message::from);
    assert_eq!(client.messages(&mut stage, 3), expected);
    assert_eq!(log.lines(), ["whole", "parts", "whole"]);
    assert_eq!((stage.counts().messages_received, stage.bytes_held()), (3, 0));
    // Any number of fragments.
    for number in 0..=100 {
        client.send_part("ö", number == 100);
    }
    assert_eq!(client.messages(&mut stage, 1), [Message::from("202")]);
    client.send("ö".repeat(LENGTH));
    client.until_ended(&mut stage);
    assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1009));
}

/// Messages in pieces, with others around and between them, to a peer that reads late: what is said
/// meanwhile waits, pings do not, and little is held.
fn messages_leave_in_pieces(backend: Backend) {
    const PIECES: usize = 400;
    let server = Server::new().websocket_async("/", async |socket: Socket, _: Messages| {
        socket.send("before");
        let (mut first, mut second) = (socket.stream(), socket.stream());
        first.write("first ").await?;
        socket.send("between");
        socket.ping("ping");
        for _ in 0..PIECES {
            first.write("x".repeat(10_000)).await?;
        }
        assert_eq!(first.write(vec![7]).await, Err(crate::Reason::Failed));
        first.finish().await?;
        second.write(vec![1; 300_000]).await?;
        second.write(vec![2]).await?;
        second.finish().await?;
        socket.stream().finish().await?;
        drop(socket.stream());
        Ok(())
    });
    let (mut stage, mut client) = opened(backend, server);
    for _ in 0..1_000 {
        stage.turn();
        assert!(stage.bytes_held() < 1 << 20, "{}", stage.bytes_held());
    }
    client.until(&mut stage, |client| client.pings.len() == 1);
    let read = client.messages(&mut stage, 5);
    let first = format!("first {}", "x".repeat(10_000 * PIECES));
    let second = [vec![1; 300_000], vec![2]].concat();
    let expected = [
        Message::from("before"),
        first.into(),
        "between".into(),
        second.into(),
        Message::from(Vec::new()),
    ];
    assert!(read == expected, "{:?}", read.iter().map(Message::len).collect::<Vec<_>>());
    client.until_ended(&mut stage);
    assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1000));
    assert_eq!((stage.counts().messages_sent, stage.counts().messages_dropped), (5, 0));
}

/// A message that is not finished is cut, so that nobody takes a part for the whole.
fn an_unfinished_message_is_cut(backend: Backend) {
    let server =
        Server::new().websocket_async("/", async |socket: Socket, mut messages: Messages| {
            let mut message = socket.stream();
            message.write("half").await?;
            messages.next().await?;
            Ok(())
        });
    let (mut stage, mut client) = opened(backend, server);
    client.send("go on");
    client.until_ended(&mut stage);
    assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1011));
    assert!(client.messages(&mut stage, 1).is_empty());
    assert_eq!(stage.bytes_held(), 0);
}

over_all_backends!(
    messages_leave_in_pieces,
    an_unfinished_message_is_cut,
    long_messages_come_in_parts,
    messages_are_echoed_in_order,
    a_close_is_answered_behind_the_messages,
    a_future_that_does_not_ask_holds_its_peer_up,
    its_end_closes_the_connection,
    the_end_of_the_connection_ends_it,
    the_end_of_the_stream_waits_for_the_future,
    a_stop_is_told,
    ready_waits_for_the_peer,
    ready_fails_at_the_end,
    messages_may_be_dropped,
);

mod timed {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A future that does not take what has come is waited for as long as a close has to be answered.
    fn a_close_is_answered_for_a_future_that_sleeps(backend: Backend) {
        let log = Log::default();
        let (mut stage, mut client) = opened(backend, echo(&log, &Gate::default()));
        client.write(&mut stage, &[frame("one"), close(1000)].concat());
        stage.advance(Duration::ZERO);
        stage.advance(SECOND * 4);
        client.step(&mut stage);
        assert!(client.closed.is_none());
        stage.advance(SECOND);
        client.until_ended(&mut stage);
        assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1000));
        lines(&mut stage, &log, &["dropped"]);
        assert_eq!(stage.met("socket_close_timeout"), 1);
    }

    /// The same where the peer has ended its stream behind its close.
    fn a_close_is_answered_behind_the_end_of_the_stream(backend: Backend) {
        let log = Log::default();
        let (mut stage, mut client) = opened(backend, echo(&log, &Gate::default()));
        client.write(&mut stage, &[frame("one"), close(1000)].concat());
        client.peer.shutdown();
        (0..50).for_each(|_| stage.turn());
        stage.advance(SECOND * 4);
        client.step(&mut stage);
        assert!(client.closed.is_none());
        stage.advance(SECOND);
        client.until_ended(&mut stage);
        assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1000));
        lines(&mut stage, &log, &["dropped"]);
        assert_eq!(stage.met("socket_close_timeout"), 1);
    }

    /// A peer that was held up when the server stopped has to answer its close in time.
    fn a_peer_that_is_held_up_answers_a_close_in_time(backend: Backend) {
        let (log, gate) = (Log::default(), Gate::default());
        let (mut stage, mut client) = opened(backend, echo(&log, &gate));
        (0..40).for_each(|_| client.send("x"));
        client.flush(&mut stage);
        stage.advance(Duration::ZERO);
        stage.send(crate::mailbox::Message::Drain { within_ms: 600_000 });
        (0..50).for_each(|_| stage.turn());
        stage.advance(SECOND * 4);
        assert!(log.lines().is_empty());
        stage.advance(SECOND * 2);
        lines(&mut stage, &log, &["dropped"]);
        assert_eq!(stage.met("socket_close_timeout"), 1);
    }

    /// Whether a peer lives that is held up cannot be told: it is not cut, and goes on.
    fn a_peer_that_is_held_up_is_not_dead(backend: Backend) {
        let (log, gate) = (Log::default(), Gate::default());
        let (mut stage, mut client) = opened(backend, echo(&log, &gate));
        (0..40).for_each(|_| client.send("x"));
        client.flush(&mut stage);
        stage.advance(Duration::ZERO);
        stage.advance(SECOND * 600);
        gate.open();
        assert_eq!(client.messages(&mut stage, 40).len(), 40);
        // It is asked again from then on.
        stage.advance(SECOND * 26);
        client.until(&mut stage, |client| client.pings.len() == 1);
        client.flush(&mut stage);
        client.close(&mut stage);
    }

    over_simulated_backends!(
        a_close_is_answered_for_a_future_that_sleeps,
        a_close_is_answered_behind_the_end_of_the_stream,
        a_peer_that_is_held_up_is_not_dead,
        a_peer_that_is_held_up_answers_a_close_in_time,
    );
}
