//! Deadlines in virtual time, the end of the peer's stream, and draining.
//! It must never sleep: time is what the test says it is.

use crate::driver::{Driver, opening, reply};
use springtide_proto::http1::{Deadline, Limits, Refusal, ReplyBody, StreamEnd};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";

fn driver() -> Driver {
    Driver::new(Limits::default())
}

fn feed_at(driver: &mut Driver, now_ms: u64, bytes: &[u8]) {
    driver.now_ms = now_ms;
    driver.feed(bytes);
}

fn answer(driver: &mut Driver, number: usize) {
    let exchange = driver.exchanges[number];
    driver.machine.send_reply(exchange, &reply(200), ReplyBody::None, &mut driver.outbox);
}

/// The deadline is this one: nothing happens just before it.
fn expect_deadline(driver: &mut Driver, deadline_ms: u64, expected: Deadline) {
    assert_eq!(driver.machine.next_deadline_ms(&driver.limits), Some(deadline_ms));
    assert_eq!(driver.machine.on_deadline(deadline_ms - 1, &driver.limits), Deadline::None);
    assert_eq!(driver.machine.on_deadline(deadline_ms, &driver.limits), expected);
    assert_eq!(driver.machine.next_deadline_ms(&driver.limits), None);
    driver.feed(GET);
    assert!(driver.said.ends_with("closed\n"), "nothing is read behind a deadline");
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let mut driver = driver();
    expect_deadline(&mut driver, 60_000, Deadline::CloseIdle);
    assert!(driver.machine.wants_close());
    assert_eq!(driver.sent(), "");
}

#[test]
fn a_head_has_ten_seconds_however_it_comes() {
    let mut driver = driver();
    for (index, byte) in GET[..20].iter().enumerate() {
        feed_at(&mut driver, 500 + 400 * index as u64, &[*byte]);
    }
    expect_deadline(&mut driver, 10_500, Deadline::Refuse(Refusal::HeadTimeout));
    driver.machine.refuse(Refusal::HeadTimeout, opening(b"s"), &mut driver.outbox);
    assert!(driver.machine.wants_close());
    let sent = driver.sent();
    assert!(sent.starts_with("HTTP/1.1 408 Request Timeout\r\nServer: s\r\nDate: "), "{sent}");
    assert!(sent.contains("\r\nConnection: close\r\n\r\n"));
}

#[test]
fn a_late_head_is_refused_behind_the_replies_owed() {
    let mut driver = driver();
    feed_at(&mut driver, 1, GET);
    feed_at(&mut driver, 2, b"GET");
    expect_deadline(&mut driver, 10_002, Deadline::Refuse(Refusal::HeadTimeout));
    driver.machine.refuse(Refusal::HeadTimeout, opening(b""), &mut driver.outbox);
    assert!(!driver.machine.wants_close());
    answer(&mut driver, 0);
    let sent = driver.sent();
    assert!(sent.find("200 OK") < sent.find("408 Request Timeout"), "{sent}");
    assert!(driver.machine.wants_close());
}

#[test]
fn empty_lines_begin_no_head() {
    let mut driver = driver();
    feed_at(&mut driver, 100, b"\r\n");
    expect_deadline(&mut driver, 60_000, Deadline::CloseIdle);
}

