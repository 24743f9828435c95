//! Bodies that are produced while they are sent, over every backend: framing, order, back-pressure,
//! and every way in which a producer or its client can end too early.
//! What a producer does is told by the desk of the tests of futures.

mod worlds;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::futures::{Desk, Guest, ask, get, read_until, until_waiting, yield_once};
use super::{Backend, Peer, Stage, over_all_backends, over_still_backends};
use crate::mailbox::Message;
use crate::test::Reply;
use crate::{Failure, Request, Response, Server, StatusCode, StreamError, offload};

const PIECE: usize = 64 << 10;

/// What a producer of much has given so far.
#[derive(Default)]
struct Given(AtomicUsize);

impl Given {
    fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A response of so many pieces, each of bytes that name it.
fn much(pieces: usize, given: &Arc<Given>) -> Response {
    let given = given.clone();
    Response::stream(async move |mut sink| {
        for number in 0..pieces {
            sink.send(vec![u8::try_from(number % 251)?; PIECE]).await?;
            given.0.fetch_add(PIECE, Ordering::Relaxed);
        }
        Ok(())
    })
}

/// Two words, of which the second waits at the desk.
fn slow(desk: &Arc<Desk>, number: usize) -> Response {
    let desk = desk.clone();
    Response::stream(async move |mut sink| {
        sink.send("low").await?;
        desk.wait(number).await;
        sink.send(format!(" tide {number}")).await?;
        sink.trailer("x-depth", 7)?;
        Ok(())
    })
}

fn server(desk: &Arc<Desk>) -> Server {
    let (plain, awaited, pool, guest) = (desk.clone(), desk.clone(), desk.clone(), desk.clone());
    Server::new()
        .get("/plain", || "plain")
        .get("/slow/{number}", move |request: Request| slow(&plain, number_of(&request)))
        .get("/awaited", async move |_: Request| {
            yield_once().await;
            slow(&awaited, 1)
        })
        .get("/pool", offload(move |_| slow(&pool, 2)))
        .get("/empty", || Response::stream(async |_| Ok(())))
        .get("/sized", || {
            Response::stream_of(9, async |mut sink| {
                sink.send("half").await?;
                sink.send("").await?;
                sink.trailer("x-lost", "7")?;
                Ok(sink.send(" tide").await?)
            })
        })
        .any("/held", move || {
            let guest = Guest(guest.clone());
            Response::stream(async move |mut sink| {
                let _guest = guest;
                Ok(sink.send("tide").await?)
            })
        })
}

fn number_of(request: &Request) -> usize {
    request.param("number").parse().unwrap()
}

/// Turns until a whole reply has come.
fn reply_to(stage: &mut Stage, peer: &mut Peer) -> Reply {
    let mut received = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        // To read it again in every turn would take its time.
        if received.len() > PIECE && !received.ends_with(b"\r\n0\r\n\r\n") {
            return None;
        }
        let (reply, length) = Reply::parse(&received, false)?;
        assert_eq!(length, received.len(), "nothing is behind it");
        Some(reply)
    })
}

fn bodies_come_in_chunks(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    for (number, path) in ["/slow/0", "/awaited", "/pool"].into_iter().enumerate() {
        let mut peer = ask(&stage, path);
        // The first piece comes by itself, in a chunk of its own.
        let first = read_until(&mut stage, &mut peer, "\r\n3\r\nlow\r\n");
        assert!(first.contains("\r\nTransfer-Encoding: chunked\r\n"), "{first}");
        let mut received = first.into_bytes();
        desk.let_go(number).wake();
        let (reply, _) = stage.until(|_| {
            peer.read(&mut received);
            Reply::parse(&received, false)
        });
        assert_eq!(reply.body(), format!("low tide {number}").as_bytes(), "{path}");
        assert_eq!(reply.trailer("X-Depth"), Some("7"), "{path}");
    }
    let mut peer = ask(&stage, "/empty");
    assert_eq!(reply_to(&mut stage, &mut peer).body(), b"");
    assert_eq!(stage.counts().requests_total, 4);
    assert_eq!(stage.held().futures, 0);
}

