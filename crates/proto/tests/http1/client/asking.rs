//! Requests: what goes out, byte for byte, and what must never go out.

use super::Client;
use http::{HeaderMap, HeaderValue, Method};
use springtide_proto::http1::{Ask, AskBody, AskError, ClientMachine, Limits};
use springtide_proto::{Outbox, Piece};

fn encoded(ask: &Ask<'_>, body: AskBody) -> Result<String, AskError> {
    let mut outbox = Outbox::new();
    ClientMachine::new(0).send_request(ask, body, 0, &mut outbox)?;
    let mut pieces = Vec::new();
    outbox.take_pieces(&mut pieces);
    let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.as_slice().to_vec()).collect();
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn requests_frame_their_bodies() {
    let fields = HeaderMap::new();
    let expects_continue = true;
    for (method, body, expected) in [
        (Method::GET, AskBody::None, ""),
        (Method::DELETE, AskBody::None, ""),
        (Method::POST, AskBody::None, "Content-Length: 0\r\n"),
        (Method::PUT, AskBody::Full("abc".into()), "Content-Length: 3\r\n"),
        (Method::PUT, AskBody::Sized(7), "Content-Length: 7\r\nExpect: 100-continue\r\n"),
        (Method::PUT, AskBody::Chunked, "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"),
    ] {
        let ask = Ask {
            method: &method,
            target: "/x?y",
            host: "a:80",
            fields: &fields,
            expects_continue,
        };
        let rest = if matches!(body, AskBody::Full(_)) { "abc" } else { "" };
        let expected = format!("{method} /x?y HTTP/1.1\r\nHost: a:80\r\n{expected}\r\n{rest}");
        assert_eq!(encoded(&ask, body).unwrap(), expected);
    }
}

/// Nothing that a caller passes on from others changes where the request ends or who it is for.
#[test]
fn fields_cannot_frame_the_request() {
    let mut fields = HeaderMap::new();
    for (name, value) in [
        ("content-length", "100"),
        ("transfer-encoding", "chunked"),
        ("host", "other"),
        ("connection", "close"),
        ("keep-alive", "timeout=1"),
        ("proxy-connection", "close"),
        ("expect", "100-continue"),
        ("upgrade", "h2c"),
        ("x-kept", "1"),
    ] {
        fields.append(name, HeaderValue::from_static(value));
    }
    let ask = Ask {
        method: &Method::GET,
        target: "/",
        host: "a",
        fields: &fields,
        expects_continue: true,
    };
    let sent = encoded(&ask, AskBody::None).unwrap();
    assert_eq!(sent, "GET / HTTP/1.1\r\nHost: a\r\nx-kept: 1\r\n\r\n");
}

#[test]
fn nothing_that_could_be_read_otherwise_goes_out() {
    let fields = HeaderMap::new();
    let ask = |method: &'static Method, target: &'static str, host: &'static str| {
        encoded(
            &Ask { method, target, host, fields: &fields, expects_continue: false },
            AskBody::None,
        )
    };
    for target in [
        "",
        "x",
        "*",
        "/a b",
        "/a\r\nX: y",
        "/\n",
        "/\t",
        "/\0",
        "/ü",
        "/#x",
        "http://a/",
        "/ HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(ask(&Method::GET, target, "a"), Err(AskError::Target), "{target:?}");
    }
    for host in ["", "a b", "a\r\nX: y", "a,b", "a/b", "u@a", "a:b", "ü", "[::1", "a\0"] {
        assert_eq!(ask(&Method::GET, "/", host), Err(AskError::Host), "{host:?}");
    }
    for host in ["a", "a:80", "[::1]", "[::1]:80", "127.0.0.1:8080"] {
        assert!(ask(&Method::GET, "/", host).is_ok(), "{host:?}");
    }
    assert!(ask(&Method::OPTIONS, "*", "a").is_ok());
    assert_eq!(ask(&Method::CONNECT, "/", "a"), Err(AskError::Method));
    let trace = Ask {
        method: &Method::TRACE,
        target: "/",
        host: "a",
        fields: &fields,
        expects_continue: false,
    };
    assert_eq!(encoded(&trace, AskBody::Sized(1)), Err(AskError::Method));
    // What types refuse already.
    assert!(
        HeaderValue::from_bytes(b"a\r\nb").is_err() && HeaderValue::from_bytes(b"a\nb").is_err()
    );
    assert!(Method::from_bytes(b"GET /").is_err());
}

#[test]
fn bodies_are_as_long_as_announced() {
    let mut client = Client::new(&Limits::default());
    client.ask(&Method::PUT, AskBody::Sized(5)).unwrap();
    client.sent();
    let send = |client: &mut Client, text: &'static str| {
        client.machine.send_body(Piece::from(text), &mut client.outbox)
    };
    assert_eq!(send(&mut client, "abc"), Ok(()));
    assert_eq!(client.machine.end_body(&[], 0, &mut client.outbox), Err(AskError::TooShort));
    assert_eq!(send(&mut client, "def"), Err(AskError::TooLong));
    assert_eq!(send(&mut client, "de"), Ok(()));
    assert_eq!(client.machine.end_body(&[], 0, &mut client.outbox), Ok(()));
    assert_eq!(client.sent(), "abcde");
}

#[test]
fn chunks_have_their_sizes_and_trailers() {
    let mut client = Client::new(&Limits::default());
    client.ask(&Method::PUT, AskBody::Chunked).unwrap();
    client.sent();
    for text in ["abc", "", "0123456789abcdef"] {
        client.machine.send_body(Piece::from(text), &mut client.outbox).unwrap();
    }
    let trailers = [("x-sum".parse().unwrap(), HeaderValue::from_static("1"))];
    client.machine.end_body(&trailers, 0, &mut client.outbox).unwrap();
    assert_eq!(client.sent(), "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nx-sum: 1\r\n\r\n");
}

/// One request at a time: its answer is complete before the next one is sent.
#[test]
fn requests_wait_for_their_turn() {
    let mut client = Client::new(&Limits::default());
    client.ask(&Method::GET, AskBody::None).unwrap();
    assert_eq!(client.ask(&Method::GET, AskBody::None), Err(AskError::Busy));
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
    assert_eq!(client.ask(&Method::GET, AskBody::None), Err(AskError::Busy));
    client.feed(b"a");
    client.ask(&Method::GET, AskBody::None).unwrap();
    client.feed(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.said, "200 Http11 sized=1\nbody a\n404 Http11\n");
    client.machine.drain();
    assert!(client.machine.is_closed());
}

/// An answer before the request is complete is the last one, and stops a body that is refused.
#[test]
fn early_answers_end_the_connection() {
    for (head, stops) in [
        ("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", true),
        ("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", false),
    ] {
        let mut client = Client::new(&Limits::default());
        client.ask(&Method::PUT, AskBody::Sized(1000)).unwrap();
        client.machine.send_body(Piece::from(vec![b'x'; 100]), &mut client.outbox).unwrap();
        client.feed(head.as_bytes());
        assert_eq!(client.machine.is_sending(), !stops, "{head}");
        client.feed(b"no");
        assert!(client.machine.is_closed() && !client.machine.is_sending(), "{head}");
        assert!(client.said.ends_with("body no\n"), "{}", client.said);
        assert_eq!(client.machine.end_body(&[], 0, &mut client.outbox), Ok(()), "it is over");
    }
}
