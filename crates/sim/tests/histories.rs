//! Histories that found bugs, and what every history must be.
//! The many are played by the program; here are few, so that they run with every test.

use springtide_sim::{Coverage, History, machine, play};

/// Seeds whose histories fail without what was mended, with what that was. They go by how histories
/// are drawn: who changes that finds the seeds anew, by taking back what was mended. The tests
/// beside the mended code do not depend on it.
const FOUND: [(u64, &str); 6] = [
    (16, "half a body behind a request for a file, and the end of the stream, ended the shard"),
    (50, "who had exactly a turn's share was put off to a turn that never asked again"),
    (239, "an upgrade behind a reply that ends the connection was called misuse"),
    (3145, "connections that moved did not count as open"),
    (5228, "a file that broke off while its connection moved held it until the shard's end"),
    (39_221, "the end of the stream came before the end of a body was noticed"),
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

/// From 2 to 64 peers, and enough events in the mean.
#[test]
fn histories_are_of_a_size() {
    let mut sum = Coverage::default();
    for seed in 0..200 {
        let history = History::new(seed);
        assert!((2..=64).contains(&history.peers()), "{}", history.peers());
        sum.add(&play(&history).unwrap().coverage);
    }
    assert!(sum.events / sum.histories >= 200, "{sum}");
}
