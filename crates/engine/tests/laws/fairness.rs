//! Law 9: nobody's bytes keep the others waiting.
//! Waiting is counted in turns, so that a slow machine changes nothing.

use springtide_engine::{EngineOptions, Handle, Outcome};

use crate::shard::Shard;
use crate::stage::{Outside, Stage};

/// Beside a flooder and a bulk uploader every small message is echoed within three turns.
pub(crate) fn small_messages_pass_beside_a_flood<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (flooded, mut flooder) = shard.meet(stage, &port);
    let (loaded, mut uploader) = shard.meet(stage, &port);
    let (socket, mut small) = shard.meet(stage, &port);
    shard.receive(flooded, 1);
    shard.receive(loaded, 2);
    shard.receive(socket, 3);
    let block = vec![7; 1 << 20];
    let mut bulk = 0;
    for round in 0..200_u8 {
        while flooder.write(&block[..100]) > 0 {}
        while uploader.write(&block) > 0 {}
        assert_eq!(small.write(&[round]), 1);
        let (mut turns, mut echo) = (0, Vec::new());
        while echo.is_empty() {
            turns += 1;
            assert!(turns <= 3, "message {round} waits");
            let mut share = [0; 3];
            for completion in shard.turn() {
                match (completion.token, completion.outcome) {
                    (3, Outcome::Received(chunk)) => {
                        shard.send(socket, chunk.as_slice().to_vec(), 4);
                    }
                    (4, Outcome::Sent(_)) => {}
                    (own @ 1..=2, Outcome::Received(chunk)) => {
                        share[usize::try_from(own).unwrap()] += chunk.len();
                    }
                    other => panic!("{other:?}"),
                }
            }
            // With io_uring the kernel deals: 32 chunks a pass, but several passes in an enter.
            let fair = share.iter().all(|share| *share <= 32 * 4096);
            assert!(fair || S::IS_URING, "{share:?}");
            bulk += share[2];
            small.read(&mut echo);
        }
        assert_eq!(echo, [round]);
    }
    assert!(bulk > 1 << 20, "the uploader came on: {bulk}");
    assert!(shard.engine.in_flight() >= 4);
}

/// 3,000 connections have something to say, 20 of them much: a turn takes 480 completions of the
/// system and the rest of one connection's share, and everybody is heard before long.
pub(crate) fn thousands_at_once_take_bounded_turns<S: Stage>(stage: &S) {
    const ALL: usize = 3000;
    const FLOODS: usize = 20;
    let options = EngineOptions { ring_chunks: 1024, ..EngineOptions::default() };
    let mut shard = Shard::with(stage, &options);
    let port = shard.listen();
    let mut ends: Vec<_> = (0..ALL).map(|_| shard.meet(stage, &port)).collect();
    for ((socket, _), token) in ends.iter().zip(0..) {
        shard.receive(*socket, token);
    }
    shard.turn();
    let block = vec![7; 1 << 20];
    // The kernel behind a ring, and the world, deal in smaller portions.
    let turns_max = if S::IS_URING || S::IS_SIMULATED { 1000 } else { 20 };
    for round in 1..=3 {
        let mut heard = vec![false; ALL];
        for (_, outside) in &mut ends[FLOODS..] {
            assert_eq!(outside.write(&[round]), 1);
        }
        let mut turns = 0;
        while heard.contains(&false) {
            for (_, flood) in &mut ends[..FLOODS] {
                flood.write(&block);
            }
            turns += 1;
            assert!(turns <= turns_max, "{} wait", heard.iter().filter(|is| !**is).count());
            let came = shard.turn();
            assert!(came.len() <= 480 + 32 || S::IS_SIMULATED, "{} in a turn", came.len());
            for completion in came {
                heard[usize::try_from(completion.token).unwrap()] = true;
            }
        }
    }
    drop(shard);
    ends.iter().for_each(|(socket, _)| stage.close(*socket));
    stage.close(port.listener);
}
