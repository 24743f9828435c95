//! Bodies: sized and chunked, their limits and what becomes of unwanted ones (attacks 2, 3, 5).
//! It must never hold a case that depends on where the input is cut.

use crate::driver::{Driver, check, check_with, opening, reply};
use springtide_proto::http1::{Limits, Received, ReplyBody};

fn chunked(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[test]
fn sized_bodies() {
    let cases = [
        ("1\r\n\r\nx", "sized=1\nbody x"),
        ("5\r\n\r\nhello", "sized=5\nbody hello"),
        ("2\r\n\r\n\r\n", "sized=2\nbody \r\n"),
        ("5\r\n\r\nhell", "sized=5"),
        ("0\r\n\r\n", ""),
        (
            "4\r\n\r\n0\r\n\rGET / HTTP/1.1\r\nHost: b\r\n\r\n",
            "sized=4\nbody 0\r\n\r\nGET / 1.1 host=b",
        ),
    ];
    for (rest, expected) in cases {
        let expected = format!("POST / 1.1 host=a {expected}");
        check(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {rest}"), expected.trim_end());
    }
}

#[test]
fn chunked_bodies() {
    let cases = [
        ("0\r\n\r\n", "body "),
        ("000\r\n\r\n", "body "),
        ("5\r\nhello\r\n0\r\n\r\n", "body hello"),
        ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "body hello world"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "body 0123456789"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "body 0123456789"),
        ("0000000000000005\r\nhello\r\n0\r\n\r\n", "body hello"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "body \r\n"),
        ("5;a\r\nhello\r\n0;b=c\r\n\r\n", "body hello"),
        ("5;a=\"b;c\" ; d\r\nhello\r\n0\r\n\r\n", "body hello"),
        ("5; a\r\nhello\r\n0\r\n\r\n", "body hello"),
        ("5;\r\nhello\r\n0\r\n\r\n", "refused 400 Chunk"),
        ("5; \r\nhello\r\n0\r\n\r\n", "refused 400 Chunk"),
        ("5 ;;a\r\nhello\r\n0\r\n\r\n", "refused 400 Chunk"),
        ("5;=a\r\nhello\r\n0\r\n\r\n", "refused 400 Chunk"),
        ("0\r\nX: y\r\n\r\n", "body \ntrailer X=y"),
        ("0\r\nX: y\r\nZ:\r\n\r\n", "body \ntrailer X=y\ntrailer Z="),
        ("0\r\nCookie: a\r\nZ: y\r\n\r\n", "body \ntrailer Z=y"),
        ("5\r\nhel", ""),
        ("5", ""),
        ("0\r\n", ""),
        ("0\r\nX: y\r\n", ""),
        // A bare LF anywhere (Go CVE-2025-22871, Kestrel CVE-2025-55315, h11 CVE-2025-43859).
        ("5\nhello\r\n0\r\n\r\n", "refused 400 Chunk"),
        ("5\r\nhello\n0\r\n\r\n", "refused 400 Chunk"),
        ("5\r\nhello\r\n0\n\r\n", "refused 400 Chunk"),
        ("5;a\nhello\r\n0\r\n\r\n", "refused 400 Chunk"),
        ("5;a\rb\r\nhello\r\n0\r\n\r\n", "refused 400 Chunk"),
        ("5;\n\r\nhello\r\n0\r\n\r\n", "refused 400 Chunk"),
        ("5;a\0\r\nhello\r\n0\r\n\r\n", "refused 400 Chunk"),
        ("0\r\n\n", "refused 400 LineEnd"),
        ("0\r\nX: y\n\r\n", "refused 400 LineEnd"),
        ("0\r\nX: y\r\n\n", "refused 400 LineEnd"),
        ("5\rhello\r\n0\r\n\r\n", "refused 400 Chunk"),
        // Data longer or shorter than its size.
        ("5\r\nhello!\r\n0\r\n\r\n", "refused 400 Chunk"),
        ("5\r\nhelloXX0\r\n\r\n", "refused 400 Chunk"),
        ("5\r\nhell\r\n0\r\n\r\n", "refused 400 Chunk"),
        // Sizes that are none.
        ("\r\nhello\r\n", "refused 400 Chunk"),
        (";a\r\n", "refused 400 Chunk"),
        ("-5\r\nhello\r\n", "refused 400 Chunk"),
        ("+5\r\nhello\r\n", "refused 400 Chunk"),
        ("0x5\r\nhello\r\n", "refused 400 Chunk"),
        ("5 \r\nhello\r\n", "refused 400 Chunk"),
        ("5 ;a\r\nhello\r\n0\t \t; b\r\n\r\n", "body hello"),
        ("5 0\r\nhello\r\n", "refused 400 Chunk"),
        ("5 \n;\r\nhello\r\n", "refused 400 Chunk"),
        (" 5\r\nhello\r\n", "refused 400 Chunk"),
        ("5h\r\nhello\r\n", "refused 400 Chunk"),
        ("5,5\r\nhello\r\n", "refused 400 Chunk"),
        ("g\r\n", "refused 400 Chunk"),
        ("00000000000000005\r\nhello\r\n", "refused 400 Chunk"),
        // Near the integer's end (RUSTSEC-2026-0181).
        ("7fffffffffffffff\r\n", "refused 413 BodyTooLong"),
        ("ffffffffffffffff\r\n", "refused 413 BodyTooLong"),
        ("fffffffffffffffff\r\n", "refused 400 Chunk"),
        ("10000000000000000\r\n", "refused 400 Chunk"),
        ("100001\r\n", "refused 413 BodyTooLong"),
        // Trailers.
        ("0\r\nX : y\r\n\r\n", "refused 400 Trailer"),
        ("0\r\n X: y\r\n\r\n", "refused 400 Trailer"),
        ("0\r\nX: y\r\n z\r\n\r\n", "refused 400 Trailer"),
        ("0\r\nX: \x01\r\n\r\n", "refused 400 Trailer"),
        ("0\r\nX\r\n\r\n", "refused 400 Trailer"),
        ("0\r\nContent-Length: 5\r\n\r\n", "refused 400 Trailer"),
        ("0\r\nTransfer-Encoding: chunked\r\n\r\n", "refused 400 Trailer"),
        ("0\r\nhost: b\r\n\r\n", "refused 400 Trailer"),
        ("0\r\n\rX: y\r\n\r\n", "refused 400 Trailer"),
        ("0\r\n\r\r\n", "refused 400 LineEnd"),
    ];
    for (body, expected) in cases {
        // Pieces of a body are joined at its end, so one that is refused shows nothing.
        let expected = format!("POST / 1.1 host=a chunked\n{expected}");
        check(chunked(body), expected.trim_end());
    }
}

#[test]
fn a_body_is_measured_after_its_chunks_are_joined() {
    let limits = Limits { body_bytes_max: 10, ..Default::default() };
    let cases = [
        ("5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n", "body hellohello"),
        ("5\r\nhello\r\n6\r\nhello!\r\n0\r\n\r\n", "refused 413 BodyTooLong"),
        ("b\r\nhellohello!\r\n0\r\n\r\n", "refused 413 BodyTooLong"),
        ("a\r\nhellohello\r\n1\r\n!\r\n0\r\n\r\n", "refused 413 BodyTooLong"),
    ];
    for (body, expected) in cases {
        check_with(&limits, chunked(body), &format!("POST / 1.1 host=a chunked\n{expected}"));
    }
    let sized = |len: usize| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n{}", "x".repeat(len))
    };
    check_with(&limits, sized(10), "POST / 1.1 host=a sized=10\nbody xxxxxxxxxx");
    check_with(&limits, sized(11), "POST / 1.1 host=a sized=11\nrefused 413 BodyTooLong");
}

