//! What a peer can make the machine hold: no more than what it has sent itself.
//! Nothing here measures time.

use springtide_proto::websocket::Limits;

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
