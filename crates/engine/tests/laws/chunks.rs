//! Chunks: what is held starves nobody, what is too much has a name, and nothing spins.
//! The budget is counted in chunks, so every piece here is one.

use std::time::Duration;

use bytes::Bytes;
use springtide_engine::{Chunk, Descriptor, EngineOptions, Error, Handle, Outcome};

use crate::shard::{Patience, Shard, Watchdog, assert_pattern, pattern, received};
use crate::stage::{Outside, Stage};

/// 5,000 pieces held past their turn over a ring of 1,024: the next connection is served at once.
pub(crate) fn thousands_held_starve_nobody<S: Stage>(stage: &S) {
    const ALL: usize = 5000;
    let options = EngineOptions { ring_chunks: 1024, ..EngineOptions::default() };
    let mut shard = Shard::with(stage, &options);
    let port = shard.listen();
    let (mut held, mut ends) = (Vec::<Chunk>::new(), Vec::new());
    for _ in 0..ALL {
        let (socket, mut outside) = shard.meet(stage, &port);
        shard.receive(socket, 1);
        assert_eq!(outside.write(b"piece"), 5);
        ends.push((socket, outside));
    }
    let patience = Patience::until("every piece is there");
    while held.len() < ALL {
        held.extend(shard.turn().iter().filter_map(received).cloned());
        patience.spend();
    }
    assert!(held.iter().all(|chunk| chunk.as_slice() == b"piece"));
    let (socket, mut outside) = shard.meet(stage, &port);
    shard.receive(socket, 2);
    let before = shard.turns;
    assert_eq!(outside.write(b"me too"), 6);
    shard.wait("the 5,001st", |completion| (completion.token == 2).then_some(()));
    assert!(shard.turns - before <= 4, "it took {} turns", shard.turns - before);
    assert_eq!(shard.engine.stats().chunks_given_away, ALL as u64);
    drop(held);
    assert_eq!(shard.engine.stats().chunks_given_away, 0);
    drop(shard);
    ends.iter().for_each(|(socket, _)| stage.close(*socket));
}

/// Who holds more than the budget is told so by name, its neighbour goes on, and later it receives
/// again from where it stopped.
pub(crate) fn over_the_budget_is_a_named_error<S: Stage>(stage: &S) {
    const ALL: usize = 1 << 20;
    let options =
        EngineOptions { ring_chunks: 64, chunks_given_away_max: 40, ..EngineOptions::default() };
    let mut shard = Shard::with(stage, &options);
    let port = shard.listen();
    let (hoarder, mut flood) = shard.meet(stage, &port);
    let (neighbour, mut small) = shard.meet(stage, &port);
    shard.receive(neighbour, 1);
    shard.receive(hoarder, 2);
    let stream = pattern(0, ALL);
    let (mut written, mut came, mut echoes, mut limits) = (0, 0, 0, 0);
    let (mut held, mut paused) = (Vec::new(), 0);
    let patience = Patience::until("the whole stream");
    while came < ALL {
        written += flood.write(&stream[written..]);
        assert_eq!(small.write(b"s"), 1);
        for completion in shard.turn() {
            match (completion.token, completion.outcome) {
                (1, Outcome::Received(chunk)) => echoes += chunk.len(),
                (2, Outcome::Received(chunk)) => {
                    assert_pattern(came, chunk.as_slice());
                    came += chunk.len();
                    held.push(chunk);
                }
                (2, Outcome::Failed(Error::Limit("chunks_given_away_max"), _)) => {
                    limits += 1;
                    paused = 3;
                }
                other => panic!("{other:?}"),
            }
        }
        if paused == 1 {
            held.clear();
            shard.receive(hoarder, 2);
        }
        paused = usize::saturating_sub(paused, 1);
        assert!(held.len() <= 40 + 2 * 64, "the budget bounds what is held: {}", held.len());
        patience.spend();
    }
    assert!(limits > 2, "{limits}");
    while echoes == 0 {
        echoes += shard.turn().iter().filter(|completion| completion.token == 1).count();
        patience.spend();
    }
}

/// Opens connections and lets their bytes take every chunk there is.
fn exhaust<S: Stage>(stage: &S, shard: &mut Shard) -> (Vec<(Descriptor, S::Outside)>, Vec<Chunk>) {
    let port = shard.listen();
    let mut ends: Vec<_> = (0..60).map(|_| shard.meet(stage, &port)).collect();
    for (socket, outside) in &mut ends {
        shard.receive(*socket, 1);
        assert_eq!(outside.write(&[7; 1000]), 1000);
    }
    let mut held: Vec<Chunk> = Vec::new();
    let mut quiet = 0;
    let patience = Patience::until("the chunks are spent");
    while quiet < 20 {
        let came = held.len();
        held.extend(shard.turn().iter().filter_map(received).cloned());
        quiet = if held.len() == came { quiet + 1 } else { 0 };
        patience.spend();
    }
    assert!(held.len() < ends.len(), "there are not chunks enough: {}", held.len());
    (ends, held)
}

fn few_chunks() -> EngineOptions {
    // 24 may be held, and 16 more exist: fewer than there are connections here.
    EngineOptions { ring_chunks: 8, chunks_given_away_max: 24, ..EngineOptions::default() }
}

