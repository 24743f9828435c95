//! Laws 5 and 7: byte streams keep their order and lose nothing, whatever is paused or blocked.
//! Every byte tells where it stands, so that one exchanged byte is found.

use springtide_engine::{Descriptor, Error, Handle, Memory, Op, OpKind, Outcome, Piece};

use crate::shard::{
    Patience, Port, Random, Shard, assert_cancelled, assert_pattern, pattern, received,
};
use crate::stage::{Outside, Stage};

/// Law 5: a second send is refused while 8 MiB block; what follows afterwards stands behind.
pub(crate) fn sends_keep_their_order<S: Stage>(stage: &S) {
    const FIRST: usize = 8 << 20;
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let first = shard.send(socket, pattern(0, FIRST), 1);
    let second = shard.send(socket, b"B".to_vec(), 2);
    let Outcome::Failed(Error::Misuse(_), Memory::Pieces { sent: 0, .. }) = shard.last(second)
    else {
        panic!("two sends in flight on one socket")
    };
    let (mut bytes, mut blocked) = (Vec::new(), 0);
    let patience = Patience::until("all bytes are there");
    let mut ended = 0;
    while bytes.len() < FIRST + 100_000 || ended < 2 {
        for completion in shard.turn() {
            let Outcome::Sent(pieces) = completion.outcome else { panic!("not sent") };
            ended += 1;
            if completion.key == first {
                assert_eq!(pieces[0].as_slice().len(), FIRST, "the memory comes back");
                shard.send(socket, pattern(FIRST, 100_000), 3);
            }
        }
        blocked += 1;
        if blocked > 3 {
            outside.read(&mut bytes);
        }
        patience.spend();
    }
    assert_pattern(0, &bytes);
}

/// A send of many pieces, empty and shared ones among them, is one stream.
pub(crate) fn pieces_leave_in_order<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let (mut pieces, mut at) = (Vec::new(), 0);
    for index in 0..1000 {
        let length = (index * 7) % 1500;
        let bytes = pattern(at, length);
        at += length;
        pieces.push(if index % 2 == 0 { Piece::Owned(bytes) } else { Piece::Shared(bytes.into()) });
    }
    let send = shard.submit(Op::Send { socket, pieces }, 1);
    let mut bytes = Vec::new();
    let patience = Patience::until("all pieces are there");
    let mut ended = false;
    while bytes.len() < at || !ended {
        ended |= shard.turn().iter().any(|completion| completion.key == send);
        outside.read(&mut bytes);
        patience.spend();
    }
    assert_pattern(0, &bytes);
}

/// Law 5 when many sockets send in one turn, which a backend may batch.
pub(crate) fn many_sends_of_one_turn_arrive<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let mut ends: Vec<_> = (0..50).map(|_| shard.meet(stage, &port)).collect();
    for round in 0..20 {
        for (socket, _) in &ends {
            let pieces = vec![
                Piece::Owned(pattern(round * 3000, 1000)),
                Piece::Owned(pattern(round * 3000 + 1000, 2000)),
            ];
            shard.submit(Op::Send { socket: *socket, pieces }, 1);
        }
        let patience = Patience::until("a round of sends");
        let mut sent = 0;
        while sent < ends.len() {
            for completion in shard.turn() {
                assert!(matches!(completion.outcome, Outcome::Sent(_)), "{completion:?}");
                sent += 1;
            }
            patience.spend();
        }
    }
    for (_, outside) in &mut ends {
        let mut bytes = Vec::new();
        let patience = Patience::until("the bytes of all rounds");
        while bytes.len() < 60_000 {
            outside.read(&mut bytes);
            shard.turn();
            patience.spend();
        }
        assert_pattern(0, &bytes);
    }
}

/// A cancelled send says how far it came; the rest can follow and nothing is doubled.
pub(crate) fn a_cancelled_send_tells_how_far_it_came<S: Stage>(stage: &S) {
    // More than twice what the buffers of both ends hold when they have grown to their limits.
    const ALL: usize = 64 << 20;
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let send = shard.send(socket, pattern(0, ALL), 1);
    let mut bytes = Vec::new();
    // The system goes on with a send while there is room, also after it has blocked.
    assert!(shard.turn().is_empty(), "64 MiB do not fit");
    outside.read(&mut bytes);
    for _ in 0..3 {
        assert!(shard.turn().is_empty(), "64 MiB do not fit");
    }
    shard.cancel(send);
    let Outcome::Failed(Error::Cancelled, Memory::Pieces { pieces, sent }) = shard.last(send)
    else {
        panic!("64 MiB do not fit")
    };
    assert!(sent > 0 && sent < ALL, "{sent}");
    let rest = pieces[0].as_slice()[sent..].to_vec();
    let send = shard.send(socket, rest, 2);
    let patience = Patience::until("all bytes are there");
    let mut ended = false;
    while !ended || bytes.len() < ALL {
        ended |= shard.turn().iter().any(|completion| completion.key == send);
        outside.read(&mut bytes);
        patience.spend();
    }
    assert_eq!(bytes.len(), ALL);
    assert_pattern(0, &bytes);
}

