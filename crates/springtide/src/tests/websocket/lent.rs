//! Messages longer than what is taken at once: what is to come of a frame is received into the memory of its
//! message, and nothing of that is to be seen.

use super::Log;
use super::client::{Client, frame};
use crate::mailbox::Message as Order;
use crate::tests::{Backend, Stage, over_all_backends, over_simulated_backends};
use crate::{Bytes, Compression, Limits, Message, Messages, Server, Socket, WebSocket, WebSockets};

const LONGEST: usize = 1 << 20;
/// With more than that of each to come, no chunk of it is received.
const LONG: usize = 200_000;

fn binary(length: usize) -> Message {
    Message::Binary((0..length).map(|index| (index % 251) as u8).collect::<Vec<u8>>().into())
}

fn text(length: usize) -> Message {
    Message::from("aö€".repeat(length / 6))
}

/// Echoes messages as long as that: called, or in a future.
fn servers() -> [Server; 2] {
    let called = WebSockets::new(Log::default());
    let awaited = WebSockets::new_async(async |socket: Socket, mut messages: Messages| {
        while let Some(message) = messages.next().await? {
            socket.ready().await?;
            socket.send(message);
        }
        Ok(())
    });
    [called, awaited].map(|own| Server::new().websocket("/", own.message_bytes_max(LONGEST as u64)))
}

/// Whatever their lengths are in which order, messages come back as they were sent, and nothing is kept.
fn messages_of_any_length_come_as_they_were(backend: Backend) {
    let share = 128 << 10;
    let lengths = [70_000, share, share + 1, 12, LONGEST, 30_000, 30_000, 30_000, share - 8, share];
    for server in servers() {
        let mut stage = Stage::new(backend, server);
        let mut clients = [Client::open(&mut stage), Client::open(&mut stage)];
        for length in lengths.into_iter().chain([LONGEST, LONG, LONG, 5, 5, 5, 5, LONG]) {
            for client in &mut clients {
                for message in [binary(length), text(length)] {
                    client.send(message.clone());
                    assert!(client.messages(&mut stage, 1) == [message], "{length} bytes");
                }
            }
        }
        assert!(stage.bytes_held() < 4096, "{} bytes are kept", stage.bytes_held());
    }
}

/// Wherever a message is cut, also within its head and behind it, the rest is read as what it is.
fn a_message_that_is_cut_is_whole(backend: Backend) {
    let said = frame(binary(LONG));
    let cuts = [1, 2, 9, 10, 13, 14, 15, 16, 4096, 20 << 10, 100_000, said.len() - 1];
    let [server, _] = servers();
    let mut stage = Stage::new(backend, server);
    let mut clients = [Client::open(&mut stage), Client::open(&mut stage)];
    // One of them has sent long ones before.
    clients[1].send(binary(LONG));
    clients[1].messages(&mut stage, 1);
    for client in &mut clients {
        for cut in cuts {
            for piece in [&said[..cut], &said[cut..]] {
                client.write(&mut stage, piece);
                (0..4).for_each(|_| stage.turn());
            }
            assert!(client.messages(&mut stage, 1) == [binary(LONG)], "cut at {cut}");
        }
    }
}

/// Fragments are joined, with pings between them that are answered.
fn long_fragments_are_joined(backend: Backend) {
    for server in servers() {
        let mut stage = Stage::new(backend, server);
        let mut client = Client::open(&mut stage);
        for _ in 0..3 {
            let Message::Text(whole) = text(3 * LONG) else { unreachable!("it is text") };
            let mut said = Vec::new();
            let mut rest = whole.as_bytes();
            // The second begins within a character.
            for (first, length) in [(0x01, LONG + 2), (0x00, LONG), (0x80, usize::MAX)] {
                let (part, behind) = rest.split_at(length.min(rest.len()));
                rest = behind;
                let mut fragment = frame(Message::Binary(Bytes::copy_from_slice(part)));
                fragment[0] = first;
                said.extend(fragment);
                said.extend([0x89, 0x81, 0, 0, 0, 0, first]);
            }
            client.write(&mut stage, &said);
            assert!(client.messages(&mut stage, 1) == [text(3 * LONG)]);
            client.until(&mut stage, |own| own.pings.is_empty() && own.pongs.len() >= 3);
            assert_eq!(std::mem::take(&mut client.pongs), [[0x01], [0x00], [0x80]]);
        }
    }
}

