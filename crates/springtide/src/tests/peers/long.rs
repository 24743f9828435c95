//! Raw connections whose messages are long: they are taken at once, and nothing of that is to be seen.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use springtide_engine::simulated::World;

use super::{Log, echo};
use crate::tests::freeze::refusal::{Receive, Receives, Refused};
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{Peer, Server, timeout};

/// Longer than a chunk; three of them in a row, and more are expected.
const LONG: usize = 16 << 10;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

/// Whatever their lengths are in which order, messages come back as they were sent.
fn long_messages_come_as_they_were(backend: Backend) {
    let awaited = Server::new().raw_async(async |peer: Peer| {
        while let Some(bytes) = peer.pull().await? {
            peer.push(bytes).await?;
        }
        Ok(())
    });
    let long = [LONG, LONG, LONG, LONG + 7, 100_000, 64, LONG, 20 << 10, 20 << 10, 300_000];
    let mixed = [64, LONG, 64, LONG, LONG, 1, LONG, 4096, LONG, 4097, 5];
    let lengths = [long.as_slice(), &[64; 6], &mixed, &[LONG; 3]].concat();
    for server in [Server::new().raw(echo), awaited] {
        let mut stage = Stage::new(backend, server);
        let mut peers = [stage.connect(), stage.connect()];
        for &length in &lengths {
            let sent = pattern(length);
            for peer in &mut peers {
                assert!(stage.talk(peer, &sent, length) == sent, "{length} bytes");
            }
        }
        assert!(stage.bytes_held() < LONG, "nothing is kept of what was sent on");
    }
}

/// The socket is watched while long messages come, and asked once; behind short ones chunks are received.
#[test]
fn long_messages_need_one_watch() {
    let mut stage = Stage::new(Backend::Simulated, Server::new().raw(echo));
    let (engine, receives) = (stage.spare_engine(), Receives::default());
    stage.move_over(Box::new(Refused { receives: Arc::clone(&receives), ..Refused::over(engine) }));
    let mut peer = stage.connect();
    let mut talk = |length: usize| {
        assert!(stage.talk(&mut peer, &pattern(length), length) == pattern(length));
        stage.turn();
        std::mem::take(&mut *receives.lock().unwrap())
    };
    (0..3).for_each(|_| drop(talk(LONG)));
    for _ in 0..5 {
        assert_eq!(talk(LONG), [Receive::Taken(LONG)]);
    }
    // More than a turn takes: what is left a new one tells of.
    let receives = talk(150_000);
    let watches = receives.iter().filter(|receive| **receive == Receive::Wait);
    assert_eq!(watches.count(), 1, "{receives:?}");
    assert!(!receives.contains(&Receive::Chunks), "{receives:?}");
    assert_eq!(talk(LONG), [Receive::Taken(LONG)]);
    (0..2).for_each(|_| assert_eq!(talk(5), [Receive::Taken(5)]));
    assert_eq!(talk(5), [Receive::Taken(5), Receive::Chunks], "long ones are expected no more");
}

