//! Sections of bench/RESULTS.md: one for each row, between markers, with machine and command.
//! It must never touch what stands outside of its markers.

use std::fmt::Write;
use std::fs;
use std::io;

use super::machine;
use super::options::Options;
use super::rows::{Mark, Row};
use super::servers::{Class, Server};
use super::summary::{Figure, Spread};
use super::{Outcome, Report};
use crate::report::Memory;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");

/// The section of one row.
pub(super) fn section(row: &Row, outcome: &Outcome, options: &Options, seed: u64) -> String {
    let mut text = format!("## {}\n\n", row.title);
    if row.memory {
        memory_table(&mut text, outcome);
    } else if row.is_bulk() {
        bulk_table(&mut text, outcome);
    } else {
        speed_table(&mut text, outcome);
    }
    for mark in row.marks {
        line(&mut text, &mark_line(*mark, outcome));
    }
    attack_lines(&mut text, outcome);
    if row.is_open_loop() {
        line(&mut text, &tail_line(outcome));
    }
    text.push('\n');
    for (server, reason) in &outcome.missing {
        line(&mut text, &format!("- {} was not measured: {reason}", server.name()));
    }
    for (server, rounds) in &outcome.rounds {
        let failed = rounds.iter().filter(|round| round.is_none()).count();
        if failed > 0 {
            line(&mut text, &format!("- {}: {failed} of its rounds failed", server.name()));
        }
    }
    let mut command = format!(
        "--rows {} --rounds {} --seconds {} --warmup {} --seed {seed}",
        row.name, options.rounds, options.seconds, options.warmup
    );
    if !options.servers.is_empty() {
        let _ = write!(command, " --servers {}", options.servers.join(","));
    }
    let (machine, today) = (machine::describe(), machine::today());
    line(&mut text, &format!("\n{machine}; {today}; `cargo xtask bench {command}`"));
    if !row.load.is_empty() {
        let priority = if outcome.is_before_others { "; both at real-time priority" } else { "" };
        let awake = if row.halts() { "; no core halts" } else { "" };
        line(&mut text, &format!("(load: `{}`{priority}{awake})", row.load.join(" ")));
    }
    text
}

/// Replaces the row's section, or appends it.
pub(super) fn write(row: &Row, section: &str) -> io::Result<()> {
    let text = match fs::read_to_string(PATH) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => "# Results\n".to_owned(),
        Err(error) => return Err(error),
    };
    fs::write(PATH, replaced(&text, row.name, section))
}

fn replaced(text: &str, name: &str, section: &str) -> String {
    let (begin, end) = (format!("<!-- row:{name} -->\n"), format!("<!-- end:{name} -->\n"));
    let section = format!("{begin}{}\n{end}", section.trim_end());
    match (text.find(&begin), text.find(&end)) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{section}{}", &text[..from], &text[to + end.len()..])
        }
        _ => format!("{}\n\n{section}", text.trim_end()),
    }
}

fn line(text: &mut String, what: &str) {
    text.push_str(what);
    text.push('\n');
}

fn cpu(rounds: &[Option<Report>]) -> Vec<Option<f64>> {
    rounds.iter().map(|round| round.as_ref()?.server_cpu_us_per_request).collect()
}

fn median(rounds: &[Option<Report>], figure: fn(&Report) -> f64) -> f64 {
    let figures = rounds.iter().flatten().map(figure);
    Spread::of(figures).map_or(f64::NAN, |spread| spread.median)
}

/// The peer with the lowest median.
fn best_peer(outcome: &Outcome) -> Option<Server> {
    let peers = outcome.rounds.iter().filter(|(server, _)| server.class() == Class::Peer);
    let medians = peers.filter_map(|(server, rounds)| {
        Some((Spread::of(cpu(rounds).into_iter().flatten())?.median, *server))
    });
    medians.min_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, server)| server)
}

fn ratio(outcome: &Outcome, server: Server, to: Server) -> Option<Spread> {
    let (figures, to) = (outcome.rounds.get(&server)?, outcome.rounds.get(&to)?);
    Spread::of_ratios(&cpu(figures), &cpu(to))
}

