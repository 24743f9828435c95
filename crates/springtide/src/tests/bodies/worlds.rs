//! Bodies in worlds: with ends of stream, time that passes, and shards that are frozen.
//! What a handler is told of a body is what its client sent, whatever happened meanwhile.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use springtide_engine::CHUNK_BYTES;

use super::super::{Backend, Stage};
use crate::limits::BYTES_PER_TURN_MAX;
use crate::test::{Peer, World};
use crate::{BodyError, Limits, Request, Server, body_max, sleep, streamed, to_the_end};

/// Writes everything, and turns while there is no room.
fn write_all(world: &mut World, peer: &mut Peer, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        bytes = &bytes[peer.write(bytes)..];
        world.turn();
    }
}

fn sized(path: &str, length: usize) -> String {
    format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

/// A handler that is late takes a whole body whole, also when the last piece filled what may wait,
/// and whether its client has ended its side then or waits for the reply.
#[test]
fn a_whole_body_is_whole_behind_its_end() {
    let late = async |mut request: Request| {
        let (mut body, mut bytes) = (request.take_body(), 0);
        sleep(Duration::from_millis(500)).await;
        while let Some(piece) = body.next().await? {
            bytes += piece.len();
        }
        Ok::<_, BodyError>(bytes.to_string())
    };
    let cases = [(65_536, 1_024), (65_536, 4_096), (66_000, 1_000)];
    for ((length, piece), ends) in cases.into_iter().flat_map(|case| [(case, true), (case, false)])
    {
        let mut world = World::new(1);
        world.serve(Server::new().put("/", streamed(late)));
        let mut peer = world.connect();
        write_all(&mut world, &mut peer, sized("/", length).as_bytes());
        world.settle();
        for piece in vec![b'x'; length].chunks(piece) {
            write_all(&mut world, &mut peer, piece);
            world.settle();
        }
        if ends {
            peer.shutdown();
        }
        world.settle();
        world.pass(Duration::from_secs(1));
        let reply = peer.reply().expect("an answer");
        let case = format!("in pieces of {piece}, its side ended: {ends}");
        assert_eq!(reply.body(), length.to_string().as_bytes(), "{case}");
    }
}

/// Pieces of a body that are too small to be worth one each are one: what waits takes the memory that
/// the limit says, however it was cut.
#[test]
fn small_pieces_are_joined() {
    let count = async |mut request: Request| {
        sleep(Duration::from_secs(1)).await;
        let (mut body, mut bytes, mut pieces) = (request.take_body(), Vec::new(), 0);
        while let Some(piece) = body.next().await? {
            bytes.extend_from_slice(&piece);
            pieces += 1;
        }
        let is_whole = bytes.iter().enumerate().all(|(at, byte)| *byte == at as u8);
        Ok::<_, BodyError>(format!("{} in {pieces}, {is_whole}", bytes.len()))
    };
    for (lengths, pieces_max) in
        [(&[1; 1_000][..], 1), (&[1; 9_000], 9), (&[1_500, 3, 1_500, 4, 1_023, 1, 1], 6)]
    {
        let mut world = World::new(1);
        world.serve(Server::new().put("/", streamed(count)));
        let mut peer = world.connect();
        let mut said = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        let mut bytes = (0..=u8::MAX).cycle();
        for length in lengths {
            said.extend(format!("{length:x}\r\n").as_bytes());
            said.extend(bytes.by_ref().take(*length));
            said.extend(b"\r\n");
        }
        said.extend(b"0\r\n\r\n");
        write_all(&mut world, &mut peer, &said);
        world.settle();
        world.pass(Duration::from_secs(2));
        let reply = peer.reply().expect("an answer");
        let reply = String::from_utf8_lossy(reply.body());
        let pieces = reply.strip_prefix(&format!("{} in ", lengths.iter().sum::<usize>()));
        let pieces = pieces.and_then(|rest| rest.strip_suffix(", true")).expect("all, in order");
        assert!(pieces.parse::<usize>().unwrap() <= pieces_max, "{reply} for {pieces_max}");
    }
}

/// Who is refused before anybody takes of the body is told that the connection ends.
#[test]
fn a_refusal_in_front_of_a_body_says_that_it_is_the_last() {
    let mut limits = Limits { futures_alone_max: 1, ..Limits::default() };
    limits.http1.discard_bytes_max = 10;
    let late = async |_: Request| sleep(Duration::from_secs(100)).await;
    let mut world = World::new(1);
    world.serve(Server::new().limits(limits).put("/", to_the_end(streamed(late))));
    let mut gone = world.connect();
    write_all(&mut world, &mut gone, sized("/", 0).as_bytes());
    world.settle();
    gone.reset();
    world.settle();
    let mut peer = world.connect();
    write_all(&mut world, &mut peer, format!("{}abc", sized("/", 1000)).as_bytes());
    world.settle();
    let reply = peer.reply().expect("an answer");
    assert_eq!(reply.status(), 503);
    assert_eq!(reply.header("connection"), Some("close"));
}

/// The same for a body that has come but for its end, as its shard was frozen.
#[test]
fn a_whole_body_is_whole_behind_a_freeze() {
    const LENGTH: usize = 600 << 10;
    for turns in 0..60 {
        let mut world = World::new(1);
        world.serve(Server::new().put("/", |request: Request| request.bytes().len().to_string()));
        let mut peer = world.connect();
        write_all(&mut world, &mut peer, sized("/", LENGTH).as_bytes());
        write_all(&mut world, &mut peer, &vec![b'x'; LENGTH]);
        peer.shutdown();
        for _ in 0..turns {
            world.turn();
        }
        world.freeze_shard(0);
        world.settle();
        let reply = peer.reply().expect("an answer");
        assert_eq!(reply.body(), LENGTH.to_string().as_bytes(), "frozen after {turns} turns");
    }
}

/// Lines behind one client's body are never another's.
#[test]
fn trailers_are_their_own_clients() {
    let told = |fields: &http::HeaderMap| fields.len().to_string();
    let server = Server::new()
        .get("/wait", async |_: Request| sleep(Duration::from_secs(60)).await)
        .put("/whole", move |request: Request| told(&request.trailers()))
        .put(
            "/pieces",
            streamed(async move |mut request: Request| {
                let mut body = request.take_body();
                while body.next().await?.is_some() {}
                Ok::<_, BodyError>(told(&request.trailers()))
            }),
        );
    let mut world = World::new(1);
    world.serve(server);
    let head = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n";
    let (mut one, mut waits, mut other) = (world.connect(), world.connect(), world.connect());
    write_all(&mut world, &mut one, format!("PUT /whole {head}Secret: one\r\n\r\n").as_bytes());
    world.settle();
    assert_eq!(one.reply().expect("an answer").body(), b"1");
    // It keeps the parts that are used again first.
    write_all(&mut world, &mut waits, b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    world.settle();
    for _ in 0..3 {
        write_all(&mut world, &mut other, format!("PUT /pieces {head}\r\n").as_bytes());
        world.settle();
        assert_eq!(other.reply().expect("an answer").body(), b"0");
    }
}

/// The rest of a body, or of a head, that came while its connection waited for the replies before it
/// was not late; what did not come then, has its time again.
#[test]
fn what_waits_behind_replies_is_not_late() {
    let request = format!("{}helloworld", sized("/", 10));
    let last = request.len() - 10;
    for (cut, end) in [(last + 5, last + 10), (last - 20, last + 10), (last + 5, last + 7)] {
        let mut world = World::new(1);
        world.serve(slow_server());
        let mut peer = world.connect();
        write_all(&mut world, &mut peer, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
        write_all(&mut world, &mut peer, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
        write_all(&mut world, &mut peer, &request.as_bytes()[..cut]);
        world.settle();
        world.pass(Duration::from_secs(2));
        write_all(&mut world, &mut peer, &request.as_bytes()[cut..end]);
        world.settle();
        world.pass(Duration::from_secs(59));
        let mut bodies = Vec::new();
        while bodies.len() < 2 {
            world.settle();
            bodies.extend(peer.reply().map(|reply| reply.body().len()));
        }
        assert_eq!(bodies, [4, 2 << 20]);
        world.pass(Duration::from_millis(100));
        write_all(&mut world, &mut peer, &request.as_bytes()[end..]);
        world.settle();
        let reply = peer.reply().expect("an answer");
        assert_eq!(
            (reply.status().as_u16(), reply.body()),
            (200, &b"helloworld"[..]),
            "{cut} {end}"
        );
    }
}

/// A client whose body was not received while it had a reply to read is not late with it, also where
/// its shard was frozen meanwhile.
#[test]
fn who_was_paused_at_a_freeze_is_not_late() {
    for is_frozen in [false, true] {
        let mut world = World::new(1);
        let mut limits =
            Limits { outbox_bytes_max: 1_000, send_timeout_ms: 600_000, ..Limits::default() };
        limits.http1.body_timeout_ms = 5_000;
        // All of it is in one send, and does not fit.
        let some = async |_: Request| {
            sleep(Duration::from_secs(1)).await;
            vec![b's'; 300 << 10]
        };
        world.serve(slow_server().get("/some", some).limits(limits));
        let mut peer = world.connect();
        write_all(&mut world, &mut peer, b"GET /some HTTP/1.1\r\nHost: a\r\n\r\n");
        write_all(&mut world, &mut peer, format!("{}hello", sized("/", 10)).as_bytes());
        world.settle();
        world.pass(Duration::from_secs(30));
        if is_frozen {
            world.freeze_shard(0);
        }
        while peer.reply().is_none() {
            world.settle();
        }
        write_all(&mut world, &mut peer, b"world");
        world.settle();
        let reply = peer.reply().expect("an answer");
        assert_eq!((reply.status().as_u16(), reply.body()), (200, &b"helloworld"[..]));
    }
}

fn slow_server() -> Server {
    Server::new()
        .get("/slow", async |_: Request| {
            sleep(Duration::from_secs(60)).await;
            "slow"
        })
        .get("/big", async |_: Request| {
            sleep(Duration::from_secs(1)).await;
            vec![b'b'; 2 << 20]
        })
        .put("/", |request: Request| request.bytes().clone())
}

/// Who waits for a body and gives up, and waits again, has all of it, and not the rest.
#[test]
fn a_body_that_is_waited_for_again_is_whole() {
    let twice = async |request: Request| {
        {
            let (mut body, mut nap) = (pin!(request.body()), pin!(sleep(Duration::from_secs(2))));
            poll_fn(|context| match body.as_mut().poll(context) {
                Poll::Ready(_) => panic!("it has not come"),
                Poll::Pending => nap.as_mut().poll(context),
            })
            .await;
        }
        request.body().await
    };
    let mut world = World::new(1);
    world.serve(Server::new().put("/", streamed(twice)));
    let mut peer = world.connect();
    write_all(&mut world, &mut peer, format!("{}he", sized("/", 10)).as_bytes());
    world.settle();
    write_all(&mut world, &mut peer, b"llo");
    world.settle();
    world.pass(Duration::from_secs(3));
    write_all(&mut world, &mut peer, b"world");
    world.settle();
    assert_eq!(peer.reply().expect("an answer").body(), b"helloworld");
}

/// A piece of a body keeps little more memory than it has bytes.
#[test]
fn a_piece_holds_what_it_has() {
    let sizes = async |mut request: Request| {
        let (mut body, mut pieces, mut most) = (request.take_body(), 0, 0);
        while let Some(piece) = body.next().await? {
            pieces += 1;
            let bytes = piece.len();
            let held = piece.try_into_mut().map_or(bytes, |piece| piece.capacity());
            most = most.max(held.saturating_sub(2 * bytes + 64));
        }
        Ok::<_, BodyError>(format!("{most} {}", pieces > 10))
    };
    let mut world = World::new(1);
    world.serve(Server::new().put("/", streamed(sizes)));
    let mut peer = world.connect();
    write_all(&mut world, &mut peer, sized("/", 100_000).as_bytes());
    for piece in vec![b'x'; 100_000].chunks(4_500) {
        write_all(&mut world, &mut peer, piece);
        world.settle();
    }
    assert_eq!(peer.reply().expect("an answer").body(), b"0 true");
}

/// What is sent at once behind a long body, and did not go, is held as long as it is there.
#[test]
fn what_did_not_go_at_once_is_held() {
    const LENGTH: usize = 900 << 10;
    let limits = Limits { memory_max: 1 << 30, ..Limits::default() };
    let server = Server::new().limits(limits).put("/", |_: Request| vec![b'x'; LENGTH]);
    let mut stage = Stage::new(Backend::Simulated, server);
    let mut peer = stage.connect();
    let request = [sized("/", 20_000).into_bytes(), vec![b'x'; 20_000]].concat();
    let mut rest = &request[..];
    for _ in 0..100 {
        rest = &rest[peer.write(rest)..];
        stage.turn();
    }
    assert!(rest.is_empty());
    let sent = usize::try_from(stage.counts().bytes_sent).unwrap();
    assert!(sent > 0 && sent < LENGTH, "{sent} bytes have gone");
    assert!(stage.bytes_held() + sent >= LENGTH, "{} bytes are held", stage.bytes_held());
}

/// However much of a long body has come, a turn takes a connection's share of it at most.
#[test]
fn a_turn_takes_its_share_of_a_body() {
    const LENGTH: usize = 8 << 20;
    let server = Server::new().put("/", body_max(LENGTH as u64, |_: Request| "taken"));
    let mut stage = Stage::new(Backend::Simulated, server);
    let mut peer = stage.connect();
    let request = [sized("/", LENGTH).into_bytes(), vec![b'x'; LENGTH]].concat();
    let (mut rest, mut before, mut most) = (&request[..], 0, 0);
    while !rest.is_empty() {
        rest = &rest[peer.write(rest)..];
        stage.turn();
        let received = stage.counts().bytes_received;
        (before, most) = (received, most.max(received - before));
    }
    let share = (BYTES_PER_TURN_MAX + CHUNK_BYTES) as u64;
    assert!(most > share / 2 && most <= share, "{most} bytes in a turn");
}
