//! Deadlines of the client's side, to the millisecond.

use super::Client;
use http::{HeaderMap, Method};
use springtide_proto::http1::{Ask, AskBody, Limits, Refusal, ReplyDeadline, ReplyFault};

fn due(client: &mut Client, at_ms: u64) -> ReplyDeadline {
    assert_eq!(client.machine.next_deadline_ms(&client.limits), Some(at_ms));
    assert_eq!(client.machine.on_deadline(at_ms - 1, &client.limits), ReplyDeadline::None);
    client.now_ms = at_ms;
    client.machine.on_deadline(at_ms, &client.limits)
}

#[test]
fn heads_bodies_and_idleness_have_their_time() {
    let limits = Limits {
        head_timeout_ms: 1_000,
        body_timeout_ms: 500,
        body_rate_min: 0,
        idle_timeout_ms: 2_000,
        ..Limits::default()
    };
    let mut client = Client::new(&limits);
    client.ask(&Method::GET, AskBody::None).unwrap();
    client.now_ms = 900;
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Le");
    assert_eq!(due(&mut client, 1_000), ReplyDeadline::Fault(ReplyFault::HeadTimeout));
    assert!(client.machine.is_closed());

    let mut client = Client::new(&limits);
    client.ask(&Method::GET, AskBody::None).unwrap();
    client.now_ms = 900;
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
    client.now_ms = 1_300;
    client.feed(b"a");
    client.machine.hold_body();
    assert_eq!(client.machine.next_deadline_ms(&limits), None, "the caller is late");
    client.machine.resume_body(5_000);
    let fault = ReplyFault::Broken(Refusal::BodyTimeout);
    assert_eq!(due(&mut client, 5_500), ReplyDeadline::Fault(fault));

    let mut client = Client::new(&limits);
    client.ask(&Method::GET, AskBody::None).unwrap();
    client.now_ms = 100;
    client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    assert_eq!(due(&mut client, 2_100), ReplyDeadline::CloseIdle);
    assert!(client.machine.is_closed());
}

#[test]
fn slow_bodies_are_noticed() {
    let limits = Limits { body_rate_min: 1_000, body_rate_window_ms: 1_000, ..Limits::default() };
    for (bytes, deadline) in [
        (1_000, ReplyDeadline::None),
        (999, ReplyDeadline::Fault(ReplyFault::Broken(Refusal::BodyTooSlow))),
    ] {
        let mut client = Client::new(&limits);
        client.ask(&Method::GET, AskBody::None).unwrap();
        client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n");
        client.feed(&vec![b'x'; bytes]);
        assert_eq!(due(&mut client, 1_000), deadline, "{bytes}");
    }
}

/// While the request's own body is being given, the server is not late.
#[test]
fn uploads_and_expectations_take_their_time() {
    let limits = Limits { head_timeout_ms: 3_000, ..Limits::default() };
    let mut client = Client::new(&limits);
    client.ask(&Method::PUT, AskBody::Sized(1)).unwrap();
    assert_eq!(client.machine.next_deadline_ms(&limits), None);
    client.machine.send_body("x".into(), &mut client.outbox).unwrap();
    client.machine.end_body(&[], 7_000, &mut client.outbox).unwrap();
    assert_eq!(due(&mut client, 10_000), ReplyDeadline::Fault(ReplyFault::HeadTimeout));

    let fields = HeaderMap::new();
    let ask = Ask {
        method: &Method::PUT,
        target: "/",
        host: "a",
        fields: &fields,
        expects_continue: true,
    };
    let begin = |client: &mut Client| {
        let (machine, outbox) = (&mut client.machine, &mut client.outbox);
        machine.send_request(&ask, AskBody::Sized(1), 0, outbox).unwrap();
        assert!(machine.awaits_continue());
    };
    let mut client = Client::new(&limits);
    begin(&mut client);
    assert_eq!(due(&mut client, 1_000), ReplyDeadline::SendBody);
    assert!(!client.machine.awaits_continue() && client.machine.is_sending());

    let mut client = Client::new(&limits);
    begin(&mut client);
    client.feed(b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(!client.machine.awaits_continue() && client.machine.is_sending());

    // Refused: the body is not sent, and the connection ends behind the answer.
    let mut client = Client::new(&limits);
    begin(&mut client);
    client.feed(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    assert!(!client.machine.is_sending() && client.machine.is_closed());
}