fn a_declared_length_is_kept(backend: Backend) {
    let mut stage = Stage::new(backend, server(&Arc::default()));
    let mut peer = ask(&stage, "/sized");
    let reply = reply_to(&mut stage, &mut peer);
    assert_eq!(reply.header("content-length"), Some("9"));
    assert_eq!((reply.body(), reply.trailer("x-lost")), (b"half tide".as_slice(), None));
}

fn http10_ends_with_its_connection(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    let mut peer = stage.connect();
    let request = "GET /slow/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(peer.write(request.as_bytes()), request.len());
    until_waiting(&mut stage, &desk, 1);
    desk.let_go(1).wake();
    let reply = stage.talk_to_end(&mut peer, b"");
    assert!(reply.ends_with("\r\n\r\nlow tide 1") && !reply.contains("chunked"), "{reply}");
}

/// `HEAD`, and statuses without a body: the producer never begins, and what it captured is dropped.
fn who_wants_no_body_starts_no_producer(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    for drops in 1..=2 {
        let mut peer = stage.connect();
        let request = get("/held").replace("GET", if drops == 1 { "HEAD" } else { "PUT" });
        assert_eq!(peer.write(request.as_bytes()), request.len());
        let end = if drops == 1 { "chunked\r\n\r\n" } else { "tide\r\n0\r\n\r\n" };
        read_until(&mut stage, &mut peer, end);
        assert_eq!(desk.drops(), drops);
    }
}

/// Replies behind a body that is produced wait for it, and so do bodies.
fn replies_leave_in_order(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    let mut peer = stage.connect();
    let requests: String = ["/slow/1", "/plain", "/slow/2", "/sized", "/slow/3"].map(get).concat();
    assert_eq!(peer.write(requests.as_bytes()), requests.len());
    until_waiting(&mut stage, &desk, 3);
    for number in [3, 1, 2] {
        desk.let_go(number).wake();
        (0..3).for_each(|_| stage.turn());
    }
    let mut received = Vec::new();
    let mut bodies = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        while let Some((reply, length)) = Reply::parse(&received, false) {
            received.drain(..length);
            bodies.push(String::from_utf8_lossy(reply.body()).into_owned());
        }
        (bodies.len() == 5).then_some(())
    });
    assert_eq!(bodies, ["low tide 1", "plain", "low tide 2", "half tide", "low tide 3"]);
}

/// A producer waits for a client that reads nothing, and goes on when it does.
fn a_producer_waits_for_its_client(backend: Backend) {
    const PIECES: usize = 512;
    let given = Arc::<Given>::default();
    let own = given.clone();
    let mut stage = Stage::new(backend, Server::new().get("/", move || much(PIECES, &own)));
    let mut peer = ask(&stage, "/");
    stage.until(|_| (given.bytes() > 0).then_some(()));
    let mut before = 0;
    while given.bytes() > before {
        before = given.bytes();
        (0..20).for_each(|_| stage.turn());
    }
    // What the sockets of a system hold is its own affair.
    assert!(before < PIECES * PIECE / 2, "{before} bytes were produced for nobody");
    let reply = reply_to(&mut stage, &mut peer);
    assert_eq!((reply.body().len(), given.bytes()), (PIECES * PIECE, PIECES * PIECE));
    let is_whole = |(number, piece): (usize, &[u8])| {
        piece.iter().all(|byte| usize::from(*byte) == number % 251)
    };
    assert!(reply.body().chunks(PIECE).enumerate().all(is_whole));
    assert_eq!(stage.held().futures, 0);
}

