//! What raw connections come to at their edges: bytes given back late, pushes that are nothing, pulls
//! dropped in a queue, streams that end with bytes unread, and servers that stop meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Log, echo, next_turn, text};
use crate::mailbox::Message;
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{Address, Bytes, Limits, Peer, PeerStatus, Reason, Server, Status};

/// What came before anybody pulled is given whatever is wanted of it, and in order.
fn what_came_early_is_cut_as_it_is_wanted(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |peer: Peer| {
        for _ in 0..40 {
            next_turn().await;
        }
        let mut all = Vec::new();
        all.extend(peer.pull_exact(5_000).await?.unwrap());
        all.extend(peer.pull_until("!", 10_000).await?.unwrap());
        let dropped = peer.pull();
        while dropped.status() == Status::Pending {
            next_turn().await;
        }
        drop(dropped);
        while all.len() < 60_000 {
            all.extend(peer.pull().await?.unwrap());
        }
        own.add(text(&Bytes::from(all)));
        Ok(())
    });
    let mut sent: Vec<u8> = (0..60_000).map(|index| b'a' + (index % 26) as u8).collect();
    sent[7_777] = b'!';
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    stage.talk_to_end(&mut peer, &sent);
    assert!(log.lines() == [String::from_utf8(sent).unwrap()]);
}

/// A push of nothing ends, and one that was withdrawn holds up no end.
fn pushes_of_nothing_end(backend: Backend) {
    let server = Server::new().raw(|peer| {
        peer.push("").then(|peer, bytes| {
            assert!(bytes.is_empty());
            peer.push(vec![b'x'; 3 << 20]).detach();
            let withdrawn = peer.push("never");
            peer.shutdown_write().detach();
            peer.push("").then_result(move |_, result| {
                assert_eq!(result, Err(Reason::Closed));
                drop(withdrawn);
            });
        });
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    assert_eq!(stage.talk_to_end(&mut peer, b"").len(), 3 << 20);
}

/// Who drops a pull that waits behind others starves nobody.
fn a_pull_dropped_in_the_queue_is_passed_over(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw(move |peer| {
        let log = own.clone();
        peer.pull_exact(1).then(|_, _| {});
        let dropped = peer.pull_exact(1);
        let told = log.clone();
        peer.pull_exact(1).then(move |_, bytes| told.add(text(&bytes)));
        // It stands in the queue by now.
        peer.push("go").then(move |_, _| {
            drop(dropped);
            log.add("dropped");
        });
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"", 2), b"go");
    stage.until(|_| (log.lines().len() == 1).then_some(()));
    assert_eq!(peer.write(b"ab"), 2);
    stage.until(|_| (log.lines().len() == 2).then_some(()));
    assert_eq!(log.lines(), ["dropped", "b"]);
}

/// Bytes that are too few for the pull that waits at the end of the stream are the next one's, also when
/// this side has ended its own.
fn bytes_before_the_end_are_the_next_pulls(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let intro = move |peer: Peer| {
        let told = |name: &'static str| {
            let log = own.clone();
            move |_: Peer, result| log.add(format!("{name} {result:?}"))
        };
        peer.shutdown_write().detach();
        peer.pull_exact(10).then_result(told("ten"));
        peer.pull().then_result(told("rest"));
        peer.pull().then_result(told("end"));
    };
    let mut stage = Stage::new(backend, log.server(intro));
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"abc"), 3);
    peer.shutdown();
    stage.until(|_| (log.lines().len() == 4).then_some(()));
    let expected =
        ["ten Ok(None)", "rest Ok(Some(b\"abc\"))", "end Ok(None)", "closed: PeerClosed"];
    assert_eq!(log.lines(), expected);
}

/// Of what goes out without an end, what has gone is told and let go of.
fn what_has_gone_is_told_while_more_is_sent(backend: Backend) {
    const PUSHES: usize = 2_000;
    let told = Arc::new(AtomicUsize::new(0));
    let own = told.clone();
    let limits = Limits { outbox_bytes_max: 64 << 20, ..Limits::default() };
    let intro = move |peer: Peer| {
        for _ in 0..PUSHES {
            let told = own.clone();
            let count = move |_: Peer, _: Bytes| _ = told.fetch_add(1, Ordering::Relaxed);
            peer.push(vec![b'x'; 10_007]).then(count);
        }
        peer.close().detach();
    };
    let mut stage = Stage::new(backend, Server::new().raw(intro).limits(limits));
    let mut peer = stage.connect();
    let mut received = Vec::new();
    stage.until(|_| {
        peer.read(&mut received);
        // A send takes 1 MiB at most, so much later there was another one.
        let gone = received.len() / 10_007;
        assert!(told.load(Ordering::Relaxed) + 900 >= gone, "{told:?} are told, {gone} have come");
        peer.is_ended().then_some(())
    });
    assert_eq!((received.len(), told.load(Ordering::Relaxed)), (PUSHES * 10_007, PUSHES));
}

