//! The bench driver: rounds of every row over its servers, and what came of them.
//! It must never pass over a failure: a server that could not be measured is named with the reason.

mod awake;
mod build;
mod haproxy;
mod machine;
mod nginx;
pub mod options;
mod results;
mod rows;
mod servers;
mod shuffle;
mod summary;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::load::{self, options::Options as LoadOptions};
use crate::report::Report;
use crate::system;
use awake::Awake;
use options::Options;
use rows::{ROWS, Row};
use servers::{Class, Places, Server};
use shuffle::Shuffle;

/// What a run of the load generator may take beyond its window: 10,000 connections, the drain.
const LOAD_DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);

/// Everything measured of one row.
#[derive(Debug, Default)]
struct Outcome {
    /// A report for each round, none where the round failed.
    rounds: BTreeMap<Server, Vec<Option<Report>>>,
    /// Servers that were given up, with the reason.
    missing: Vec<(Server, String)>,
    /// Whether servers and clients went before whatever has no priority of its own.
    is_before_others: bool,
}

/// Measures what the options name, prints it, and writes it down if asked to.
pub fn run(mut options: Options) -> io::Result<()> {
    if options.quick {
        options.rounds = options.rounds.min(3);
        options.seconds = options.seconds.min(0.4);
    }
    let rows = chosen(&options)?;
    if options.list {
        for row in rows {
            let names: Vec<_> = row.servers.iter().map(|server| server.name()).collect();
            println!("{:12} {} [{}]", row.name, row.title, names.join(" "));
        }
        return Ok(());
    }
    system::raise_open_files()?;
    let places = Places::find(&options)?;
    if !options.no_build {
        build::all(&places);
    }
    system::pin_to_core(options.client_core)?;
    let seed = options.seed.unwrap_or_else(machine::clock_seed);
    let mut shuffle = Shuffle::new(seed);
    eprintln!("seed {seed}");
    for row in rows {
        let outcome = measure(row, &places, &options, &mut shuffle);
        let section = results::section(row, &outcome, &options, seed);
        println!("{section}");
        if options.write {
            results::write(row, &section)?;
        }
    }
    Ok(())
}

fn chosen(options: &Options) -> io::Result<Vec<&'static Row>> {
    let known_row = |name: &String| ROWS.iter().any(|row| row.name == *name);
    let known_server = |name: &String| {
        ROWS.iter().flat_map(|row| row.servers).any(|server| server.name() == *name)
    };
    if let Some(name) = options.rows.iter().find(|name| !known_row(name)) {
        return Err(io::Error::other(format!("no row is called {name}; see --list")));
    }
    if let Some(name) = options.servers.iter().find(|name| !known_server(name)) {
        return Err(io::Error::other(format!("no server is called {name}; see --list")));
    }
    let wanted = |row: &&Row| options.rows.is_empty() || options.rows.iter().any(|n| n == row.name);
    Ok(ROWS.iter().filter(wanted).collect())
}

fn measure(row: &Row, places: &Places, options: &Options, shuffle: &mut Shuffle) -> Outcome {
    let is_before_others = row.is_open_loop() && may_go_before_others();
    let mut outcome = Outcome { is_before_others, ..Outcome::default() };
    let mut servers = Vec::new();
    for server in row.servers {
        if !options.servers.is_empty() && !options.servers.iter().any(|n| n == server.name()) {
            continue;
        }
        let program = places.program(*server);
        if program.exists() {
            servers.push(*server);
        } else {
            outcome.missing.push((*server, "not built or not installed".to_owned()));
        }
    }
    if let Err(error) = places.prepare(row) {
        eprintln!("{}: its file was not made: {error}", row.name);
    }
    if let Err(error) = capture(row, &servers, places, options) {
        eprintln!("{}: the floors send canned bytes: {error}", row.name);
    }
    let cores = [options.server_core, options.client_core];
    let _awake = row.halts().then(|| Awake::keep(cores));
    for round in 0..options.rounds {
        shuffle.order(&mut servers);
        for server in servers.clone() {
            let result = once(server, row, places, options);
            eprintln!("{} {}/{} {}", row.name, round + 1, options.rounds, line(server, &result));
            if let (0, Err(error)) = (round, &result) {
                // What fails at once would fail in every round.
                servers.retain(|other| *other != server);
                outcome.missing.push((server, error.to_string()));
                continue;
            }
            outcome.rounds.entry(server).or_default().push(result.ok());
        }
    }
    outcome
}

