//! The simulator's program: plays histories, counts what they reached, makes failures small.
//! It exits with 1 when a history fails or a counter stays below what was asked for.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use springtide_engine::{Moment, system_now};
use springtide_sim::{Coverage, Failure, History, machine, play, raw, shrink, sockets};

/// Plays histories of the server in simulated worlds, each from its seed
#[derive(Parser)]
#[command(name = "springtide-sim", version)]
struct Options {
    /// How many seeds to play: 1000, or one when a seed is named
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed; alone, the only one
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Fail when a fault or a state was reached less often
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    least: u64,
    /// Play one history in so many twice, and compare
    #[arg(long, value_name = "N", default_value_t = 50)]
    replay: u64,
    /// How many threads play histories: as many as there are processors
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let options = Options::parse();
    let first = options.seed.unwrap_or(0);
    let usual = if options.seed.is_some() { 1 } else { 1000 };
    let seeds = options.seeds.unwrap_or(usual);
    if seeds > 1 {
        be_silent();
    }
    let began = system_now();
    let plan = Plan { first, seeds, replay: options.replay.max(1), next: AtomicU64::new(0) };
    let threads = options
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let played = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| plan.play(None))).collect();
        let mut own = plan.play(Some(began));
        for other in others {
            own.join(other.join().expect("what panics in a history is caught there"));
        }
        own
    });
    if let Some((seed, failure)) = played.failed {
        return fail(seed, failure);
    }
    let sum = played.sum;
    print!("{sum}");
    println!("{seeds} seeds in {:.1?}, all as the model says", system_now().since(began));
    check_least(&sum, options.least)
}

/// Which seeds are to be played, by all threads together; each history stays on its own.
struct Plan {
    first: u64,
    seeds: u64,
    replay: u64,
    /// How many were begun.
    next: AtomicU64,
}

/// What came of the seeds that a thread has played.
#[derive(Default)]
struct Played {
    sum: Coverage,
    /// The first that failed; nothing is begun behind it.
    failed: Option<(u64, Failure)>,
}

impl Plan {
    /// Plays one after the other, and tells how far all are where it is told when they began.
    fn play(&self, began: Option<Moment>) -> Played {
        let (mut own, mut told) = (Played::default(), began);
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            if at >= self.seeds {
                return own;
            }
            let seed = self.first.saturating_add(at);
            match play_seed(seed, seed.is_multiple_of(self.replay)) {
                Ok(coverage) => own.sum.add(&coverage),
                Err(failure) => {
                    // Those before it are played to their ends: the first failure is told.
                    self.next.fetch_max(self.seeds, Ordering::Relaxed);
                    own.failed = Some((seed, failure));
                    return own;
                }
            }
            let now = system_now();
            if let (Some(began), Some(last)) = (began, told)
                && now.since(last) >= PROGRESS
            {
                told = Some(now);
                println!("{} of {} seeds in {:.0?}", at + 1, self.seeds, now.since(began));
            }
        }
    }
}

impl Played {
    fn join(&mut self, other: Self) {
        self.sum.add(&other.sum);
        if let Some((seed, _)) = &other.failed
            && self.failed.as_ref().is_none_or(|(own, _)| seed < own)
        {
            self.failed = other.failed;
        }
    }
}

/// What panics is told as the failure of its history, and what its server reports is of no interest.
/// Of a seed alone both are told.
fn be_silent() {
    springtide::test::be_silent();
    std::panic::set_hook(Box::new(|_| {}));
}

/// Plays the history of a seed; twice, when it is to be compared.
fn play_seed(seed: u64, is_compared: bool) -> Result<Coverage, Failure> {
    let history = History::new(seed);
    let mut played = play(&history)?;
    if is_compared && play(&history)? != played {
        return Err(Failure { what: "the same history came out otherwise".to_owned() });
    }
    machine::play(seed, &mut played.coverage)?;
    let fingerprint = raw::play(seed, &mut played.coverage)?;
    if is_compared && raw::play(seed, &mut Coverage::default())? != fingerprint {
        return Err(Failure { what: "the same raw history came out otherwise".to_owned() });
    }
    let fingerprint = sockets::play(seed, &mut played.coverage)?;
    if is_compared && sockets::play(seed, &mut Coverage::default())? != fingerprint {
        let what = "the same history of WebSockets came out otherwise".to_owned();
        return Err(Failure { what });
    }
    Ok(played.coverage)
}

fn fail(seed: u64, failure: Failure) -> ExitCode {
    println!("seed {seed} fails: {failure}");
    println!("again with: cargo run -p springtide-sim --release -- --seed {seed}");
    be_silent();
    let history = History::new(seed);
    if play(&history).is_err() {
        println!("making it small …");
        let (small, failure) = shrink(&history, failure);
        print!("{small}");
        println!("fails: {failure}");
    }
    if let Some((small, failure)) = raw::History::of(seed).and_then(|history| history.shrink()) {
        print!("as small as it could be made:\n{small}");
        println!("fails: {failure}");
    }
    if let Some((small, failure)) = sockets::History::of(seed).and_then(|history| history.shrink())
    {
        print!("as small as it could be made:\n{small}");
        println!("fails: {failure}");
    }
    ExitCode::FAILURE
}

fn check_least(sum: &Coverage, least: u64) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (of, name, count) in sum.counters() {
        if count < least {
            println!("too seldom: {of} {name}, {count} times, not {least}");
            code = ExitCode::FAILURE;
        }
    }
    code
}
