//! Time and the ends of a connection: deadlines, the peer's end, a server that stops.
//! Nothing here may read a clock.

use springtide_proto::framed::{Framed, Limits, StreamEnd};

use crate::driver::Driver;

fn driver(input: &[u8]) -> Driver<Framed> {
    let limits = Limits { frame_timeout_ms: 10, frame_idle_timeout_ms: 100, ..Limits::default() };
    let mut driver = Driver::new(Framed::u8(), limits);
    driver.feed(input);
    driver
}

fn deadline(driver: &Driver<Framed>) -> Option<u64> {
    driver.machine.next_deadline(&driver.limits)
}

#[test]
fn a_frame_is_whole_in_time() {
    let mut driver = driver(b"");
    assert_eq!(deadline(&driver), Some(100));
    driver.now_ms = 50;
    driver.feed(b"\x03l");
    driver.now_ms = 55;
    driver.feed(b"o");
    assert_eq!(deadline(&driver), Some(60), "however its bytes come");
    let Driver { machine, limits, .. } = &mut driver;
    assert_eq!(machine.on_deadline(59, limits), None);
    assert_eq!(machine.on_deadline(60, limits), Some("frame_timeout_ms"));
    assert!(machine.wants_close());
}

#[test]
fn the_time_between_frames_begins_with_the_last_reply() {
    let mut driver = driver(b"\x01a");
    assert_eq!(deadline(&driver), None, "the peer waits");
    driver.now_ms = 70;
    driver.reply(0, b"A");
    assert_eq!(deadline(&driver), Some(170));
    let Driver { machine, limits, .. } = &mut driver;
    assert_eq!(machine.on_deadline(170, limits), Some("frame_idle_timeout_ms"));
    assert!(machine.wants_close());
}

#[test]
fn a_reply_does_not_give_a_frame_more_time() {
    let mut driver = driver(b"\x01a\x03l");
    driver.now_ms = 7;
    driver.reply(0, b"A");
    assert_eq!(deadline(&driver), Some(10));
    driver.machine.resume(8);
    assert_eq!(deadline(&driver), Some(18), "but a pause that is not the peer's does");
}

#[test]
fn the_peers_end_leaves_what_is_owed() {
    for (input, expected) in
        [(b"\x01a".as_slice(), StreamEnd::Clean), (b"\x01a\x03lo", StreamEnd::Truncated)]
    {
        let mut driver = driver(input);
        assert_eq!(driver.machine.end_of_stream(), expected);
        assert!(!driver.machine.wants_close());
        driver.reply(0, b"A");
        assert_eq!(driver.sent(), b"\x01A");
        assert!(driver.machine.wants_close());
    }
}

#[test]
fn a_drain_takes_what_has_begun_and_no_more() {
    let mut driver = driver(b"\x01a\x03lo");
    driver.machine.drain();
    driver.feed(b"w\x01b");
    assert_eq!(driver.said, "\"a\"\n\"low\"\nclosed\n");
    driver.reply(1, b"");
    driver.reply(0, b"");
    assert!(driver.machine.wants_close());
    let mut between = self::driver(b"\x01a");
    between.machine.drain();
    between.feed(b"\x01b");
    assert_eq!(between.said, "\"a\"\nclosed\n");
}