fn speed_table(text: &mut String, outcome: &Outcome) {
    let peer = best_peer(outcome);
    let peer_name = peer.map_or("peer", Server::name);
    line(
        text,
        &format!(
            "| server | CPU µs/request (min–max) | × floor | × {peer_name} | requests/s | p50 µs \
             | p99 µs | p99.9 µs |"
        ),
    );
    line(text, "|---|---|---|---|---|---|---|---|");
    for (server, rounds) in &outcome.rounds {
        let Some(spread) = Spread::of(cpu(rounds).into_iter().flatten()) else { continue };
        let times = |to: Option<Server>| {
            let spread = to.and_then(|to| ratio(outcome, *server, to));
            spread.map_or_else(|| "–".to_owned(), |spread| format!("{:.2}", spread.median))
        };
        let row = format!(
            "| {} | **{}** ({}–{}) | {} | {} | {} | {} | {} | {} |",
            server.name(),
            Figure(spread.median),
            Figure(spread.min),
            Figure(spread.max),
            times(Some(server.floor())),
            times(peer),
            Figure(median(rounds, |report| report.requests_per_second)),
            Figure(median(rounds, |report| report.p50_us)),
            Figure(median(rounds, |report| report.p99_us)),
            Figure(median(rounds, |report| report.p999_us)),
        );
        line(text, &row);
    }
}

/// Bodies of 1 GB, one at a time: what each costs, and what the server holds meanwhile.
fn bulk_table(text: &mut String, outcome: &Outcome) {
    let peer = best_peer(outcome);
    let peer_name = peer.map_or("peer", Server::name);
    let heads = format!("CPU ms/GB (min–max) | × {peer_name} | GB/s | RSS at most | RSS before");
    line(text, &format!("| server | {heads} |"));
    line(text, "|---|---|---|---|---|---|");
    for (server, rounds) in &outcome.rounds {
        let Some(spread) = Spread::of(cpu(rounds).into_iter().flatten()) else { continue };
        let times = peer.and_then(|peer| ratio(outcome, *server, peer));
        let times = times.map_or_else(|| "–".to_owned(), |times| format!("{:.2}", times.median));
        let memory = |of: fn(&Memory) -> u64| {
            let held = rounds.iter().flatten().filter_map(|report| report.memory);
            let held = Spread::of(held.map(|memory| of(&memory) as f64 / 1024.0));
            Figure(held.map_or(f64::NAN, |held| held.max))
        };
        let ms = |us: f64| Figure(us / 1000.0);
        let row = format!(
            "| {} | **{}** ({}–{}) | {times} | {} | {} KB | {} KB |",
            server.name(),
            ms(spread.median),
            ms(spread.min),
            ms(spread.max),
            Figure(median(rounds, |report| report.requests_per_second)),
            memory(|memory| memory.open),
            memory(|memory| memory.before),
        );
        line(text, &row);
    }
}

fn memory_table(text: &mut String, outcome: &Outcome) {
    line(
        text,
        "| server | bytes a connection (min–max) | kept after they closed | kernel slab | RSS before |",
    );
    line(text, "|---|---|---|---|---|");
    for (server, rounds) in &outcome.rounds {
        let each = |after: fn(&Memory) -> u64| {
            let reports = rounds.iter().flatten();
            Spread::of(reports.filter_map(|report| {
                let memory = report.memory?;
                let more = after(&memory) as f64 - memory.before as f64;
                Some(more / report.connections as f64)
            }))
        };
        let (Some(open), Some(closed)) = (each(|m| m.open), each(|m| m.closed)) else { continue };
        let before = median(rounds, |report| report.memory.map_or(f64::NAN, |m| m.before as f64));
        let slab =
            Spread::of(rounds.iter().flatten().filter_map(|report| {
                Some(report.memory?.slab? as f64 / report.connections as f64)
            }));
        let slab = slab.map_or_else(|| "?".to_owned(), |slab| Figure(slab.median).to_string());
        let (median, min, max) = (Figure(open.median), Figure(open.min), Figure(open.max));
        let kept = Figure(closed.median);
        let before = Figure(before / 1024.0);
        let name = server.name();
        line(
            text,
            &format!("| {name} | **{median}** ({min}–{max}) | {kept} | {slab} | {before} KB |"),
        );
    }
}

/// The p99 of good clients beside slow ones may be so many times what it is without them.
const ATTACKED_RATIO_MAX: f64 = 2.0;

/// What slow clients did to the good ones, for each server that was measured with both.
fn attack_lines(text: &mut String, outcome: &Outcome) {
    for (server, rounds) in &outcome.rounds {
        let reports = rounds.iter().flatten();
        let ratios = reports.filter_map(|report| Some(report.p99_us / report.p99_alone_us?));
        let Some(Spread { median, min, max }) = Spread::of(ratios) else { continue };
        let mut said =
            format!("\n{}: p99 {median:.2} ({min:.2}–{max:.2}) × its own alone", server.name());
        if server.class() == Class::Ours {
            let met = if median <= ATTACKED_RATIO_MAX { "met" } else { "**missed**" };
            said += &format!("; mark ≤ {ATTACKED_RATIO_MAX:.2}: {met}");
        }
        line(text, &format!("{said}."));
    }
}

