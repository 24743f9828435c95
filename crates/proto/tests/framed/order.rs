//! Replies: in which order they leave, how many may be awaited, and what becomes of one that is
//! never given. Nothing here may depend on when a reply is encoded.

use springtide_proto::framed::{Framed, Limits, PayloadError};

use crate::driver::Driver;

fn lines(limits: Limits, input: &str) -> Driver<Framed> {
    let mut driver = Driver::new(Framed::lines(), limits);
    driver.feed(input.as_bytes());
    driver
}

fn sent(driver: &mut Driver<Framed>) -> String {
    String::from_utf8(driver.sent()).unwrap()
}

#[test]
fn replies_leave_in_the_order_of_the_requests() {
    let mut driver = lines(Limits::default(), "a\nb\nc\nd\n");
    driver.reply(2, b"C");
    driver.reply(1, b"B");
    assert_eq!((sent(&mut driver).as_str(), driver.machine.held_bytes()), ("", 4));
    driver.reply(0, b"A");
    assert_eq!(sent(&mut driver), "A\nB\nC\n");
    driver.reply(3, b"D");
    assert_eq!(sent(&mut driver), "D\n");
    assert_eq!((driver.machine.in_flight(), driver.machine.held_bytes()), (0, 0));
}

#[test]
fn long_replies_are_held_as_they_are() {
    let mut driver = lines(Limits::default(), "a\nb\n");
    driver.reply(1, &[b'B'; 5000]);
    driver.reply(0, &[b'A'; 5000]);
    let expected = ["A".repeat(5000), "\n".into(), "B".repeat(5000), "\n".into()].concat();
    assert_eq!(sent(&mut driver), expected);
}

#[test]
fn so_many_frames_are_in_flight_and_no_more() {
    let limits = Limits { in_flight_max: 2, ..Limits::default() };
    let mut driver = lines(limits, "a\nb\nc\nd\n");
    assert_eq!((driver.payloads.len(), driver.is_paused), (2, true));
    driver.reply(1, b"B");
    driver.read();
    assert_eq!(driver.payloads.len(), 2, "what is held is in flight");
    driver.reply(0, b"A");
    driver.read();
    assert_eq!(driver.payloads.len(), 4);
}

#[test]
fn so_many_bytes_are_in_flight_and_no_more() {
    let limits = Limits { in_flight_bytes_max: 4, ..Limits::default() };
    let mut driver = lines(limits, "too long alone\nab\ncd\nef\n");
    assert_eq!((driver.payloads.len(), driver.is_paused), (1, true));
    driver.reply(0, b"");
    driver.read();
    assert_eq!(driver.payloads.len(), 3);
    driver.reply(2, b"held");
    driver.read();
    assert_eq!(driver.payloads.len(), 3, "a held reply weighs what it is long");
    driver.reply(1, b"");
    driver.read();
    assert_eq!(driver.payloads.len(), 4);
}

#[test]
fn a_dropped_reply_ends_the_connection_behind_those_before() {
    let mut driver = lines(Limits::default(), "a\nb\nc\n");
    driver.give_up(1);
    driver.reply(2, b"C");
    assert!(!driver.machine.wants_close());
    driver.reply(0, b"A");
    assert_eq!(sent(&mut driver), "A\n");
    assert!(driver.machine.wants_close());
    driver.give_up(2);
    assert_eq!(sent(&mut driver), "");
}

#[test]
fn a_dropped_reply_is_answered_where_the_codec_has_words() {
    let mut driver = Driver::new(Framed::lines().dropped(b"failed"), Limits::default());
    driver.feed(b"a\nb\nc\n");
    driver.give_up(1);
    driver.reply(2, b"C");
    driver.reply(0, b"A");
    assert_eq!(sent(&mut driver), "A\nfailed\nC\n");
    assert!(!driver.machine.wants_close());
}

#[test]
fn a_reply_may_be_the_last() {
    let mut driver = lines(Limits::default(), "a\nb\nc\nd\n");
    let Driver { machine, exchanges, codec, outbox, .. } = &mut driver;
    machine.send_last(exchanges[2], "bye".into(), codec, outbox).unwrap();
    driver.feed(b"e\n");
    assert_eq!(driver.payloads.len(), 4, "nothing is read behind it");
    driver.reply(3, b"D");
    driver.reply(1, b"B");
    assert!(!driver.machine.wants_close());
    driver.reply(0, b"A");
    assert_eq!(sent(&mut driver), "A\nB\nbye\n");
    assert!(driver.machine.wants_close());
}

