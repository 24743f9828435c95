//! Replies in any order leave in the order of the requests, streams and refusals among them.
//! It must never assume when a reply becomes bytes, only where they stand.

use crate::driver::{DATE, Driver, reply};
use bytes::Bytes;
use springtide_proto::http1::{Limits, ReplyBody};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn driver_with(requests: usize) -> Driver {
    let mut driver = Driver::new(Limits::default());
    driver.feed(GET.repeat(requests).as_bytes());
    assert_eq!(driver.exchanges.len(), requests);
    driver
}

/// Answers an exchange with its own number.
fn answer(driver: &mut Driver, number: usize) {
    let body = ReplyBody::Full(format!("<{number}>").into());
    let exchange = driver.exchanges[number];
    driver.machine.send_reply(exchange, &reply(200), body, &mut driver.outbox);
}

/// The bodies in what was sent: everything in angle brackets, and nothing else has any.
fn bodies(sent: &str) -> String {
    sent.split('<').skip(1).map(|rest| format!("<{}>", rest.split('>').next().unwrap())).collect()
}

/// Every order of `count` numbers.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in orders(count - 1) {
        for place in 0..count {
            let mut order = shorter.clone();
            order.insert(place, count - 1);
            all.push(order);
        }
    }
    all
}

#[test]
fn every_order_of_five_leaves_in_one() {
    for order in orders(5) {
        let mut driver = driver_with(5);
        for number in &order {
            assert!(driver.machine.awaits_reply(driver.exchanges[*number]));
            answer(&mut driver, *number);
            assert!(!driver.machine.awaits_reply(driver.exchanges[*number]));
        }
        let sent = driver.sent();
        assert_eq!(bodies(&sent), "<0><1><2><3><4>", "{order:?}");
        assert_eq!(driver.machine.held_bytes(), 0);
        assert!(driver.machine.is_idle());
    }
}

#[test]
fn a_held_reply_goes_out_at_its_turn_and_not_before() {
    let mut driver = driver_with(3);
    answer(&mut driver, 1);
    assert_eq!(driver.sent(), "");
    assert!(driver.machine.held_bytes() > 0);
    answer(&mut driver, 0);
    assert_eq!(bodies(&driver.sent()), "<0><1>");
    assert_eq!(driver.machine.exchanges_in_flight(), 1);
}

#[test]
fn streams_block_what_is_behind_them() {
    for order in orders(3) {
        let mut driver = driver_with(3);
        for number in &order {
            let exchange = driver.exchanges[*number];
            let (machine, outbox) = (&mut driver.machine, &mut driver.outbox);
            let body = if *number == 1 { ReplyBody::Sized(3) } else { ReplyBody::Chunked };
            machine.send_reply(exchange, &reply(200), body, outbox);
        }
        let large = Bytes::from(vec![b'x'; 3000]);
        for number in order {
            let exchange = driver.exchanges[number];
            let (machine, outbox) = (&mut driver.machine, &mut driver.outbox);
            if number == 1 {
                machine.send_body(exchange, "one".into(), outbox);
            } else {
                machine.send_body(exchange, "part".into(), outbox);
                machine.send_body(exchange, "".into(), outbox);
                machine.send_body(exchange, large.clone().into(), outbox);
            }
            machine.end_body(exchange, outbox);
        }
        let head = format!("HTTP/1.1 200 OK\r\nDate: {}\r\n", std::str::from_utf8(DATE).unwrap());
        let x = "x".repeat(3000);
        let stream =
            format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\nbb8\r\n{x}\r\n0\r\n\r\n");
        let expected = format!("{stream}{head}Content-Length: 3\r\n\r\none{stream}");
        assert_eq!(driver.sent(), expected);
        assert!(driver.machine.is_idle());
    }
}

#[test]
fn a_refusal_stands_behind_the_replies_owed() {
    for order in orders(2) {
        let mut driver = driver_with(2);
        driver.feed(b"GET / HTTP/1.1\r\n\r\n");
        assert!(!driver.machine.wants_close());
        for number in order {
            answer(&mut driver, number);
        }
        let sent = driver.sent();
        let places: Vec<usize> = ["<0>", "<1>", "HTTP/1.1 400 Bad Request", "Connection: close"]
            .iter()
            .map(|text| sent.find(text).unwrap())
            .collect();
        assert!(places.is_sorted(), "{sent}");
        assert_eq!(sent.matches("Connection").count(), 1);
        assert!(sent.ends_with("the Host field is missing"));
        assert!(driver.machine.wants_close());
    }
}

