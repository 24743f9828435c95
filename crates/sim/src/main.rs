//! The simulator's program: plays histories, counts what they reached, makes failures small.
//! It exits with 1 when a history fails or a counter stays below what was asked for.
#![forbid(unsafe_code)]

mod crew;

use std::num::NonZero;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use springtide_engine::{Moment, system_now};
use springtide_sim::{Coverage, Failure, History, SIDES, machine, shrink};

use crew::{Share, Word};

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
    /// How many processes play at once: one for each processor
    #[arg(long, value_name = "N")]
    processes: Option<NonZero<u64>>,
    /// Play each so manieth seed, as one of several processes, and tell the others in numbers
    #[arg(long, value_name = "N", hide = true)]
    stride: Option<u64>,
}

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(5);
/// How many seeds are worth a process.
const SEEDS_OF_A_PROCESS: u64 = 100;

fn main() -> ExitCode {
    let options = Options::parse();
    let first = options.seed.unwrap_or(0);
    let usual = if options.seed.is_some() { 1 } else { 1000 };
    let seeds = options.seeds.unwrap_or(usual);
    let replay = options.replay.max(1);
    if let Some(stride) = options.stride {
        be_silent();
        play_share(Share { first, seeds, stride }, replay);
        return ExitCode::SUCCESS;
    }
    if seeds > 1 {
        be_silent();
    }
    let began = system_now();
    let sum = match play_seeds(size_of_crew(&options, seeds), (first, seeds), replay, began) {
        Ok(sum) => sum,
        Err(code) => return code,
    };
    print!("{sum}");
    println!("{seeds} seeds in {:.1?}, all as the model says", system_now().since(began));
    check_least(&sum, options.least)
}

fn size_of_crew(options: &Options, seeds: u64) -> u64 {
    let processors = || std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let most = options.processes.map_or_else(processors, NonZero::get);
    most.min(seeds / SEEDS_OF_A_PROCESS).max(1)
}

/// What all seeds together have reached, or the code to end with when one fails, which is told.
fn play_seeds(
    size: u64,
    (first, seeds): (u64, u64),
    replay: u64,
    began: Moment,
) -> Result<Coverage, ExitCode> {
    let (mut sum, mut played, mut told) = (Coverage::default(), 0, began);
    let hear = |word| {
        match word {
            Word::Failed(seed) => return ControlFlow::Break(seed),
            Word::Done(coverage) => sum.add(&coverage),
            Word::Played(count) => played += count,
        }
        let now = system_now();
        if now.since(told) >= PROGRESS {
            told = now;
            println!("{played} of {seeds} seeds in {:.0?}", now.since(began));
        }
        ControlFlow::Continue(())
    };
    let failed = if size == 1 {
        Ok(play(Share { first, seeds, stride: 1 }, replay, hear))
    } else {
        crew::run(size, (first, seeds), replay, hear)
    };
    match failed {
        Ok(None) => Ok(sum),
        Ok(Some(seed)) => Err(fail(seed, replay)),
        Err(silence) => {
            println!("{silence}");
            Err(ExitCode::FAILURE)
        }
    }
}

/// Plays a share, and tells those who share the rest.
fn play_share(share: Share, replay: u64) {
    let hear = |word| {
        crew::say(&word);
        ControlFlow::<()>::Continue(())
    };
    play(share, replay, hear);
}

/// Plays one history after the other, until all were or one fails; `hear` gets every word.
fn play<B>(share: Share, replay: u64, mut hear: impl FnMut(Word) -> ControlFlow<B>) -> Option<B> {
    let mut sum: Box<Coverage> = Box::default();
    for seed in share.seeds() {
        let word = match play_seed(seed, seed.is_multiple_of(replay)) {
            Ok(coverage) => {
                sum.add(&coverage);
                Word::Played(1)
            }
            Err(_) => return hear(Word::Failed(seed)).break_value(),
        };
        if let ControlFlow::Break(value) = hear(word) {
            return Some(value);
        }
    }
    hear(Word::Done(sum)).break_value()
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
    let mut played = springtide_sim::play(&history)?;
    if is_compared && springtide_sim::play(&history)? != played {
        return Err(Failure { what: "the same history came out otherwise".to_owned() });
    }
    machine::play(seed, &mut played.coverage)?;
    for side in SIDES {
        let fingerprint = side.play(seed, &mut played.coverage)?;
        if is_compared && side.play(seed, &mut Coverage::default())? != fingerprint {
            let what = format!("the same history of {} came out otherwise", side.name);
            return Err(Failure { what });
        }
    }
    Ok(played.coverage)
}

/// Tells how a seed fails that has failed, and makes its history small.
fn fail(seed: u64, replay: u64) -> ExitCode {
    let Err(failure) = play_seed(seed, seed.is_multiple_of(replay)) else {
        println!("seed {seed} has failed, and does not fail again: its history is not its own");
        return ExitCode::FAILURE;
    };
    println!("seed {seed} fails: {failure}");
    println!("again with: cargo run -p springtide-sim --release -- --seed {seed}");
    be_silent();
    let history = History::new(seed);
    if springtide_sim::play(&history).is_err() {
        println!("making it small …");
        let (small, failure) = shrink(&history, failure);
        print!("{small}");
        println!("fails: {failure}");
    }
    for (small, failure) in SIDES.iter().filter_map(|side| side.shrink(seed)) {
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