/// Law 4: also a send to a peer that has ended its own side can be cancelled at any time. To the
/// kernel such a socket is always ready, whether it has room or not.
pub(crate) fn a_send_to_a_half_closed_peer_is_cancelled<S: Stage>(stage: &S) {
    const ALL: usize = 32 << 20;
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    for turns in [0, 1, 2, 5, 20, 60, 100] {
        let (socket, mut outside) = shard.meet(stage, &port);
        outside.shutdown();
        let send = shard.send(socket, pattern(0, ALL), 1);
        for _ in 0..turns {
            shard.engine.waker().wake();
            assert!(shard.turn().is_empty(), "32 MiB do not fit");
        }
        shard.cancel(send);
        let Outcome::Failed(Error::Cancelled, Memory::Pieces { sent, .. }) = shard.last(send)
        else {
            panic!("32 MiB do not fit")
        };
        let close = shard.close(socket, 2);
        shard.last(close);
        let (mut bytes, patience) = (Vec::new(), Patience::until("what was sent is there"));
        while !outside.is_ended() {
            outside.read(&mut bytes);
            shard.turn_on();
            patience.spend();
        }
        assert_eq!(bytes.len(), sent, "behind {turns} turns");
        assert_pattern(0, &bytes);
    }
}

/// Nor does such a peer cost turns while it does not read, and when it reads it gets everything.
pub(crate) fn a_send_to_a_half_closed_peer_waits_for_room<S: Stage>(stage: &S) {
    const ALL: usize = 32 << 20;
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    outside.shutdown();
    let send = shard.send(socket, pattern(0, ALL), 1);
    let (mut bytes, mut is_sent) = (Vec::new(), false);
    for read in [0, 1 << 20, 8 << 20] {
        let patience = Patience::until("so much has come");
        while bytes.len() < read {
            outside.read(&mut bytes);
            shard.turn_on();
            patience.spend();
        }
        let patience = Patience::until("turns that wait");
        let mut waited = 0;
        while waited < 3 {
            let (came, is_full) = shard.turn_to_its_end();
            assert!(came.is_empty(), "32 MiB do not fit");
            waited = if is_full { waited + 1 } else { 0 };
            patience.spend();
        }
    }
    let patience = Patience::until("the whole of it");
    while bytes.len() < ALL || !is_sent {
        outside.read(&mut bytes);
        let came = shard.turn();
        is_sent |=
            came.iter().any(|one| one.key == send && matches!(one.outcome, Outcome::Sent(_)));
        patience.spend();
    }
    assert_pattern(0, &bytes);
}

/// Law 7: pausing (cancelling) and resuming a receive under a flood loses and doubles nothing.
pub(crate) fn a_paused_receive_loses_nothing<S: Stage>(stage: &S) {
    const ALL: usize = 4 << 20;
    let mut random = Random(0xFEED_5EED_1234_0001);
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let stream = pattern(0, ALL);
    let (mut written, mut came) = (0, 0);
    let mut receive = Some(shard.receive(socket, 1));
    let patience = Patience::until("the whole stream");
    while came < ALL {
        written += outside.write(&stream[written..]);
        if let Some(key) = receive
            && random.below(3) == 0
        {
            shard.cancel(key);
        }
        if receive.is_none() && random.below(2) == 0 {
            let key = shard.receive(socket, 1);
            // Bytes that wait may come all the same.
            if random.below(4) == 0 {
                shard.cancel(key);
            }
            receive = Some(key);
        }
        for completion in shard.turn() {
            if let Some(chunk) = received(&completion) {
                assert_pattern(came, chunk.as_slice());
                came += chunk.len();
            } else {
                assert_cancelled(&completion.outcome, OpKind::Receive);
                receive = None;
            }
        }
        patience.spend();
    }
}