/// What is produced behind another body is held, and little of it.
fn little_is_held_behind_others(backend: Backend) {
    let (desk, given) = (Arc::<Desk>::default(), Arc::<Given>::default());
    let own = given.clone();
    let server = server(&desk).get("/much", move || much(32, &own));
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let requests = get("/slow/1") + &get("/much").repeat(8);
    assert_eq!(peer.write(requests.as_bytes()), requests.len());
    until_waiting(&mut stage, &desk, 1);
    (0..20).for_each(|_| stage.turn());
    assert_eq!(given.bytes(), 8 * PIECE, "a piece of each");
    desk.let_go(1).wake();
    let mut received = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        (given.bytes() == 8 * 32 * PIECE).then_some(())
    });
}

fn a_client_that_goes_ends_its_producer(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    let peer = ask(&stage, "/slow/1");
    until_waiting(&mut stage, &desk, 1);
    let late = desk.let_go(1);
    peer.reset();
    stage.until(|stage| (stage.held().futures == 0).then_some(()));
    assert_eq!((desk.drops(), stage.counts().futures_dropped), (1, 1));
    late.wake();
    (0..5).for_each(|_| stage.turn());
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
}

/// A body that cannot be completed has no end that looks like one, and nothing comes behind it.
fn what_breaks_is_cut(backend: Backend) {
    let server = Server::new()
        .get("/error", || {
            Response::stream(async |mut sink| {
                sink.send("tide").await?;
                Err(Failure::new("a storm"))
            })
        })
        .get("/panic", || {
            Response::stream(async |mut sink| {
                sink.send("tide").await?;
                yield_once().await;
                panic!("on purpose")
            })
        })
        .get("/long", || {
            Response::stream_of(5, async |mut sink| {
                sink.send("tide").await?;
                assert_eq!(sink.send("low").await, Err(StreamError::TooLong(2)));
                Ok(())
            })
        })
        .get("/short", || Response::stream_of(5, async |mut sink| Ok(sink.send("tide").await?)))
        .get("/trailer", || {
            Response::stream(async |mut sink| {
                sink.send("tide").await?;
                Ok(sink.trailer("content-length", "4")?)
            })
        })
        .get("/plain", || "plain");
    let mut stage = Stage::new(backend, server);
    for path in ["/error", "/panic", "/long", "/short", "/trailer"] {
        for behind in ["", "/plain"] {
            let mut peer = stage.connect();
            let requests = if behind.is_empty() { get(path) } else { get(path) + &get(behind) };
            let received = stage.talk_to_end(&mut peer, requests.as_bytes());
            let is_cut = received.ends_with("tide") || received.ends_with("tide\r\n");
            assert!(is_cut && received.starts_with("HTTP/1.1 200 OK"), "{path}: {received}");
        }
    }
    assert_eq!((stage.counts().panics_total, stage.held().futures), (2, 0));
}

