//! The simulator's program: plays histories, counts what they reached, makes failures small.
//! It exits with 1 when a history fails or a counter stays below what was asked for.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use springtide_engine::system_now;
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
    let (mut sum, mut told) = (Coverage::default(), began);
    for seed in first..first.saturating_add(seeds) {
        match play_seed(seed, seed % options.replay.max(1) == 0) {
            Ok(coverage) => sum.add(&coverage),
            Err(failure) => return fail(seed, failure),
        }
        let now = system_now();
        if now.since(told) >= PROGRESS {
            told = now;
            println!("{} of {seeds} seeds in {:.0?}", seed - first + 1, now.since(began));
        }
    }
    print!("{sum}");
    println!("{seeds} seeds in {:.1?}, all as the model says", system_now().since(began));
    check_least(&sum, options.least)
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