fn line(server: Server, result: &io::Result<Report>) -> String {
    match result {
        Ok(report) => format!(
            "{}: {:.3} µs a request, {:.0}/s, p50 {:.0} µs, p99 {:.0}",
            server.name(),
            report.server_cpu_us_per_request.unwrap_or(0.0),
            report.requests_per_second,
            report.p50_us,
            report.p99_us
        ),
        Err(error) => format!("{}: {error}", server.name()),
    }
}

/// Asks our own server for the row's response, so that the floors send exactly its bytes.
fn capture(row: &Row, servers: &[Server], places: &Places, options: &Options) -> io::Result<()> {
    let ours = [Server::OursUring, Server::OursEpoll];
    if !row.http() || !servers.iter().any(|server| server.class() == Class::Floor) {
        return Ok(());
    }
    let server = ours.into_iter().find(|server| servers.contains(server));
    let server = server.ok_or_else(|| io::Error::other("bench-server is not measured"))?;
    let running = servers::start(server, row, places, options)?;
    let bytes = load::response_bytes(&load_options(row, running.address)?)?;
    fs::write(places.response(row), bytes)
}

/// The row's flags as the load generator understands them.
fn load_options(row: &Row, target: SocketAddr) -> io::Result<LoadOptions> {
    let target = target.to_string();
    // `--memory` asks for a process id, which does not change the request.
    let first = ["load", &target, "--server-pid", "1"];
    let flags = first.into_iter().chain(row.load.iter().copied());
    LoadOptions::try_parse_from(flags).map_err(io::Error::other)
}

/// One round of one server: start, load, stop.
fn once(server: Server, row: &Row, places: &Places, options: &Options) -> io::Result<Report> {
    let running = servers::start(server, row, places, options)?;
    let mut arguments: Vec<OsString> = vec![running.address.to_string().into()];
    let plain = server.class() == Class::Floor && !row.floor_load.is_empty();
    let load = if plain { row.floor_load } else { row.load };
    arguments.extend(load.iter().map(OsString::from));
    let numbers = [
        ("--server-pid", running.process().to_string()),
        ("--core", options.client_core.to_string()),
        ("--seconds", options.seconds.to_string()),
        ("--warmup", options.warmup.to_string()),
    ];
    for (flag, value) in numbers {
        arguments.extend([flag.into(), value.into()]);
    }
    let said = run_load(row, places, &arguments, options)?;
    let report: Report = serde_json::from_str(said.trim()).map_err(io::Error::other)?;
    if report.errors > 0 {
        let samples = report.error_samples.join("; ");
        return Err(io::Error::other(format!("{} errors: {samples}", report.errors)));
    }
    Ok(report)
}

/// Whether the driver is privileged enough to give what it starts a priority.
fn may_go_before_others() -> bool {
    system::go_before_others(true).and_then(|()| system::go_before_others(false)).is_ok()
}

/// Starts a program on a core. In the open loop it goes before the machine's own housekeeping: a
/// server that sleeps between requests would wait, whichever it is, until a task of the kernel has
/// used up its slice of milliseconds.
fn spawn(command: &mut Command, row: &Row, core: usize, options: &Options) -> io::Result<Child> {
    // The child inherits core and priority of the thread that starts it.
    system::pin_to_core(core)?;
    let is_before_others = row.is_open_loop() && system::go_before_others(true).is_ok();
    let child = command.spawn();
    if is_before_others {
        system::go_before_others(false)?;
    }
    system::pin_to_core(options.client_core)?;
    child
}

/// Runs the load generator within its deadline and returns its standard output.
fn run_load(
    row: &Row,
    places: &Places,
    arguments: &[OsString],
    options: &Options,
) -> io::Result<String> {
    let log = places.scratch.join("load.log");
    let mut command = Command::new(places.release.join("load"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(fs::File::create(&log)?);
    system::die_with_parent(&mut command);
    let mut child = spawn(&mut command, row, options.client_core, options)?;
    let window = Duration::from_secs_f64(options.seconds + options.warmup);
    let deadline = Instant::now() + LOAD_DEADLINE + window;
    // One line fits into the pipe, so that it can be read after the end.
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other("the load generator ran out of time"));
        }
        thread::sleep(POLL);
    }
    let mut said = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut said)?;
    }
    if said.is_empty() {
        let why = fs::read_to_string(&log).unwrap_or_default();
        return Err(io::Error::other(why.trim().to_owned()));
    }
    Ok(said)
}
