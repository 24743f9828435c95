//! Replies as bytes: fields and their order, framing, HEAD, 1.0, 100 Continue and 101 (attack 4).
//! It must never compare less than the whole reply where the whole is known.

use crate::driver::{Driver, opening, reply};
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE as DATE_FIELD, ETAG, SERVER, TRANSFER_ENCODING,
};
use http::{HeaderName, HeaderValue, StatusCode};
use springtide_proto::http1::{
    EncodedFields, Fields, Limits, MediaType, Opening, Received, Reply, ReplyBody,
};
use springtide_proto::{COPY_BYTES_MAX, Outbox};

const D: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

fn driver_with(input: &str) -> Driver {
    let mut driver = Driver::new(Limits::default());
    driver.feed(input.as_bytes());
    driver
}

/// What one request gets for this reply; a body that stays open gets `ab` and its end.
fn answered(request: &str, reply: &Reply<'_>, body: ReplyBody) -> (String, bool) {
    let mut driver = driver_with(&format!("{request}\r\nHost: a\r\n\r\n"));
    let exchange = driver.exchanges[0];
    let is_open = matches!(body, ReplyBody::Sized(_) | ReplyBody::Chunked);
    driver.machine.send_reply(exchange, reply, body, &mut driver.outbox);
    if is_open {
        driver.machine.send_body(exchange, "ab".into(), &mut driver.outbox);
        driver.machine.end_body(exchange, &mut driver.outbox);
    }
    (driver.sent(), driver.machine.wants_close())
}

#[test]
fn the_framing_of_every_kind_of_body() {
    let full = || ReplyBody::Full("ab".into());
    let cases = [
        ("GET / HTTP/1.1", 200, full(), "Content-Length: 2\r\n\r\nab", false),
        ("GET / HTTP/1.1", 200, ReplyBody::Full("".into()), "Content-Length: 0\r\n\r\n", false),
        ("GET / HTTP/1.1", 200, ReplyBody::None, "Content-Length: 0\r\n\r\n", false),
        ("GET / HTTP/1.1", 404, ReplyBody::None, "Content-Length: 0\r\n\r\n", false),
        ("GET / HTTP/1.1", 204, ReplyBody::None, "\r\n", false),
        ("GET / HTTP/1.1", 204, full(), "\r\n", false),
        ("GET / HTTP/1.1", 204, ReplyBody::Sized(2), "\r\n", false),
        ("GET / HTTP/1.1", 304, full(), "\r\n", false),
        ("GET / HTTP/1.1", 304, ReplyBody::Chunked, "\r\n", false),
        ("GET / HTTP/1.1", 200, ReplyBody::Sized(2), "Content-Length: 2\r\n\r\nab", false),
        (
            "GET / HTTP/1.1",
            200,
            ReplyBody::Chunked,
            "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            false,
        ),
        ("HEAD / HTTP/1.1", 200, full(), "Content-Length: 2\r\n\r\n", false),
        ("HEAD / HTTP/1.1", 200, ReplyBody::Sized(2), "Content-Length: 2\r\n\r\n", false),
        ("HEAD / HTTP/1.1", 200, ReplyBody::Sized(9), "Content-Length: 9\r\n\r\n", false),
        ("HEAD / HTTP/1.1", 200, ReplyBody::Chunked, "Transfer-Encoding: chunked\r\n\r\n", false),
        ("HEAD / HTTP/1.1", 304, full(), "\r\n", false),
        ("GET / HTTP/1.0", 200, full(), "Content-Length: 2\r\nConnection: close\r\n\r\nab", true),
        ("GET / HTTP/1.0", 200, ReplyBody::Chunked, "Connection: close\r\n\r\nab", true),
        (
            "GET / HTTP/1.0\r\nConnection: keep-alive",
            200,
            full(),
            "Content-Length: 2\r\nConnection: keep-alive\r\n\r\nab",
            false,
        ),
        (
            "GET / HTTP/1.0\r\nConnection: keep-alive",
            200,
            ReplyBody::Chunked,
            "Connection: close\r\n\r\nab",
            true,
        ),
        (
            "HEAD / HTTP/1.0\r\nConnection: keep-alive",
            200,
            ReplyBody::Chunked,
            "Connection: keep-alive\r\n\r\n",
            false,
        ),
        (
            "GET / HTTP/1.1\r\nConnection: close",
            200,
            ReplyBody::Chunked,
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            true,
        ),
        ("GET / HTTP/1.1\r\nConnection: close", 204, full(), "Connection: close\r\n\r\n", true),
    ];
    for (request, status, body, expected, closes) in cases {
        let reason = StatusCode::from_u16(status).unwrap().canonical_reason().unwrap();
        let expected = format!("HTTP/1.1 {status} {reason}\r\n{D}{expected}");
        let shown = format!("{request:?} {status} {body:?}");
        assert_eq!(answered(request, &reply(status), body), (expected, closes), "{shown}");
    }
}

