//! Bodies of which no chunk is received: of a request that is like the last one, and long ones.
//! A stand-in notes how bytes are asked for.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use springtide_engine::CHUNK_BYTES;

use crate::tests::freeze::refusal::{Receive, Receives, Refused};
use crate::tests::{Backend, Peer, Stage, over_all_backends, over_still_backends};
use crate::{BodyError, Bytes, Limits, Request, Server, body_max, streamed};

/// A stage over a stand-in, and what that notes.
fn noted(server: Server) -> (Stage, Receives) {
    let mut stage = Stage::new(Backend::Simulated, server);
    let (engine, receives) = (stage.spare_engine(), Receives::default());
    stage.move_over(Box::new(Refused { receives: Arc::clone(&receives), ..Refused::over(engine) }));
    (stage, receives)
}

fn sized(length: usize) -> Vec<u8> {
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let body = (0..length).map(|at: usize| (at * 31) as u8);
    head.into_bytes().into_iter().chain(body).collect()
}

/// Asks, and reads the answer, whose body is as long as this.
fn ask(stage: &mut Stage, peer: &mut Peer, mut request: &[u8], length: usize) -> Vec<u8> {
    let mut received = Vec::new();
    stage.until(|stage| {
        request = &request[peer.write(request)..];
        stage.turn();
        peer.read(&mut received);
        let end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let is_all = request.is_empty() && received.len() >= end + length;
        is_all.then(|| received.split_off(end))
    })
}

/// Behind a long request that came whole the next is received in one call; behind one that is short, or
/// has not come whole, chunks are received again.
#[test]
fn a_request_like_the_last_is_taken_whole() {
    const LENGTH: usize = 50_000;
    let echo = |request: Request| request.bytes().clone();
    let (mut stage, receives) = noted(Server::new().post("/", echo).get("/", || "got~"));
    let mut peer = stage.connect();
    let request = sized(LENGTH);
    let first = [Receive::Chunks, Receive::Behind(request.len() - CHUNK_BYTES), Receive::Wait];
    // One watch tells of all of them.
    let whole = [Receive::Taken(request.len())];
    for expected in [&first[..], &whole, &whole, &whole] {
        assert!(request.ends_with(&ask(&mut stage, &mut peer, &request, LENGTH)));
        stage.turn();
        assert_eq!(std::mem::take(&mut *receives.lock().unwrap()), expected);
    }
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(ask(&mut stage, &mut peer, get, 4), b"got~");
    stage.turn();
    assert_eq!(
        std::mem::take(&mut *receives.lock().unwrap()),
        [Receive::Taken(get.len()), Receive::Chunks]
    );
    assert!(request.ends_with(&ask(&mut stage, &mut peer, &request, LENGTH)));
    stage.turn();
    assert_eq!(std::mem::take(&mut *receives.lock().unwrap()), first[1..]);
    let (half, rest) = request.split_at(40_000);
    assert_eq!(peer.write(half), half.len());
    (0..3).for_each(|_| stage.turn());
    let expected = [Receive::Taken(half.len()), Receive::Chunks];
    assert_eq!(std::mem::take(&mut *receives.lock().unwrap()), expected);
    assert!(request.ends_with(&ask(&mut stage, &mut peer, rest, LENGTH)));
}

/// A body that came with its head stays in that memory.
#[test]
fn a_body_that_was_taken_is_not_copied() {
    const LENGTH: usize = 60_000;
    let kept = Arc::<Mutex<Vec<Bytes>>>::default();
    let bodies = Arc::clone(&kept);
    let keep = move |request: Request| {
        bodies.lock().unwrap().push(request.bytes().clone());
        "kept~"
    };
    let (mut stage, _) = noted(Server::new().post("/", keep));
    let mut peer = stage.connect();
    for _ in 0..3 {
        assert_eq!(ask(&mut stage, &mut peer, &sized(LENGTH), 5), b"kept~");
    }
    let kept = std::mem::take(&mut *kept.lock().unwrap());
    let rooms = kept.into_iter().map(|body| {
        assert!(sized(LENGTH).ends_with(&body));
        body.try_into_mut().unwrap().capacity() > LENGTH
    });
    assert_eq!(rooms.collect::<Vec<_>>(), [false, true, true], "room of that memory");
}