#[test]
fn a_body_must_keep_coming() {
    let mut driver = driver();
    feed_at(&mut driver, 1000, POST);
    feed_at(&mut driver, 2000, b"a");
    feed_at(&mut driver, 25_000, b"b");
    feed_at(&mut driver, 26_000, b"");
    expect_deadline(&mut driver, 55_000, Deadline::Refuse(Refusal::BodyTimeout));
    driver.machine.refuse(Refusal::BodyTimeout, opening(b""), &mut driver.outbox);
    assert!(driver.sent().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    assert!(driver.machine.wants_close());
}

/// A body in single bytes, none of them late, is cut at the first that comes when too little has.
#[test]
fn a_body_must_come_fast_enough() {
    let mut driver = driver();
    feed_at(&mut driver, 0, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    for second in 1..=12 {
        assert!(!driver.said.contains("refused"), "{second}");
        feed_at(&mut driver, second * 1000, b"a");
    }
    assert!(driver.said.ends_with("refused 408 BodyTooSlow\n"), "{}", driver.said);
    assert!(driver.sent().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
}

/// A peer that waits for `100 Continue` has no deadline before it, and all its time behind it.
#[test]
fn a_body_that_waits_to_be_wanted_is_not_late() {
    let mut driver = driver();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    feed_at(&mut driver, 1000, head);
    assert_eq!(driver.machine.next_deadline_ms(&driver.limits), None);
    driver.machine.want_body(driver.exchanges[0], &mut driver.outbox);
    assert_eq!(driver.sent(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(driver.machine.on_deadline(90_000, &driver.limits), Deadline::None);
    expect_deadline(&mut driver, 120_000, Deadline::Refuse(Refusal::BodyTimeout));
}

/// Time in which nothing could be received is not held against the rate, nor is time before the peer
/// was told to go on.
#[test]
fn a_pause_is_no_slowness() {
    let long = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n".as_slice();
    let asking = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
        .as_slice();
    for (head, is_paused, is_refused) in
        [(long, false, true), (long, true, false), (asking, false, false)]
    {
        let mut driver = driver();
        feed_at(&mut driver, 0, GET);
        feed_at(&mut driver, 0, head);
        driver.machine.want_body(driver.exchanges[1], &mut driver.outbox);
        driver.now_ms = 60_000;
        answer(&mut driver, 0);
        if is_paused {
            driver.machine.forgive_pace(60_000, &driver.limits);
        }
        for second in 60..65 {
            feed_at(&mut driver, second * 1000, b"a");
        }
        assert_eq!(driver.said.contains("BodyTooSlow"), is_refused, "{}", driver.said);
    }
}

/// While the caller holds a body up its peer is not late, and then it has all its time again.
#[test]
fn a_body_that_is_taken_again_has_its_time_again() {
    let mut driver = driver();
    feed_at(&mut driver, 0, POST);
    feed_at(&mut driver, 100, b"a");
    driver.machine.resume_body(50_000, &driver.limits);
    feed_at(&mut driver, 79_000, b"b");
    expect_deadline(&mut driver, 109_000, Deadline::Refuse(Refusal::BodyTimeout));
}

/// A body that nobody wants ends the reading when it stalls or breaks, and spares its reply.
#[test]
fn an_unwanted_body_never_cuts_its_reply() {
    let chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
    for (head, broken) in [(POST, b"".as_slice()), (chunked, b""), (chunked, b"x")] {
        let mut driver = driver();
        driver.feed(head);
        let exchange = driver.exchanges[0];
        let (machine, outbox) = (&mut driver.machine, &mut driver.outbox);
        machine.discard_body(exchange, &driver.limits);
        machine.send_reply(exchange, &reply(404), ReplyBody::Sized(2), outbox);
        machine.send_body(exchange, "a".into(), outbox);
        if broken.is_empty() {
            assert_eq!(machine.on_deadline(30_000, &driver.limits), Deadline::None);
        }
        driver.feed(broken);
        assert!(driver.said.ends_with(if broken.is_empty() { "\n" } else { "closed\n" }));
        assert!(!driver.machine.wants_close());
        driver.machine.send_body(exchange, "b".into(), &mut driver.outbox);
        driver.machine.end_body(exchange, &mut driver.outbox);
        assert!(driver.sent().ends_with("Content-Length: 2\r\n\r\nab"));
        assert!(driver.machine.wants_close());
    }
}

#[test]
fn a_handler_has_its_own_time() {
    let mut driver = driver();
    feed_at(&mut driver, 1000, GET);
    assert_eq!(driver.machine.next_deadline_ms(&driver.limits), None);
    answer(&mut driver, 0);
    // The reply came at a time unknown to the machine: it asks for it.
    assert_eq!(driver.machine.next_deadline_ms(&driver.limits), Some(0));
    assert_eq!(driver.machine.on_deadline(500_000, &driver.limits), Deadline::None);
    expect_deadline(&mut driver, 560_000, Deadline::CloseIdle);
}

#[test]
fn idle_time_begins_with_the_next_look_at_the_input() {
    let mut driver = driver();
    feed_at(&mut driver, 1000, GET);
    answer(&mut driver, 0);
    feed_at(&mut driver, 3000, b"");
    expect_deadline(&mut driver, 63_000, Deadline::CloseIdle);
}

#[test]
fn the_stream_ends_between_requests_or_within_one() {
    let cases: [(&[u8], StreamEnd); 7] = [
        (b"", StreamEnd::Clean),
        (GET, StreamEnd::Clean),
        (b"\r\n", StreamEnd::Clean),
        (&GET[..1], StreamEnd::Truncated),
        (POST, StreamEnd::Truncated),
        (b"GET / HTTP/1.1\r\n\r\n", StreamEnd::Clean),
        (b"GET / HTTP/1.0\r\n\r\n", StreamEnd::Clean),
    ];
    for (input, expected) in cases {
        let mut driver = driver();
        driver.feed(input);
        assert_eq!(driver.machine.end_of_stream(), expected, "{input:?}");
        assert_eq!(driver.machine.end_of_stream(), StreamEnd::Clean);
        assert_eq!(driver.machine.wants_close(), driver.exchanges.is_empty());
        for number in 0..driver.exchanges.len() {
            answer(&mut driver, number);
            assert!(driver.sent().ends_with("Connection: close\r\n\r\n"));
        }
        assert!(driver.machine.wants_close());
    }
}

#[test]
fn draining_finishes_what_has_begun() {
    let cases: [(&[u8], &[u8]); 4] =
        [(GET, b""), (&GET[..9], &GET[9..]), (POST, b"0123456789"), (b"", b"")];
    for (before, after) in cases {
        let mut driver = driver();
        driver.feed(before);
        driver.machine.drain();
        assert_eq!(driver.machine.wants_close(), before.is_empty());
        driver.feed(after);
        driver.feed(GET);
        assert_eq!(driver.exchanges.len(), usize::from(!before.is_empty()));
        assert!(driver.said.ends_with("closed\n"));
        for number in 0..driver.exchanges.len() {
            answer(&mut driver, number);
            assert!(driver.sent().ends_with("Connection: close\r\n\r\n"));
        }
        assert!(driver.machine.wants_close());
    }
}
