//! Laws 1, 2, 4 and 8: operations complete exactly once, in a turn, within named limits.
//! Nothing here depends on what the bytes are.

use std::collections::HashSet;
use std::time::Duration;

use springtide_engine::{
    Address, EngineOptions, Error, Handle, Key, ListenOptions, Memory, Op, OpKind, Outcome,
    PIECES_MAX, Piece, SEND_BYTES_MAX,
};

use crate::shard::{Patience, Random, Shard, assert_cancelled, received};
use crate::stage::{Outside, Stage};

/// Laws 1 and 4: under cancels at random moments everything ends exactly once.
pub(crate) fn operations_end_exactly_once<S: Stage>(stage: &S) {
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let mut ends = Vec::new();
    for _ in 0..20 {
        let (socket, outside) = shard.meet(stage, &port);
        ends.push((socket, outside, shard.receive(socket, 1)));
    }
    let mut ended = HashSet::new();
    for _ in 0..600 {
        let index = random.below(ends.len());
        let (socket, outside, key) = &mut ends[index];
        match random.below(5) {
            0 => shard.cancel(*key),
            1 => _ = shard.send(*socket, vec![7; 1 + random.below(50_000)], 2),
            2 => {
                let at = shard.engine.now() + Duration::from_millis(2);
                let timeout = shard.submit(Op::Timeout { at }, 3);
                if random.below(2) == 0 {
                    shard.cancel(timeout);
                }
            }
            3 => _ = outside.read(&mut Vec::new()),
            _ => _ = outside.write(&[9; 10_000]),
        }
        for completion in shard.turn() {
            if !completion.more {
                assert!(ended.insert(completion.key), "one last completion: {completion:?}");
            }
            if completion.token == 1 && !completion.more {
                let end = ends.iter_mut().find(|end| end.2 == completion.key).unwrap();
                end.2 = shard.receive(end.0, 1);
            }
        }
    }
    shard.quiesce();
}

/// Law 2: what is ready at once still comes in a turn.
pub(crate) fn submit_and_cancel_deliver_nothing<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    assert_eq!(outside.write(b"there"), 5);
    let completed = shard.engine.stats().completed;
    let receive = shard.receive(socket, 1);
    let send = shard.send(socket, b"x".to_vec(), 2);
    let wrong = shard.send(socket, Vec::new(), 3);
    shard.cancel(receive);
    shard.cancel(send);
    assert_eq!(shard.engine.stats().completed, completed);
    let mut left = HashSet::from([receive, send, wrong]);
    let patience = Patience::until("all three end");
    while !left.is_empty() {
        for completion in shard.turn().iter().filter(|completion| !completion.more) {
            assert!(left.remove(&completion.key));
        }
        patience.spend();
    }
}

/// Law 4: cancels find room, whatever stands in the submission queue (1,024): accepts, receives and
/// timers end within ten turns.
pub(crate) fn ten_thousand_are_cancelled_in_one_turn<S: Stage>(stage: &S) {
    const TURNS_MAX: usize = 10;
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let mut keys = vec![port.accept];
    let mut outsides = Vec::new();
    for _ in 0..200 {
        let (socket, outside) = shard.meet(stage, &port);
        keys.push(shard.receive(socket, 1));
        outsides.push(outside);
    }
    keys.extend((0..200).map(|_| shard.listen().accept));
    let at = shard.engine.now() + Duration::from_secs(3600);
    keys.extend((0..10_000).map(|_| shard.submit(Op::Timeout { at }, 2)));
    shard.turn();
    keys.iter().for_each(|key| shard.cancel(*key));
    let (mut cancelled, mut turns) = (0, 0);
    while shard.in_flight() > 0 {
        for completion in shard.turn() {
            assert_cancelled(&completion.outcome, OpKind::Timeout);
            cancelled += 1;
        }
        turns += 1;
        assert!(turns <= TURNS_MAX, "{cancelled} of {} in {turns} turns", keys.len());
    }
    assert_eq!(cancelled, keys.len());
}