#[test]
fn a_route_allows_more_or_less() {
    for (len, max, is_refused) in
        [(10, 10, false), (11, 10, true), (1 << 21, 1 << 21, false), (1, 0, true)]
    {
        let mut driver = Driver::new(Limits::default());
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n");
        let received = driver.machine.receive(head.as_bytes(), 0, &driver.limits, &mut driver.head);
        let Ok(Received::Head { exchange, .. }) = received else { panic!("{received:?}") };
        let answer = driver.machine.body_bytes_max(exchange, max);
        assert_eq!(answer.is_err(), is_refused, "{len} of {max}");
        if let Err(refusal) = answer {
            driver.machine.refuse(refusal, opening(b""), &mut driver.outbox);
            assert!(driver.sent().starts_with("HTTP/1.1 413 Payload Too Large\r\n"));
            assert!(driver.machine.wants_close());
        }
    }
}

#[test]
fn chunk_extensions_and_trailers_are_bounded() {
    let limits = Limits {
        chunk_extension_bytes_max: 8,
        body_extension_bytes_max: 20,
        trailer_bytes_max: 20,
        fields_max: 3,
        ..Default::default()
    };
    let cases = [
        ("1;12345678\r\nx\r\n0\r\n\r\n", "body x"),
        ("1;123456789\r\nx\r\n0\r\n\r\n", "refused 400 ChunkExtensionTooLong"),
        ("1;12345678\r\nx\r\n1;12345678\r\nx\r\n0;1234\r\n\r\n", "body xx"),
        (
            "1;12345678\r\nx\r\n1;12345678\r\nx\r\n0;12345\r\n\r\n",
            "refused 400 ChunkExtensionTooLong",
        ),
        ("0\r\nX: 12345678901234\r\n\r\n", "refused 431 TrailerTooLong"),
        ("0\r\nX: 1234567890123\r\n\r\n", "body \ntrailer X=1234567890123"),
        ("0\r\nX: 123456789012345678901234567890", "refused 431 TrailerTooLong"),
        ("0\r\na:\r\nb:\r\nc:\r\n\r\n", "body \ntrailer a=\ntrailer b=\ntrailer c="),
        ("0\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n", "refused 431 TooManyFields"),
    ];
    for (body, expected) in cases {
        let expected = format!("POST / 1.1 host=a chunked\n{expected}");
        check_with(&limits, chunked(body), expected.trim_end());
    }
}