#[test]
fn the_order_of_fields() {
    let fields = [(ETAG, HeaderValue::from_static("\"1\""))];
    let reply = Reply {
        status: StatusCode::from_u16(299).unwrap(),
        content_type: Some(MediaType::new("text/plain")),
        fields: Fields::Given(&fields),
        opening: opening(b"springtide"),
    };
    let (sent, _) = answered("GET / HTTP/1.1\r\nConnection: close", &reply, ReplyBody::None);
    let expected = format!(
        "HTTP/1.1 299 \r\nServer: springtide\r\n{D}Content-Type: text/plain\r\n\
         Content-Length: 0\r\netag: \"1\"\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(sent, expected);
}

#[test]
fn a_callers_field_replaces_or_is_left_out() {
    let value = HeaderValue::from_static("7");
    let ours =
        format!("HTTP/1.1 200 OK\r\nServer: s\r\n{D}Content-Type: t\r\nContent-Length: 0\r\n\r\n");
    let cases: [(HeaderName, String); 6] = [
        (CONTENT_LENGTH, ours.clone()),
        (TRANSFER_ENCODING, ours.clone()),
        (CONNECTION, ours.clone()),
        (SERVER, ours.replace("Server: s\r\n", "").replace("0\r\n\r\n", "0\r\nserver: 7\r\n\r\n")),
        (DATE_FIELD, ours.replace(D, "").replace("0\r\n\r\n", "0\r\ndate: 7\r\n\r\n")),
        (
            CONTENT_TYPE,
            ours.replace("Content-Type: t\r\n", "")
                .replace("0\r\n\r\n", "0\r\ncontent-type: 7\r\n\r\n"),
        ),
    ];
    for (name, expected) in cases {
        let fields = [(name.clone(), value.clone())];
        let reply = Reply {
            status: StatusCode::OK,
            content_type: Some(MediaType::new("t")),
            fields: Fields::Given(&fields),
            opening: opening(b"s"),
        };
        assert_eq!(answered("GET / HTTP/1.1", &reply, ReplyBody::None).0, expected, "{name}");
    }
}

#[test]
#[should_panic(expected = "a media type has no control characters")]
fn a_media_type_cannot_split_the_reply() {
    let _ = MediaType::new("a\r\nX: y");
}

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

#[test]
fn continue_is_sent_once_when_the_body_is_wanted() {
    let mut driver = driver_with(EXPECTING);
    let exchange = driver.exchanges[0];
    assert_eq!(driver.sent(), "");
    driver.machine.want_body(exchange, &mut driver.outbox);
    driver.machine.want_body(exchange, &mut driver.outbox);
    assert_eq!(driver.sent(), CONTINUE);
    driver.feed(b"ab");
    driver.machine.want_body(exchange, &mut driver.outbox);
    driver.machine.send_reply(exchange, &reply(200), ReplyBody::None, &mut driver.outbox);
    assert_eq!(driver.sent(), format!("HTTP/1.1 200 OK\r\n{D}Content-Length: 0\r\n\r\n"));
    assert!(driver.machine.is_idle());
}

#[test]
fn continue_is_not_sent_when_the_body_has_come() {
    let mut driver = driver_with(&format!("{EXPECTING}a"));
    driver.machine.want_body(driver.exchanges[0], &mut driver.outbox);
    assert_eq!(driver.sent(), "");
}

#[test]
fn continue_waits_for_the_replies_before() {
    let mut driver = driver_with(&format!("GET / HTTP/1.1\r\nHost: a\r\n\r\n{EXPECTING}"));
    driver.machine.want_body(driver.exchanges[1], &mut driver.outbox);
    assert_eq!(driver.sent(), "");
    let exchange = driver.exchanges[0];
    driver.machine.send_reply(exchange, &reply(200), ReplyBody::None, &mut driver.outbox);
    let expected = format!("HTTP/1.1 200 OK\r\n{D}Content-Length: 0\r\n\r\n{CONTINUE}");
    assert_eq!(driver.sent(), expected);
}

#[test]
fn a_final_reply_instead_of_continue_closes() {
    for discards in [false, true] {
        let mut driver = driver_with(EXPECTING);
        let exchange = driver.exchanges[0];
        if discards {
            driver.machine.discard_body(exchange, &driver.limits);
        }
        driver.machine.send_reply(exchange, &reply(403), ReplyBody::None, &mut driver.outbox);
        assert!(driver.sent().ends_with("Connection: close\r\n\r\n"));
        assert!(driver.machine.wants_close());
        driver.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(driver.exchanges.len(), 1);
    }
}

const OFFER: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

/// Bytes behind an offered upgrade belong to nobody before its reply (Pingora CVE-2026-2833).
#[test]
fn an_upgrade_is_decided_by_its_reply() {
    let mut driver = driver_with(&format!("{OFFER}{NEXT}"));
    assert_eq!(driver.exchanges.len(), 1);
    let exchange = driver.exchanges[0];
    let received = driver.machine.receive(NEXT.as_bytes(), 0, &driver.limits, &mut driver.head);
    assert_eq!(received, Ok(Received::Paused));
    let upgrade = [(http::header::UPGRADE, HeaderValue::from_static("x"))];
    let accepted = Reply { fields: Fields::Given(&upgrade), ..reply(101) };
    driver.machine.send_reply(exchange, &accepted, ReplyBody::None, &mut driver.outbox);
    let expected =
        format!("HTTP/1.1 101 Switching Protocols\r\n{D}upgrade: x\r\nConnection: upgrade\r\n\r\n");
    assert_eq!(driver.sent(), expected);
    assert!(driver.machine.is_switched() && !driver.machine.wants_close());
    driver.read();
    assert_eq!(driver.inbox.as_slice(), NEXT.as_bytes());
    assert_eq!(driver.machine.next_deadline_ms(&driver.limits), None);
}

/// A peer that waits for its 100 has not sent its body: the switch comes behind both.
#[test]
fn continue_comes_before_a_switch() {
    let offer = EXPECTING.replace("Expect", "Connection: upgrade\r\nUpgrade: x\r\nExpect");
    let mut driver = driver_with(&offer);
    let exchange = driver.exchanges[0];
    driver.machine.want_body(exchange, &mut driver.outbox);
    driver.feed(b"ab");
    driver.machine.send_reply(exchange, &reply(101), ReplyBody::None, &mut driver.outbox);
    let expected =
        format!("{CONTINUE}HTTP/1.1 101 Switching Protocols\r\n{D}Connection: upgrade\r\n\r\n");
    assert_eq!(driver.sent(), expected);
    assert!(driver.machine.is_switched());
}

#[test]
#[should_panic(expected = "whose request was read to its end")]
fn a_switch_never_comes_before_its_continue() {
    let offer = EXPECTING.replace("Expect", "Connection: upgrade\r\nUpgrade: x\r\nExpect");
    let mut driver = driver_with(&offer);
    let exchange = driver.exchanges[0];
    driver.machine.send_reply(exchange, &reply(101), ReplyBody::None, &mut driver.outbox);
}

#[test]
fn a_declined_upgrade_goes_on_as_http() {
    let mut driver = driver_with(&format!("{OFFER}{NEXT}"));
    let exchange = driver.exchanges[0];
    driver.machine.send_reply(exchange, &reply(200), ReplyBody::None, &mut driver.outbox);
    driver.read();
    assert_eq!(driver.exchanges.len(), 2);
    assert!(!driver.sent().contains("Connection"));
}

#[test]
fn an_upgrade_out_of_turn_switches_behind_the_replies_before() {
    let mut driver = driver_with(&format!("{NEXT}{OFFER}raw"));
    let exchanges = driver.exchanges.clone();
    driver.machine.send_reply(exchanges[1], &reply(101), ReplyBody::None, &mut driver.outbox);
    assert!(!driver.machine.is_switched());
    assert_eq!(driver.sent(), "");
    driver.machine.send_reply(exchanges[0], &reply(200), ReplyBody::None, &mut driver.outbox);
    assert!(driver.machine.is_switched());
    let sent = driver.sent();
    assert!(sent.find("200 OK") < sent.find("101 Switching"), "{sent}");
}

#[test]
#[should_panic(expected = "an interim status is no reply")]
fn an_interim_status_is_no_reply() {
    answered("GET / HTTP/1.1", &reply(103), ReplyBody::None);
}

#[test]
#[should_panic(expected = "101 answers an offered upgrade")]
fn a_switch_must_have_been_offered() {
    answered("GET / HTTP/1.1", &reply(101), ReplyBody::None);
}

#[test]
fn a_large_body_is_sent_from_where_it_lies() {
    let mut driver = driver_with(NEXT);
    let body = bytes::Bytes::from(vec![b'x'; 100_000]);
    let piece = ReplyBody::Full(body.clone().into());
    driver.machine.send_reply(driver.exchanges[0], &reply(200), piece, &mut driver.outbox);
    let mut pieces = Vec::new();
    Outbox::take_pieces(&mut driver.outbox, &mut pieces);
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces[1].as_slice().as_ptr(), body.as_ptr());
}