/// Text that is none ends the connection at the byte that shows it, though more is to come.
fn a_bad_byte_ends_it_at_once(backend: Backend) {
    let [server, _] = servers();
    let mut stage = Stage::new(backend, server);
    for at in [20, 5000, 30_000, LONG - 20] {
        let mut client = Client::open(&mut stage);
        let mut bytes = vec![b'a'; LONG];
        bytes[at] = 0xff;
        let mut wrong = frame(Message::Binary(Bytes::from(bytes)));
        wrong[0] = 0x81;
        client.write(&mut stage, &wrong[..at + 15]);
        client.until_ended(&mut stage);
        assert_eq!(client.closed.as_ref().map(|frame| frame.code()), Some(1007), "at {at}");
    }
}

/// A peer that sends and does not read is read no further after a while, and nothing is lost by that.
fn what_is_not_read_holds_up_what_comes(backend: Backend) {
    const COUNT: usize = 60;
    for server in servers() {
        let mut stage = Stage::new(backend, server);
        let mut client = Client::open(&mut stage);
        let messages: Vec<Message> = (0..COUNT).map(|own| binary(LONG + own)).collect();
        let said: Vec<u8> = messages.iter().cloned().flat_map(frame).collect();
        let mut written = 0;
        for _ in 0..300 {
            written += client.peer.write(&said[written..]);
            stage.turn();
        }
        assert!(written < said.len(), "all of it was read");
        assert!(stage.bytes_held() < 12 * LONG, "{} bytes are held", stage.bytes_held());
        while written < said.len() {
            written += client.peer.write(&said[written..]);
            client.step(&mut stage);
        }
        assert!(client.messages(&mut stage, COUNT) == messages);
    }
}

/// What is compressed is inflated as a whole, however long it is until then.
fn long_messages_may_be_compressed(backend: Backend) {
    let sockets = WebSockets::new(Log::default()).message_bytes_max(LONGEST as u64);
    let sockets = sockets.compress(Compression::Shared);
    let mut stage = Stage::new(backend, Server::new().websocket("/", sockets));
    let (mut client, agreed) = Client::open_compressed(&mut stage, "permessage-deflate");
    assert!(!agreed.is_empty());
    // Half of it is noise, which is as long when it is compressed.
    let mut noise = 1_u32;
    let mut byte = |index: usize| {
        noise = noise.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
        if index.is_multiple_of(2) { noise.to_be_bytes()[0] } else { 7 }
    };
    let message = Message::Binary((0..2 * LONG).map(&mut byte).collect::<Vec<u8>>().into());
    for _ in 0..4 {
        client.send(message.clone());
        client.send(binary(30));
        assert!(client.messages(&mut stage, 2) == [message.clone(), binary(30)]);
    }
    assert!(client.inflated >= 4, "what is sent back is compressed as well");
}

/// The end of the stream within a long message ends the connection, as does a reset.
fn an_end_within_a_message_is_told(backend: Backend) {
    for is_reset in [false, true] {
        let log = Log::default();
        let sockets = WebSockets::new(log.clone()).message_bytes_max(LONGEST as u64);
        let mut stage = Stage::new(backend, Server::new().websocket("/", sockets));
        let mut client = Client::open(&mut stage);
        client.write(&mut stage, &frame(binary(LONG))[..LONG / 2]);
        (0..4).for_each(|_| stage.turn());
        match is_reset {
            true => client.peer.reset(),
            false => client.peer.shutdown(),
        }
        let told =
            stage.until(|_| log.lines().into_iter().find(|line| line.ends_with(" dropped)")));
        assert!(told.ends_with("(0 sent, 0 dropped)"), "{told}");
        assert_eq!(stage.bytes_held(), 0);
    }
}

/// Sends to all what it is told as text, and back what comes as bytes.
struct Relay;

