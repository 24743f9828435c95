//! Lengths: a count of bytes is never taken for anything else, and no length is special.
//! What the bytes are is told by where they stand.

use springtide_engine::{EngineOptions, Handle, Op, Outcome};

use crate::shard::{Patience, Random, Shard, assert_pattern, pattern, received};
use crate::stage::{Outside, Stage};

/// Law 7 where numbers collide: transfers of 1 to 140 bytes, which are the system's errors too (11
/// is EAGAIN), by every operation that counts bytes.
pub(crate) fn no_count_is_an_error<S: Stage>(stage: &S) {
    stage.write_file("counted", &pattern(0, 140));
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (one, mut outside) = shard.meet(stage, &port);
    let (two, mut other) = shard.meet(stage, &port);
    let (three, mut third) = shard.meet(stage, &port);
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let open = shard.submit(Op::Open { root, path: c"counted".to_owned() }, 1);
    let Outcome::Opened(file, _) = shard.last(open) else { panic!("it is there") };
    shard.receive(one, 2);
    for count in 1..=140 {
        let bytes = pattern(0, count);
        let into = Op::ReceiveInto { socket: two, memory: Vec::with_capacity(500) };
        let into = shard.submit(into, 3);
        assert_eq!((outside.write(&bytes), other.write(&bytes)), (count, count));
        let mut came = Vec::new();
        while came.len() < count {
            shard.wait("streamed bytes", |completion| {
                came.extend_from_slice(received(completion)?.as_slice());
                Some(())
            });
        }
        assert_eq!(came, bytes);
        assert!(matches!(shard.last(into), Outcome::Filled(memory) if memory == bytes));
        let read = Op::Read { file, memory: Vec::with_capacity(count), offset: 0 };
        let read = shard.submit(read, 4);
        assert!(matches!(shard.last(read), Outcome::Filled(memory) if memory == bytes));
        // Three in a turn leave through the ring, one alone does not.
        for sockets in [&[one, two, three][..], &[one]] {
            let sends: Vec<_> =
                sockets.iter().map(|socket| shard.send(*socket, bytes.clone(), 5)).collect();
            for send in sends {
                assert!(matches!(shard.last(send), Outcome::Sent(_)));
            }
        }
    }
    let mut back = [Vec::new(), Vec::new(), Vec::new()];
    let patience = Patience::until("all sends are there");
    let all = 140 * 141 / 2;
    while back.iter().map(Vec::len).sum::<usize>() < 4 * all {
        for (outside, back) in [&mut outside, &mut other, &mut third].into_iter().zip(&mut back) {
            outside.read(back);
        }
        shard.turn();
        patience.spend();
    }
    assert_eq!(back.map(|back| back.len()), [2 * all, all, all]);
}

/// Messages of 1 byte to 20 KB from forty peers over a ring of eight buffers, which is empty most
/// of the time: each stream keeps its bytes and their order, also while pieces are held.
pub(crate) fn a_small_ring_keeps_every_order<S: Stage>(stage: &S) {
    const ALL: usize = 200_000;
    let options = EngineOptions { ring_chunks: 8, ..EngineOptions::default() };
    let mut random = Random(0x0DD5_EED5_0000_0003);
    let mut shard = Shard::with(stage, &options);
    let port = shard.listen();
    let mut outsides = Vec::new();
    for token in 0..40 {
        let (socket, outside) = shard.meet(stage, &port);
        shard.receive(socket, token);
        outsides.push((outside, 0));
    }
    let stream = pattern(0, ALL);
    let mut came = vec![0; outsides.len()];
    let mut held = std::collections::VecDeque::new();
    let patience = Patience::until("forty streams");
    while came.iter().any(|count| *count < ALL) {
        for (outside, written) in &mut outsides {
            let to = (*written + 1 + random.below(20_000)).min(ALL);
            *written += outside.write(&stream[*written..to]);
        }
        for completion in shard.turn() {
            let chunk = received(&completion).expect("nothing but bytes");
            let own = usize::try_from(completion.token).unwrap();
            assert_pattern(came[own], chunk.as_slice());
            held.push_back((came[own], chunk.clone()));
            came[own] += chunk.len();
        }
        // What is held keeps its bytes until it is let go.
        while held.len() > 100 {
            let (from, chunk) = held.pop_front().expect("more than a hundred");
            assert_pattern(from, chunk.as_slice());
        }
        patience.spend();
    }
}
