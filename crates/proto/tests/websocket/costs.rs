//! What a peer can make the machine hold: no more than what it has sent itself.
//! Nothing here measures time.

use springtide_proto::websocket::{CloseFrame, Limits, Received};

use crate::driver::{Driver, Side, frame, head};

/// Attacks by long lengths: what is declared takes no memory, what has come takes twice itself at most.
#[test]
fn a_declared_length_takes_no_memory() {
    let limits = Limits { socket_message_bytes_max: 1 << 40, ..Limits::default() };
    let mut driver = Driver::new(Side::Server, limits);
    let mut input = head(Side::Server, 0x82, 1 << 39);
    input.extend([0; 4]);
    driver.feed(&input);
    assert_eq!(driver.machine.bytes_held(), 0);
    for count in 1..100 {
        driver.feed(&[1; 100]);
        assert_eq!(driver.machine.bytes_held(), count * 100);
        assert!(driver.machine.memory_held() <= 2 * count * 100);
    }
}

/// Lent memory has room for three times what has come, or a little, unless more is likely; and for no more
/// than the message and a few bytes.
#[test]
fn lent_memory_has_room_for_little() {
    const LENGTH: usize = 1 << 20;
    let cases = [
        (0, 0, 1..=1024),
        (1, 0, 1..=1025),
        (10_000, 0, 20_000..=40_000),
        (10_000, 500_000, 500_000..=500_000),
        (10_000, usize::MAX, LENGTH..=LENGTH),
        (LENGTH - 1, 0, LENGTH..=LENGTH),
    ];
    for (come, likely, room) in cases {
        let limits = Limits { socket_message_bytes_max: LENGTH as u64, ..Limits::default() };
        let mut driver = Driver::new(Side::Server, limits);
        let mut input = head(Side::Server, 0x82, LENGTH);
        input.extend([0; 4]);
        driver.feed(&input);
        driver.feed(&vec![1; come]);
        let memory = driver.machine.lend(likely).unwrap();
        let (lent, few) = (memory.capacity(), 32);
        assert!((*room.start()..=room.end() + few).contains(&lent), "{lent} bytes behind {come}");
        driver.machine.receive_lent(memory, come, 0).unwrap();
        assert_eq!((driver.machine.bytes_held(), driver.machine.memory_held()), (come, lent));
    }
}

/// What comes into lent memory behind a close of one's own is nobody's, also the last of a message.
#[test]
fn lent_memory_outlives_its_message() {
    for came in [0, 20, 50] {
        let mut driver = Driver::new(Side::Server, Limits::default());
        driver.feed(&frame(Side::Server, 0x82, &[7; 100])[..56]);
        let mut memory = driver.machine.lend(0).unwrap();
        let close = CloseFrame::new(1001, "").unwrap();
        driver.machine.send_close(&close, 0, None, &mut driver.outbox).unwrap();
        memory.extend(vec![0; came]);
        let received = driver.machine.receive_lent(memory, 50, 0);
        assert_eq!(received, Ok(Received::Taken { consumed: came }));
        assert_eq!(driver.machine.payload_left(), 0, "none that is lent");
        driver.feed(&vec![0; 50 - came]);
        driver.feed(&frame(Side::Server, 0x88, b"\x03\xe8"));
        assert_eq!(driver.said, "close 1000 \"\"\n");
    }
}

/// Attacks by fragments that never end: a byte each, they are joined, and their number has a limit.
#[test]
fn small_fragments_are_joined() {
    let mut driver = Driver::new(Side::Server, Limits::default());
    driver.feed(&frame(Side::Server, 0x02, b"x"));
    for count in 2..=64 {
        driver.feed(&frame(Side::Server, 0x00, b"x"));
        assert_eq!((driver.machine.bytes_held(), driver.inbox.len()), (count, 0));
    }
    driver.feed(&frame(Side::Server, 0x00, b"x"));
    assert_eq!(driver.said, "refused 1008 a message has too many fragments\n");
}
