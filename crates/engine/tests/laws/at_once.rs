//! What is done at once, beside operations: long messages received and sent without a turn between.
//! It must lose no byte and reorder none, whatever the operations beside it do.

use springtide_engine::{Descriptor, Error, Handle, Op, OpKind, Outcome, Piece, Taken};

use crate::shard::{Patience, Random, Shard, assert_cancelled, assert_pattern, pattern};
use crate::stage::{Outside, Stage};

/// What is taken at once lies between the chunk before it and the chunk behind it, and nothing is
/// given where that is not sure.
pub(crate) fn what_is_taken_at_once_is_next<S: Stage>(stage: &S) {
    const ALL: usize = 1 << 20;
    let mut random = Random(0x0A70_5EED_1234_0003);
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let stream = pattern(0, ALL);
    let (mut written, mut came, mut at_once) = (0, 0, 0);
    let mut receive = shard.receive(socket, 1);
    let mut memory = Vec::with_capacity(30_000);
    let nothing = shard.engine.receive_now(receive, &mut memory, usize::MAX);
    assert_eq!(nothing.unwrap(), 0, "nothing has come");
    let patience = Patience::until("the whole stream");
    while came < ALL {
        let end = (written + random.below(60_000)).min(ALL);
        written += outside.write(&stream[written..end]);
        for completion in shard.turn() {
            match completion.outcome {
                Outcome::Received(chunk) => {
                    assert_pattern(came, chunk.as_slice());
                    came += chunk.len();
                    continue;
                }
                Outcome::Failed(Error::Cancelled, _) => receive = shard.receive(socket, 1),
                other => panic!("{other:?}"),
            }
        }
        while random.below(3) > 0 {
            let bytes_max = random.below(60_000);
            let count = shard.engine.receive_now(receive, &mut memory, bytes_max).unwrap();
            assert!(count == memory.len() && count <= bytes_max);
            assert_pattern(came, &memory);
            (came, at_once) = (came + count, at_once + count);
            memory.clear();
        }
        if random.below(10) == 0 {
            shard.cancel(receive);
            let nothing = shard.engine.receive_now(receive, &mut memory, usize::MAX);
            assert_eq!(nothing.unwrap(), 0, "it is to end");
        }
        patience.spend();
    }
    assert!(at_once > ALL / 10, "only {at_once} bytes");
}

/// What is taken where no chunk is received comes whole and in order, and its end and a reset are told;
/// nothing is taken beside a receive, or without room.
pub(crate) fn what_is_taken_without_a_receive_keeps_its_order<S: Stage>(stage: &S) {
    const ALL: usize = 1 << 20;
    let mut random = Random(0x07A4_E5EE_D123_0005);
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let stream = pattern(0, ALL);
    let (mut written, mut came, mut is_over) = (0, 0, false);
    let mut memory = Vec::with_capacity(30_000);
    assert_eq!(shard.engine.take_now(socket, &mut memory, usize::MAX), Ok(Taken::Nothing));
    let none = shard.engine.take_now(socket, &mut Vec::new(), 100);
    assert!(matches!(none, Err(Error::Misuse(_))), "no room");
    let mut wait = shard.submit(Op::AwaitBytes { socket }, 1);
    let beside = shard.engine.take_now(socket, &mut memory, 100);
    assert!(matches!(beside, Err(Error::Misuse(_))), "a wait is in flight");
    let patience = Patience::until("the whole stream and its end");
    while !is_over {
        let end = (written + random.below(60_000)).min(ALL);
        if written < ALL {
            written += outside.write(&stream[written..end]);
            if written == ALL {
                outside.shutdown();
            }
        }
        if shard.turn().iter().any(|completion| completion.key == wait) {
            while !is_over {
                let bytes_max = 1 + random.below(60_000);
                match shard.engine.take_now(socket, &mut memory, bytes_max).unwrap() {
                    Taken::Bytes(count) => {
                        assert!(count == memory.len() && (1..=bytes_max).contains(&count));
                        assert_pattern(came, &memory);
                        came += count;
                        memory.clear();
                    }
                    Taken::Nothing => break,
                    Taken::End => is_over = true,
                }
            }
            wait = shard.submit(Op::AwaitBytes { socket }, 1);
        }
        patience.spend();
    }
    assert_eq!(came, ALL);
    let (socket, outside) = shard.meet(stage, &port);
    let wait = shard.submit(Op::AwaitBytes { socket }, 1);
    shard.turn();
    outside.reset();
    assert!(matches!(shard.last(wait), Outcome::Done), "a reset");
    let met = shard.engine.take_now(socket, &mut memory, 100);
    assert!(met.is_err_and(|error| error.is_peer_gone()));
}

/// A reset behind the chunk that came is said: the system tells it once, and an end of stream in its
/// place would say that everything has come.
pub(crate) fn a_reset_met_at_once_is_told<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let receive = shard.receive(socket, 1);
    shard.turn();
    assert_eq!(outside.write(&pattern(0, 100)), 100);
    outside.reset();
    let patience = Patience::until("what was written");
    while shard.turn().is_empty() {
        patience.spend();
    }
    let met = shard.engine.receive_now(receive, &mut Vec::with_capacity(100), usize::MAX);
    assert!(met.is_err_and(|error| error.is_peer_gone()));
}