impl WebSocket for Relay {
    fn opened(&self, socket: Socket) {
        socket.subscribe("all");
    }

    fn message(&self, socket: Socket, message: Message) {
        match message {
            Message::Text(_) => drop(socket.publish("all", message)),
            Message::Binary(_) => socket.send(message),
        }
    }
}

/// A message that is arriving is not told while its peer is behind with what others have sent to it: what
/// answers it would find no room.
fn what_is_arriving_waits_for_a_peer_that_is_behind(backend: Backend) {
    let limits = Limits {
        socket_queue_bytes_max: LONG * 22 / 10,
        outbox_bytes_max: 10 * LONG,
        ..Limits::default()
    };
    let sockets = WebSockets::new(Relay).message_bytes_max(LONGEST as u64);
    let mut stage = Stage::new(backend, Server::new().limits(limits).websocket("/", sockets));
    let [mut client, mut other] = [0; 2].map(|_| Client::open(&mut stage));
    for _ in 0..3 {
        client.send(binary(LONG));
        assert!(client.messages(&mut stage, 1) == [binary(LONG)]);
    }
    let said = frame(binary(LONG));
    let (begun, rest) = said.split_at(LONG - 20_000);
    client.write(&mut stage, begun);
    (0..8).for_each(|_| stage.turn());
    let told = text(LONG * 15 / 10);
    // The first is being sent, the second waits.
    for _ in 0..2 {
        other.send(told.clone());
        assert!(other.messages(&mut stage, 1) == [told.clone()]);
    }
    let mut written = 0;
    for _ in 0..100 {
        written += client.peer.write(&rest[written..]);
        stage.turn();
    }
    assert_eq!((written, stage.counts().messages_received), (rest.len(), 5), "the peer is behind");
    assert!(client.messages(&mut stage, 3) == [told.clone(), told, binary(LONG)]);
    assert!(client.closed.is_none());
}

/// A close that waits behind what a peer does not read is sent in the midst of its message: the rest of that
/// is nobody's.
fn a_close_within_a_message_ends_it(backend: Backend) {
    for way in ["overflow", "stop"] {
        let limits = Limits { socket_queue_bytes_max: 2 * LONG, ..Limits::default() };
        let sockets = WebSockets::new(Relay).message_bytes_max(LONGEST as u64);
        let mut stage = Stage::new(backend, Server::new().limits(limits).websocket("/", sockets));
        let [mut client, mut other] = [0; 2].map(|_| Client::open(&mut stage));
        let said = frame(binary(LONGEST));
        client.write(&mut stage, &said[..LONG]);
        (0..8).for_each(|_| stage.turn());
        // The first is being sent, others wait, and one more is too many.
        let count = if way == "overflow" { 8 } else { 2 };
        for _ in 0..count {
            other.send(text(LONG * 9 / 10));
            other.messages(&mut stage, 1);
        }
        if way == "stop" {
            stage.send(Order::Drain { within_ms: 1_000_000 });
        }
        let mut written = LONG;
        for step in (0..400).map(|turn| if turn < 40 { 1 } else { 20_000 }) {
            let end = (written + step).min(said.len());
            written += client.peer.write(&said[written..end]);
            if step > 1 {
                client.step(&mut stage);
            } else {
                stage.turn();
            }
        }
        client.until(&mut stage, |own| own.closed.is_some());
        let code = client.closed.as_ref().map(|frame| frame.code());
        assert_eq!(code, Some(if way == "stop" { 1001 } else { 1013 }));
        assert_eq!(stage.counts().panics_total, 0);
    }
}

mod behind {
    use super::*;

    over_simulated_backends!(
        what_is_arriving_waits_for_a_peer_that_is_behind,
        a_close_within_a_message_ends_it,
    );
}

over_all_backends!(
    messages_of_any_length_come_as_they_were,
    a_message_that_is_cut_is_whole,
    long_fragments_are_joined,
    a_bad_byte_ends_it_at_once,
    what_is_not_read_holds_up_what_comes,
    long_messages_may_be_compressed,
    an_end_within_a_message_is_told,
);
