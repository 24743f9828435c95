//! Raw connections over every backend: what pulls are given and pushes send, and how tasks end when
//! they are dropped, cancelled, or left behind by their connection.

mod chance;
mod edges;
mod forward;
mod long;
mod many;
mod topics;

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use super::{Backend, Stage, over_all_backends};
use crate::{Address, Bytes, Limits, Peer, PeerStatus, Reason, Server, Status, Task};

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// A server that tells of the ends of its connections.
    fn server(&self, intro: impl Fn(Peer) + Send + Sync + 'static) -> Server {
        let log = self.clone();
        let closed = move |_, reason| log.add(format!("closed: {reason:?}"));
        Server::new().raw(intro).closed(closed)
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Goes on in the next turn.
async fn next_turn() {
    let mut is_next = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_next, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn echo(peer: Peer) {
    peer.pull().then(|peer, bytes| peer.push(bytes).then(|peer, _| echo(peer)));
}

/// Whatever is sent comes back, in one stream, from callbacks and from futures.
fn what_is_pushed_back_comes_whole(backend: Backend) {
    let awaited = Server::new().raw_async(async |peer: Peer| {
        while let Some(bytes) = peer.pull().await? {
            peer.push(bytes).await?;
        }
        Ok(())
    });
    for server in [Server::new().raw(echo), awaited] {
        let mut stage = Stage::new(backend, server);
        let mut peers = [stage.connect(), stage.connect(), stage.connect()];
        for length in [1, 5, 4096, 4097, 20_000, 300_000] {
            let sent: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            for peer in &mut peers {
                assert!(stage.talk(peer, &sent, length) == sent, "{length} bytes");
            }
        }
    }
}

/// Pulls are served in their order, with what each wants.
fn pulls_are_served_in_order(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let intro = move |peer: Peer| {
        let tell = |name: &'static str| {
            let log = own.clone();
            move |_: Peer, bytes: Bytes| log.add(format!("{name} {}", text(&bytes)))
        };
        peer.pull_exact(3).then(tell("three"));
        peer.pull_until("\r\n", 9).then(tell("line"));
        peer.pull_until("\r\n", 4).then(tell("never"));
        peer.pull_exact(2).then(tell("two"));
        let last = tell("rest");
        peer.pull().then(move |peer, bytes| {
            last(peer, bytes);
            peer.close().detach();
        });
    };
    let mut stage = Stage::new(backend, log.server(intro));
    let mut peer = stage.connect();
    for piece in ["a", "bcline", "\r", "\nnone at", " all"] {
        assert_eq!(peer.write(piece.as_bytes()), piece.len());
        for _ in 0..8 {
            stage.turn();
        }
    }
    stage.until(|_| (log.lines().len() >= 5).then_some(()));
    assert_eq!(
        log.lines(),
        ["three abc", "line line\r\n", "two no", "rest ne at", "closed: Closed"]
    );
}

/// What a pull was given that nobody wants is the next one's, and in its place.
fn a_dropped_pull_loses_nothing(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |peer: Peer| {
        drop(peer.pull());
        let first = peer.pull();
        let second = peer.pull();
        while first.status() == Status::Pending {
            next_turn().await;
        }
        assert_eq!(second.status(), Status::Pending, "it waits behind the first");
        drop(first);
        own.add(text(&second.await?.unwrap()));
        own.add(text(&peer.pull_exact(2).await?.unwrap()));
        Ok(())
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"ab"), 2);
    stage.until(|_| (log.lines().len() == 1).then_some(()));
    assert_eq!(peer.write(b"cd"), 2);
    stage.until(|_| (log.lines().len() == 2).then_some(()));
    assert_eq!(log.lines(), ["ab", "cd"]);
}

/// What was given back is the first to be given, also to a pull that was asked for before.
fn what_is_given_back_comes_first(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |peer: Peer| {
        let first = peer.pull_exact(2);
        while first.status() == Status::Pending {
            next_turn().await;
        }
        let second = peer.pull_exact(4);
        drop(first);
        own.add(text(&second.await?.unwrap()));
        Ok(())
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"abcdef"), 6);
    stage.until(|_| (log.lines().len() == 1).then_some(()));
    assert_eq!(log.lines(), ["abcd"]);
}

