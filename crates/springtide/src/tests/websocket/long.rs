//! WebSockets whose messages are long: they are read where they stand, and nothing of that is to be seen.

use super::Log;
use super::client::{Client, frame};
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{Bytes, Message};

/// Longer than a chunk; three of them in a row, and more are expected.
const LONG: usize = 16 << 10;

fn binary(length: usize) -> Message {
    Message::Binary((0..length).map(|index| (index % 251) as u8).collect::<Vec<u8>>().into())
}

fn text(length: usize) -> Message {
    Message::from("aö€".repeat(length / 6))
}

/// One that has sent some long messages, and had them back.
fn behind_long(stage: &mut Stage) -> Client {
    let mut client = Client::open(stage);
    for _ in 0..4 {
        client.send(binary(LONG));
        assert!(client.messages(stage, 1) == [binary(LONG)]);
    }
    client
}

/// Whatever their lengths are in which order, messages come back as they were sent.
fn long_messages_come_as_they_were(backend: Backend) {
    let mut stage = Stage::new(backend, Log::default().server());
    let mut client = behind_long(&mut stage);
    let lengths =
        [LONG, 64, LONG + 9, 20 << 10, 60_000, 0, 5000, 12, 12, 12, 12, 12, LONG, 12, LONG];
    for length in lengths {
        for message in [binary(length), text(length)] {
            client.send(message.clone());
            assert!(client.messages(&mut stage, 1) == [message], "{length} bytes");
        }
    }
}

/// What stands behind a long message is read behind it.
fn what_stands_behind_a_long_message_is_next(backend: Backend) {
    let mut stage = Stage::new(backend, Log::default().server());
    let mut client = behind_long(&mut stage);
    let sent = [text(LONG), binary(30), binary(LONG), text(60_000), binary(9), text(LONG)];
    for _ in 0..3 {
        sent.iter().for_each(|message| client.send(message.clone()));
        assert!(client.messages(&mut stage, sent.len()) == sent);
    }
}

/// Long text that is none ends the connection as short text does.
fn long_text_is_checked(backend: Backend) {
    let mut stage = Stage::new(backend, Log::default().server());
    for at in [0, 5000, LONG - 1] {
        let mut client = behind_long(&mut stage);
        let mut bytes = vec![b'a'; LONG];
        bytes[at] = 0xff;
        let mut wrong = frame(Message::Binary(Bytes::from(bytes)));
        // It says that it is text.
        wrong[0] = 0x81;
        client.write(&mut stage, &wrong);
        client.until_ended(&mut stage);
        assert_eq!(client.closed.as_ref().map(|frame| frame.code()), Some(1007), "at {at}");
    }
}

/// A reset behind long messages is told as one.
fn a_reset_behind_long_messages_is_told(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server());
    let client = behind_long(&mut stage);
    client.peer.reset();
    let told = stage.until(|_| log.lines().into_iter().find(|line| line.contains(" dropped)")));
    assert!(told.starts_with("the peer has reset the connection"), "{told}");
}

over_all_backends!(
    a_reset_behind_long_messages_is_told,
    long_messages_come_as_they_were,
    what_stands_behind_a_long_message_is_next,
    long_text_is_checked,
);