#[test]
fn a_copied_body_is_a_full_body() {
    for request in ["GET / HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0", "GET /2 HTTP/1.1"] {
        for (status, body) in [(200, "ab"), (404, ""), (204, ""), (304, "ab")] {
            let expected = answered(request, &reply(status), ReplyBody::Full(body.into()));
            let mut driver = Driver::new(Limits::default());
            driver.feed(format!("{request}\r\nHost: a\r\n\r\n").as_bytes());
            let (exchange, outbox) = (driver.exchanges[0], &mut driver.outbox);
            driver.machine.send_copied(exchange, &reply(status), body.as_bytes(), outbox);
            assert_eq!(
                (driver.sent(), driver.machine.wants_close()),
                expected,
                "{request} {status}"
            );
        }
    }
}

/// What a request gets for a copied body of this length and type, with these fields.
fn copied(
    len: usize,
    content_type: MediaType<'_>,
    fields: &[(HeaderName, HeaderValue)],
    opening: &Opening,
) -> String {
    let mut driver = driver_with(NEXT);
    let (content_type, fields) = (Some(content_type), Fields::Given(fields));
    let reply = Reply { status: StatusCode::OK, content_type, fields, opening };
    let (exchange, body) = (driver.exchanges[0], vec![b'x'; len]);
    driver.machine.send_copied(exchange, &reply, &body, &mut driver.outbox);
    driver.sent()
}