/// The p99 in the open loop may be so many times the best peer's of the same round.
const TAIL_RATIO_MAX: f64 = 1.3;

/// Our p99 beside that of the peer with the lowest median of it, round by round.
fn tail_line(outcome: &Outcome) -> String {
    let p99 = |server: &Server| {
        let rounds = outcome.rounds.get(server).map_or(&[][..], Vec::as_slice);
        rounds.iter().map(|round| Some(round.as_ref()?.p99_us)).collect::<Vec<_>>()
    };
    let peers = outcome.rounds.keys().filter(|server| server.class() == Class::Peer);
    let medians =
        peers.filter_map(|peer| Some((Spread::of(p99(peer).into_iter().flatten())?.median, peer)));
    let best = medians.min_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, peer)| peer);
    let ratios = best.and_then(|best| Spread::of_ratios(&p99(&Server::OursUring), &p99(best)));
    let (name, peer) = (Server::OursUring.name(), best.map_or("the best peer", |peer| peer.name()));
    let mut said = format!("\nMark: p99 of {name} ≤ {TAIL_RATIO_MAX:.1} × that of {peer}: ");
    // Writing to a String cannot fail.
    let _ = match ratios {
        None => write!(said, "not measured."),
        Some(Spread { median, min, max }) => {
            let met = if median <= TAIL_RATIO_MAX { "met" } else { "**missed**" };
            write!(said, "{median:.3} ({min:.3}–{max:.3}), {met}.")
        }
    };
    said
}

fn mark_line(mark: Mark, outcome: &Outcome) -> String {
    let mut text = String::new();
    let (server, to) = (mark.server.name(), mark.to.name());
    // Writing to a String cannot fail.
    let _ = write!(text, "\nMark: {server} ≤ {:.2} × {to}: ", mark.ratio_max);
    match ratio(outcome, mark.server, mark.to) {
        None => text.push_str("not measured."),
        Some(spread) => {
            let met = if spread.median <= mark.ratio_max { "met" } else { "**missed**" };
            let Spread { median, min, max } = spread;
            let _ = write!(text, "{median:.3} ({min:.3}–{max:.3}), {met}.");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_is_held_against_its_mark() {
        let round =
            |alone| Some(Report { p99_us: 300.0, p99_alone_us: Some(alone), ..Report::default() });
        let mut outcome = Outcome::default();
        outcome.rounds.insert(Server::OursUring, vec![round(200.0), round(100.0), round(250.0)]);
        outcome.rounds.insert(Server::OursEpoll, vec![Some(Report::default())]);
        let mut text = String::new();
        attack_lines(&mut text, &outcome);
        assert_eq!(
            text,
            "\nspringtide-uring: p99 1.50 (1.20–3.00) × its own alone; mark ≤ 2.00: met.\n"
        );
    }

    #[test]
    fn a_tail_is_held_against_that_of_the_best_peer() {
        let round = |p99_us| Some(Report { p99_us, ..Report::default() });
        let mut outcome = Outcome::default();
        let rounds = |figures: [f64; 3]| figures.map(round).to_vec();
        outcome.rounds.insert(Server::OursUring, rounds([150.0, 150.0, 300.0]));
        outcome.rounds.insert(Server::FloorUring, rounds([1.0, 1.0, 1.0]));
        assert!(tail_line(&outcome).ends_with("not measured."));
        outcome.rounds.insert(Server::Ntex, rounds([100.0, 900.0, 120.0]));
        outcome.rounds.insert(Server::Nginx, rounds([200.0, 50.0, 200.0]));
        let said = tail_line(&outcome);
        assert!(said.ends_with("that of ntex-uring: 1.500 (0.167–2.500), **missed**."), "{said}");
        outcome.rounds.insert(Server::OursUring, rounds([130.0, 100.0, 300.0]));
        assert!(tail_line(&outcome).ends_with(": 1.300 (0.111–2.500), met."));
    }

    #[test]
    fn a_section_is_replaced_in_its_place_and_appended_once() {
        let first = replaced("# Results\n\nWords.\n", "a", "## A\nold\n");
        let both = replaced(&first, "b", "## B\n");
        let text = replaced(&both, "a", "## A\nnew");
        assert_eq!(
            text,
            "# Results\n\nWords.\n\n<!-- row:a -->\n## A\nnew\n<!-- end:a -->\n\n\
             <!-- row:b -->\n## B\n<!-- end:b -->\n"
        );
        assert_eq!(replaced(&text, "b", "## B\n"), text);
    }
}