/// To a client of HTTP/1.0 an end would say that the body is whole: it is reset instead.
fn what_breaks_for_http10_has_no_end(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let own = desk.clone();
    let server = Server::new().get("/", move || {
        let desk = own.clone();
        Response::stream(async move |mut sink| {
            sink.send("tide").await?;
            desk.wait(1).await;
            Err(Failure::new("a storm"))
        })
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let request = b"GET / HTTP/1.0\r\n\r\n";
    assert_eq!(peer.write(request), request.len());
    read_until(&mut stage, &mut peer, "\r\n\r\ntide");
    desk.let_go(1).wake();
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    stage.turn();
    assert!(peer.is_reset());
}

/// The same where the server gives up: in the middle of a body, and before all of one is sent.
fn what_is_given_up_for_http10_has_no_end(backend: Backend) {
    // A system shows a reset only behind what has come before it.
    let rests: &[usize] = if matches!(backend, Backend::Simulated) { &[0, 8 << 20] } else { &[0] };
    for rest in rests.iter().copied() {
        let desk = Arc::<Desk>::default();
        let own = desk.clone();
        let server = Server::new().get("/", move || {
            let desk = own.clone();
            Response::stream(async move |mut sink| {
                sink.send("tide").await?;
                if rest == 0 {
                    desk.wait(1).await;
                }
                Ok(sink.send(vec![b'~'; rest]).await?)
            })
        });
        let mut stage = Stage::new(backend, server);
        let mut peer = stage.connect();
        let request = b"GET / HTTP/1.0\r\n\r\n";
        assert_eq!(peer.write(request), request.len());
        if rest == 0 {
            until_waiting(&mut stage, &desk, 1);
            read_until(&mut stage, &mut peer, "\r\n\r\ntide");
        } else {
            stage.until(|stage| {
                (stage.counts().bytes_sent > 0 || stage.bytes_held() > 0).then_some(())
            });
        }
        stage.send(Message::Drain { within_ms: 0 });
        stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
        stage.turn();
        assert!(peer.is_reset(), "{rest}");
    }
}

/// A response is one reply, however often it is cloned.
fn a_stream_is_sent_once(backend: Backend) {
    let response = Response::stream(async |mut sink| Ok(sink.send("once").await?));
    let server = Server::new().get("/", move || response.clone());
    let mut stage = Stage::new(backend, server);
    for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
        let mut peer = ask(&stage, "/");
        assert_eq!(reply_to(&mut stage, &mut peer).status(), status);
    }
}

/// A sink may be used by another future than its producer, as long as that one is there.
fn a_sink_may_be_lent(backend: Backend) {
    use std::cell::RefCell;
    thread_local! { static LENT: RefCell<Option<crate::Sink>> = const { RefCell::new(None) } }
    let desk = Arc::<Desk>::default();
    let own = desk.clone();
    let server = Server::new()
        .get("/lend", move || {
            let desk = own.clone();
            Response::stream(async move |sink| {
                LENT.set(Some(sink));
                desk.wait(1).await;
                Ok(())
            })
        })
        .get("/use", async || {
            let mut sink = LENT.take().unwrap();
            assert_eq!(sink.send("lent").await, Ok(()));
        });
    let mut stage = Stage::new(backend, server);
    let mut lends = ask(&stage, "/lend");
    until_waiting(&mut stage, &desk, 1);
    let mut uses = ask(&stage, "/use");
    read_until(&mut stage, &mut uses, "\r\n\r\n");
    read_until(&mut stage, &mut lends, "\r\n4\r\nlent\r\n");
}

/// Everything is frozen, and a producer cannot be: its body is cut, and one that waits for its turn
/// is not even begun.
fn a_frozen_shard_cuts_bodies(backend: Backend) {
    let desk = Arc::<Desk>::default();
    let mut stage = Stage::new(backend, server(&desk));
    let mut peer = stage.connect();
    let requests = get("/plain") + &get("/slow/1") + &get("/plain");
    assert_eq!(peer.write(requests.as_bytes()), requests.len());
    until_waiting(&mut stage, &desk, 1);
    stage.turn();
    let late = desk.let_go(1);
    stage.move_to(backend);
    late.wake();
    let received = stage.talk_to_end(&mut peer, b"");
    assert!(received.ends_with("\r\n3\r\nlow\r\n"), "{received}");
    assert_eq!((desk.drops(), stage.held().futures), (1, 0));
}

mod everywhere {
    use super::{a_declared_length_is_kept, a_stream_is_sent_once};
    super::over_all_backends!(a_declared_length_is_kept, a_stream_is_sent_once);
}
over_still_backends!(
    bodies_come_in_chunks,
    http10_ends_with_its_connection,
    who_wants_no_body_starts_no_producer,
    replies_leave_in_order,
    a_producer_waits_for_its_client,
    little_is_held_behind_others,
    a_client_that_goes_ends_its_producer,
    what_breaks_is_cut,
    what_breaks_for_http10_has_no_end,
    what_is_given_up_for_http10_has_no_end,
    a_sink_may_be_lent,
    a_frozen_shard_cuts_bodies,
);