#[test]
fn a_type_that_is_known_is_sent_as_any_other() {
    static TEXT: MediaType<'_> = MediaType::new("text/plain");
    static JSON: MediaType<'_> = MediaType::new("application/json");
    static OTHER: MediaType<'_> = MediaType::new("image/png");
    let plain = Opening::new(b"s", b"Mon, 07 Nov 1994 08:49:37 GMT");
    let mut known = Opening::new(b"s", b"Sun, 06 Nov 1994 08:49:37 GMT").with_types(&[TEXT, JSON]);
    known.set_date(b"Mon, 07 Nov 1994 08:49:37 GMT");
    let fields = [(ETAG, HeaderValue::from_static("\"1\""))];
    for len in (0..=101).chain([999, 1000, COPY_BYTES_MAX]) {
        for content_type in [TEXT, JSON, OTHER] {
            for fields in [&[], fields.as_slice()] {
                let expected = copied(len, content_type, fields, &plain);
                assert!(expected.contains(&format!("\r\nContent-Length: {len}\r\n")), "{expected}");
                assert!(expected.contains(content_type.as_str()), "{expected}");
                assert_eq!(copied(len, content_type, fields, &known), expected);
            }
        }
    }
}

#[test]
fn fields_that_are_encoded_once_are_sent_as_any_others() {
    let fields = [
        (ETAG, HeaderValue::from_static("\"1\"")),
        (CONTENT_LENGTH, HeaderValue::from_static("9")),
        (http::header::VARY, HeaderValue::from_static("accept")),
    ];
    let encoded = EncodedFields::of(&fields).expect("none of them is the machine's to say");
    let requests = ["GET / HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0"];
    for (request, end) in
        requests.iter().flat_map(|own| [(own, ""), (own, "\r\nConnection: close")])
    {
        for (status, content_type) in [(200, Some("t")), (200, None), (404, Some("t")), (304, None)]
        {
            for body in [ReplyBody::None, ReplyBody::Full("ab".into()), ReplyBody::Chunked] {
                let content_type = content_type.map(MediaType::new);
                let reply = Reply { content_type, ..reply(status) };
                let given = Reply { fields: Fields::Given(&fields), ..reply };
                let encoded = Reply { fields: Fields::Encoded(&encoded), ..reply };
                let request = format!("{request}{end}");
                let expected = answered(&request, &given, body.clone());
                assert!(expected.0.contains("\r\netag: \"1\"\r\nvary: accept\r\n"), "{expected:?}");
                assert_eq!(answered(&request, &encoded, body), expected);
            }
        }
    }
    let mine = [SERVER, DATE_FIELD, CONTENT_TYPE, http::header::UPGRADE];
    assert!(
        mine.map(|name| EncodedFields::of(&[(name, HeaderValue::from_static("x"))]))
            == [const { None }; 4]
    );
}

