//! Every limit of a head and a connection: a test at it and one past it.
//! It must never use a limit so small that a default could hide behind it.

use crate::driver::{Driver, check, check_with, reply};
use springtide_proto::http1::{Field, Head, Limits, Machine, ReplyBody};

/// A request whose request line has this length.
fn with_line(len: usize) -> String {
    let target = format!("/{}", "a".repeat(len - "GET / HTTP/1.1".len()));
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A request whose head has this length.
fn with_head(len: usize) -> String {
    let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
    format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "b".repeat(len - rest))
}

#[test]
fn the_request_line() {
    let max = Limits::default().request_line_bytes_max;
    assert_eq!(max, 8192);
    let target = format!("/{}", "a".repeat(max - "GET / HTTP/1.1".len()));
    check(with_line(max), &format!("GET {target} 1.1 host=a"));
    check(with_line(max + 1), "refused 414 RequestLineTooLong");
    check("a".repeat(max + 1), "");
    check("a".repeat(max + 2), "refused 414 RequestLineTooLong");
    check(format!("GET /{}", "a".repeat(100_000)), "refused 414 RequestLineTooLong");
}

#[test]
fn the_head() {
    let max = Limits::default().head_bytes_max;
    assert_eq!(max, 16 * 1024);
    check(with_head(max), "GET / 1.1 host=a");
    check(with_head(max + 1), "refused 431 HeadTooLong");
    check(with_head(100_000), "refused 431 HeadTooLong");
    check(&with_head(2 * max)[..max - 1], "");
    check(&with_head(2 * max)[..max], "refused 431 HeadTooLong");
}

/// Where the head's limit comes first, a target that never ends is still too long a target.
#[test]
fn a_line_that_fills_the_head_is_a_long_line() {
    let limits = Limits { request_line_bytes_max: 5000, head_bytes_max: 300, ..Default::default() };
    check_with(&limits, with_line(299), "refused 414 RequestLineTooLong");
    check_with(&limits, with_line(4000), "refused 414 RequestLineTooLong");
    check_with(&limits, with_line(290), "refused 431 HeadTooLong");
}

#[test]
fn the_fields() {
    let with_fields = |fields: usize| {
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(fields - 1))
    };
    check(with_fields(32), "GET / 1.1 host=a");
    check(with_fields(100), "GET / 1.1 host=a");
    check(with_fields(101), "refused 431 TooManyFields");
    check(with_fields(129), "refused 431 TooManyFields");
    check(with_fields(1000), "refused 431 TooManyFields");
    let limits = Limits { fields_max: 1000, ..Default::default() };
    check_with(&limits, with_fields(128), "GET / 1.1 host=a");
    check_with(&limits, with_fields(129), "refused 431 TooManyFields");
}

#[test]
fn each_cookie_pair_is_a_field() {
    let with_cookies = |pairs: usize, lines: usize| {
        let line = format!("cookie: {}\r\n", vec!["a=b"; pairs].join("; "));
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", line.repeat(lines))
    };
    check(with_cookies(99, 1), "GET / 1.1 host=a");
    check(with_cookies(100, 1), "refused 431 TooManyFields");
    check(with_cookies(33, 3), "GET / 1.1 host=a");
    check(with_cookies(34, 3), "refused 431 TooManyFields");
}

#[test]
fn requests_on_one_connection() {
    let limits = Limits { requests_max: 3, ..Default::default() };
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    check_with(&limits, request.repeat(2), "GET / 1.1 host=a\nGET / 1.1 host=a");
    let three = "GET / 1.1 host=a\nGET / 1.1 host=a\nGET / 1.1 host=a\nclosed";
    check_with(&limits, request.repeat(5), three);

    let mut driver = Driver::new(limits);
    driver.feed(request.repeat(5).as_bytes());
    for exchange in driver.exchanges.clone() {
        driver.machine.send_reply(exchange, &reply(200), ReplyBody::None, &mut driver.outbox);
    }
    let sent = driver.sent();
    assert_eq!(sent.matches("HTTP/1.1 200 OK").count(), 3);
    assert_eq!(sent.matches("Connection").count(), 1);
    assert!(sent.ends_with("\r\nConnection: close\r\n\r\n"), "{sent}");
    assert!(driver.machine.wants_close());
}

#[test]
fn exchanges_in_flight() {
    let mut driver = Driver::new(Limits { exchanges_max: 2, ..Default::default() });
    driver.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5).as_bytes());
    for answered in 0..5 {
        let expected = (answered + 2).min(5);
        assert_eq!(driver.exchanges.len(), expected);
        assert_eq!(driver.machine.exchanges_in_flight() as usize, expected - answered);
        let exchange = driver.exchanges[answered];
        driver.machine.send_reply(exchange, &reply(200), ReplyBody::None, &mut driver.outbox);
        driver.read();
    }
    assert!(driver.machine.is_idle());
}

#[test]
fn sizes_of_what_a_connection_keeps() {
    assert!(size_of::<Machine>() <= 96, "Machine: {} bytes", size_of::<Machine>());
    assert!(size_of::<Head>() <= 176, "Head: {} bytes", size_of::<Head>());
    assert_eq!(size_of::<Field>(), 16);
}

/// A head that comes byte by byte is searched once and parsed twice, however long (attack 6); the
/// machine asserts the count, so this is a run at the limit.
#[test]
fn a_slow_head_costs_linear_time() {
    let mut driver = Driver::new(Limits::default());
    let input = with_head(16 * 1024);
    for byte in input.as_bytes().chunks(1) {
        driver.feed(byte);
    }
    assert_eq!(driver.said, "GET / 1.1 host=a\n");
}