/// The same for one-shot receives into memory of the caller, cancelled at any moment.
pub(crate) fn a_receive_into_memory_loses_nothing<S: Stage>(stage: &S) {
    const ALL: usize = 1 << 20;
    let mut random = Random(0xFEED_5EED_1234_0002);
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let stream = pattern(0, ALL);
    let (mut written, mut came) = (0, 0);
    let mut memory = Vec::with_capacity(10_000);
    let patience = Patience::until("the whole stream");
    while came < ALL {
        let key = shard.submit(Op::ReceiveInto { socket, memory }, 1);
        if random.below(2) == 0 {
            shard.turn_on();
        }
        let end = (written + random.below(20_000)).min(ALL);
        written += outside.write(&stream[written..end]);
        if random.below(2) == 0 {
            shard.cancel(key);
        }
        if random.below(4) == 0 || written == came {
            shard.cancel(key);
        }
        memory = match shard.last(key) {
            Outcome::Filled(memory) | Outcome::Failed(Error::Cancelled, Memory::Buffer(memory)) => {
                memory
            }
            other => panic!("{other:?}"),
        };
        assert_pattern(came, &memory);
        came += memory.len();
        memory.clear();
        patience.spend();
    }
}

/// A peer that has ended its stream still gets what is sent, then the end.
pub(crate) fn a_half_closed_peer_still_gets_what_is_sent<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    assert_eq!(outside.write(b"question"), 8);
    outside.shutdown();
    let receive = shard.receive(socket, 1);
    let mut question = Vec::new();
    let patience = Patience::until("the end of the stream");
    'ended: loop {
        for completion in shard.turn() {
            assert_eq!(completion.key, receive);
            match completion.outcome {
                Outcome::Received(chunk) => question.extend_from_slice(chunk.as_slice()),
                Outcome::EndOfStream => break 'ended,
                other => panic!("{other:?}"),
            }
        }
        patience.spend();
    }
    assert_eq!(question, b"question");
    let send = shard.send(socket, b"answer".to_vec(), 2);
    assert!(matches!(shard.last(send), Outcome::Sent(_)));
    let shutdown = shard.submit(Op::Shutdown { socket }, 3);
    assert!(matches!(shard.last(shutdown), Outcome::Done));
    let mut answer = Vec::new();
    while !outside.is_ended() {
        outside.read(&mut answer);
        shard.turn();
        patience.spend();
    }
    assert_eq!(answer, b"answer");
}

/// A shutdown stands behind the send in flight: its bytes come, then the end.
pub(crate) fn a_shutdown_waits_for_the_send<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    for size in [10, 4 << 20] {
        let mut ends: Vec<_> = (0..5).map(|_| shard.meet(stage, &port)).collect();
        let mut keys = Vec::new();
        for (socket, _) in &ends {
            keys.push(shard.send(*socket, pattern(0, size), 1));
            keys.push(shard.submit(Op::Shutdown { socket: *socket }, 2));
        }
        let mut bytes = vec![Vec::new(); ends.len()];
        let patience = Patience::until("five streams and their ends");
        while !keys.is_empty() || bytes.iter().any(|bytes| bytes.len() < size) {
            for completion in shard.turn() {
                let fine = matches!(completion.outcome, Outcome::Sent(_) | Outcome::Done);
                assert!(fine, "{:?}", completion.key);
                keys.retain(|key| *key != completion.key);
            }
            for ((_, outside), bytes) in ends.iter_mut().zip(&mut bytes) {
                outside.read(bytes);
            }
            patience.spend();
        }
        for ((_, outside), bytes) in ends.iter_mut().zip(&bytes) {
            assert!(outside.is_ended() && bytes.len() == size);
            assert_pattern(0, bytes);
        }
    }
}

/// A peer that resets is told as gone, by receives and by sends.
pub(crate) fn a_reset_is_a_peer_that_is_gone<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (one, outside) = shard.meet(stage, &port);
    let receive = shard.receive(one, 1);
    shard.turn();
    outside.reset();
    let outcome = shard.last(receive);
    let Outcome::Failed(error, _) = outcome else { panic!("{outcome:?}") };
    assert!(error.is_peer_gone(), "{error}");
    let (two, outside) = shard.meet(stage, &port);
    let send = shard.send(two, vec![1; 32 << 20], 1);
    shard.turn();
    outside.reset();
    let outcome = shard.last(send);
    let Outcome::Failed(error, Memory::Pieces { pieces, sent }) = outcome else {
        panic!("not failed")
    };
    assert!(error.is_peer_gone(), "{error}");
    assert!(sent < pieces[0].as_slice().len());
}