/// Pushes leave in their order; a dropped one is withdrawn and a detached one is not.
fn a_dropped_push_is_withdrawn(backend: Backend) {
    let server = Server::new().raw(|peer| {
        peer.push("one ").detach();
        drop(peer.push("nothing "));
        let task = peer.push("nor this ");
        peer.push(vec![b'x'; 5000]).then(move |peer, bytes| {
            drop(task);
            assert_eq!(bytes.len(), 5000, "the buffer comes back");
            peer.push("four").then(|peer, _| peer.close().detach());
        });
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let received = stage.talk_to_end(&mut peer, b"");
    assert_eq!(received, format!("one nor this {}four", "x".repeat(5000)));
}

/// A cancelled task ends once, as cancelled or as done; what was never begun has no effect.
fn a_cancelled_task_ends_once(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let intro = move |peer: Peer| {
        let tell = |name: &'static str| {
            let log = own.clone();
            move |result: Result<Option<Bytes>, Reason>| log.add(format!("{name} {result:?}"))
        };
        let (first, second, third) = (tell("first"), tell("second"), tell("third"));
        let pull = peer.pull();
        let canceller = pull.canceller().unwrap();
        pull.then_result(move |_, result| first(result));
        let pull = peer.pull();
        let behind = pull.canceller().unwrap();
        pull.then_result(move |_, result| second(result));
        peer.pull().then_result(move |_, result| third(result));
        let push = peer.push("never sent");
        push.cancel();
        let log = own.clone();
        push.then_result(move |peer, result| {
            log.add(format!("push {result:?}"));
            canceller.cancel();
            behind.cancel();
            behind.cancel();
            peer.push("sent").detach();
        });
    };
    let mut stage = Stage::new(backend, log.server(intro));
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"bytes", 4), b"sent");
    stage.until(|_| (log.lines().len() >= 4).then_some(()));
    let cancelled = "Err(Cancelled)";
    let mut lines = log.lines();
    assert_eq!(lines.remove(0), format!("push {cancelled}"));
    // The bytes may have come before it was cancelled: then they are the first's.
    let is_late = lines.iter().any(|line| line == "first Ok(Some(b\"bytes\"))");
    if !is_late {
        let third = "third Ok(Some(b\"bytes\"))".to_owned();
        assert_eq!(lines, [format!("first {cancelled}"), format!("second {cancelled}"), third]);
    }
}

/// At the end of the stream a `then` is not called, and the connection ends; who asked for the result
/// hears of it, and may still push.
fn the_end_of_a_stream_is_told(backend: Backend) {
    for takes_end in [false, true] {
        let log = Log::default();
        let own = log.clone();
        let intro = move |peer: Peer| {
            let log = own.clone();
            if takes_end {
                peer.pull().then_result(move |peer, result| {
                    log.add(format!("{result:?} {:?}", peer.status()));
                    peer.push("bye").then(|peer, _| peer.close().detach());
                });
            } else {
                peer.push("bye").detach();
                peer.pull().then(move |_, bytes| log.add(text(&bytes)));
            }
        };
        let mut stage = Stage::new(backend, log.server(intro));
        let mut peer = stage.connect();
        peer.shutdown();
        assert_eq!(stage.talk_to_end(&mut peer, b""), "bye");
        stage.until(|_| (log.lines().len() > usize::from(takes_end)).then_some(()));
        let expected: &[&str] = match takes_end {
            true => &["Ok(None) HalfClosed", "closed: Closed"],
            false => &["closed: PeerClosed"],
        };
        assert_eq!(log.lines(), expected);
    }
}

/// A panic ends its own connection, and is the reason.
fn a_panic_ends_its_own_connection(backend: Backend) {
    let log = Log::default();
    let intro = |peer: Peer| {
        peer.pull().then(|peer, bytes| {
            assert_ne!(&bytes[..], b"panic", "on purpose");
            peer.push(bytes).then(|peer, _| echo(peer));
        });
    };
    let mut stage = Stage::new(backend, log.server(intro));
    let (mut good, mut bad) = (stage.connect(), stage.connect());
    assert_eq!(stage.talk(&mut good, b"good", 4), b"good");
    stage.talk_to_end(&mut bad, b"panic");
    assert_eq!(stage.talk(&mut good, b"still", 5), b"still");
    assert_eq!(log.lines(), ["closed: Panicked"]);
}

