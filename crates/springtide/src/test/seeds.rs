//! One test in many worlds: which seed fails is told, and can be run alone.
//! It never catches a failure without passing it on.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::World;

/// The variable of the environment that names the only seed to run.
const ONLY: &str = "SPRINGTIDE_SEED";

/// Runs a test in a world for each seed from 0 to `count - 1`.
///
/// When one fails, its seed is told on standard error; `SPRINGTIDE_SEED=7 cargo test NAME` runs
/// seed 7 alone.
///
/// ```
/// springtide::test::for_each_seed(3, |world| assert!(world.seed() < 3));
/// ```
///
/// # Panics
/// When the test does, with what it panicked with.
pub fn for_each_seed(count: u64, mut test: impl FnMut(&mut World)) {
    let only = std::env::var(ONLY).ok().and_then(|seed| seed.parse::<u64>().ok());
    for seed in only.map_or(0..count, |seed| seed..seed.saturating_add(1)) {
        let mut world = World::new(seed);
        let ended = catch_unwind(AssertUnwindSafe(|| test(&mut world)));
        if let Err(panic) = ended {
            crate::report::error(format_args!("seed {seed} fails; alone with {ONLY}={seed}"));
            resume_unwind(panic);
        }
    }
}