/// Who has pulled long messages, and pulls otherwise then, is given what he asks for.
fn other_pulls_behind_long_messages(backend: Backend) {
    let server = Server::new().raw_async(async |peer: Peer| {
        loop {
            let mut taken = 0;
            while taken < 4 * LONG {
                let Some(bytes) = peer.pull().await? else { return Ok(()) };
                taken += bytes.len();
            }
            peer.push("go").await?;
            let Some(word) = peer.pull_exact(5).await? else { return Ok(()) };
            let Some(line) = peer.pull_until("\n", 100).await? else { return Ok(()) };
            peer.push([&line[..], &word[..]].concat()).await?;
        }
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    for _ in 0..5 {
        for _ in 0..3 {
            stage.talk(&mut peer, &pattern(LONG), 0);
        }
        assert_eq!(stage.talk(&mut peer, &pattern(LONG), 2), b"go");
        assert_eq!(stage.talk(&mut peer, b"hello world\n", 12), b" world\nhello");
    }
}

/// The end behind long messages is told behind all of them.
fn the_end_behind_long_messages(backend: Backend) {
    for last in [LONG, 3, 20 << 10, 200_000] {
        let log = Log::default();
        let mut stage = Stage::new(backend, log.server(echo));
        let mut peer = stage.connect();
        for _ in 0..4 {
            assert!(stage.talk(&mut peer, &pattern(LONG), LONG) == pattern(LONG));
        }
        let (sent, mut received) = (pattern(last), Vec::new());
        let mut rest = sent.as_slice();
        stage.until(|stage| {
            let had = rest.len();
            rest = &rest[peer.write(rest)..];
            if had > 0 && rest.is_empty() {
                peer.shutdown();
            }
            stage.turn();
            peer.read(&mut received);
            peer.is_ended().then_some(())
        });
        assert!(received == sent, "{} of {last} bytes", received.len());
        stage.until(|_| (log.lines() == ["closed: PeerClosed"]).then_some(()));
    }
}

/// Where nobody pulls any more no more is taken than of any other peer.
fn long_messages_that_nobody_pulls_wait(backend: Backend) {
    let server = Server::new().raw(|peer: Peer| {
        peer.pull().then(|peer, bytes| {
            peer.push(bytes).then(|peer, _| {
                peer.pull().then(|peer, bytes| {
                    peer.push(bytes).then(|peer, _| {
                        peer.pull().then(|peer, bytes| peer.push(bytes).detach());
                    });
                });
            });
        });
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    for _ in 0..3 {
        stage.talk(&mut peer, &pattern(LONG), LONG);
    }
    let flood = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        peer.write(&flood);
        stage.turn();
        let held = stage.bytes_held();
        assert!(held <= 512 << 10, "{held} bytes wait here");
    }
}

/// Many who say long things at the same time are answered before the turn ends: whatever they are
/// answered, all of it is sent, and ends.
fn what_answers_many_long_messages_ends(backend: Backend) {
    const PEERS: usize = 12;
    const NOTHINGS: usize = 50;
    const QUIET: u8 = 255;
    thread_local!(static ENDED: Cell<usize> = const { Cell::new(0) });
    fn answer(peer: Peer) {
        peer.pull().then(|peer, bytes| {
            for _ in 0..NOTHINGS {
                peer.push("").then(|_, _| ENDED.set(ENDED.get() + 1));
            }
            if bytes[0] != QUIET {
                peer.push(bytes).detach();
            }
            answer(peer);
        });
    }
    ENDED.set(0);
    let mut stage = Stage::new(backend, Server::new().raw(answer));
    let mut peers: Vec<_> = (0..PEERS).map(|_| stage.connect()).collect();
    let loud = pattern(LONG);
    for _ in 0..4 {
        for peer in &mut peers {
            assert!(stage.talk(peer, &loud, LONG) == loud);
        }
    }
    let before = ENDED.get();
    let mut answers = vec![Vec::new(); PEERS];
    for (at, peer) in peers.iter_mut().enumerate() {
        assert_eq!(
            peer.write(if at % 2 == 0 { &loud } else { &[QUIET; LONG] }),
            LONG,
            "there is room"
        );
    }
    stage.until(|stage| {
        stage.turn();
        let came = peers.iter_mut().zip(&mut answers).map(|(peer, answer)| {
            peer.read(answer);
            answer.len()
        });
        let is_whole = came.sum::<usize>() == PEERS / 2 * LONG;
        (is_whole && ENDED.get() >= before + PEERS * NOTHINGS).then_some(())
    });
    assert!(answers.iter().step_by(2).all(|answer| *answer == loud));
}

/// What has come in a turn is in time, whatever is answered before it in that turn.
#[test]
fn what_has_come_is_in_time() {
    const SECOND: Duration = Duration::from_secs(1);
    let log = Log::default();
    let own = log.clone();
    let server = Server::new().raw_async(async move |peer: Peer| {
        while let Some(bytes) = peer.pull().await? {
            let is_last = &*bytes == b"last";
            peer.push(bytes).await?;
            if is_last {
                let next = timeout(SECOND, peer.pull()).await;
                own.add(format!("{:?}", next.map(|next| next.map(|bytes| bytes.len()))));
            }
        }
        Ok(())
    });
    let mut world = None;
    let keep = |own: &World| world = Some(own.clone());
    let mut stage = Stage::with_world(Backend::Simulated, server, keep);
    let mut before = stage.connect();
    let mut loud = [(); 12].map(|()| stage.connect());
    for _ in 0..4 {
        for peer in &mut loud {
            stage.talk(peer, &pattern(LONG), LONG);
        }
    }
    let mut behind = stage.connect();
    for peer in [&mut before, &mut behind] {
        stage.talk(peer, b"last", 4);
    }
    for peer in &mut loud {
        assert_eq!(peer.write(&pattern(LONG)), LONG, "there is room");
    }
    assert_eq!((before.write(b"in time"), behind.write(b"in time")), (7, 7));
    world.unwrap().advance(SECOND);
    stage.until(|_| (log.lines().len() == 2).then_some(()));
    assert_eq!(log.lines(), ["Ok(Some(7))"; 2]);
}

/// Nothing of a connection is sent any more on which a callback has panicked.
fn a_panic_behind_a_long_message_sends_nothing(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = log.server(move |peer| {
        fn serve(peer: Peer, log: Log) {
            peer.pull().then(move |peer, bytes| {
                if bytes[0] == 0 {
                    peer.push(bytes).detach();
                    return serve(peer, log);
                }
                let own = log.clone();
                peer.push(bytes).then_result(move |_, pushed| {
                    own.add(format!("pushed: {:?}", pushed.map(|bytes| bytes.len())));
                });
                peer.pull_exact(usize::MAX).then_result(|_, _| panic!("as it is to"));
            });
        }
        serve(peer, own.clone());
    });
    let mut stage = Stage::new(backend, server);
    let mut peers = [(); 6].map(|()| stage.connect());
    for _ in 0..4 {
        for peer in &mut peers {
            stage.talk(peer, &vec![0; LONG], LONG);
        }
    }
    for peer in &mut peers {
        assert_eq!(peer.write(&[1; LONG]), LONG, "there is room");
    }
    stage.until(|_| (log.lines().len() == 12).then_some(()));
    let told = |what: &str| log.lines().iter().filter(|line| *line == what).count();
    assert_eq!(told("closed: Panicked"), 6, "{:?}", log.lines());
    assert_eq!(told("pushed: Err(Panicked)"), 6, "{:?}", log.lines());
}

over_all_backends!(
    long_messages_come_as_they_were,
    other_pulls_behind_long_messages,
    the_end_behind_long_messages,
    long_messages_that_nobody_pulls_wait,
    what_answers_many_long_messages_ends,
    a_panic_behind_a_long_message_sends_nothing,
);
