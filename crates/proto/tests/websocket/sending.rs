//! What is written: heads, masks, parts, and nothing behind a close.
//! What one side writes is always read by the other here, so that both are held to one form.

use springtide_proto::websocket::{CloseFrame, Encoded, Kind, Limits, Machine, SendError, code};
use springtide_proto::{Outbox, Piece};

use crate::driver::{Driver, KEY, Side, frame};

fn sent(outbox: &mut Outbox) -> Vec<u8> {
    let mut pieces = Vec::new();
    outbox.take_pieces(&mut pieces);
    pieces.iter().flat_map(|piece| piece.as_slice().to_vec()).collect()
}

#[test]
fn messages_are_written_as_they_are_read() {
    for length in [0, 1, 125, 126, 1024, 1025, 65_535, 65_536] {
        let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
        for piece in [Piece::Owned(payload.clone()), Piece::Shared(payload.clone().into())] {
            let mut outbox = Outbox::new();
            let server = Machine::server(0);
            server.send_message(Kind::Binary, piece.clone(), None, &mut outbox).unwrap();
            assert_eq!(sent(&mut outbox), frame(Side::Client, 0x82, &payload));
            server.send_encoded(&Encoded::new(Kind::Binary, piece.clone()), &mut outbox).unwrap();
            assert_eq!(sent(&mut outbox), frame(Side::Client, 0x82, &payload));
            let client = Machine::client(0);
            client.send_message(Kind::Binary, piece, Some(KEY), &mut outbox).unwrap();
            assert_eq!(sent(&mut outbox), frame(Side::Server, 0x82, &payload));
        }
    }
}

/// A long payload is shared by all who are sent it, also as one piece of their sends.
#[test]
fn a_long_message_is_not_copied() {
    let payload = bytes::Bytes::from(vec![7; 4096]);
    let encoded = Encoded::new(Kind::Binary, payload.clone().into());
    assert_eq!((encoded.len(), encoded.is_empty()), (4096 + 4, false));
    for _ in 0..2 {
        let mut outbox = Outbox::new();
        Machine::server(0).send_encoded(&encoded, &mut outbox).unwrap();
        let mut pieces = Vec::new();
        outbox.take_pieces(&mut pieces);
        assert_eq!(pieces.len(), 2, "a head and what follows");
        assert_eq!(pieces[1].as_slice().as_ptr(), payload.as_ptr());
    }
}

#[test]
fn parts_make_one_message() {
    let (mut client, mut outbox) = (Machine::client(0), Outbox::new());
    let mut driver = Driver::new(Side::Server, Limits::default());
    for (part, is_last) in [("on", false), ("", false), ("e", true), ("two", true)] {
        client.send_part(Kind::Text, part.into(), is_last, Some(KEY), &mut outbox).unwrap();
        client.send_ping(b"", Some(KEY), &mut outbox).unwrap();
        let whole = client.send_message(Kind::Text, "x".into(), Some(KEY), &mut Outbox::new());
        assert_eq!(whole.is_err(), !is_last, "within a message: {part}");
        driver.feed(&sent(&mut outbox));
    }
    let expected = "ping \"\"\nping \"\"\ntext \"one\"\nping \"\"\ntext \"two\"\nping \"\"\n";
    assert_eq!(driver.said, expected);
}

#[test]
fn messages_come_in_parts_on_request() {
    let text = "tö\u{10000}de".as_bytes();
    for side in [Side::Server, Side::Client] {
        let input = [
            frame(side, 0x01, &text[..2]),
            frame(side, 0x89, b"p"),
            frame(side, 0x80, &text[2..]),
            frame(side, 0x82, b""),
        ]
        .concat();
        for cuts in crate::driver::all_cuts(input.len()) {
            let mut driver = Driver::new(side, Limits::default());
            driver.machine.stream(1);
            for piece in crate::driver::pieces(&input, &cuts) {
                driver.feed(piece);
                assert!(driver.machine.bytes_held() < 4, "nothing is kept but a cut character");
            }
            assert_eq!(driver.said, "tping \"p\"\nö\u{10000}de\n\n", "{cuts:?}");
        }
    }
}

