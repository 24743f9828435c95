//! Servers of frames over every backend: what is said is answered, however it is cut, and every way
//! in which it is not.

mod later;
mod timed;
mod worlds;

use super::{Backend, Stage, over_all_backends};
use crate::{Bytes, Framed, Reply, Server};

fn echo(codec: Framed) -> Server {
    Server::new().framed(codec, |request: Bytes, reply: Reply| reply.send(request))
}

/// Frames with lengths of four bytes.
fn frames<'a>(payloads: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let frame = |payload: &[u8]| [&(payload.len() as u32).to_be_bytes(), payload].concat();
    payloads.into_iter().flat_map(frame).collect()
}

fn what_is_said_is_echoed(backend: Backend) {
    let lengths = [0, 1, 100, 512, 5_000, 70_000, 3, 300_000, 7];
    let payloads: Vec<Vec<u8>> =
        lengths.iter().enumerate().map(|(index, len)| vec![b'a' + index as u8; *len]).collect();
    let said = frames(payloads.iter().map(Vec::as_slice)).repeat(3);
    for step in [said.len(), 4096, 1009] {
        let mut stage = Stage::new(backend, echo(Framed::u32_be()));
        let mut peer = stage.connect();
        let (mut received, mut rest) = (Vec::new(), &*said);
        while !rest.is_empty() {
            let written = peer.write(&rest[..step.min(rest.len())]);
            rest = &rest[written..];
            stage.turn();
            peer.read(&mut received);
        }
        let left = said.len() - received.len();
        received.extend(stage.talk(&mut peer, b"", left));
        assert!(received == said, "in steps of {step}: {} of {}", received.len(), said.len());
        peer.shutdown();
        assert!(stage.talk_to_end(&mut peer, b"").is_empty());
    }
}

fn thousands_are_pipelined(backend: Backend) {
    let mut stage = Stage::new(backend, echo(Framed::lines()));
    let mut peer = stage.connect();
    let said: String = (0..5_000).map(|number| format!("request {number}\n")).collect();
    let received = stage.talk(&mut peer, said.as_bytes(), said.len());
    assert!(received == said.as_bytes());
    assert_eq!(stage.counts().requests_total, 5_000);
}

/// What a request says is what becomes of its reply.
fn fail(codec: Framed) -> Server {
    Server::new().framed(codec, |request: Bytes, reply: Reply| match &*request {
        b"drop" => drop(reply),
        b"panic" => panic!("on purpose"),
        b"unfit" => reply.send("two\nlines"),
        b"nothing" => reply.send_nothing(),
        b"last" => reply.send_last("bye"),
        _ => reply.send(request),
    })
}

fn what_is_not_answered_is_told(backend: Backend) {
    let mut stage = Stage::new(backend, fail(Framed::lines().dropped(b"gone")));
    let mut peer = stage.connect();
    let said = b"low\ndrop\npanic\nunfit\nnothing\nhigh\nlast\nnever\n";
    let received = stage.talk_to_end(&mut peer, said);
    assert_eq!(received, "low\ngone\ngone\ngone\nhigh\nbye\n");
    assert_eq!(stage.counts().panics_total, 1);
}

fn without_words_the_connection_ends(backend: Backend) {
    for end in ["drop", "panic", "unfit", "much too long a line"] {
        let mut stage = Stage::new(backend, fail(Framed::lines().frame_bytes_max(10)));
        let mut peer = stage.connect();
        let said = format!("low\nhigh\n{end}\nnever\n");
        assert_eq!(stage.talk_to_end(&mut peer, said.as_bytes()), "low\nhigh\n", "{end}");
    }
}

over_all_backends!(
    what_is_said_is_echoed,
    thousands_are_pipelined,
    what_is_not_answered_is_told,
    without_words_the_connection_ends,
);