/// Takes a body slowly, and gives its length.
async fn slow(mut request: Request) -> Result<String, BodyError> {
    let (mut body, mut bytes) = (request.take_body(), 0);
    while let Some(piece) = body.next().await? {
        bytes += piece.len();
        let mut turns_left = 3;
        poll_fn(|context| match turns_left {
            0 => Poll::Ready(()),
            _ => {
                turns_left -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
    }
    Ok(bytes.to_string())
}

/// Of a long body no chunk is received, however far its handler is behind, and nothing is asked for
/// before that has taken of it.
#[test]
fn a_long_body_is_taken_as_its_handler_takes_it() {
    const LENGTH: usize = 4 << 20;
    let limits = Limits { inbox_bytes_max: 10_000, ..Limits::default() };
    let server = Server::new().limits(limits).post("/", body_max(1 << 30, streamed(slow)));
    let (mut stage, receives) = noted(server);
    let mut peer = stage.connect();
    assert_eq!(ask(&mut stage, &mut peer, &sized(LENGTH), 7), LENGTH.to_string().as_bytes());
    let receives = receives.lock().unwrap();
    let mut left = LENGTH;
    let long = receives.iter().take_while(|receive| {
        if let Receive::Taken(count) = receive {
            left -= count;
        }
        left > 300_000
    });
    let long: Vec<_> = long.collect();
    let chunks = long.iter().filter(|receive| ***receive == Receive::Chunks);
    assert_eq!(chunks.count(), 1, "{receives:?}");
    assert!(!long.contains(&&Receive::Taken(0)), "{receives:?}");
    let is_answered =
        |two: &[&Receive]| *two[0] != Receive::Wait || matches!(two[1], Receive::Taken(_));
    assert!(long.len() > 20 && long.windows(2).all(is_answered), "{receives:?}");
}

/// Long requests one behind the other come back whole, whether each is asked when the last is answered,
/// or some at once, and however they are cut.
fn long_requests_are_whole(backend: Backend) {
    let echo = |request: Request| request.bytes().clone();
    let mut stage = Stage::new(backend, Server::new().post("/", echo));
    let mut peer = stage.connect();
    for length in [50_000, 65_536, 65_536, 70_000, 80_000, 60_000, 60_000, 5, 300_000, 40_000] {
        let request = sized(length);
        for _ in 0..2 {
            let answer = ask(&mut stage, &mut peer, &request, length);
            assert!(request.ends_with(&answer) && answer.len() == length, "{length} bytes");
        }
        let both = [&request[..], &request].concat();
        for cut in [0, 10, 60, length, length + 30] {
            let (before, behind) = both.split_at(cut);
            let mut unsent = before;
            while !unsent.is_empty() {
                unsent = &unsent[peer.write(unsent)..];
                stage.turn();
            }
            let answers = ask(&mut stage, &mut peer, behind, length);
            let mut rest = answers[length..].to_vec();
            assert!(request.ends_with(&answers[..length]), "{length} bytes, cut at {cut}");
            stage.until(|stage| {
                stage.turn();
                peer.read(&mut rest);
                let end = rest.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
                (rest.len() == end + length).then_some(())
            });
            assert!(rest.ends_with(&request[request.len() - length..]), "{length} bytes, {cut}");
        }
    }
}

/// A socket that is watched for whole requests is so no more while a handler is behind with a body.
fn a_body_behind_whole_requests_waits_for_its_handler(backend: Backend) {
    const LENGTH: usize = 2 << 20;
    let echo = |request: Request| request.bytes().clone();
    let limits = Limits { inbox_bytes_max: 10_000, ..Limits::default() };
    let body = body_max(1 << 30, streamed(slow));
    let mut stage =
        Stage::new(backend, Server::new().limits(limits).post("/", echo).post("/slow", body));
    let mut peer = stage.connect();
    let whole = sized(50_000);
    let long = [b"POST /slow", &sized(LENGTH)[b"POST /".len()..]].concat();
    for _ in 0..3 {
        for _ in 0..3 {
            assert!(whole.ends_with(&ask(&mut stage, &mut peer, &whole, 50_000)));
        }
        assert_eq!(ask(&mut stage, &mut peer, &long, 7), LENGTH.to_string().as_bytes());
    }
}

over_all_backends!(long_requests_are_whole);

mod still {
    use super::*;

    over_still_backends!(a_body_behind_whole_requests_waits_for_its_handler);
}