/// Law 4 beyond the queue: each of many receives in the system is cancelled, all in one turn.
pub(crate) fn cancels_find_room_in_a_full_queue<S: Stage>(stage: &S) {
    let options = EngineOptions { ring_chunks: 64, ..EngineOptions::default() };
    let mut shard = Shard::with(stage, &options);
    let port = shard.listen();
    let mut ends = Vec::new();
    for _ in 0..1500 {
        let (socket, outside) = shard.meet(stage, &port);
        ends.push((socket, outside));
    }
    let keys: Vec<Key> = ends.iter().map(|(socket, _)| shard.receive(*socket, 1)).collect();
    shard.turn();
    for (key, (socket, _)) in keys.iter().zip(&ends) {
        shard.send(*socket, b"x".to_vec(), 2);
        shard.cancel(*key);
    }
    let patience = Patience::until("1,500 receives and sends end");
    let (mut cancelled, mut sent) = (0, 0);
    while cancelled < keys.len() || sent < keys.len() {
        for completion in shard.turn() {
            match completion.token {
                1 => {
                    assert_cancelled(&completion.outcome, OpKind::Receive);
                    cancelled += 1;
                }
                _ => sent += 1,
            }
        }
        patience.spend();
    }
    drop(shard);
    ends.iter().for_each(|(socket, _)| stage.close(*socket));
}

/// Law 8: every limit has a name, and what exceeds it gives its memory back.
pub(crate) fn limits_have_names<S: Stage>(stage: &S) {
    let options = EngineOptions { operations_max: 100, ..EngineOptions::default() };
    let mut shard = Shard::with(stage, &options);
    let address = Address::Internet(([127, 0, 0, 1], 0).into());
    let listening = ListenOptions {
        address: &address,
        backlog: 1,
        joining: false,
        keepalive: None,
        mode: None,
    };
    let socket = shard.engine.listen(&listening).unwrap();
    let at = shard.engine.now() + Duration::from_secs(3600);
    let keys: Vec<Key> = (0..100).map(|_| shard.submit(Op::Timeout { at }, 1)).collect();
    assert!(keys.iter().all(|key| *key != Key::NONE), "as many as the limit says");
    let key = shard.send(socket, b"mine".to_vec(), 2);
    assert_eq!(key, Key::NONE);
    let outcome = shard.wait("the limit", |completion| {
        (completion.token == 2).then(|| format!("{:?}", completion.outcome))
    });
    assert!(outcome.contains("Limit(\"operations_max\")"), "{outcome}");
    assert!(outcome.contains("Pieces"), "the memory comes back: {outcome}");
    shard.cancel(keys[0]);
    shard.last(keys[0]);
    let again = shard.submit(Op::Timeout { at }, 3);
    assert_ne!(again, Key::NONE, "an ended operation makes room");
}

/// What breaks a law by itself is refused, with a sentence and its memory.
pub(crate) fn misuse_is_refused<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, _outside) = shard.meet(stage, &port);
    let many = vec![Piece::Owned(b"x".to_vec()); PIECES_MAX + 1];
    let piece = Piece::Shared(vec![b'x'; SEND_BYTES_MAX / PIECES_MAX + 1].into());
    let long = vec![piece; PIECES_MAX];
    let full = Vec::from(b"full".as_slice()).into_boxed_slice().into_vec();
    let listener = port.listener;
    let wrong = [
        Op::Send { socket, pieces: many },
        Op::Send { socket, pieces: long },
        Op::Send { socket, pieces: vec![Piece::Owned(Vec::new())] },
        Op::ReceiveInto { socket, memory: full },
        Op::Accept { listener },
    ];
    for op in wrong {
        let text = format!("{op:.100?}");
        let has_memory = matches!(op, Op::Send { .. } | Op::ReceiveInto { .. });
        let key = shard.submit(op, 1);
        let Outcome::Failed(Error::Misuse(_), memory) = shard.last(key) else {
            panic!("not refused: {text}");
        };
        assert_eq!(has_memory, !matches!(memory, Memory::None), "{text}");
    }
    let receive = shard.receive(socket, 1);
    let second = shard.receive(socket, 1);
    assert!(matches!(shard.last(second), Outcome::Failed(Error::Misuse(_), _)));
    let close = shard.close(socket, 1);
    let second = shard.close(socket, 1);
    assert!(matches!(shard.last(second), Outcome::Failed(Error::Misuse(_), _)));
    let late = shard.send(socket, b"late".to_vec(), 1);
    assert!(matches!(shard.last(late), Outcome::Failed(Error::Misuse(_), _)));
    shard.cancel(receive);
    assert!(matches!(shard.last(close), Outcome::Done));
}

