//! The handshake, rule by rule (RFC 6455 §4): what is refused with which status, and what an answer
//! must say. Each case changes one field of a request or an answer that is right.

use http::StatusCode;
use springtide_proto::websocket::handshake::{Asked, Disagreement, HandshakeError, Offer};

type Fields<'a> = Vec<(&'a str, &'a [u8])>;

fn right() -> Fields<'static> {
    vec![
        ("Host", b"a"),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Version", b"13"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ]
}

/// The same with another value of one field, or without it.
fn with<'a>(mut fields: Fields<'a>, name: &'a str, value: Option<&'a str>) -> Fields<'a> {
    fields.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    fields.extend(value.map(|value| (name, value.as_bytes())));
    fields
}

#[test]
fn a_right_request_is_taken() {
    let offer = Offer::read(right()).unwrap();
    assert_eq!(offer.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!((offer.protocols().count(), offer.extensions()), (0, b"".as_slice()));
    for (name, value) in [
        ("upgrade", "WebSocket"),
        ("UPGRADE", "h2c , WEBSOCKET,x/1"),
        ("connection", "keep-alive, UPGRADE"),
        ("connection", "upgrade,"),
    ] {
        assert!(Offer::read(with(right(), name, Some(value))).is_ok(), "{name}: {value}");
    }
}

#[test]
fn section_4_2_1_what_is_refused() {
    use HandshakeError::{Key, NoUpgrade, Protocols, Version};
    for (name, value, expected) in [
        ("Upgrade", None, NoUpgrade),
        ("Upgrade", Some(""), NoUpgrade),
        ("Upgrade", Some("websockets"), NoUpgrade),
        ("Upgrade", Some("websocket/13"), NoUpgrade),
        ("Connection", None, NoUpgrade),
        ("Connection", Some("keep-alive"), NoUpgrade),
        ("Connection", Some("Upgraded"), NoUpgrade),
        ("Sec-WebSocket-Version", None, Version),
        ("Sec-WebSocket-Version", Some(""), Version),
        ("Sec-WebSocket-Version", Some("8"), Version),
        ("Sec-WebSocket-Version", Some("013"), Version),
        ("Sec-WebSocket-Version", Some("13, 8"), Version),
        ("Sec-WebSocket-Key", None, Key),
        ("Sec-WebSocket-Key", Some(""), Key),
        ("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZQ"), Key),
        ("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25j"), Key),
        ("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZXM="), Key),
        ("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZR=="), Key),
        ("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSB!b25jZQ=="), Key),
        ("Sec-WebSocket-Protocol", Some("a, b c"), Protocols),
        ("Sec-WebSocket-Protocol", Some("a, b, a"), Protocols),
        ("Sec-WebSocket-Protocol", Some("\u{f6}"), Protocols),
    ] {
        let refused = Offer::read(with(right(), name, value));
        assert_eq!(refused, Err(expected), "{name}: {value:?}");
    }
    for (twice, expected) in [
        (("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ==".as_slice()), Key),
        (("Sec-WebSocket-Version", b"13"), Version),
    ] {
        let fields = right().into_iter().chain([twice]);
        assert_eq!(Offer::read(fields), Err(expected), "{twice:?}");
    }
}

#[test]
fn refusals_have_their_status() {
    for (error, status, field) in [
        (HandshakeError::NoUpgrade, 426, Some(("upgrade", "websocket"))),
        (HandshakeError::Version, 426, Some(("sec-websocket-version", "13"))),
        (HandshakeError::Key, 400, None),
        (HandshakeError::Protocols, 400, None),
    ] {
        assert_eq!((error.status().as_u16(), error.field()), (status, field), "{error}");
    }
}

#[test]
fn lists_may_stand_in_several_fields() {
    let fields = right().into_iter().chain([
        ("sec-websocket-protocol", b"a,, b".as_slice()),
        ("sec-websocket-protocol", b" c"),
        ("sec-websocket-extensions", b"x; y=1"),
        ("sec-websocket-extensions", b"z"),
    ]);
    let offer = Offer::read(fields).unwrap();
    assert!(offer.protocols().eq(["a", "b", "c"]));
    assert_eq!(offer.extensions(), b"x; y=1,z");
}

fn asked() -> Asked {
    Asked::new(*b"the sample nonce", ["chat", "log"])
}

#[test]
fn section_4_1_what_is_asked_is_taken() {
    let fields: Vec<(&str, String)> = asked().fields().collect();
    let offer = Offer::read(fields.iter().map(|(name, value)| (*name, value.as_bytes()))).unwrap();
    assert!(offer.protocols().eq(["chat", "log"]));
    let answer = |protocol| {
        [
            ("upgrade", b"websocket".as_slice()),
            ("connection", b"upgrade"),
            ("sec-websocket-accept", offer.accept().as_bytes()),
            ("sec-websocket-protocol", protocol),
        ]
    };
    let status = StatusCode::SWITCHING_PROTOCOLS;
    assert_eq!(asked().check(status, answer(b"log")), Ok(Some("log")));
    assert_eq!(asked().check(status, answer(b"other")), Err(Disagreement::Protocol));
    let without = answer(b"").into_iter().take(3);
    assert_eq!(asked().check(status, without), Ok(None));
}

#[test]
fn section_4_1_answers_that_open_nothing() {
    let answer: Fields<'_> = vec![
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ];
    let (status, asked) = (StatusCode::SWITCHING_PROTOCOLS, asked());
    assert_eq!(asked.check(status, answer.clone()), Ok(None));
    for (name, value, expected) in [
        ("Upgrade", None, Disagreement::NoUpgrade),
        ("Upgrade", Some("h2c"), Disagreement::NoUpgrade),
        ("Connection", None, Disagreement::NoUpgrade),
        ("Connection", Some("close"), Disagreement::NoUpgrade),
        ("Sec-WebSocket-Accept", None, Disagreement::Accept),
        ("Sec-WebSocket-Accept", Some("s3pplmbitxaq9kygzzhzrbk+xoo="), Disagreement::Accept),
        ("Sec-WebSocket-Protocol", Some("chat, log"), Disagreement::Protocol),
        ("Sec-WebSocket-Protocol", Some("Chat"), Disagreement::Protocol),
        ("Sec-WebSocket-Extensions", Some("permessage-deflate"), Disagreement::Extension),
    ] {
        let checked = asked.check(status, with(answer.clone(), name, value));
        assert_eq!(checked, Err(expected), "{name}: {value:?}");
    }
    for status in [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::FOUND] {
        let checked = asked.check(status, answer.clone());
        assert_eq!(checked, Err(Disagreement::Status(status)));
    }
    let twice = ("sec-websocket-protocol", b"chat".as_slice());
    let fields = answer.into_iter().chain([twice, twice]);
    assert_eq!(asked.check(status, fields), Err(Disagreement::Protocol));
}