#[test]
fn all_that_nobody_has_answered_is_given_up_at_once() {
    for (codec, expected) in [
        (Framed::u8(), b"\x01A".as_slice()),
        (Framed::u8().dropped(b"-"), b"\x01A\x01-\x01C\x01-"),
        (Framed::u8().dropped(b"-").tagged(0, 1), b"\x01c\x01a"),
    ] {
        let mut driver = Driver::new(codec, Limits::default());
        driver.feed(b"\x01a\x01b\x01c\x01d");
        driver.reply(2, b"C");
        driver.reply(0, b"A");
        assert_eq!(driver.machine.unanswered(), 2);
        let Driver { machine, outbox, .. } = &mut driver;
        machine.give_up_all(0, &codec, outbox);
        assert_eq!(driver.sent(), expected, "{codec:?}");
        assert_eq!(driver.machine.wants_close(), codec != Framed::u8().dropped(b"-"));
    }
}

#[test]
fn a_request_may_have_no_reply() {
    let mut driver = lines(Limits::default(), "a\nb\nc\n");
    let Driver { machine, exchanges, codec, outbox, .. } = &mut driver;
    machine.send_nothing(exchanges[1], 0, codec, outbox);
    machine.send_nothing(exchanges[0], 0, codec, outbox);
    driver.reply(2, b"C");
    assert_eq!(sent(&mut driver), "C\n");
    assert_eq!(driver.machine.in_flight(), 0);
}

#[test]
fn what_is_no_frame_can_be_answered_otherwise() {
    let mut driver = lines(Limits::default(), "a\n");
    let Driver { machine, exchanges, codec, outbox, .. } = &mut driver;
    let refused = machine.send_reply(exchanges[0], "a\nb".into(), 0, codec, outbox);
    assert_eq!(refused, Err(PayloadError::HoldsDelimiter));
    driver.reply(0, b"A");
    assert_eq!(sent(&mut driver), "A\n");
}

#[test]
fn a_refusal_is_behind_the_replies_that_are_owed() {
    let mut driver = Driver::new(Framed::lines().frame_bytes_max(3), Limits::default());
    driver.feed(b"a\nb\nlonger\nc\n");
    assert_eq!(driver.payloads.len(), 2);
    driver.reply(1, b"B");
    assert!(!driver.machine.wants_close());
    driver.reply(0, b"A");
    assert_eq!(sent(&mut driver), "A\nB\n");
    assert!(driver.machine.wants_close());
}

#[test]
#[should_panic(expected = "an exchange is answered once")]
fn an_exchange_is_answered_once() {
    let mut driver = lines(Limits::default(), "a\nb\n");
    driver.reply(0, b"A");
    driver.reply(0, b"A");
}

#[test]
fn with_ids_replies_leave_as_they_are_ready() {
    for (codec, input, expected) in [
        (
            Framed::u8().tagged(0, 2),
            b"\x04\x00\x01ab\x03\x00\x02c".as_slice(),
            b"\x05\x00\x02xyz\x02\x00\x01".as_slice(),
        ),
        (
            Framed::u16_le().tagged(1, 4),
            b"\x06\x00a\x01\x00\x00\x00b\x05\x00c\x02\x00\x00\x00",
            b"\x05\x00?\x02\x00\x00\x00\x06\x00?\x01\x00\x00\x00!",
        ),
    ] {
        let mut driver = Driver::new(codec, Limits::default());
        driver.feed(input);
        match codec == Framed::u8().tagged(0, 2) {
            true => {
                driver.reply(1, b"??xyz");
                driver.reply(0, b"??");
            }
            false => {
                driver.reply(1, b"?????");
                driver.reply(0, b"?????!");
            }
        }
        assert_eq!(driver.sent(), expected, "{codec:?}");
        assert_eq!(driver.machine.in_flight(), 0);
    }
}

#[test]
fn with_ids_long_replies_are_not_copied() {
    let mut driver = Driver::new(Framed::u32_be().tagged(0, 8), Limits::default());
    driver.feed(b"\x00\x00\x00\x08\x01\x02\x03\x04\x05\x06\x07\x08");
    driver.reply(0, &[b'x'; 5000]);
    let expected =
        [b"\x00\x00\x13\x88\x01\x02\x03\x04\x05\x06\x07\x08".as_slice(), &[b'x'; 4992]].concat();
    assert_eq!(driver.sent(), expected);
}

#[test]
fn an_id_has_room_or_is_refused() {
    let mut driver = Driver::new(Framed::u8().tagged(2, 4), Limits::default());
    driver.feed(b"\x06..\x00\x00\x00\x01");
    let Driver { machine, exchanges, codec, outbox, .. } = &mut driver;
    let refused = machine.send_reply(exchanges[0], "..abc".into(), 0, codec, outbox);
    assert_eq!(refused, Err(PayloadError::NoTag));
    driver.feed(b"\x05..\x00\x00\x00");
    assert!(driver.said.ends_with("refused: a frame is too short for its id\n"));
    assert!(!driver.machine.wants_close(), "one is owed still");
    driver.give_up(0);
    assert!(driver.machine.wants_close());
}