/// Whose peer has ended its side is not without it; who was reset is, whether or not it is told.
pub(crate) fn a_peer_that_is_gone_is_seen_by_asking<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    assert!(!shard.engine.is_peer_gone(socket));
    let receive = shard.receive(socket, 1);
    outside.shutdown();
    assert!(matches!(shard.last(receive), Outcome::EndOfStream));
    assert!(!shard.engine.is_peer_gone(socket));
    outside.reset();
    let patience = Patience::until("the reset");
    while !shard.engine.is_peer_gone(socket) {
        shard.turn();
        patience.spend();
    }
}

/// One end of two that forward to each other.
struct Forward {
    socket: Descriptor,
    /// Received for the other one, not yet sent by it.
    buffer: Vec<u8>,
    receiving: Option<springtide_engine::Key>,
    sending: bool,
}

/// Two connections of one engine that forward to each other through bounded buffers never stall.
pub(crate) fn two_that_forward_never_stall<S: Stage>(stage: &S) {
    const ALL: usize = 64 << 20;
    const BUFFER_MAX: usize = 128 * 1024;
    let mut shard = Shard::new(stage);
    let port: Port = shard.listen();
    let (left, mut source) = shard.meet(stage, &port);
    let (right, mut target) = shard.meet(stage, &port);
    let mut ends = [left, right].map(|socket| Forward {
        socket,
        buffer: Vec::new(),
        receiving: None,
        sending: false,
    });
    let block = pattern(0, 1 << 20);
    let (mut written, mut came, mut bytes) = (0, 0, Vec::new());
    let patience = Patience::until("everything is forwarded");
    while came < ALL {
        let at = written % block.len();
        written += source.write(&block[at..block.len().min(at + ALL - written)]);
        target.read(&mut bytes);
        for byte in bytes.chunks(4096) {
            let at = came % block.len();
            let first = byte.len().min(block.len() - at);
            assert!(byte[..first] == block[at..at + first], "the stream is wrong at {came}");
            assert!(byte[first..] == block[..byte.len() - first], "wrong at {came}");
            came += byte.len();
        }
        bytes.clear();
        for completion in shard.turn() {
            let own = usize::try_from(completion.token).unwrap();
            match completion.outcome {
                Outcome::Received(chunk) => ends[own].buffer.extend_from_slice(chunk.as_slice()),
                Outcome::Sent(_) => ends[1 - own].sending = false,
                Outcome::Failed(Error::Cancelled, _) => ends[own].receiving = None,
                other => panic!("{other:?}"),
            }
        }
        for own in 0..2 {
            step(&mut shard, &mut ends, own, BUFFER_MAX);
        }
        patience.spend();
    }
}

fn step(shard: &mut Shard, ends: &mut [Forward; 2], own: usize, buffer_max: usize) {
    let other = ends[1 - own].socket;
    let end = &mut ends[own];
    match end.receiving {
        None if end.buffer.len() < buffer_max => {
            end.receiving = Some(shard.receive(end.socket, own as u64));
        }
        Some(key) if end.buffer.len() >= buffer_max => shard.cancel(key),
        _ => {}
    }
    if !end.sending && !end.buffer.is_empty() {
        end.sending = true;
        shard.send(other, std::mem::take(&mut end.buffer), 1 - own as u64);
    }
}

/// Law 7 at the end: a peer that writes and closes at once is read to its last byte.
pub(crate) fn last_bytes_come_before_the_end<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    for size in [1, 4096, 60_000] {
        let (socket, mut outside) = shard.meet(stage, &port);
        let stream = pattern(0, size);
        let mut written = outside.write(&stream);
        shard.receive(socket, 1);
        let mut came = 0;
        let mut outside = Some(outside);
        let patience = Patience::until("the end of the stream");
        'ended: loop {
            if let Some(open) = &mut outside {
                written += open.write(&stream[written..]);
            }
            if written == size {
                outside = None;
            }
            for completion in shard.turn() {
                match completion.outcome {
                    Outcome::Received(chunk) => {
                        assert_pattern(came, chunk.as_slice());
                        came += chunk.len();
                    }
                    Outcome::EndOfStream => break 'ended,
                    other => panic!("{other:?}"),
                }
            }
            patience.spend();
        }
        assert_eq!(came, size);
        assert!(shard.engine.in_flight() == 1, "only the accept is left");
    }
}