/// A future that pulls only after the server was told to stop hears of the end, and nothing is cut.
fn a_stop_waits_for_what_was_pushed_only(backend: Backend) {
    let log = Log::default();
    let (own, gone) = (log.clone(), log.clone());
    let server = Server::new()
        .raw_async(async move |peer: Peer| {
            peer.push(vec![b'x'; 3 << 20]).await?;
            own.add(format!("{:?}", peer.pull().await));
            peer.push("bye").await?;
            Ok(())
        })
        .closed(move |_, reason| gone.add(format!("closed: {reason:?}")));
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    for _ in 0..20 {
        stage.turn();
    }
    stage.send(Message::Drain { within_ms: 1_000_000_000 });
    let mut received = Vec::new();
    while !peer.is_ended() {
        peer.read(&mut received);
        if stage.is_over() {
            break;
        }
    }
    assert_eq!((received.len(), &received[received.len() - 3..]), ((3 << 20) + 3, &b"bye"[..]));
    assert_eq!(log.lines(), ["Ok(None)", "closed: PeerClosed"]);
}

/// Idle is who says nothing, also with bytes unread that nobody pulls.
fn silence_behind_unread_bytes_has_an_end(backend: Backend) {
    let log = Log::default();
    let limits = Limits { raw_idle_timeout_ms: 5_000, ..Limits::default() };
    let intro = |peer: Peer| peer.pull_exact(1).then(|_, _| {});
    let mut stage = Stage::new(backend, log.server(intro).limits(limits));
    let mut peer = stage.connect();
    assert_eq!(peer.write(b"ab"), 2);
    for _ in 0..8 {
        stage.turn();
    }
    stage.advance(Duration::from_millis(4_000));
    assert_eq!(log.lines(), [""; 0]);
    stage.advance(Duration::from_millis(2_100));
    assert_eq!(log.lines(), ["closed: TimedOut(\"raw_idle_timeout\")"]);
}

/// Who closes is not told that it is done when the peer has gone before what was pushed had.
fn a_close_tells_of_a_reset(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let intro = move |peer: Peer| {
        let log = own.clone();
        peer.push(vec![b'x'; 8 << 20]).detach();
        peer.close().then_result(move |_, result| log.add(format!("{result:?}")));
    };
    let mut stage = Stage::new(backend, log.server(intro));
    let peer = stage.connect();
    for _ in 0..20 {
        stage.turn();
    }
    peer.reset();
    stage.until(|_| (log.lines().len() == 2).then_some(()));
    assert_eq!(log.lines(), ["Err(Reset)", "closed: Reset"]);
}

/// A connection that was made for nobody is closed.
fn a_connection_for_nobody_is_closed(backend: Backend) {
    let log = Log::default();
    let intro = |peer: Peer| {
        peer.pull_until("\n", 64).then(|_, line| {
            Peer::connect(text(&line).trim().parse::<Address>().unwrap()).detach();
        });
    };
    let mut stage = Stage::new(backend, log.server(intro));
    let address = stage.origin().replace("http://", "");
    let mut peer = stage.connect();
    let line = format!("{address}\n");
    assert_eq!(peer.write(line.as_bytes()), line.len());
    stage.until(|_| (log.lines().len() == 2).then_some(()));
    let mut lines = log.lines();
    lines.sort();
    assert_eq!(lines, ["closed: Closed", "closed: PeerClosed"]);
}

/// The end is told behind what callbacks ask of a connection that has gone before they know.
fn the_end_is_told_last(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let intro = move |peer: Peer| {
        let log = own.clone();
        peer.pull().then_result(move |peer, result| {
            log.add(format!("pull {result:?}"));
            peer.push("more?").then_result(move |_, result| log.add(format!("push {result:?}")));
        });
    };
    let mut stage = Stage::new(backend, log.server(intro));
    let peer = stage.connect();
    for _ in 0..4 {
        stage.turn();
    }
    peer.reset();
    stage.until(|_| (log.lines().len() == 3).then_some(()));
    assert_eq!(log.lines(), ["pull Err(Reset)", "push Err(Stale)", "closed: Reset"]);
}

