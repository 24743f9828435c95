//! `cargo xtask mutants`: bugs as patches, each of which a test or the simulator must find. Works in
//! a copy of the tree, and never says "found" of what does not build.

mod finder;
mod mutant;
mod patch;
mod tree;

use crate::error::Error;
use finder::{Finder, Verdict};
use mutant::{Mutant, StandsFor};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use tree::Tree;

/// Apply bugs, one at a time, to a copy of the tree: each must be found
///
/// A mutant is a patch in crates/sim/mutants. Its head says in a sentence what it breaks, then which
/// pitfall (words of the table in ARCHITECTURE.md) or law it stands for, and who must find it:
///
///     A second send on a socket is taken while the first is in flight.
///
///     pitfall: two sends in flight reorder the stream
///     found-by: laws sends_keep_their_order
///
/// Finders are the programs of tests `parsing` (unit tests of proto), `proto` (http1), `framed` (of
/// proto), `loom`, `engine` (unit tests), `laws`, `server` (unit tests of springtide), `threads` (its
/// server test) and `worlds` (its tests in simulated worlds), each with parts of names of tests, and
/// `sim`, which plays up to 20,000 histories. The diff behind the head is of any form that
/// `git diff -U1` gives; line numbers in it do not matter, but its old lines must stand in their file
/// exactly once.
///
/// First the finders run without a mutant, and must pass. A finder that says nothing for 20 s has
/// found its mutant; one that does not build has not. The copy and what is built from it stay in the
/// folder `mutants` of the target folder, for the next run.
///
/// Exits with 1 when a mutant is missed, does not build, or no longer applies.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Options {
    /// Names of mutants; all when there is none
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only look whether each patch applies and its head names what there is; also done by
    /// `cargo test -p xtask`
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Error> {
    let wrong = check(root)?;
    for line in &wrong {
        println!("{line}");
    }
    if options.check || !wrong.is_empty() {
        return report_check(root, wrong.len());
    }
    let (mut mutants, _) = mutant::read_all(root)?;
    choose(&mut mutants, &options.names)?;
    let began = Instant::now();
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let tree = Tree::copy(root, root.join(target).join("mutants"))?;
    if !pass_without(&mutants, &tree)? {
        return Ok(ExitCode::FAILURE);
    }
    let mut missed = Vec::new();
    for (number, mutant) in (1..).zip(&mutants) {
        print!("{number:>3}/{}  {:<34}", mutants.len(), mutant.name);
        // Shown while it is looked for; a terminal that is gone shows nothing anyway.
        let _ = std::io::stdout().flush();
        if !is_found(mutant, &tree)? {
            missed.push(mutant.name.as_str());
        }
    }
    let (took, found) = (began.elapsed().as_secs(), mutants.len() - missed.len());
    println!("\n{found} of {} mutants found in {took} s", mutants.len());
    if missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("not found: {}", missed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn report_check(root: &Path, wrong: usize) -> Result<ExitCode, Error> {
    let (mutants, _) = mutant::read_all(root)?;
    println!("mutants: {} are well, {wrong} to mend", mutants.len().saturating_sub(wrong));
    let missing = pitfalls_without(root, &mutants)?;
    if !missing.is_empty() {
        println!("pitfalls without a mutant:\n  {}", missing.join("\n  "));
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Keeps the named ones, all without a name, in the order in which least is built again.
fn choose(mutants: &mut Vec<Mutant>, names: &[String]) -> Result<(), Error> {
    for name in names {
        if !mutants.iter().any(|mutant| mutant.name == *name) {
            return Err(Error::UnknownMutant { name: name.clone() });
        }
    }
    mutants.retain(|mutant| names.is_empty() || names.contains(&mutant.name));
    mutants.sort_by_key(|mutant| mutant.finder.order());
    Ok(())
}

/// Whether all finders pass where nothing is broken; otherwise they find nothing anywhere.
fn pass_without(mutants: &[Mutant], tree: &Tree) -> Result<bool, Error> {
    for finder in Finder::together(mutants.iter().map(|mutant| &mutant.finder)) {
        let began = Instant::now();
        let verdict = finder.look(tree)?;
        let name = finder.name();
        let kind = name.split(' ').next().unwrap_or_default();
        println!("without a mutant  {kind}: {verdict:?} in {:.1?}", began.elapsed());
        if verdict != Verdict::Passed {
            println!("`{name}` finds something in the tree as it is: mend that first");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes one mutant, lets its finder look, and puts the copy right again.
fn is_found(mutant: &Mutant, tree: &Tree) -> Result<bool, Error> {
    let Mutant { name, breaks, finder, .. } = mutant;
    let changed = mutant.apply(&tree.source);
    let changed = changed.map_err(|why| Error::Mutant { name: name.clone(), why })?;
    for (path, text) in &changed {
        tree.write(path, text.as_bytes())?;
    }
    let began = Instant::now();
    let looked = finder.look(tree);
    for (path, _) in &changed {
        tree.restore(path)?;
    }
    let took = began.elapsed().as_secs_f32();
    match looked {
        Ok(Verdict::Found(what)) => {
            let what: String = what.chars().take(100).collect();
            println!("{took:>6.1} s  {}: {what}", finder.name());
            return Ok(true);
        }
        Ok(Verdict::Passed) => {
            println!("{took:>6.1} s  MISSED by {}: {breaks}", finder.name());
        }
        Err(error) => println!("{took:>6.1} s  NOT TRIED: {error}"),
    }
    Ok(false)
}

/// What is wrong with the patches, a line each: one that does not apply, or names what is not there.
fn check(root: &Path) -> Result<Vec<String>, Error> {
    let (mutants, mut wrong) = mutant::read_all(root)?;
    let map = Map::read(root)?;
    for mutant in &mutants {
        let name = &mutant.name;
        if let Err(why) = mutant.apply(root) {
            wrong.push(format!("{name} does not apply: {why}"));
        }
        if !map.has(&mutant.stands_for) {
            let what = &mutant.stands_for;
            wrong.push(format!("{name} stands for {what:?}, which ARCHITECTURE.md does not have"));
        }
    }
    Ok(wrong)
}

fn pitfalls_without(root: &Path, mutants: &[Mutant]) -> Result<Vec<String>, Error> {
    let mut pitfalls = Map::read(root)?.pitfalls;
    pitfalls.retain(|pitfall| !mutants.iter().any(|mutant| mutant.stands_for.is_in(pitfall)));
    Ok(pitfalls)
}

/// What mutants may stand for.
struct Map {
    pitfalls: Vec<String>,
    laws: Vec<String>,
}

impl Map {
    fn read(root: &Path) -> Result<Self, Error> {
        let path = root.join("ARCHITECTURE.md");
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| Error::Read { path, source })?;
        let section = |title: &str| {
            let behind = text.split_once(title).map_or("", |(_, behind)| behind);
            behind.split("\n## ").next().unwrap_or_default().lines()
        };
        let rows = section("## Pitfalls").filter_map(|line| line.strip_prefix("| ")).skip(1);
        let cells = rows.filter_map(|row| row.split(" | ").next());
        let laws = section("## The engine's laws").filter_map(|line| line.split_once(". "));
        let laws = laws.filter(|(number, _)| number.parse::<u8>().is_ok());
        Ok(Self {
            pitfalls: cells.map(str::to_owned).collect(),
            laws: laws.map(|(number, _)| number.to_owned()).collect(),
        })
    }

    fn has(&self, what: &StandsFor) -> bool {
        match what {
            StandsFor::Pitfall(_) => self.pitfalls.iter().any(|pitfall| what.is_in(pitfall)),
            StandsFor::Law(number) => self.laws.contains(number),
        }
    }
}

impl StandsFor {
    fn is_in(&self, pitfall: &str) -> bool {
        matches!(self, Self::Pitfall(words) if pitfall.contains(words.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_applies() {
        let wrong = check(&crate::tidy::repository_root()).unwrap();
        assert!(wrong.is_empty(), "cargo xtask mutants --check:\n{}", wrong.join("\n"));
    }

    /// So many are promised.
    #[test]
    fn there_are_mutants() {
        let (mutants, _) = mutant::read_all(&crate::tidy::repository_root()).unwrap();
        assert!(mutants.len() >= 20, "{}", mutants.len());
    }
}
