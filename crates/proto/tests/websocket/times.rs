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