/// Where a future has the connection its pulls and those of its callbacks stand in one queue, and the end
/// is the future's before it is told.
fn a_future_and_callbacks_pull_in_turn(backend: Backend) {
    let log = Log::default();
    let (own, gone) = (log.clone(), log.clone());
    let server = Server::new()
        .raw_async(async move |peer: Peer| {
            let call = |word: &'static str| {
                let told = own.clone();
                peer.pull().then(move |_, bytes| told.add(format!("{word} {}", text(&bytes))));
            };
            for _ in 0..3 {
                call("called");
                let own = own.clone();
                own.add(format!("awaited {}", text(&peer.pull().await?.unwrap())));
            }
            let (dropped, cancelled) = (peer.pull(), peer.pull());
            next_turn().await;
            drop(dropped);
            cancelled.cancel();
            own.add(format!("{:?}", cancelled.await));
            call("last");
            own.add(format!("{:?}", peer.pull().await));
            Ok(())
        })
        .closed(move |_, reason| gone.add(format!("closed: {reason:?}")));
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    for (count, byte) in [1, 2, 3, 4, 5, 7, 8].into_iter().zip(b"abcdefg") {
        assert_eq!(peer.write(&[*byte]), 1);
        stage.until(|_| (log.lines().len() == count).then_some(()));
    }
    peer.reset();
    stage.until(|_| (log.lines().len() == 10).then_some(()));
    let expected = "called a, awaited b, called c, awaited d, called e, awaited f, Err(Cancelled), last g, \
                    Err(Reset), closed: Reset";
    assert_eq!(log.lines().join(", "), expected);
}

/// Who comes while its shard is frozen, and is told of behind another freeze, has its future still.
fn who_comes_with_a_freeze_keeps_its_future(backend: Backend) {
    let server = Server::new().raw_async(async |peer: Peer| {
        while let Some(bytes) = peer.pull().await? {
            peer.push(bytes).await?;
        }
        Ok(())
    });
    let mut stage = Stage::new(backend, server);
    for _ in 0..10 {
        let mut peer = stage.connect();
        for _ in 0..3 {
            stage.move_to(backend);
            stage.move_to(backend);
            stage.turn();
        }
        assert_eq!(stage.talk(&mut peer, b"still here", 10), b"still here");
    }
}

mod still {
    use super::who_comes_with_a_freeze_keeps_its_future;
    crate::tests::over_still_backends!(who_comes_with_a_freeze_keeps_its_future);
}

/// A Unix socket is connected to as any other address is.
fn unix_sockets_are_connected_to(backend: Backend) {
    let server = Server::new().raw_async(async |peer: Peer| {
        let line = text(&peer.pull_until("\n", 256).await?.unwrap_or_default());
        let answer = match line.trim().strip_prefix("to ") {
            Some(address) => match Peer::connect(address.parse::<Address>()?).await {
                Ok(other) => {
                    other.push("tide\n").await?;
                    other.pull_until("\n", 64).await?.unwrap_or_default()
                }
                Err(reason) => format!("{reason:?}").into(),
            },
            None => format!("high {line}").into(),
        };
        peer.push(answer).await?;
        Ok(())
    });
    let mut stage = Stage::on_unix(backend, server, "connect");
    let address = stage.origin().replace("http://", "");
    for (sent, answer) in [
        (format!("to {address}\n"), "high tide\n"),
        (format!("to {address}-nobody\n"), "Refused"),
        (format!("to unix:@{address}-nobody\n"), "Refused"),
    ] {
        let mut peer = stage.connect();
        assert_eq!(stage.talk_to_end(&mut peer, sent.as_bytes()), answer, "{sent}");
    }
}

/// Who is not admitted is closed before anything is told of it.
fn who_is_not_admitted_is_closed(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server(echo).admit(|_| false));
    let mut peer = stage.connect();
    assert_eq!(stage.talk_to_end(&mut peer, b""), "");
    assert_eq!(log.lines(), [""; 0]);
    assert_eq!(stage.counts().connections_refused, 1);
}

