//! Attacks that other servers fell to, by the rows of `docs/attacks.md`, at every split.
//! A request behind one that is refused must never be read.

use crate::driver::{Driver, check, reply, run};
use springtide_proto::http1::{Limits, Received, ReplyBody};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Refused once, and nothing behind it is read: whole, at every split, byte by byte.
fn refused(input: &str, status: u16) {
    let input = format!("{input}{SMUGGLED}");
    let every: Vec<usize> = (1..input.len()).collect();
    let splits = (0..input.len()).map(|split| vec![split]).chain([every]);
    for cuts in splits {
        let said = run(input.as_bytes(), &cuts, &Limits::default());
        assert!(said.contains(&format!("refused {status}")), "{input:?} at {cuts:?}: {said}");
        assert!(!said.contains("smuggled"), "{input:?} at {cuts:?}: {said}");
    }
}

#[test]
fn two_readings_of_a_head() {
    let fields = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 0\r\nContent-Length: 35",
        "Content-Length: 35\r\nContent-Length: 35",
        "Content-Length: 0, 35",
        "Content-Length: +0",
        "Content-Length: 0 35",
        "Content-Length: 0\u{b}",
        "Content-Length : 35",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "X: y\r\n\tTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\0\r\nTransfer-Encoding: chunked",
        "\u{0}Transfer-Encoding: chunked",
        "Content_Length: 4\r\nContent-Length: x",
    ];
    for fields in fields {
        refused(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n"), 400);
    }
    refused(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        501,
    );
    for fields in
        ["Transfer-Encoding: chunked", "Connection: keep-alive\r\nTransfer-Encoding: chunked"]
    {
        refused(&format!("POST / HTTP/1.0\r\n{fields}\r\n\r\n0\r\n\r\n"), 400);
    }
}

#[test]
fn two_readings_of_a_chunk() {
    let bodies = [
        "2\nab\r\n0\r\n\r\n",
        "2\r\nab\n0\r\n\r\n",
        "2\r\nab\r\n0\n\r\n",
        "2\r\nab\r\n0\r\n\n",
        "2;x\nab\r\n0\r\n\r\n",
        "2;\nxx\r\n0\r\n\r\n",
        "2;x\ry\r\nab\r\n0\r\n\r\n",
        "2 \nab\r\n0\r\n\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "2\r\nabXX0\r\n\r\n",
        "2\r\na\r\n0\r\n\r\n",
        "2\rXab\r\n0\r\n\r\n",
        "2\r\nab\rX0\r\n\r\n",
        "2 0\r\nab\r\n0\r\n\r\n",
        "0x2\r\nab\r\n0\r\n\r\n",
        "2_0\r\nab\r\n0\r\n\r\n",
        "-0\r\n\r\n",
        "+0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\nX: y\nZ: w\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
    ];
    for body in bodies {
        refused(
            &format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"),
            400,
        );
    }
}

#[test]
fn chunk_sizes_near_the_end_of_integers() {
    let sizes = [
        ("7fffffffffffffff", 413),
        ("8000000000000000", 413),
        ("fffffffffffffff0", 413),
        ("ffffffffffffffff", 413),
        ("FFFFFFFFFFFFFFFE", 413),
        ("ffffffff", 413),
        ("100000000", 413),
        ("10000000000000000", 400),
        ("fffffffffffffffff", 400),
        ("00000000000000002", 400),
    ];
    for (size, status) in sizes {
        for before in ["", "1\r\na\r\n"] {
            let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            refused(&format!("{head}{before}{size}\r\nab\r\n0\r\n\r\n"), status);
        }
    }
}

#[test]
fn bytes_behind_an_offered_upgrade() {
    let offer = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let input = format!("{offer}{SMUGGLED}");
    for status in [101, 200] {
        for split in 0..input.len() {
            let mut driver = Driver::new(Limits::default());
            driver.feed(&input.as_bytes()[..split]);
            driver.feed(&input.as_bytes()[split..]);
            assert_eq!(driver.exchanges.len(), 1, "nothing behind the offer is a request yet");
            assert_eq!(driver.inbox.as_slice(), SMUGGLED.as_bytes(), "nor raw");
            let rest = driver.inbox.as_slice();
            let received = driver.machine.receive(rest, 0, &driver.limits, &mut driver.head);
            assert_eq!(received, Ok(Received::Paused));
            let (exchange, outbox) = (driver.exchanges[0], &mut driver.outbox);
            driver.machine.send_reply(exchange, &reply(status), ReplyBody::None, outbox);
            driver.read();
            let is_raw = driver.inbox.as_slice() == SMUGGLED.as_bytes();
            assert_eq!((is_raw, driver.exchanges.len()), (status == 101, 1 + usize::from(!is_raw)));
        }
    }
}

#[test]
fn bodies_that_nobody_reads() {
    let len = SMUGGLED.len();
    let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    let framings = [
        format!("Content-Length: {len}\r\n\r\n{SMUGGLED}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{len:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
    ];
    for framing in framings {
        let head_len =
            "POST / HTTP/1.1\r\nHost: a\r\n".len() + framing.find("\r\n\r\n").unwrap() + 4;
        let input = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}{next}");
        for split in head_len..=input.len() {
            let mut driver = Driver::new(Limits::default());
            let (limits, head) = (driver.limits.clone(), &mut driver.head);
            let first = driver.machine.receive(&input.as_bytes()[..head_len], 0, &limits, head);
            let Ok(Received::Head { exchange, .. }) = first else { panic!("{first:?}") };
            // Answered before its body has come, which nobody wants.
            driver.machine.discard_body(exchange, &limits);
            driver.machine.send_reply(exchange, &reply(404), ReplyBody::None, &mut driver.outbox);
            driver.feed(&input.as_bytes()[head_len..split]);
            driver.feed(&input.as_bytes()[split..]);
            assert_eq!(driver.said, "GET /next 1.1 host=a\n", "{input:?} at {split}");
        }
    }
}

#[test]
fn a_huge_length_is_refused_before_its_body() {
    for len in ["1048577", "4294967296", "9223372036854775808", "18446744073709551615"] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n");
        let expected = format!("POST / 1.1 host=a sized={len}\nrefused 413 BodyTooLong");
        check(&head, &expected);
        // With `Expect` nothing is asked for either.
        let mut driver = Driver::new(Limits::default());
        driver.feed(head.replace("Content", "Expect: 100-continue\r\nContent").as_bytes());
        driver.machine.want_body(driver.exchanges[0], &mut driver.outbox);
        assert!(driver.sent().starts_with("HTTP/1.1 413 "));
        assert!(driver.machine.wants_close() && driver.inbox.as_slice().is_empty());
    }
    refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400);
}

#[test]
fn hosts_and_targets_that_others_accept() {
    let requests = [
        ("GET / HTTP/1.1\r\nX: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("PRI * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ];
    for (request, status) in requests {
        refused(request, status);
    }
}
