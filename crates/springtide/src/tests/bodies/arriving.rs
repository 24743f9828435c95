//! Bodies that handlers take while they arrive: held up, broken, left, asked for.
//! A gate that the test holds tells handlers when to go on, never time that passes.

use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::super::{Backend, Peer, Stage, over_still_backends};
use crate::{BodyError, Limits, Request, Response, Server, body_max, sleep, streamed};

/// Where handlers wait, and what they have seen.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    waker: Mutex<Option<Waker>>,
    seen: Mutex<Vec<String>>,
}

impl Gate {
    async fn pass(&self) {
        std::future::poll_fn(|context| {
            if *self.is_open.lock().unwrap() {
                return Poll::Ready(());
            }
            *self.waker.lock().unwrap() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        let waker = self.waker.lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    }

    fn see(&self, what: impl Into<String>) {
        self.seen.lock().unwrap().push(what.into());
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn server(gate: &Arc<Gate>) -> Server {
    let (first, slow, errors) = (gate.clone(), gate.clone(), gate.clone());
    let limits = Limits { inbox_bytes_max: 10_000, ..Limits::default() };
    let server = Server::new()
        .limits(limits)
        .get("/plain", || "plain~")
        .post(
            "/first",
            streamed(async move |mut request: Request| {
                let mut body = request.take_body();
                first.see(format!("{:?}", body.next().await));
                while body.next().await?.is_some() {}
                Ok::<_, BodyError>("all~")
            }),
        )
        .post(
            "/slow",
            body_max(
                100 << 20,
                streamed(async move |mut request: Request| {
                    slow.pass().await;
                    let (mut body, mut sum) = (request.take_body(), (0_usize, 0_u64));
                    while let Some(piece) = body.next().await? {
                        sum.0 += piece.len();
                        sum.1 = piece
                            .iter()
                            .fold(sum.1, |sum, byte| sum * 31 % 1_000_003 + u64::from(*byte));
                    }
                    Ok::<_, BodyError>(format!("{sum:?}~"))
                }),
            ),
        )
        .post(
            "/errors",
            body_max(
                20,
                streamed(async move |request: Request| {
                    let body = request.body().await;
                    errors.see(format!("{body:?}"));
                    body?;
                    Ok::<_, Response>("fine~")
                }),
            ),
        );
    with_more(server, gate)
}

fn with_more(server: Server, gate: &Arc<Gate>) -> Server {
    let (left, breaks) = (gate.clone(), gate.clone());
    server
        .post(
            "/breaks",
            body_max(
                1 << 30,
                streamed(async move |mut request: Request| {
                    let mut body = request.take_body();
                    while let Ok(Some(_)) = body.next().await {
                        breaks.see("more");
                        breaks.pass().await;
                    }
                    breaks.see(format!("{:?}", body.next().await));
                }),
            ),
        )
        .post(
            "/some",
            streamed(async |mut request: Request| {
                let (mut body, mut bytes) = (request.take_body(), 0);
                while bytes < 400_000
                    && let Some(piece) = body.next().await?
                {
                    bytes += piece.len();
                }
                Ok::<_, BodyError>("enough~")
            }),
        )
        .post("/unread", streamed(async |_: Request| "unread~"))
        .post(
            "/drops",
            streamed(async move |mut request: Request| {
                drop(request.take_body());
                left.pass().await;
                "dropped~"
            }),
        )
        .post(
            "/asleep",
            streamed(async |mut request: Request| {
                sleep(Duration::from_secs(100)).await;
                let (mut body, mut bytes) = (request.take_body(), 0);
                while let Some(piece) = body.next().await? {
                    bytes += piece.len();
                }
                Ok::<_, BodyError>(format!("{bytes}~"))
            }),
        )
        .post(
            "/wakes",
            streamed(async |request: Request| {
                sleep(Duration::from_secs(1)).await;
                request.body().await?;
                Ok::<_, BodyError>("awake~")
            }),
        )
}

fn sized(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

fn chunked(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

fn write_all(stage: &mut Stage, peer: &mut Peer, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        bytes = &bytes[peer.write(bytes)..];
        stage.turn();
    }
}

fn read_until(stage: &mut Stage, peer: &mut Peer, end: &str) -> String {
    let mut received = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        (received.ends_with(end.as_bytes()) || peer.is_ended()).then_some(())
    });
    String::from_utf8(received).unwrap()
}

fn a_handler_begins_with_the_head(backend: Backend) {
    let gate = Arc::<Gate>::default();
    let mut stage = Stage::new(backend, server(&gate));
    let mut peer = stage.connect();
    write_all(&mut stage, &mut peer, format!("{}ti", sized("/first", 4)).as_bytes());
    stage.until(|_| (!gate.seen().is_empty()).then_some(()));
    assert_eq!(gate.seen(), ["Ok(Some(b\"ti\"))"]);
    write_all(&mut stage, &mut peer, b"de");
    assert!(read_until(&mut stage, &mut peer, "~").ends_with("all~"));
    // A body of no bytes has come.
    write_all(&mut stage, &mut peer, sized("/first", 0).as_bytes());
    assert!(read_until(&mut stage, &mut peer, "~").ends_with("all~"));
    assert_eq!(gate.seen()[1], "Ok(None)");
}

/// A body that has come is held until its handler has taken it.
fn what_has_come_is_held_until_it_is_taken(backend: Backend) {
    let gate = Arc::<Gate>::default();
    let mut stage = Stage::new(backend, server(&gate));
    let mut peer = stage.connect();
    write_all(&mut stage, &mut peer, sized("/slow", 9_000).as_bytes());
    write_all(&mut stage, &mut peer, &[b'x'; 9_000]);
    stage.until(|stage| (stage.bytes_held() >= 9_000).then_some(()));
    (0..10).for_each(|_| stage.turn());
    assert_eq!(stage.bytes_held(), 9_000);
    gate.open();
    assert!(read_until(&mut stage, &mut peer, "~").contains("(9000, "));
    stage.turn();
    assert_eq!(stage.bytes_held(), 0);
}

/// What a slow handler holds of a body is bounded, and nothing of it is lost.
fn a_slow_handler_holds_its_client_up(backend: Backend) {
    const ALL: usize = 20 << 20;
    for is_chunked in [false, true] {
        let gate = Arc::<Gate>::default();
        let mut stage = Stage::at_once(backend, server(&gate));
        let mut peer = stage.connect();
        let head = if is_chunked { chunked("/slow", "") } else { sized("/slow", ALL) };
        write_all(&mut stage, &mut peer, head.as_bytes());
        let body: Vec<u8> = (0..ALL).map(|at| (at * 7 % 251) as u8).collect();
        let mut wire = Vec::new();
        for piece in body.chunks(if is_chunked { 50_000 } else { ALL }) {
            if is_chunked {
                wire.extend(format!("{:x}\r\n", piece.len()).into_bytes());
            }
            wire.extend(piece);
            if is_chunked {
                wire.extend(b"\r\n");
            }
        }
        wire.extend(if is_chunked { b"0\r\n\r\n".as_slice() } else { b"" });
        let (mut rest, mut idle) = (&wire[..], 0);
        while idle < 200 {
            let count = peer.write(rest);
            rest = &rest[count..];
            idle = if count == 0 { idle + 1 } else { 0 };
            stage.turn();
        }
        let taken = wire.len() - rest.len();
        assert!(taken < 2 << 20, "{taken} bytes were taken while nobody wanted them");
        assert!(stage.counts().bytes_received < 400_000, "{}", stage.counts().bytes_received);
        gate.open();
        write_all(&mut stage, &mut peer, rest);
        let sum = body.iter().fold(0, |sum, byte| sum * 31 % 1_000_003 + u64::from(*byte));
        let reply = read_until(&mut stage, &mut peer, "~");
        assert!(reply.ends_with(&format!("\r\n\r\n({ALL}, {sum})~")), "{reply}");
    }
}

/// Handlers are told what is wrong with a body, and what they make of it is the reply.
fn broken_bodies_are_named(backend: Backend) {
    for (request, error, status) in [
        (chunked("/errors", "x"), "Malformed(\"a chunk is malformed\")", "400 Bad Request"),
        (chunked("/errors", "14\r\n12345678901234567890\r\n1\r\nx"), "TooLong", "413 "),
        (chunked("/errors", "0\r\nHost: b\r\n\r\n"), "Malformed(\"a trailer", "400 "),
    ] {
        let gate = Arc::<Gate>::default();
        let mut stage = Stage::new(backend, server(&gate));
        let mut peer = stage.connect();
        let reply = stage.talk_to_end(&mut peer, request.as_bytes());
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{request}{reply}");
        assert!(reply.contains("\r\nConnection: close\r\n"), "{reply}");
        assert!(gate.seen()[0].starts_with(&format!("Err({error}")), "{:?}", gate.seen());
    }
    // What is announced too long is refused at once.
    let gate = Arc::<Gate>::default();
    let mut stage = Stage::new(backend, server(&gate));
    let mut peer = stage.connect();
    let reply = stage.talk_to_end(&mut peer, sized("/errors", 21).as_bytes());
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    assert!(gate.seen().is_empty());
}

fn a_handler_is_told_that_its_client_went(backend: Backend) {
    let gate = Arc::<Gate>::default();
    let mut stage = Stage::new(backend, server(&gate));
    let mut peer = stage.connect();
    write_all(&mut stage, &mut peer, format!("{}12", sized("/errors", 10)).as_bytes());
    peer.shutdown();
    stage.until(|_| (!gate.seen().is_empty()).then_some(()));
    assert_eq!(gate.seen(), ["Err(Gone)"]);
    stage.until(|stage| (stage.held().futures == 0).then_some(()));
}

/// The same in the middle of a long body, of which nothing is received while its handler is behind:
/// whether its client ends its side or is gone, it is told behind what came before.
fn a_long_body_that_breaks_off_is_told(backend: Backend) {
    for (is_reset, is_behind) in [(false, false), (false, true), (true, false), (true, true)] {
        let gate = Arc::<Gate>::default();
        let mut stage = Stage::new(backend, server(&gate));
        let mut peer = stage.connect();
        write_all(&mut stage, &mut peer, sized("/breaks", 1 << 28).as_bytes());
        if !is_behind {
            gate.open();
        }
        let (part, mut idle) = (vec![b'x'; 100_000], 0);
        for _ in 0..30 {
            peer.write(&part);
            stage.turn();
        }
        while is_behind && idle < 100 {
            idle = if peer.write(&part) == 0 { idle + 1 } else { 0 };
            stage.turn();
        }
        assert_eq!(gate.seen().len() == 1, is_behind);
        match is_reset {
            true => peer.reset(),
            false => peer.shutdown(),
        }
        (0..10).for_each(|_| stage.turn());
        gate.open();
        stage.until(|stage| (stage.held().futures == 0).then_some(()));
        let told = gate.seen().pop().unwrap();
        // A future is dropped where it waits when its client is gone.
        assert!(told == "Err(Gone)" || (is_reset && told == "more"), "{told}");
    }
}

/// What a handler leaves of a long body it has begun to take is read over.
fn the_rest_of_a_long_body_is_read_over(backend: Backend) {
    let gate = Arc::<Gate>::default();
    let mut stage = Stage::new(backend, server(&gate));
    let mut peer = stage.connect();
    let plain = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    for length in [600_000, 500_000, 400_001] {
        let request = format!("{}{}{plain}", sized("/some", length), "x".repeat(length));
        write_all(&mut stage, &mut peer, request.as_bytes());
        let replies = read_until(&mut stage, &mut peer, "plain~");
        assert_eq!(replies.matches("HTTP/1.1 200 OK").count(), 2, "{replies}");
        assert!(replies.contains("\r\n\r\nenough~HTTP/1.1"), "{replies}");
    }
}

/// A body that its handler leaves is read over, so that the next request is found, or ends the
/// connection when it is too long.
fn what_a_handler_leaves_is_read_over(backend: Backend) {
    let gate = Arc::<Gate>::default();
    let mut stage = Stage::new(backend, server(&gate));
    let mut peer = stage.connect();
    let plain = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    let smuggled = plain.repeat(1000);
    for request in [
        format!("{}{smuggled}", sized("/unread", smuggled.len())),
        chunked("/unread", &format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len())),
    ] {
        write_all(&mut stage, &mut peer, format!("{request}{plain}").as_bytes());
        let replies = read_until(&mut stage, &mut peer, "\r\n\r\nplain~");
        assert_eq!(replies.matches("HTTP/1.1 200 OK").count(), 2, "{replies}");
        assert!(replies.contains("\r\n\r\nunread~HTTP/1.1"), "{replies}");
    }
    write_all(&mut stage, &mut peer, sized("/unread", 1_000_000).as_bytes());
    let reply = stage.talk_to_end(&mut peer, &[b'x'; 100]);
    assert!(reply.contains("\r\nConnection: close\r\n") && reply.ends_with("unread~"), "{reply}");
}

/// A body that its handler drops is read over while the handler is still at work.
fn what_a_handler_drops_is_read_over(backend: Backend) {
    let gate = Arc::<Gate>::default();
    let mut stage = Stage::new(backend, server(&gate));
    let mut peer = stage.connect();
    let request = format!("{}{}", sized("/drops", 200_000), "x".repeat(200_000));
    let plain = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    write_all(&mut stage, &mut peer, format!("{request}{plain}").as_bytes());
    stage.until(|stage| (stage.counts().bytes_received > 200_000).then_some(()));
    gate.open();
    let replies = read_until(&mut stage, &mut peer, "plain~");
    assert!(replies.contains("\r\n\r\ndropped~HTTP/1.1 200 OK"), "{replies}");
}

/// Who expects to be told to go on is told when the handler asks, and never when it does not.
fn an_expectation_is_met_when_the_body_is_wanted(backend: Backend) {
    let gate = Arc::<Gate>::default();
    let mut stage = Stage::new(backend, server(&gate));
    let expecting = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut peer = stage.connect();
    write_all(&mut stage, &mut peer, expecting("/slow").as_bytes());
    for _ in 0..50 {
        stage.turn();
    }
    let mut early = Vec::new();
    peer.read(&mut early);
    assert_eq!(early, b"", "nobody has asked for the body");
    gate.open();
    assert_eq!(read_until(&mut stage, &mut peer, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    write_all(&mut stage, &mut peer, b"tide");
    assert!(read_until(&mut stage, &mut peer, "~").contains("(4, "));

    let reply = stage.talk_to_end(&mut peer, expecting("/unread").as_bytes());
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.contains("\r\nConnection: close\r\n") && reply.ends_with("unread~"), "{reply}");
}

/// Requests before and behind a body that is taken slowly keep their order.
fn exchanges_behind_a_body_wait(backend: Backend) {
    let gate = Arc::<Gate>::default();
    let mut stage = Stage::new(backend, server(&gate));
    let mut peer = stage.connect();
    let plain = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    let body = "x".repeat(50_000);
    let all =
        format!("{plain}{}{body}{plain}{}1234{plain}", sized("/slow", 50_000), sized("/first", 4));
    write_all(&mut stage, &mut peer, all.as_bytes());
    let first = read_until(&mut stage, &mut peer, "plain~");
    assert_eq!(first.matches("HTTP/1.1").count(), 1);
    gate.open();
    let mut replies = String::new();
    while replies.matches('~').count() < 4 {
        replies += &read_until(&mut stage, &mut peer, "~");
    }
    let bodies: Vec<&str> =
        replies.split("\r\n\r\n").skip(1).map(|part| part.split('~').next().unwrap()).collect();
    assert!(bodies[0].starts_with("(50000, "), "{replies}");
    assert_eq!(bodies[1..], ["plain", "all", "plain"]);
}

/// A shard that is frozen drops its futures: a body on its way is thrown away, and its request is
/// answered 503.
fn a_freeze_ends_what_is_taken(backend: Backend) {
    let gate = Arc::<Gate>::default();
    let mut stage = Stage::new(backend, server(&gate));
    let mut peer = stage.connect();
    let plain = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    write_all(&mut stage, &mut peer, format!("{}half", sized("/slow", 40_000)).as_bytes());
    stage.until(|stage| (stage.held().futures == 1).then_some(()));
    stage.move_to(backend);
    let rest = format!("{}{plain}", "x".repeat(39_996));
    write_all(&mut stage, &mut peer, rest.as_bytes());
    let replies = read_until(&mut stage, &mut peer, "plain~");
    assert!(replies.starts_with("HTTP/1.1 503 "), "{replies}");
    assert_eq!(replies.matches("HTTP/1.1 200 OK").count(), 1, "{replies}");
}

/// Time in which the handler holds a body up is not its client's; afterwards it has all of it again.
fn a_client_that_is_held_up_is_not_late(backend: Backend) {
    let mut stage = Stage::new(backend, server(&Arc::default()));
    let mut peer = stage.connect();
    write_all(
        &mut stage,
        &mut peer,
        format!("{}{}", sized("/asleep", 20_000), "x".repeat(15_000)).as_bytes(),
    );
    stage.advance(Duration::ZERO);
    stage.advance(Duration::from_secs(99));
    stage.advance(Duration::from_secs(1));
    stage.advance(Duration::from_millis(9_999));
    write_all(&mut stage, &mut peer, "x".repeat(5_000).as_bytes());
    assert!(read_until(&mut stage, &mut peer, "~").ends_with("20000~"));

    write_all(&mut stage, &mut peer, format!("{}12", sized("/wakes", 4)).as_bytes());
    stage.advance(Duration::ZERO);
    stage.advance(Duration::from_secs(1));
    stage.advance(Duration::from_millis(9_999));
    let mut early = Vec::new();
    peer.read(&mut early);
    assert_eq!(early, b"");
    stage.advance(Duration::from_millis(1));
    let reply = read_until(&mut stage, &mut peer, "too slowly");
    assert!(reply.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{reply}");
}

over_still_backends!(
    a_handler_begins_with_the_head,
    what_has_come_is_held_until_it_is_taken,
    a_slow_handler_holds_its_client_up,
    broken_bodies_are_named,
    a_handler_is_told_that_its_client_went,
    a_long_body_that_breaks_off_is_told,
    the_rest_of_a_long_body_is_read_over,
    what_a_handler_leaves_is_read_over,
    what_a_handler_drops_is_read_over,
    an_expectation_is_met_when_the_body_is_wanted,
    exchanges_behind_a_body_wait,
    a_freeze_ends_what_is_taken,
);

mod in_time {
    #[test]
    fn a_client_that_is_held_up_is_not_late() {
        super::a_client_that_is_held_up_is_not_late(crate::tests::Backend::Simulated);
    }
}