#[test]
fn a_copied_body_waits_for_its_turn() {
    let mut driver = Driver::new(Limits::default());
    driver.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2).as_bytes());
    for (number, body) in [(1, b"second"), (0, b"first ")] {
        let exchange = driver.exchanges[number];
        driver.machine.send_copied(exchange, &reply(200), body, &mut driver.outbox);
    }
    let sent = driver.sent();
    assert!(sent.find("first ").unwrap() < sent.find("second").unwrap(), "{sent}");
}

#[test]
fn trailers_stand_behind_the_last_chunk() {
    let trailers = [
        (HeaderName::from_static("x-sum"), HeaderValue::from_static("7")),
        (CONTENT_LENGTH, HeaderValue::from_static("9")),
        (ETAG, HeaderValue::from_static("\"1\"")),
    ];
    let cases = [
        ("GET / HTTP/1.1", ReplyBody::Chunked, "2\r\nab\r\n0\r\nx-sum: 7\r\netag: \"1\"\r\n\r\n"),
        ("GET / HTTP/1.1", ReplyBody::Sized(2), "ab"),
        ("GET / HTTP/1.0", ReplyBody::Chunked, "ab"),
        ("HEAD / HTTP/1.1", ReplyBody::Chunked, ""),
    ];
    for (request, body, expected) in cases {
        // The second is held, and its trailers with it.
        for held in [false, true] {
            let input = format!("{request}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
            let mut driver = driver_with(&input.repeat(2));
            let exchange = driver.exchanges[usize::from(held)];
            let shown = format!("{request:?} {body:?} {held}");
            driver.machine.send_reply(exchange, &reply(200), body.clone(), &mut driver.outbox);
            driver.machine.send_body(exchange, "ab".into(), &mut driver.outbox);
            driver.machine.end_body_with(exchange, &trailers, &mut driver.outbox);
            if held {
                assert!(driver.outbox.is_empty(), "{shown}");
                let first = driver.exchanges[0];
                driver.machine.send_reply(first, &reply(204), ReplyBody::None, &mut driver.outbox);
            }
            let sent = driver.sent();
            let sent_body = sent
                .rsplit_once("chunked\r\n\r\n")
                .unwrap_or_else(|| sent.rsplit_once("\r\n\r\n").expect("a head"));
            assert_eq!(sent_body.1, expected, "{shown}");
        }
    }
}
