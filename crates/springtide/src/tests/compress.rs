//! Replies that are compressed on their way, over every backend: what is, what is not, and that it
//! comes out as it went in.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::futures::{Desk, until_waiting};
use super::{Backend, Peer, Stage, over_all_backends, over_still_backends};
use crate::limits::STREAM_LOW_BYTES;
use crate::test::{Reply, World};
use crate::{Request, Response, Server, offload};

/// Text of so many bytes that is neither all alike nor noise.
fn text(length: usize) -> String {
    let mut seed = 7_u64;
    let mut words = (0..).map(|_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ["low ", "high ", "tide ", "water\n"][usize::try_from(seed >> 62).unwrap()]
    });
    let mut text = String::new();
    while text.len() < length {
        text.push_str(words.next().unwrap());
    }
    text.truncate(length);
    text
}

fn length_of(request: &Request) -> usize {
    request.param("length").parse().unwrap()
}

fn server() -> Server {
    Server::new()
        .compress(true)
        .get("/text/{length}", |request: Request| text(length_of(&request)))
        .get("/late/{length}", async |request: Request| text(length_of(&request)))
        .get("/pool/{length}", offload(|request| text(length_of(&request))))
        .get("/tagged/{length}", |request: Request| {
            Response::new(text(length_of(&request))).header("etag", "\"7\"")
        })
        .get("/bytes/{length}", |request: Request| vec![7; length_of(&request)])
        .get("/stream/{length}", |request: Request| {
            let whole = text(length_of(&request));
            let response = Response::stream_of(whole.len() as u64, async move |mut sink| {
                for piece in whole.as_bytes().chunks(1000) {
                    sink.send(piece.to_vec()).await?;
                }
                Ok(())
            });
            response.header("content-type", "text/plain")
        })
}

fn ask(stage: &Stage, path: &str, accepted: &str) -> Peer {
    let mut peer = stage.connect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accepted}\r\n\r\n");
    assert_eq!(peer.write(request.as_bytes()), request.len());
    peer
}

fn reply(stage: &mut Stage, path: &str, accepted: &str) -> Reply {
    let mut peer = ask(stage, path, accepted);
    let mut received = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        Reply::parse(&received, false).map(|(reply, _)| reply)
    })
}

/// What comes out of gzip, as far as it has come.
fn plain(coded: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(coded).read_to_end(&mut plain).unwrap();
    plain
}

