//! Histories that found bugs, and what every history must be.
//! The many are played by the program; here are few, so that they run with every test.

use springtide_sim::{Coverage, History, machine, play};

/// Seeds whose histories fail without what was mended, with what that was. They go by how histories
/// are drawn: who changes that finds the seeds anew, by taking back what was mended. The tests
/// beside the mended code do not depend on it.
const FOUND: [(u64, &str); 10] = [
    (30, "who waited for a file and moved was sent away without its question"),
    (125, "what waited for its turn was thrown away when the server stopped"),
    (170, "a deadline that was due at the moment of a thaw came a millisecond late"),
    (2798, "the end of a stream was not noticed behind a pause"),
    (2871, "the idle time behind a late reply began when anything else ended a turn"),
    (
        11_480,
        "who had spent its share of a turn with its last byte was not asked again when thawed",
    ),
    (20_838, "a connection whose file broke on the way never moved and never ended"),
    (27_021, "what an engine closed when its shard was frozen counted as open for another turn"),
    (38_908, "a server that stopped while it was full left a descriptor open"),
    (61_960, "who moved while its file was read got another's"),
];

#[test]
fn what_was_found_stays_mended() {
    for (seed, what) in FOUND {
        if let Err(failure) = play(&History::new(seed)) {
            panic!("seed {seed} ({what}) fails: {failure}");
        }
        machine::play(seed, &mut Coverage::default()).unwrap();
    }
}

#[test]
fn the_same_seed_gives_the_same_history_to_the_bit() {
    let mut fingerprints = Vec::new();
    for seed in 0..60 {
        let (first, second) = (play(&History::new(seed)), play(&History::new(seed)));
        assert_eq!(first, second, "seed {seed}");
        fingerprints.push(first.unwrap().fingerprint);
    }
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 60, "different seeds give different histories");
}

/// From 2 to 64 peers, and enough events in the mean; how many each has is checked when it is played.
#[test]
fn histories_are_of_a_size() {
    let mut sum = Coverage::default();
    for seed in 0..200 {
        let coverage = play(&History::new(seed)).unwrap().coverage;
        assert!((2..=64).contains(&coverage.peers), "{coverage}");
        sum.add(&coverage);
    }
    assert!(sum.events / sum.histories >= 200, "{sum}");
}