/// What is asked of a connection that is gone fails, with the reason.
fn a_stale_peer_is_refused(backend: Backend) {
    let log = Log::default();
    let (own, gone) = (log.clone(), log.clone());
    let server = Server::new()
        .raw(move |peer| {
            let log = own.clone();
            peer.pull().then_result(move |_, result| log.add(format!("pull {result:?}")));
        })
        .closed(move |peer, reason| {
            let log = gone.clone();
            log.add(format!("closed {reason:?} {:?}", peer.status()));
            let task: Task<_> = peer.push("too late");
            log.add(format!("{:?}", task.status()));
            task.then_result(move |_, result| log.add(format!("push {result:?}")));
        });
    let mut stage = Stage::new(backend, server);
    let peer = stage.connect();
    for _ in 0..4 {
        stage.turn();
    }
    peer.reset();
    stage.until(|_| (log.lines().len() >= 4).then_some(()));
    let expected = ["pull Err(Reset)", "closed Reset Closed", "Failed", "push Err(Stale)"];
    assert_eq!(log.lines(), expected);
}

/// What is always ready is handled a share a turn, in constant stack and memory.
fn what_is_always_ready_starves_nobody(backend: Backend) {
    fn take(peer: Peer, left: usize) {
        peer.pull_exact(1).then(move |peer, _| match left {
            1 => peer.push("done").detach(),
            left => take(peer, left - 1),
        });
    }
    const COUNT: usize = 40_000;
    let mut stage = Stage::at_once(backend, Server::new().raw(|peer| take(peer, COUNT)));
    let (mut busy, mut other) = (stage.connect(), stage.connect());
    let sent = vec![b'x'; COUNT];
    assert_eq!(stage.talk(&mut busy, &sent, 4), b"done");
    assert!(stage.turns >= COUNT as u64 / 32, "{} turns", stage.turns);
    assert_eq!(stage.talk(&mut other, &sent, 4), b"done");
}

/// A stream that ends here goes on from there.
fn the_write_half_ends_alone(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let intro = move |peer: Peer| {
        let log = own.clone();
        peer.push("all").detach();
        peer.shutdown_write().then(move |peer, ()| {
            let log = log.clone();
            peer.push("too late").then_result({
                let log = log.clone();
                move |_, result| log.add(format!("{result:?}"))
            });
            peer.pull().then(move |peer, bytes| {
                log.add(format!("{} {:?}", text(&bytes), peer.status()));
                peer.close().detach();
            });
        });
    };
    let mut stage = Stage::new(backend, log.server(intro));
    let mut peer = stage.connect();
    assert_eq!(stage.talk_to_end(&mut peer, b""), "all");
    assert_eq!(peer.write(b"more"), 4);
    stage.until(|_| (log.lines().len() >= 3).then_some(()));
    assert_eq!(log.lines(), ["Err(Closed)", "more HalfClosed", "closed: Closed"]);
}

/// A future that fails resets its connection; one whose connection goes is dropped.
fn futures_end_with_their_connections(backend: Backend) {
    let log = Log::default();
    let (own, gone) = (log.clone(), log.clone());
    let server = Server::new()
        .raw_async(async move |peer: Peer| {
            let bytes = peer.pull().await;
            own.add(format!("{bytes:?}"));
            if bytes?.is_some() {
                return Err(std::io::Error::other("it cannot go on").into());
            }
            Ok(())
        })
        .closed(move |_, reason| gone.add(format!("closed: {reason:?}")));
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    stage.talk_to_end(&mut peer, b"go");
    stage.until(|_| (log.lines().len() >= 2).then_some(()));
    let peer = stage.connect();
    for _ in 0..4 {
        stage.turn();
    }
    peer.reset();
    stage.until(|_| (log.lines().len() >= 4).then_some(()));
    let expected = ["Ok(Some(b\"go\"))", "closed: Failed", "Err(Reset)", "closed: Reset"];
    assert_eq!(log.lines(), expected);
}

