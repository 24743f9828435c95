//! Sockets that are watched: each time that something has come is told, and its end, and nothing is taken.
//! Who takes until there was less than room for it needs to ask no more.

use std::io::{IoSlice, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use springtide_engine::{Address, Descriptor, Error, Handle, Key, Op, OpKind, Outcome, Taken};

use crate::shard::{Patience, Random, Shard, accepted, assert_cancelled, assert_pattern, pattern};
use crate::stage::{Epoll, Outside, Poll, Stage, Uring};

fn watch(shard: &mut Shard, socket: Descriptor) -> Key {
    shard.submit(Op::WatchBytes { socket }, 1)
}

/// Turns until a watch tells; whether more may be told.
fn told(shard: &mut Shard, watch: Key) -> bool {
    shard.wait("news", |completion| {
        let is_told = completion.key == watch && matches!(completion.outcome, Outcome::Done);
        is_told.then_some(completion.more)
    })
}

/// Takes each time that a watch tells, until so many bytes have come.
fn take(
    shard: &mut Shard,
    socket: Descriptor,
    watching: &mut Key,
    (memory, length): (&mut Vec<u8>, usize),
) {
    while memory.len() < length {
        if *watching == Key::NONE {
            *watching = watch(shard, socket);
        }
        if !told(shard, *watching) {
            *watching = Key::NONE;
        }
        shard.engine.take_now(socket, memory, 100).unwrap();
    }
}

/// What comes is told without another question, and taken whole and in order, with its end.
pub(crate) fn a_watch_tells_of_all_that_comes<S: Stage>(stage: &S) {
    const ALL: usize = 2 << 20;
    let mut random = Random(0x00AA_7C4E_D5EE_D001);
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let stream = pattern(0, ALL);
    let (mut written, mut came, mut is_over, mut watches) = (0, 0, false, 1);
    let mut memory = Vec::with_capacity(30_000);
    let mut watching = watch(&mut shard, socket);
    assert!(shard.turn().is_empty(), "nothing has come");
    let patience = Patience::until("the whole stream and its end");
    while !is_over {
        if written < ALL && random.below(3) > 0 {
            let end = (written + random.below(90_000)).min(ALL);
            written += outside.write(&stream[written..end]);
            if written == ALL {
                outside.shutdown();
            }
        }
        for completion in shard.turn() {
            assert!(matches!(completion.outcome, Outcome::Done), "{completion:?}");
            let mut may_have_more = true;
            while may_have_more {
                let bytes_max = 1 + random.below(30_000);
                match shard.engine.take_now(socket, &mut memory, bytes_max).unwrap() {
                    Taken::Bytes(count) => {
                        may_have_more = count == bytes_max;
                        assert_pattern(came, &memory);
                        came += count;
                        memory.clear();
                    }
                    Taken::Nothing => may_have_more = false,
                    Taken::End => (may_have_more, is_over) = (false, true),
                }
            }
            if !completion.more {
                watching = watch(&mut shard, socket);
                watches += 1;
            }
        }
        patience.spend();
    }
    assert_eq!(came, ALL);
    assert!(watches <= 5, "{watches} watches");
    shard.cancel(watching);
    shard.last(watching);
}

/// Bytes and the end behind them, or a reset, come together: who takes less than there was room for is
/// told again.
pub(crate) fn a_watch_tells_of_the_end_beside_bytes<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    for is_watched_before in [true, false] {
        let (socket, mut outside) = shard.meet(stage, &port);
        let mut watching = Key::NONE;
        if is_watched_before {
            watching = watch(&mut shard, socket);
            shard.turn();
        }
        assert_eq!(outside.write(b"high tide"), 9);
        outside.shutdown();
        let (mut memory, mut is_over) = (Vec::with_capacity(100), false);
        while !is_over {
            if watching == Key::NONE {
                watching = watch(&mut shard, socket);
            }
            if !told(&mut shard, watching) {
                watching = Key::NONE;
            }
            is_over = shard.engine.take_now(socket, &mut memory, 100) == Ok(Taken::End);
        }
        assert_eq!(memory, b"high tide");
        shard.cancel(watching);
    }
    let (socket, outside) = shard.meet(stage, &port);
    let watching = watch(&mut shard, socket);
    shard.turn();
    outside.reset();
    told(&mut shard, watching);
    let met = shard.engine.take_now(socket, &mut Vec::with_capacity(100), 100);
    assert!(met.is_err_and(|error| error.is_peer_gone()));
}

/// Who leaves something asks anew, and is told at once; so is who has cancelled.
pub(crate) fn what_is_left_a_new_watch_tells_of<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    assert_eq!(outside.write(&pattern(0, 1000)), 1000);
    let mut memory = Vec::with_capacity(1000);
    while memory.len() < 1000 {
        let watching = watch(&mut shard, socket);
        assert!(told(&mut shard, watching));
        shard.engine.take_now(socket, &mut memory, 100).unwrap();
        shard.cancel(watching);
        shard.last(watching);
    }
    assert_pattern(0, &memory);
    let watching = watch(&mut shard, socket);
    assert!(shard.turn().is_empty(), "nothing is left");
    shard.cancel(watching);
    assert_cancelled(&shard.last(watching), OpKind::WatchBytes);
}