/// What is sent at once stands before the send of the rest; while a send is in flight nothing is.
pub(crate) fn what_is_sent_at_once_keeps_its_order<S: Stage>(stage: &S) {
    const ALL: usize = 4 << 20;
    let stream = pattern(0, ALL);
    let (first, rest) = stream.split_at(10);
    let cut = vec![Piece::Owned(first.to_vec()), Piece::Owned(rest.to_vec())];
    for pieces in [vec![Piece::Owned(stream.clone())], cut] {
        pieces_sent_at_once_keep_their_order(stage, &stream, &pieces);
    }
}

fn pieces_sent_at_once_keep_their_order<S: Stage>(stage: &S, stream: &[u8], pieces: &[Piece]) {
    let all = stream.len();
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let mut at_once = shard.engine.send_now(socket, pieces);
    assert!(at_once > 0 && at_once < all, "{at_once} bytes fit");
    let mut send = None;
    let mut read = Vec::new();
    let patience = Patience::until("the whole stream");
    while read.len() < all {
        if send.is_none() && at_once < all {
            let rest = stream[at_once..].to_vec();
            send = Some(shard.send(socket, rest, 2));
            assert_eq!(shard.engine.send_now(socket, pieces), 0, "a send is in flight");
            at_once = all;
        }
        outside.read(&mut read);
        shard.turn();
        patience.spend();
    }
    assert_pattern(0, &read);
}

/// Of the same bytes each socket takes what fits, and how much that was is told; where a send is in flight
/// it is nothing.
pub(crate) fn what_is_sent_to_each_is_told_to_the_byte<S: Stage>(stage: &S) {
    const SOCKETS: usize = 24;
    const BYTES: usize = 50_000;
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (sockets, mut outside): (Vec<Descriptor>, Vec<S::Outside>) =
        (0..SOCKETS).map(|_| shard.meet(stage, &port)).unzip();
    let mut taken = vec![Vec::new(); SOCKETS];
    let mut read = vec![Vec::new(); SOCKETS];
    let mut send_to = |shard: &mut Shard, count: usize, from: usize| {
        let (bytes, mut short) = (pattern(from, BYTES), Vec::new());
        shard.engine.send_to_each_now(&sockets[..count], &bytes, &mut short);
        assert!(short.iter().all(|(_, sent)| *sent < BYTES));
        for (place, taken) in taken[..count].iter_mut().enumerate() {
            let sent = short.iter().find(|(own, _)| *own == place).map_or(BYTES, |(_, sent)| *sent);
            taken.extend_from_slice(&bytes[..sent]);
        }
        short
    };
    let patience = Patience::until("every other peer is behind");
    let (mut behind, mut from) = ([false; SOCKETS], 0);
    while behind.iter().step_by(2).any(|own| !own) {
        // Few sockets, and none: there are several ways.
        for count in [SOCKETS, 3, 2, 1, 0] {
            from += 7;
            send_to(&mut shard, count, from).iter().for_each(|(place, _)| behind[*place] = true);
        }
        for (outside, read) in outside.iter_mut().zip(&mut read).skip(1).step_by(2) {
            outside.read(read);
        }
        shard.turn();
        patience.spend();
    }
    shard.send(sockets[0], vec![7; BYTES], 2);
    let short = send_to(&mut shard, SOCKETS, 0);
    assert!(short.contains(&(0, 0)), "a send is in flight");
    taken[0].extend_from_slice(&[7; BYTES]);
    let patience = Patience::until("all that was taken");
    while read.iter().zip(&taken).any(|(read, taken)| read.len() < taken.len()) {
        for (outside, read) in outside.iter_mut().zip(&mut read) {
            outside.read(read);
        }
        shard.turn();
        patience.spend();
    }
    assert!(read == taken);
}

/// A send without pieces ends when there is room and not before, also to a peer that has ended its own
/// side: whoever sends at once goes on then. It ends once when it is cancelled.
pub(crate) fn a_send_of_nothing_waits_for_room<S: Stage>(stage: &S) {
    const ALL: usize = 16 << 20;
    let stream = pattern(0, ALL);
    for is_half_closed in [false, true] {
        let mut shard = Shard::new(stage);
        let port = shard.listen();
        let (socket, mut outside) = shard.meet(stage, &port);
        if is_half_closed {
            outside.shutdown();
        }
        let (mut sent, mut waits, mut read) = (0, None, Vec::new());
        let patience = Patience::until("the whole stream");
        while read.len() < ALL || waits.is_some() {
            if waits.is_none() && sent < ALL {
                let count = shard.engine.send_bytes_now(socket, &stream[sent..]);
                assert!(count > 0, "there is room behind {sent} bytes");
                sent += count;
                let pieces = Vec::new();
                waits = Some(shard.submit(Op::Send { socket, pieces }, 2));
                assert_eq!(shard.engine.send_bytes_now(socket, &stream), 0, "a send is in flight");
            }
            outside.read(&mut read);
            for completion in shard.turn() {
                assert_eq!((completion.token, Some(completion.key)), (2, waits.take()));
                assert!(matches!(completion.outcome, Outcome::Sent(pieces) if pieces.is_empty()));
            }
            patience.spend();
        }
        assert_pattern(0, &read);
        cancel_one_that_waits(&mut shard, socket);
    }
}

fn cancel_one_that_waits(shard: &mut Shard, socket: Descriptor) {
    let patience = Patience::until("no room");
    while shard.engine.send_bytes_now(socket, &[0; 1 << 16]) > 0 {
        patience.spend();
    }
    let waits = shard.submit(Op::Send { socket, pieces: Vec::new() }, 3);
    shard.cancel(waits);
    assert_cancelled(&shard.last(waits), OpKind::Send);
}