/// Several pieces leave as one, short and long ones, and come back as they were; those that wait are
/// withdrawn together.
fn pieces_are_pushed_together(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let intro = move |peer: Peer| {
        let log = own.clone();
        let long = Bytes::from(vec![b'x'; 300_000]);
        peer.push([Bytes::from("head "), long, Bytes::new(), "tail ".into()]).then(
            move |peer, pieces| {
                let lengths: Vec<usize> = pieces.iter().map(Bytes::len).collect();
                log.add(format!("{lengths:?}"));
                drop(peer.push(["never", "sent"]));
                peer.push([b"a".to_vec(), b"b".to_vec()]).detach();
                peer.push(Vec::<Bytes>::new()).then(|peer, none| {
                    assert!(none.is_empty());
                    peer.close().detach();
                });
            },
        );
    };
    let mut stage = Stage::new(backend, log.server(intro));
    let mut peer = stage.connect();
    let received = stage.talk_to_end(&mut peer, b"");
    let middle = received.strip_prefix("head ").and_then(|rest| rest.strip_suffix("tail ab"));
    assert_eq!(middle.map(str::len), Some(300_000));
    stage.until(|_| (log.lines().len() == 2).then_some(()));
    assert_eq!(log.lines(), ["[5, 300000, 0, 5]", "closed: Closed"]);
}

/// Who says nothing for long is closed, and told apart.
fn silence_has_an_end(backend: Backend) {
    let log = Log::default();
    let limits = Limits { raw_idle_timeout_ms: 5_000, ..Limits::default() };
    let mut stage = Stage::new(backend, log.server(echo).limits(limits));
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"a", 1), b"a");
    stage.advance(Duration::from_millis(3_900));
    assert_eq!(stage.talk(&mut peer, b"b", 1), b"b");
    stage.advance(Duration::from_millis(3_900));
    // What is thawed has said nothing by that.
    stage.turn_behind_a_move();
    assert_eq!(log.lines(), [""; 0]);
    stage.advance(Duration::from_millis(1_200));
    assert_eq!(stage.talk_to_end(&mut peer, b""), "");
    assert_eq!(log.lines(), ["closed: TimedOut(\"raw_idle_timeout\")"]);
}

over_all_backends!(
    the_end_is_told_last,
    pieces_are_pushed_together,
    who_is_not_admitted_is_closed,
    unix_sockets_are_connected_to,
    what_came_early_is_cut_as_it_is_wanted,
    pushes_of_nothing_end,
    a_pull_dropped_in_the_queue_is_passed_over,
    bytes_before_the_end_are_the_next_pulls,
    what_has_gone_is_told_while_more_is_sent,
    a_stop_waits_for_what_was_pushed_only,
    a_close_tells_of_a_reset,
    a_future_and_callbacks_pull_in_turn,
    a_connection_for_nobody_is_closed,
);

/// Who is held open behind the time of a stop is ended in order, and reset where something is unsent.
fn a_stop_cuts_in_order_what_has_been_sent(backend: Backend) {
    for unsent in [0, 8 << 20] {
        let log = Log::default();
        let gone = log.clone();
        let server = Server::new()
            .raw_async(async move |peer: Peer| {
                peer.push("held").await?;
                let long = peer.push(vec![b'x'; unsent]);
                loop {
                    next_turn().await;
                    if peer.status() == PeerStatus::Closed {
                        return long.await.map(|_| ()).map_err(Into::into);
                    }
                }
            })
            .closed(move |_, reason| gone.add(format!("closed: {reason:?}")));
        let mut stage = Stage::new(backend, server);
        let mut peer = stage.connect();
        assert_eq!(stage.talk(&mut peer, b"", 4)[..4], *b"held");
        for _ in 0..20 {
            stage.turn();
        }
        stage.turns_to_end();
        assert_eq!(log.lines(), ["closed: Stopped"]);
        // A real peer is told of a reset behind what has come.
        assert!(unsent > 0 || !peer.is_reset(), "in order");
        let mut received = Vec::new();
        while !peer.is_ended() {
            peer.read(&mut received);
        }
        assert!(received.len() < unsent.max(1), "{} of {unsent} bytes came", received.len());
    }
}

mod cut {
    use super::a_stop_cuts_in_order_what_has_been_sent;
    crate::tests::over_still_backends!(a_stop_cuts_in_order_what_has_been_sent);
}

mod late {
    use super::{silence_behind_unread_bytes_has_an_end, silence_has_an_end};
    crate::tests::over_simulated_backends!(
        silence_behind_unread_bytes_has_an_end,
        silence_has_an_end,
    );
}