/// More than may wait to be sent is refused, and what waits is sent.
fn pushes_have_a_limit(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let limits = Limits { outbox_bytes_max: 10_000, ..Limits::default() };
    let intro = move |peer: Peer| {
        for _ in 0..4 {
            let log = own.clone();
            let told = move |_, result: Result<Bytes, Reason>| {
                log.add(format!("{:?}", result.map(|bytes| bytes.len())));
            };
            peer.push(vec![b'x'; 6000]).then_result(told);
        }
        assert_eq!(peer.status(), PeerStatus::Open);
        peer.close().detach();
    };
    let mut stage = Stage::new(backend, log.server(intro).limits(limits));
    let mut peer = stage.connect();
    assert_eq!(stage.talk_to_end(&mut peer, b"").len(), 12_000);
    let refused = "Err(Limit(\"outbox_bytes_max\"))";
    let lines = log.lines();
    assert_eq!(lines.iter().filter(|line| *line == refused).count(), 2, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| *line == "Ok(6000)").count(), 2, "{lines:?}");
}

/// Sends on to one what comes from the other, as fast as that takes it.
fn pump(from: Peer, to: Peer) {
    from.pull().then_result(move |_, bytes| match bytes {
        Ok(Some(bytes)) => to.push(bytes).then_result(move |_, result| match result {
            Ok(_) => pump(from, to),
            Err(_) => from.close().detach(),
        }),
        Ok(None) => to.shutdown_write().detach(),
        Err(_) => to.close().detach(),
    });
}

/// Connections that are made from a callback are peers like others; what goes through two of them comes
/// out whole, and so do the ends of both streams.
fn what_is_forwarded_comes_whole(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let intro = move |peer: Peer| {
        let log = own.clone();
        peer.pull_until("\n", 64).then(move |peer, line| {
            let line = text(&line);
            let Some(address) = line.trim().strip_prefix("to ") else { return echo_to_end(peer) };
            Peer::connect(address.parse::<Address>().unwrap()).then_result(move |_, other| {
                match other {
                    Ok(other) => {
                        other.push("echo\n").detach();
                        pump(peer, other);
                        pump(other, peer);
                    }
                    Err(reason) => {
                        log.add(format!("{reason:?}"));
                        peer.close().detach();
                    }
                }
            });
        });
    };
    let mut stage = Stage::new(backend, log.server(intro));
    let address = stage.origin().replace("http://", "");
    let sent: Vec<u8> = (0..300_000).map(|index| (index % 251) as u8).collect();
    let mut peer = stage.connect();
    let hello = format!("to {address}\n");
    let first = [hello.as_bytes(), &sent].concat();
    assert!(stage.talk(&mut peer, &first, sent.len()) == sent);
    peer.shutdown();
    assert_eq!(stage.talk_to_end(&mut peer, b""), "");
    let begun = stage.turns;
    stage.until(|stage| {
        let lines = log.lines();
        assert!(stage.turns < begun + 20_000, "{lines:?}");
        (lines.len() >= 3).then_some(())
    });
    let mut lines = log.lines();
    lines.sort();
    assert_eq!(lines, ["closed: Closed", "closed: PeerClosed", "closed: PeerClosed"]);
    let mut peer = stage.connect();
    assert_eq!(stage.talk_to_end(&mut peer, b"to 127.0.0.1:1\n"), "");
    assert!(log.lines().contains(&"Refused".to_owned()), "{:?}", log.lines());
    assert_eq!(stage.at_desk()[0], 0, "no connection that was made is counted any more");
}

fn echo_to_end(peer: Peer) {
    peer.pull().then_result(|peer, bytes| match bytes {
        Ok(Some(bytes)) => peer.push(bytes).then(|peer, _| echo_to_end(peer)),
        _ => peer.close().detach(),
    });
}

over_all_backends!(
    what_is_forwarded_comes_whole,
    what_is_pushed_back_comes_whole,
    pulls_are_served_in_order,
    a_dropped_pull_loses_nothing,
    what_is_given_back_comes_first,
    a_dropped_push_is_withdrawn,
    a_cancelled_task_ends_once,
    the_end_of_a_stream_is_told,
    a_panic_ends_its_own_connection,
    a_stale_peer_is_refused,
    what_is_always_ready_starves_nobody,
    the_write_half_ends_alone,
    futures_end_with_their_connections,
    pushes_have_a_limit,
);
