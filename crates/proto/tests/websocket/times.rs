//! Pings, dead peers, and closes that are not answered, to the millisecond.
//! Nothing here may take anything but received bytes for a sign of life.

use springtide_proto::websocket::{CloseFrame, Due, Limits};

use crate::driver::{Driver, Side, frame};

fn driver() -> Driver {
    let limits = Limits {
        socket_ping_ms: 100,
        socket_dead_ms: 30,
        socket_close_timeout_ms: 50,
        ..Limits::default()
    };
    Driver::new(Side::Server, limits)
}

impl Driver {
    fn next(&self) -> Option<u64> {
        self.machine.next_deadline(&self.limits)
    }

    fn due(&mut self, now_ms: u64) -> Option<Due> {
        self.machine.on_deadline(now_ms, &self.limits)
    }
}

#[test]
fn a_silent_peer_is_asked_and_then_gone() {
    let mut driver = driver();
    assert_eq!((driver.next(), driver.due(99)), (Some(100), None));
    assert_eq!(driver.due(100), Some(Due::Ping));
    driver.machine.send_ping(b"", None, &mut driver.outbox).unwrap();
    assert_eq!((driver.next(), driver.due(129)), (Some(130), None));
    assert!(!driver.machine.wants_close());
    assert_eq!(driver.due(130), Some(Due::Gone("socket_dead_ms")));
    assert!(driver.machine.wants_close());
    assert_eq!((driver.next(), driver.due(1_000)), (None, None));
}

/// Half a head is life enough; what is sent to the peer is not.
#[test]
fn any_byte_is_life() {
    for bytes in
        [b"\x81".as_slice(), &frame(Side::Server, 0x8a, b""), &frame(Side::Server, 0x82, b"x")]
    {
        let mut driver = driver();
        assert_eq!(driver.due(100), Some(Due::Ping));
        driver.now_ms = 129;
        driver.feed(bytes);
        assert_eq!(driver.next(), Some(229));
        driver.machine.send_ping(b"", None, &mut driver.outbox).unwrap();
        assert_eq!(driver.next(), Some(229), "what is sent changes nothing");
    }
}

/// Bytes that are given again, because a frame of them is not whole, are none that come.
#[test]
fn what_was_there_before_is_no_life() {
    let message = frame(Side::Server, 0x82, b"x");
    for bytes in [b"\x81".as_slice(), &[&message, b"\x89\x80".as_slice()].concat()] {
        let mut driver = driver();
        driver.feed(bytes);
        assert_eq!(driver.due(100), Some(Due::Ping));
        driver.machine.send_ping(b"", None, &mut driver.outbox).unwrap();
        driver.now_ms = 129;
        driver.feed(b"");
        assert_eq!(
            (driver.next(), driver.due(130)),
            (Some(130), Some(Due::Gone("socket_dead_ms")))
        );
    }
}

/// What came while nothing was read came over all of that while: it is no flood when it is read.
#[test]
fn what_was_held_back_is_no_flood() {
    let mut driver = driver();
    driver.limits.socket_controls_max = 10;
    let pings = |count| frame(Side::Server, 0x89, b"").repeat(count);
    driver.feed(&pings(5));
    driver.now_ms = 6_000;
    driver.machine.resume(6_000);
    driver.feed(&pings(65));
    assert!(!driver.said.contains("refused"), "six seconds of ten, and five of the next");
    driver.feed(&pings(1));
    assert!(driver.said.contains("refused 1008"), "{}", driver.said);
}

/// A flood is none the less one for being read in several turns.
#[test]
fn a_flood_over_turns_is_refused() {
    let mut driver = driver();
    driver.limits.socket_controls_max = 10;
    for turn in 0..40 {
        driver.now_ms = turn;
        driver.machine.resume(turn);
        driver.feed(&frame(Side::Server, 0x89, b""));
    }
    let pings = driver.said.lines().filter(|line| line.starts_with("ping")).count();
    assert_eq!(pings, 10);
}

/// Whoever is pinged may answer, however often that is.
#[test]
fn pongs_that_were_asked_for_are_not_counted() {
    let mut driver = driver();
    driver.limits.socket_controls_max = 10;
    for _ in 0..50 {
        driver.machine.send_ping(b"", None, &mut driver.outbox).unwrap();
    }
    driver.feed(&frame(Side::Server, 0x8a, b"").repeat(60));
    assert!(!driver.said.contains("refused"), "ten of them nobody has asked for");
    driver.feed(&frame(Side::Server, 0x8a, b""));
    assert!(driver.said.contains("refused 1008"), "{}", driver.said);
}

#[test]
fn the_time_in_which_nothing_was_read_is_not_the_peers() {
    let mut driver = driver();
    driver.machine.resume(80);
    assert_eq!(driver.next(), Some(180));
}

#[test]
fn a_close_that_is_not_answered_ends_the_connection() {
    let mut driver = driver();
    driver.machine.send_close(&CloseFrame::empty(), 10, None, &mut driver.outbox).unwrap();
    driver.now_ms = 40;
    driver.feed(&frame(Side::Server, 0x82, b"x"));
    assert_eq!((driver.next(), driver.due(59)), (Some(60), None));
    assert_eq!(driver.due(60), Some(Due::Gone("socket_close_timeout_ms")));
    assert!(driver.machine.wants_close());
}

/// A client leaves it to the server to close, but not for ever (RFC 6455 §7.1.1).
#[test]
fn a_client_waits_for_its_server_to_close() {
    let mut driver = Driver::new(Side::Client, driver().limits);
    driver.feed(&frame(Side::Client, 0x88, b""));
    assert!(!driver.machine.wants_close());
    assert_eq!(driver.due(50), Some(Due::Gone("socket_close_timeout_ms")));
    assert!(driver.machine.wants_close());
}

#[test]
fn an_end_of_stream_is_expected_behind_closes_only() {
    let mut driver = driver();
    driver.feed(&frame(Side::Server, 0x88, b""));
    assert!(driver.machine.end_of_stream());
    for input in [b"".to_vec(), b"\x81".to_vec(), frame(Side::Server, 0x01, b"x")] {
        let mut driver = self::driver();
        driver.feed(&input);
        assert!(!driver.machine.end_of_stream());
        assert!(driver.machine.wants_close() && driver.next().is_none());
    }
}