/// The next request is read only behind the whole body, wanted or not (Pingora CVE-2025-4366).
#[test]
fn an_unwanted_body_never_becomes_a_request() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    let len = smuggled.len();
    let bodies = [
        format!("Content-Length: {len}\r\n\r\n{smuggled}{next}"),
        format!(
            "Transfer-Encoding: chunked\r\n\r\n{len:x}\r\n{smuggled}\r\n0\r\nX: y\r\n\r\n{next}"
        ),
    ];
    for body in bodies {
        let input = format!("POST / HTTP/1.1\r\nHost: a\r\n{body}");
        for (discard_bytes_max, goes_on) in [(len, true), (len - 1, false)] {
            for piece_len in [1, 7, input.len()] {
                let mut driver = Driver::new(Limits {
                    discard_bytes_max: discard_bytes_max as u64,
                    ..Default::default()
                });
                for piece in input.as_bytes().chunks(piece_len) {
                    if driver.exchanges.is_empty() {
                        feed_head(&mut driver, piece);
                    } else {
                        driver.feed(piece);
                    }
                }
                assert!(!driver.said.contains("smuggled"));
                assert!(!driver.said.contains("body"));
                assert_eq!(driver.said.contains("/next"), goes_on, "{}", driver.said);
                assert_eq!(driver.machine.wants_close(), !goes_on);
            }
        }
    }
}

/// Reads up to the first head, then answers it and discards its body.
fn feed_head(driver: &mut Driver, piece: &[u8]) {
    driver.inbox.append(piece);
    let input = driver.inbox.as_slice();
    let received = driver.machine.receive(input, 0, &driver.limits, &mut driver.head);
    if let Ok(Received::Head { consumed, exchange }) = received {
        driver.inbox.consume(consumed);
        driver.exchanges.push(exchange);
        driver.machine.discard_body(exchange, &driver.limits);
        driver.machine.send_reply(exchange, &reply(404), ReplyBody::None, &mut driver.outbox);
        driver.read();
    }
}