#[test]
fn a_refused_body_is_the_reply_of_its_request() {
    let bad = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    // Not answered yet.
    let mut driver = driver_with(1);
    driver.feed(bad.as_bytes());
    driver.feed(b"x");
    answer(&mut driver, 0);
    let sent = driver.sent();
    assert_eq!(sent.matches("HTTP/1.1 400 Bad Request").count(), 1);
    assert!(driver.machine.wants_close());
    // Answered already.
    let mut driver = driver_with(1);
    driver.feed(bad.as_bytes());
    answer(&mut driver, 0);
    answer(&mut driver, 1);
    driver.feed(b"x");
    assert_eq!(bodies(&driver.sent()), "<0><1>");
    assert!(driver.machine.wants_close());
    // In the middle of its answer.
    let mut driver = driver_with(1);
    driver.feed(bad.as_bytes());
    answer(&mut driver, 0);
    let exchange = driver.exchanges[1];
    driver.machine.send_reply(exchange, &reply(200), ReplyBody::Chunked, &mut driver.outbox);
    driver.feed(b"x");
    assert!(driver.machine.wants_close());
    driver.machine.send_body(exchange, "late".into(), &mut driver.outbox);
    driver.machine.end_body(exchange, &mut driver.outbox);
    assert!(driver.sent().ends_with("Transfer-Encoding: chunked\r\n\r\n"));
}

#[test]
fn a_body_that_cannot_be_completed_cuts_the_connection() {
    for number in [0, 1] {
        let mut driver = driver_with(3);
        let exchange = driver.exchanges[number];
        let (machine, outbox) = (&mut driver.machine, &mut driver.outbox);
        machine.send_reply(exchange, &reply(200), ReplyBody::Sized(10), outbox);
        machine.send_body(exchange, "short".into(), outbox);
        if number == 0 {
            machine.end_body(exchange, outbox);
        } else {
            machine.abort_reply(exchange);
            assert!(!machine.wants_close());
            answer(&mut driver, 0);
        }
        assert!(driver.machine.wants_close());
        answer(&mut driver, 2);
        assert!(driver.sent().ends_with("Content-Length: 10\r\n\r\nshort"));
        driver.feed(GET.as_bytes());
        assert!(driver.said.ends_with("closed\n"));
    }
}

#[test]
fn a_request_given_up_before_its_turn_leaves_the_replies_before_it() {
    let mut driver = driver_with(2);
    driver.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    driver.machine.end_of_stream();
    driver.machine.abort_reply(driver.exchanges[2]);
    assert!(!driver.machine.wants_close());
    assert!(!driver.machine.awaits_reply(driver.exchanges[2]));
    answer(&mut driver, 1);
    answer(&mut driver, 0);
    assert_eq!(bodies(&driver.sent()), "<0><1>");
    assert!(driver.machine.wants_close());
}

#[test]
fn an_upgrade_behind_a_reply_that_ends_the_connection_is_dropped() {
    for status in [101, 200] {
        let mut driver = Driver::new(Limits::default());
        driver.feed(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        driver.feed(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\r\n\r\n");
        let [first, second] = driver.exchanges[..] else { panic!("two requests") };
        let (machine, outbox) = (&mut driver.machine, &mut driver.outbox);
        machine.send_reply(first, &reply(200), ReplyBody::Chunked, outbox);
        machine.send_reply(second, &reply(status), ReplyBody::None, outbox);
        machine.send_body(first, "<all>".into(), outbox);
        machine.end_body(first, outbox);
        assert!(machine.wants_close() && !machine.is_switched());
        assert!(driver.sent().ends_with("<all>"), "nothing follows a body without a length");
    }
}

#[test]
#[should_panic(expected = "an exchange is answered once, after it was received")]
fn an_exchange_is_answered_once() {
    let mut driver = driver_with(2);
    answer(&mut driver, 0);
    answer(&mut driver, 0);
}

#[test]
#[should_panic(expected = "an exchange is answered once, after it was received")]
fn a_held_exchange_is_answered_once() {
    let mut driver = driver_with(3);
    answer(&mut driver, 1);
    answer(&mut driver, 1);
}

#[test]
#[should_panic(expected = "a body must not be longer than the length it was given")]
fn a_sized_body_keeps_its_length() {
    let mut driver = driver_with(1);
    let exchange = driver.exchanges[0];
    driver.machine.send_reply(exchange, &reply(200), ReplyBody::Sized(3), &mut driver.outbox);
    driver.machine.send_body(exchange, "four".into(), &mut driver.outbox);
}

/// A reply that has not begun can be given up before its turn: the connection ends behind the
/// replies that come first.
#[test]
fn a_reply_is_given_up_before_it_begins() {
    for answered_first in [false, true] {
        let mut driver = driver_with(2);
        driver.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
        if answered_first {
            answer(&mut driver, 0);
        }
        driver.machine.end_of_stream();
        driver.machine.abort_reply(driver.exchanges[2]);
        assert!(!driver.machine.awaits_reply(driver.exchanges[2]));
        answer(&mut driver, 1);
        if !answered_first {
            assert!(!driver.machine.wants_close());
            answer(&mut driver, 0);
        }
        assert_eq!(bodies(&driver.sent()), "<0><1>");
        assert!(driver.machine.wants_close());
    }
}
