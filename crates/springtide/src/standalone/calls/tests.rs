//! Replies in pieces, cut everywhere, and calls that nobody wants any more: whose is whose.

use std::time::Duration;

use springtide_proto::framed::{PayloadError, Refusal};

use super::*;
use crate::tests::{Backend, Stage};
use crate::{Framed, Server, Wait};

const COUNT: usize = 4;

type Made = (Arc<Calls>, Vec<Option<Task<Call, Elsewhere>>>);

/// Calls that were sent; what leads to their shard, and that.
fn made(codec: Framed, limits: Limits, requests: &[&'static [u8]], link: &Arc<Link>) -> Made {
    let calls = Arc::new(Calls { codec: Box::new(codec), limits, state: Mutex::default() });
    let send = |request: &&'static [u8]| {
        let (task, due) = Task::pledge(link).unwrap();
        calls.send(due, Piece::Shared(Bytes::from_static(request))).unwrap();
        Some(task)
    };
    let tasks = requests.iter().map(send).collect();
    (calls, tasks)
}

fn stage() -> Stage {
    Stage::new(Backend::Simulated, Server::new())
}

/// Reads replies in pieces; what was refused.
fn read(calls: &Calls, pieces: &[&[u8]]) -> Option<Reason> {
    let mut refused = None;
    for piece in pieces {
        let (replies, reason) = calls.read(Bytes::copy_from_slice(piece));
        for (due, reply) in replies {
            due.end(Ended::Bytes(reply));
        }
        refused = refused.or(reason);
    }
    refused
}

fn taken(task: &Task<Call, Elsewhere>) -> Result<Bytes, Wait> {
    task.wait_for(Duration::ZERO)
}

/// Every cut of the replies in two, and byte by byte.
fn cuts(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut cuts: Vec<Vec<&[u8]>> =
        (0..=bytes.len()).map(|at| vec![&bytes[..at], &bytes[at..]]).collect();
    cuts.push(bytes.chunks(1).collect());
    cuts
}

/// Each call gets its own reply, however the replies are cut, and whichever calls are dropped or
/// cancelled before.
fn each_call_gets_its_own(
    codec: Framed,
    requests: [&'static [u8]; COUNT],
    replies: &[u8],
    own: [&'static str; COUNT],
) {
    let mut stage = stage();
    let link = stage.link();
    for unwanted in 0..1 << COUNT {
        for pieces in cuts(replies) {
            let (calls, mut tasks) = made(codec, Limits::default(), &requests, &link);
            for (index, task) in tasks.iter_mut().enumerate() {
                if unwanted & (1 << index) != 0 {
                    let task = task.take_if(|_| index % 2 == 0);
                    drop(task);
                }
            }
            let is_cancelled = |index: usize| index % 2 == 1 && unwanted & (1 << index) != 0;
            for (index, task) in tasks.iter().enumerate().filter(|(index, _)| is_cancelled(*index))
            {
                task.as_ref().unwrap_or_else(|| panic!("{index} is held")).cancel();
            }
            assert_eq!(read(&calls, &pieces), None);
            for (index, task) in tasks.iter().enumerate() {
                let Some(task) = task else { continue };
                let cancelled = Err(Wait::Failed(Reason::Cancelled));
                let expected = Ok(Bytes::from_static(own[index].as_bytes()));
                let expected = if is_cancelled(index) { cancelled } else { expected };
                assert_eq!(taken(task), expected, "{index} of {unwanted:b} in {pieces:?}");
            }
            let state = calls.state();
            assert_eq!((state.machine.in_flight(), state.waiting.len()), (0, 0));
        }
    }
}

#[test]
fn replies_in_order_are_their_calls() {
    let requests: [&[u8]; COUNT] = [b"a", b"b", b"c", b"d"];
    let replies = b"\x03one\x00\x05three\x04four";
    each_call_gets_its_own(Framed::u8(), requests, replies, ["one", "", "three", "four"]);
    let replies = b"one\r\n\nthree\nfour\n";
    each_call_gets_its_own(Framed::lines(), requests, replies, ["one", "", "three", "four"]);
}

#[test]
fn replies_by_ids_are_their_calls() {
    let requests: [&[u8]; COUNT] = [b"-a", b"-b", b"-c", b"-d"];
    let replies = b"\x02\x03D\x02\x00A\x03\x02CC\x02\x01B";
    let own = ["\0A", "\x01B", "\x02CC", "\x03D"];
    each_call_gets_its_own(Framed::u8().tagged(0, 1), requests, replies, own);
}

/// What is not sent is said at once, and whose fault that is.
#[test]
fn what_is_not_sent_is_told() {
    let mut stage = stage();
    let link = stage.link();
    let limits = Limits { in_flight_max: 3, in_flight_bytes_max: 6, ..Limits::default() };
    let (calls, tasks) = made(Framed::u8().frame_bytes_max(3), limits, &[b"12", b"34"], &link);
    let send = |request: &'static [u8]| {
        let (task, due) = Task::<Call, _>::pledge(&link).unwrap();
        (calls.send(due, Piece::Shared(Bytes::from_static(request))), task)
    };
    assert_eq!(send(b"567").0, Err(Reason::Limit("in_flight_bytes_max")));
    let (sent, _third) = send(b"56");
    assert_eq!(sent, Ok(false), "the shard was told");
    assert_eq!(send(b"").0, Err(Reason::Limit("in_flight_max")));
    assert_eq!(read(&calls, &[b"\x00\x00"]), None);
    let too_long = Reason::Payload(PayloadError::TooLong { bytes_max: 3 });
    assert_eq!(send(b"1234").0, Err(too_long));
    assert_eq!(take_all(&mut calls.state().outbox), &b"\x0212\x0234\x0256"[..]);
    drop(tasks);
}

/// What breaks the protocol ends all calls that wait, and further ones.
#[test]
fn a_server_that_breaks_the_protocol_ends_all() {
    let mut stage = stage();
    let link = stage.link();
    for (replies, refusal, answered) in [
        (&b"\x01a\x01b\x01c"[..], Refusal::Unasked, 2),
        (b"\x01a\x09", Refusal::TooLong { bytes_max: 5 }, 1),
    ] {
        for pieces in cuts(replies) {
            let codec = Framed::u8().frame_bytes_max(5);
            let (calls, tasks) = made(codec, Limits::default(), &[b"a", b"b"], &link);
            assert_eq!(read(&calls, &pieces), Some(Reason::Frame(refusal)));
            calls.finish(Reason::Frame(refusal));
            let ended = tasks.iter().flatten().map(taken);
            let failed = ended.filter(|ended| *ended == Err(Wait::Failed(Reason::Frame(refusal))));
            assert_eq!(failed.count(), 2 - answered);
            let (_task, due) = Task::<Call, _>::pledge(&link).unwrap();
            let late = calls.send(due, Piece::Shared(Bytes::new()));
            assert_eq!(late, Err(Reason::Frame(refusal)));
        }
    }
}