/// Beside a watch nothing is received but what is taken, and a close waits for its end (law 6).
pub(crate) fn a_watch_stands_in_place_of_a_receive<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let watching = watch(&mut shard, socket);
    for op in [Op::Receive { socket }, Op::AwaitBytes { socket }, Op::WatchBytes { socket }] {
        let second = shard.submit(op, 2);
        assert!(matches!(shard.last(second), Outcome::Failed(Error::Misuse(_), _)));
    }
    let mut memory = Vec::with_capacity(100);
    assert_eq!(shard.engine.take_now(socket, &mut memory, 100), Ok(Taken::Nothing));
    assert_eq!(outside.write(b"low tide"), 8);
    assert!(told(&mut shard, watching));
    assert_eq!(shard.engine.take_now(socket, &mut memory, 100), Ok(Taken::Bytes(8)));
    let close = shard.close(socket, 3);
    for _ in 0..5 {
        let ended = shard.turn().into_iter().any(|completion| !completion.more);
        assert!(!ended, "the watch is in flight");
    }
    assert!(!outside.is_ended(), "the peer sees the end only after the last operation");
    shard.cancel(watching);
    let outcomes = [shard.last(watching), shard.last(close)];
    assert_cancelled(&outcomes[0], OpKind::WatchBytes);
    assert!(matches!(outcomes[1], Outcome::Done));
    let patience = Patience::until("the peer sees the end");
    while !outside.is_ended() {
        shard.turn();
        patience.spend();
    }
}

/// What lies behind descriptors that a peer passes is told of, though a take stops before it.
#[test]
fn passed_descriptors_hide_nothing() {
    crate::beside_others::<Uring>(what_is_behind_passed_descriptors_is_told);
    crate::beside_others::<Epoll>(what_is_behind_passed_descriptors_is_told);
    crate::beside_others::<Poll>(what_is_behind_passed_descriptors_is_told);
}

fn what_is_behind_passed_descriptors_is_told<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let file = stage.root().join("passing.sock");
    let _port = shard.listen_at(&Address::from(file.as_path()), false);
    let mut outside = UnixStream::connect(&file).unwrap();
    let socket = shard.wait("an accepted connection", accepted);
    let (mut memory, mut watching) = (Vec::with_capacity(100), Key::NONE);
    for stream in ["high tide", "high tide, low tide"] {
        if watching == Key::NONE {
            watching = watch(&mut shard, socket);
            shard.turn();
        }
        let pieces = [IoSlice::new(b"high ")];
        let passed = [ControlMessage::ScmRights(&[outside.as_raw_fd()])];
        sendmsg::<()>(outside.as_raw_fd(), &pieces, &passed, MsgFlags::empty(), None).unwrap();
        outside.write_all(&stream.as_bytes()[5..]).unwrap();
        take(&mut shard, socket, &mut watching, (&mut memory, stream.len()));
        assert_eq!(memory, stream.as_bytes());
        memory.clear();
    }
}

/// What lies behind urgent bytes is told of, though a take stops before them, and they themselves are not
/// told of for ever.
#[test]
fn urgent_bytes_hide_nothing() {
    crate::beside_others::<Uring>(what_is_behind_urgent_bytes_is_told);
    crate::beside_others::<Epoll>(what_is_behind_urgent_bytes_is_told);
    crate::beside_others::<Poll>(what_is_behind_urgent_bytes_is_told);
}

fn what_is_behind_urgent_bytes_is_told<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let Address::Internet(address) = port.address else { panic!("a port of TCP") };
    let mut outside = TcpStream::connect(address).unwrap();
    outside.set_nodelay(true).unwrap();
    let socket = shard.wait("an accepted connection", accepted);
    let mut watching = watch(&mut shard, socket);
    shard.turn();
    outside.write_all(b"high ").unwrap();
    socket2::SockRef::from(&outside).send_out_of_band(b"!").unwrap();
    outside.write_all(b"tide").unwrap();
    let mut memory = Vec::with_capacity(100);
    take(&mut shard, socket, &mut watching, (&mut memory, 9));
    assert_eq!(memory, b"high tide");
    socket2::SockRef::from(&outside).send_out_of_band(b"!").unwrap();
    let mut told = 0;
    for _ in 0..20 {
        if watching == Key::NONE {
            watching = watch(&mut shard, socket);
        }
        for completion in shard.turn() {
            told += 1;
            watching = if completion.more { watching } else { Key::NONE };
        }
    }
    assert!(told <= 3, "told {told} times of what cannot be taken");
}