#[test]
fn nothing_is_written_behind_a_close() {
    let (mut machine, mut outbox) = (Machine::server(0), Outbox::new());
    let close = CloseFrame::new(code::NORMAL, "done").unwrap();
    machine.send_close(&close, 0, None, &mut outbox).unwrap();
    assert_eq!(sent(&mut outbox), frame(Side::Client, 0x88, b"\x03\xe8done"));
    let refused = Err(SendError::Closing);
    assert_eq!(machine.send_message(Kind::Text, "x".into(), None, &mut outbox), refused);
    assert_eq!(machine.send_part(Kind::Text, "x".into(), true, None, &mut outbox), refused);
    assert_eq!(machine.send_ping(b"", None, &mut outbox), refused);
    assert_eq!(machine.send_pong(b"", None, &mut outbox), refused);
    assert_eq!(machine.send_close(&close, 0, None, &mut outbox), refused);
    let encoded = Encoded::new(Kind::Text, "x".into());
    assert_eq!(machine.send_encoded(&encoded, &mut outbox), refused);
    assert!(outbox.is_empty() && !machine.wants_close());
}

/// Who has closed waits for the peer's close, whatever comes before it.
#[test]
fn a_close_waits_for_its_answer() {
    let (coded, bare) = (frame(Side::Server, 0x88, b"\x03\xe8"), frame(Side::Server, 0x88, b""));
    // Frames in pieces, and whole ones.
    for (behind, piece_bytes) in [(&coded, 7), (&bare, 7), (&bare, 1_000)] {
        let mut driver = Driver::new(Side::Server, Limits::default());
        driver.machine.send_close(&CloseFrame::empty(), 0, None, &mut driver.outbox).unwrap();
        driver.sent();
        let before = [
            frame(Side::Server, 0x01, b"\xff\xff"),
            frame(Side::Server, 0x89, b"unanswered"),
            frame(Side::Server, 0x82, &[7; 300]),
        ];
        before.concat().chunks(piece_bytes).for_each(|piece| driver.feed(piece));
        assert!(driver.said.is_empty() && !driver.machine.wants_close());
        driver.feed(behind);
        assert!(driver.said.starts_with("close 1"), "{}", driver.said);
        assert!(driver.machine.wants_close() && driver.sent().is_empty());
    }
}

/// What is refused behind a close of one's own is not told the peer: it has had the last word.
#[test]
fn a_refusal_behind_a_close_says_nothing() {
    let mut driver = Driver::new(Side::Server, Limits::default());
    driver.machine.send_close(&CloseFrame::empty(), 0, None, &mut driver.outbox).unwrap();
    driver.sent();
    driver.feed(&frame(Side::Server, 0x83, b""));
    assert_eq!(driver.said, "refused 1002 the opcode is unknown\n");
    assert!(driver.machine.wants_close() && driver.sent().is_empty());
}

#[test]
fn a_refusal_is_told_in_a_close() {
    let mut driver = Driver::new(Side::Server, Limits::default());
    driver.feed(&frame(Side::Server, 0x83, b""));
    let expected = frame(Side::Client, 0x88, b"\x03\xeathe opcode is unknown");
    assert_eq!(driver.sent(), expected);
    assert!(driver.machine.wants_close());
}

#[test]
fn control_frames_are_short() {
    let (mut machine, mut outbox) = (Machine::server(0), Outbox::new());
    machine.send_ping(&[0; 125], None, &mut outbox).unwrap();
    let refused = Err(SendError::ControlTooLong);
    assert_eq!(machine.send_ping(&[0; 126], None, &mut outbox), refused);
    assert_eq!(machine.send_pong(&[0; 126], None, &mut outbox), refused);
    assert!(CloseFrame::new(code::NORMAL, "x".repeat(123)).is_ok());
    assert!(CloseFrame::new(code::NORMAL, "x".repeat(124)).is_err());
    for wrong in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        assert!(CloseFrame::new(wrong, "").is_err(), "{wrong}");
    }
}

#[test]
#[should_panic(expected = "a client masks")]
fn a_client_masks() {
    let _ = Machine::client(0).send_ping(b"", None, &mut Outbox::new());
}

#[test]
#[should_panic(expected = "a client masks")]
fn a_server_does_not() {
    let _ = Machine::server(0).send_ping(b"", Some(KEY), &mut Outbox::new());
}