/// A stale key is noticed, never followed.
pub(crate) fn stale_keys_are_ignored<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let at = shard.engine.now() + Duration::from_secs(3600);
    let first = shard.submit(Op::Timeout { at }, 1);
    shard.cancel(first);
    shard.last(first);
    let second = shard.submit(Op::Timeout { at }, 2);
    assert_ne!(first, second, "the slot is the same, the key is not");
    shard.cancel(first);
    shard.cancel(Key::NONE);
    for _ in 0..3 {
        assert!(shard.turn().is_empty());
    }
    shard.cancel(second);
    assert_cancelled(&shard.last(second), OpKind::Timeout);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let gone = shard.receive(socket, 3);
    shard.cancel(gone);
    shard.last(gone);
    let receive = shard.receive(socket, 4);
    shard.cancel(gone);
    assert_eq!(outside.write(b"here"), 4);
    shard.wait("the bytes", |completion| received(completion).map(drop));
    shard.cancel(receive);
    assert_cancelled(&shard.last(receive), OpKind::Receive);
}

/// A descriptor's number comes back; the bytes of the new connection never go to the old token.
pub(crate) fn reused_descriptors_keep_tokens_apart<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let mut numbers = HashSet::new();
    for round in 0..50_u64 {
        let (socket, mut outside) = shard.meet(stage, &port);
        numbers.insert(socket.number());
        let receive = shard.receive(socket, round);
        assert_eq!(outside.write(&round.to_le_bytes()), 8);
        let bytes = shard.wait("the bytes of this round", |completion| {
            let chunk = received(completion)?;
            assert_eq!(completion.token, round);
            Some(chunk.as_slice().to_vec())
        });
        assert_eq!(bytes, round.to_le_bytes());
        shard.cancel(receive);
        let close = shard.close(socket, round);
        drop(outside);
        assert!(matches!(shard.last(close), Outcome::Done));
    }
    assert!(numbers.len() < 50, "numbers were reused");
}

/// Quiesce ends everything and leaves nothing, and what came is delivered.
pub(crate) fn quiesce_ends_everything<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (one, mut outside) = shard.meet(stage, &port);
    let (two, _silent) = shard.meet(stage, &port);
    shard.receive(one, 1);
    shard.submit(Op::ReceiveInto { socket: two, memory: Vec::with_capacity(100) }, 2);
    shard.send(two, vec![1; 8 << 20], 3);
    shard.close(one, 4);
    let at = shard.engine.now() + Duration::from_secs(3600);
    shard.submit(Op::Timeout { at }, 5);
    shard.turn();
    assert_eq!(outside.write(b"last words"), 10);
    let all = shard.quiesce();
    let bytes: Vec<u8> =
        all.iter().filter_map(received).flat_map(|chunk| chunk.as_slice().to_vec()).collect();
    assert!(bytes.is_empty() || bytes == b"last words");
    assert!(all.iter().any(|completion| completion.token == 4));
    assert_eq!(shard.engine.in_flight(), 0);
}

/// Connecting to a port where nobody listens fails; to one where somebody does gives a socket.
pub(crate) fn connects_end_either_way<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let address = port.address.clone();
    let connect = shard.submit(Op::connect(address.clone()), 1);
    let Outcome::Connected(socket) = shard.last(connect) else { panic!("nobody accepted") };
    assert_eq!(shard.engine.peer_address(socket).unwrap(), port.address);
    shard.cancel(port.accept);
    shard.last(port.accept);
    let close = shard.close(port.listener, 2);
    shard.last(close);
    let connect = shard.submit(Op::connect(address), 3);
    let outcome = shard.last(connect);
    assert!(matches!(outcome, Outcome::Failed(Error::System { .. }, _)), "{outcome:?}");
}