/// Without chunks receives are parked, turns do not spin, and all goes on when chunks come back.
pub(crate) fn an_exhausted_ring_parks_and_resumes<S: Stage>(stage: &S) {
    let mut shard = Shard::with(stage, &few_chunks());
    let (ends, mut held) = exhaust(stage, &mut shard);
    let mut limited = Vec::new();
    let before = shard.engine.stats().enters;
    let now = shard.engine.now();
    for _ in 0..10 {
        limited.append(&mut shard.turn());
    }
    let enters = shard.engine.stats().enters - before;
    assert!(enters <= 40, "{enters} enters in ten turns");
    assert!(shard.engine.now().since(now) >= Duration::from_millis(20), "the turns have waited");
    let mut came = held.len();
    held.clear();
    for (socket, _) in &ends {
        // Who was over the budget asks again; who is parked is refused.
        shard.receive(*socket, 2);
    }
    let patience = Patience::until("the rest comes");
    while came < ends.len() {
        came += shard.turn().iter().filter_map(received).count();
        patience.spend();
    }
}

/// A shard that waits for chunks is woken when they come home from other threads.
pub(crate) fn buffers_from_other_threads_wake_who_waits<S: Stage>(stage: &S) {
    let options =
        EngineOptions { ring_chunks: 8, chunks_given_away_max: 1000, ..EngineOptions::default() };
    let mut shard = Shard::with(stage, &options);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    shard.receive(socket, 1);
    let stream = pattern(0, 8 << 20);
    let (mut written, mut came) = (0, 0);
    let mut abroad: Vec<Bytes> = Vec::new();
    let _watchdog = Watchdog::over("chunks that come home wake the shard");
    let patience = Patience::until("the whole stream");
    while came < stream.len() {
        written += outside.write(&stream[written..]);
        let completions = shard.turn();
        let nothing = completions.is_empty();
        for completion in completions {
            let Outcome::Received(chunk) = completion.outcome else { panic!("{completion:?}") };
            assert_pattern(came, chunk.as_slice());
            came += chunk.len();
            abroad.push(chunk.into_bytes());
        }
        if nothing && !abroad.is_empty() {
            let gone = std::mem::take(&mut abroad);
            if S::IS_SIMULATED {
                drop(gone);
            } else {
                // Without a deadline: only what comes home can end this wait.
                let waker = shard.engine.waker();
                let home = std::thread::spawn(move || drop((gone, waker)));
                let mut fresh = Vec::new();
                while fresh.is_empty() && shard.engine.stats().chunks_given_away > 0 {
                    shard.engine.turn(None, &mut fresh).unwrap();
                }
                home.join().unwrap();
                shard.check(&fresh);
                for completion in fresh {
                    let Outcome::Received(chunk) = completion.outcome else { panic!("not bytes") };
                    assert_pattern(came, chunk.as_slice());
                    came += chunk.len();
                }
            }
        }
        patience.spend();
    }
}

/// Pitfall 4: with a completion queue of 16, 200 connections that send at once lose nothing.
pub(crate) fn a_small_queue_loses_nothing<S: Stage>(stage: &S) {
    let options = EngineOptions { cq_entries: 16, ring_chunks: 64, ..EngineOptions::default() };
    let mut shard = Shard::with(stage, &options);
    let port = shard.listen();
    let mut ends: Vec<_> = (0..200).map(|_| shard.meet(stage, &port)).collect();
    for ((socket, _), token) in ends.iter().zip(0..) {
        shard.receive(*socket, token);
    }
    shard.turn();
    let mut came = vec![0; ends.len()];
    for round in 1..=5 {
        for (_, outside) in &mut ends {
            assert_eq!(outside.write(&pattern((round - 1) * 100, 100)), 100);
        }
        let patience = Patience::until("a round of all");
        while came.iter().any(|came| *came < round * 100) {
            for completion in shard.turn() {
                let own = usize::try_from(completion.token).unwrap();
                let chunk = received(&completion).expect("bytes");
                assert_pattern(came[own], chunk.as_slice());
                came[own] += chunk.len();
            }
            patience.spend();
        }
    }
    assert!(came.iter().all(|came| *came == 500));
}

/// The same for connections that come at once: whoever waits is accepted, and nobody is told of it.
pub(crate) fn a_small_queue_accepts_all<S: Stage>(stage: &S) {
    let options = EngineOptions { cq_entries: 16, ring_chunks: 64, ..EngineOptions::default() };
    let mut shard = Shard::with(stage, &options);
    let port = shard.listen();
    let mut accepted = 0;
    let mut outsides = Vec::new();
    for round in 1..=5 {
        shard.turn_on();
        outsides.extend((0..100).map(|_| stage.connect(&port.address)));
        let patience = Patience::until("everybody is accepted");
        while accepted < round * 100 {
            for completion in shard.turn() {
                let is_accepted = matches!(completion.outcome, Outcome::Accepted(_));
                assert!(is_accepted && completion.more, "{completion:?}");
                accepted += 1;
            }
            patience.spend();
        }
    }
}
