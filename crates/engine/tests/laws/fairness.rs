//! Law 9: nobody's bytes keep the others waiting.
//! Waiting is counted in turns, so that a slow machine changes nothing.

use springtide_engine::{Handle, Outcome};

use crate::shard::{Patience, Shard, received};
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

/// More connections have bytes than a turn takes from the system: what a burst needs of memory until
/// the turn's end is bounded, and the rest is not late by more than a few turns.
pub(crate) fn a_burst_comes_in_several_turns<S: Stage>(stage: &S) {
    const ALL: usize = 600;
    const TURN_MAX: usize = 480;
    let mut shard = Shard::new(stage);
    // poll(2) tells of all that are ready, and a world takes no memory of the system.
    if !matches!(shard.engine.name(), "uring" | "epoll") {
        return;
    }
    let port = shard.listen();
    let mut ends: Vec<_> = (0..ALL).map(|_| shard.meet(stage, &port)).collect();
    for (socket, outside) in &mut ends {
        shard.receive(*socket, 1);
        assert_eq!(outside.write(b"here"), 4);
    }
    let patience = Patience::until("all have their bytes");
    let mut bytes = 0;
    while bytes < ALL * 4 {
        let came = shard.turn();
        assert!(came.len() <= TURN_MAX, "a turn brought {} completions", came.len());
        bytes += came.iter().filter_map(received).map(|chunk| chunk.len()).sum::<usize>();
        patience.spend();
    }
    drop(shard);
    ends.iter().for_each(|(socket, _)| stage.close(*socket));
}