fn bodies_of_text_are_compressed(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    for (path, length) in [
        ("/text", 1025),
        ("/late", 5000),
        ("/pool", 5000),
        ("/tagged", 65_536),
        ("/text", 65_537),
        ("/text", 1_000_000),
        ("/stream", 10),
        ("/stream", 300_000),
    ] {
        let path = format!("{path}/{length}");
        let coded = reply(&mut stage, &path, "br, gzip;q=0.5");
        assert_eq!(coded.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(coded.header("vary"), Some("Accept-Encoding"), "{path}");
        assert!(coded.body().len() < length / 2 + 40, "{path}: {}", coded.body().len());
        assert_eq!(plain(coded.body()), text(length).as_bytes(), "{path}");
        let is_tagged = path.starts_with("/tagged");
        assert_eq!(coded.header("etag"), is_tagged.then_some("W/\"7\""));
        for accepted in ["identity", "gzip;q=0", "br", "gzip;q=0.5, identity"] {
            let same = reply(&mut stage, &path, accepted);
            assert_eq!(same.body(), text(length).as_bytes(), "{path} {accepted}");
            assert_eq!(same.header("content-encoding"), None, "{path} {accepted}");
            assert_eq!(same.header("vary"), Some("Accept-Encoding"), "{path} {accepted}");
            assert_eq!(same.header("etag"), is_tagged.then_some("\"7\""));
        }
    }
}

fn other_bodies_are_not(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    for path in ["/text/1024", "/bytes/5000"] {
        let same = reply(&mut stage, path, "gzip");
        assert_eq!((same.header("content-encoding"), same.header("vary")), (None, None), "{path}");
    }
    let mut stage = Stage::new(backend, server().compress(false));
    for path in ["/text/5000", "/stream/5000"] {
        let same = reply(&mut stage, path, "gzip");
        assert_eq!((same.header("content-encoding"), same.header("vary")), (None, None), "{path}");
    }
}

/// `HEAD` is answered with the fields of `GET`.
fn head_says_what_get_does(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    for path in ["/text/5000", "/stream/5000", "/text/100000"] {
        let got = reply(&mut stage, path, "gzip");
        let mut peer = stage.connect();
        let request = format!(
            "HEAD {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        );
        let head = stage.talk(&mut peer, request.as_bytes(), usize::MAX);
        let (head, length) = (Reply::parse(&head, true).expect("a head").0, head.len());
        assert!(length < 400, "{path}: a head, and nothing behind it");
        for name in ["content-encoding", "vary", "content-length", "transfer-encoding"] {
            assert_eq!(head.header(name), got.header(name), "{path} {name}");
        }
    }
}

/// What a producer has sent can be read when it has come, not only at its end.
fn pieces_can_be_read_as_they_come(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let own = desk.clone();
    let server = Server::new().compress(true).get("/", move || {
        let desk = own.clone();
        let response = Response::stream(async move |mut sink| {
            sink.send("low").await?;
            desk.wait(1).await;
            Ok(sink.send(" tide").await?)
        });
        response.header("content-type", "text/plain")
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = ask(&stage, "/", "gzip");
    until_waiting(&mut stage, &desk, 1);
    let mut received = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        let at = received.windows(4).position(|four| four == b"\r\n\r\n")?;
        // Behind the size of the chunk: the flush that ends the piece makes all of it known.
        let chunk = &received[at + 4..].splitn(2, |byte| *byte == b'\n').nth(1)?;
        let mut piece = [0; 3];
        let mut decoder = flate2::read::GzDecoder::new(*chunk);
        decoder.read_exact(&mut piece).ok()?;
        assert_eq!(&piece, b"low");
        Some(())
    });
    desk.let_go(1).wake();
    stage.until(|_| {
        peer.read(&mut received);
        received.ends_with(b"\r\n0\r\n\r\n").then_some(())
    });
    let (reply, _) = Reply::parse(&received, false).unwrap();
    assert_eq!(plain(reply.body()), b"low tide");
}

/// A file without a compressed form beside it is compressed on its way, whole, from memory, for who
/// takes that; what is no text, and what lies there compressed, comes as it is.
#[test]
fn files_are_compressed() {
    let (long, short) = (text(50_000), text(3000));
    let mut world = World::new(1);
    for (name, bytes) in [
        ("a.txt", long.as_bytes()),
        ("b.txt", short.as_bytes()),
        ("b.txt.gz", b"beside"),
        ("c.png", long.as_bytes()),
    ] {
        world.write_file(format!("/site/{name}"), bytes);
    }
    world.serve(Server::new().compress(true).files("/", "/site"));
    // From the disk, and then from memory.
    for round in 0..2 {
        for (path, accepted, coding, is_compressed) in [
            ("/a.txt", "gzip", Some("gzip"), true),
            ("/a.txt", "br", None, false),
            ("/b.txt", "gzip", Some("gzip"), false),
            ("/c.png", "gzip", None, false),
        ] {
            let mut peer = world.connect();
            let head =
                format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accepted}\r\n\r\n");
            assert_eq!(peer.write(head.as_bytes()), head.len());
            world.settle();
            let reply = peer.reply().expect("an answer");
            assert_eq!(reply.header("content-encoding"), coding, "{path} {round}");
            let is_weak = reply.header("etag").is_some_and(|tag| tag.starts_with("W/"));
            assert_eq!(is_weak, is_compressed, "{path} {round}");
            assert_eq!(reply.header("vary").is_some(), path != "/c.png", "{path} {round}");
            let body = if is_compressed { plain(reply.body()) } else { reply.body().to_vec() };
            let expected = if path == "/b.txt" { b"beside" } else { long.as_bytes() };
            assert!(body == expected, "{path} {round}");
        }
    }
}

/// What compresses well takes no longer than what does not: a turn compresses what it may send.
#[test]
fn a_turn_compresses_no_more_than_its_credit() {
    const PIECE: usize = 16 << 10;
    let taken = Arc::<AtomicUsize>::default();
    let own = taken.clone();
    let server = Server::new().compress(true).get("/", move || {
        let taken = own.clone();
        let response = Response::stream(async move |mut sink| {
            for _ in 0..200 {
                sink.send(vec![b' '; PIECE]).await?;
                taken.fetch_add(PIECE, Ordering::Relaxed);
            }
            Ok(())
        });
        response.header("content-type", "text/plain")
    });
    let mut stage = Stage::new(Backend::Simulated, server);
    let mut peer = ask(&stage, "/", "gzip");
    let mut before = 0;
    let mut received = Vec::new();
    stage.until(|_| {
        let now = taken.load(Ordering::Relaxed);
        assert!(now - before <= STREAM_LOW_BYTES, "{} bytes in one turn", now - before);
        before = now;
        peer.read(&mut received);
        received.ends_with(b"\r\n0\r\n\r\n").then_some(())
    });
    assert_eq!(before, 200 * PIECE);
}

mod everywhere {
    use super::other_bodies_are_not;
    super::over_all_backends!(other_bodies_are_not);
}
over_still_backends!(
    bodies_of_text_are_compressed,
    head_says_what_get_does,
    pieces_can_be_read_as_they_come,
);
