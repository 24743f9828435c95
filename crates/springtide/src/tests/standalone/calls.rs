//! Clients of frames over every backend: thousands of calls at once, and an end for each of them.

use std::time::Duration;

use super::outcome;
use crate::framed::Limits;
use crate::tests::{Backend, Stage, over_all_backends, over_still_backends};
use crate::{
    Bytes, Client, Failure, Framed, FramedClient, Peer, PeerStatus, Reason, RemoteReply, Reply,
    Request, Server, Status, Wait,
};

fn server(codec: Framed) -> Server {
    let answer = |request: Bytes, reply: Reply| reply.send(request.to_ascii_uppercase());
    Server::new().framed(codec, answer)
}

fn framed(stage: &mut Stage, codec: Framed, limits: Limits) -> FramedClient {
    let address = stage.origin().replace("http://", "");
    let task = Client::connector().on(stage.link()).address(address).connect();
    outcome(stage, &task).unwrap().framed_within(codec, limits)
}

/// Thousands are sent before the first is answered, long ones among them, and each gets its own reply.
fn thousands_are_in_flight(backend: Backend) {
    for codec in [Framed::u32_be(), Framed::u32_be().tagged(0, 4)] {
        let mut stage = Stage::new(backend, server(codec));
        let limits =
            Limits { in_flight_max: 10_000, in_flight_bytes_max: 8 << 20, ..Limits::default() };
        let client = framed(&mut stage, codec, limits);
        let request = |index: usize| {
            let mut request = format!("----request {index}").into_bytes();
            request.resize(if index.is_multiple_of(500) { 20_000 } else { request.len() }, b'x');
            request
        };
        let calls: Vec<_> = (0..5_000).map(|index| client.call(request(index))).collect();
        for (index, call) in calls.iter().enumerate() {
            let reply = outcome(&mut stage, call).unwrap();
            assert!(reply[4..] == request(index).to_ascii_uppercase()[4..], "{index}");
        }
        assert_eq!(client.status(), PeerStatus::Open);
        drop((calls, client));
        stage.until(|stage| (stage.at_desk()[0] == 0).then_some(()));
    }
}

/// Replies come by their ids, in whatever order they are given, and calls that were dropped are nobody's.
fn replies_by_ids_come_in_any_order(backend: Backend) {
    let codec = Framed::u8().tagged(0, 1);
    let (sender, asked) = std::sync::mpsc::channel::<(Bytes, RemoteReply)>();
    let hold = move |request: Bytes, reply: Reply| sender.send((request, reply.detach())).unwrap();
    let mut stage = Stage::new(backend, Server::new().framed(codec, hold));
    let client = framed(&mut stage, codec, Limits::default());
    let calls = [b"-a", b"-b", b"-c", b"-d"].map(|request| client.call(&request[..]));
    let mut held: Vec<_> = (0..4).map(|_| stage.until(|_| asked.try_recv().ok())).collect();
    let [first, second, third, fourth] = calls;
    drop(second);
    third.cancel();
    while let Some((request, reply)) = held.pop() {
        reply.send(request);
    }
    assert_eq!(outcome(&mut stage, &fourth).unwrap(), "\x03d");
    assert_eq!(outcome(&mut stage, &third), Err(Wait::Failed(Reason::Cancelled)));
    assert_eq!(outcome(&mut stage, &first).unwrap(), "\x00a");
}

/// What waits ends when the connection does, with the reason, and what is asked behind that as well.
fn every_call_ends(backend: Backend) {
    for (end, expected) in [("bye", Reason::PeerClosed), ("close", Reason::Closed)] {
        // It answers the first line, and ends with the second.
        let intro = |peer: Peer| {
            peer.pull_until("\n", 9).then(|peer, line| {
                peer.push(line).detach();
                peer.pull_until("bye\n", 9).then(|peer, _| peer.close().detach());
            });
        };
        let mut stage = Stage::new(backend, Server::new().raw(intro));
        let client = framed(&mut stage, Framed::lines(), Limits::default());
        let calls = ["one", "two", end, "three"].map(|line| client.call(line));
        assert_eq!(outcome(&mut stage, &calls[0]).unwrap(), "one");
        let closed = (end == "close").then(|| client.close());
        for call in &calls[1..] {
            let ended = outcome(&mut stage, call);
            assert!(
                matches!(ended, Err(Wait::Failed(reason)) if reason == expected),
                "{end} {ended:?}"
            );
        }
        if let Some(closed) = closed {
            assert_eq!(outcome(&mut stage, &closed), Ok(()));
        }
        let late = client.call("late");
        assert_eq!(outcome(&mut stage, &late), Err(Wait::Failed(expected)));
    }
    // A shard that ends without a word.
    let mut stage = Stage::new(backend, Server::new().raw(|_| {}));
    let client = framed(&mut stage, Framed::lines(), Limits::default());
    let [call, unseen] = ["one", "two"].map(|line| {
        let call = client.call(line);
        (0..6).for_each(|_| stage.turn());
        call
    });
    drop(stage);
    for call in [call, unseen, client.call("three")] {
        assert_eq!(call.status(), Status::Failed);
        assert_eq!(call.wait_for(Duration::ZERO), Err(Wait::Failed(Reason::Stale)));
    }
}

/// Takes everything, and says nothing.
fn swallow(peer: Peer) {
    peer.pull().then_result(|peer, bytes| match bytes {
        Ok(Some(_)) => swallow(peer),
        _ => peer.close().detach(),
    });
}

/// Whoever loses interest in everything holds nothing: not the connection either.
fn calls_that_nobody_wants_hold_nothing(backend: Backend) {
    let mut stage = Stage::new(backend, Server::new().raw(swallow));
    let client = framed(&mut stage, Framed::lines(), Limits::default());
    let calls = ["one", "two", "three"].map(|line| client.call(line));
    (0..6).for_each(|_| stage.turn());
    drop(client);
    let [one, two, three] = calls;
    drop(one);
    two.cancel();
    (0..6).for_each(|_| stage.turn());
    assert_eq!(three.status(), Status::Pending, "a task is a handle");
    drop((two, three));
    stage.until(|stage| {
        stage.turn();
        (stage.at_desk()[0] == 0).then_some(())
    });
}

over_all_backends!(thousands_are_in_flight, every_call_ends, calls_that_nobody_wants_hold_nothing,);

/// A reply that is given later belongs to one life of its shard.
mod still {
    use super::*;
    over_still_backends!(replies_by_ids_come_in_any_order);
}

/// A handler of the shard awaits calls of its own.
#[test]
fn handlers_await_calls() {
    let mut peers = Stage::new(Backend::Epoll, server(Framed::lines()));
    let address = peers.origin().replace("http://", "");
    let server = Server::new().get("/", async move |_: Request| -> Result<Bytes, Failure> {
        let client = Client::connect(&address).await?.framed(Framed::lines());
        let calls = ["low ", "tide"].map(|line| client.call(line));
        let mut answer = Vec::new();
        for call in calls {
            answer.extend_from_slice(&call.await?);
        }
        Ok(Bytes::from(answer))
    });
    let mut stage = Stage::new(Backend::Epoll, server);
    let mut peer = stage.connect();
    let mut received = Vec::new();
    assert!(peer.write(b"GET / HTTP/1.0\r\n\r\n") > 0);
    stage.until(|_| {
        peers.turn();
        peer.read(&mut received);
        peer.is_ended().then_some(())
    });
    assert!(received.ends_with(b"\r\n\r\nLOW TIDE"), "{}", String::from_utf8_lossy(&received));
}
