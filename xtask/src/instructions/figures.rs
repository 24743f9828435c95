//! The figures that are written in the repository, and what a measurement means beside them.
//! Measures nothing.

use crate::cargo::Compiler;
use crate::error::Error;
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// Where the figures are written, from the root.
pub(super) const PATH: &str = "bench/instructions.toml";
/// The command that writes them.
const WRITE: &str = "cargo xtask instructions --write";
/// How far a row may be from its figure, in per cent. The same program varies by 1 at most.
const TOLERANCE_PERCENT: u64 = 2;
/// The same with another compiler than the figures', which makes another program of the same text.
const OTHER_COMPILER_TOLERANCE_PERCENT: u64 = 10;
const HEADER: &str = "\
# Instructions in user space that one request costs `bench-server`, counted by callgrind. Written by
# `cargo xtask instructions --write`, and held by `cargo xtask test`: a row may cost 2 % more, or
# 10 % with another rustc. What was won is written down, so that it is not lost again.
";

/// Instructions a request by row, and the compiler whose program it was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) compiler: Compiler,
    pub(super) rows: BTreeMap<String, u64>,
}

/// What a measurement means beside the figures, in words that name the row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Held,
    /// Worth writing down.
    Lower(String),
    Failed(String),
}

impl Figures {
    pub(super) fn read(root: &Path) -> Result<Self, Error> {
        let path = root.join(PATH);
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| Error::Read { path: path.clone(), source })?;
        let wrap = |source| Error::Toml { path: path.clone(), source: Box::new(source) };
        let table: Table = text.parse().map_err(wrap)?;
        let expected =
            "the texts `rustc` and `host`, and a table `[instructions]` of whole numbers";
        Self::from_table(&table).ok_or(Error::Shape { path, expected })
    }

    fn from_table(table: &Table) -> Option<Self> {
        let text = |name| table.get(name).and_then(Value::as_str).map(str::to_owned);
        let row = |(name, figure): (&String, &Value)| {
            Some((name.clone(), u64::try_from(figure.as_integer()?).ok()?))
        };
        let rows = table.get("instructions")?.as_table()?.iter().map(row);
        let compiler = Compiler { version: text("rustc")?, host: text("host")? };
        Some(Self { compiler, rows: rows.collect::<Option<_>>()? })
    }

    pub(super) fn write(&self, root: &Path) -> Result<(), Error> {
        let path = root.join(PATH);
        let written = std::fs::write(&path, self.to_text());
        written.map_err(|source| Error::Write { path, source })
    }

    fn to_text(&self) -> String {
        let Compiler { version, host } = &self.compiler;
        let mut text = format!("{HEADER}\nrustc = \"{version}\"\nhost = \"{host}\"\n");
        text.push_str("\n[instructions]\n");
        for (name, figure) in &self.rows {
            text.push_str(&format!("{name} = {figure}\n"));
        }
        text
    }

    /// How far a row of `compiler`'s program may be from its figure.
    pub(super) fn tolerance_percent(&self, compiler: &Compiler) -> u64 {
        if self.compiler.version == compiler.version {
            TOLERANCE_PERCENT
        } else {
            OTHER_COMPILER_TOLERANCE_PERCENT
        }
    }

    /// Holds what the row `name` costs against its figure.
    pub(super) fn judge(&self, name: &str, measured: u64, tolerance_percent: u64) -> Verdict {
        let Some(&written) = self.rows.get(name) else {
            return Verdict::Failed(format!("{name} has no figure in {PATH}: {WRITE}"));
        };
        let said = format!("{name} costs {measured} instructions a request");
        if measured * 100 > written * (100 + tolerance_percent) {
            return Verdict::Failed(format!(
                "{said}, more than {tolerance_percent} % above the {written} of {PATH}: \
                 find out what they are for, or accept them with `{WRITE}`"
            ));
        }
        if measured * 100 < written * (100 - tolerance_percent) {
            return Verdict::Lower(format!(
                "{said}, more than {tolerance_percent} % below the {written} of {PATH}: \
                 keep what was won with `{WRITE}`"
            ));
        }
        Verdict::Held
    }

    /// A figure of a row that is measured no longer is not held by anything.
    pub(super) fn strays(&self, names: &[String]) -> Vec<String> {
        let strays = self.rows.keys().filter(|name| !names.contains(name));
        strays.map(|name| format!("{PATH} has `{name}`, which is no row: {WRITE}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rows: &[(&str, u64)]) -> Figures {
        let compiler = Compiler { version: "rustc 1".to_owned(), host: "here".to_owned() };
        let rows = rows.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect();
        Figures { compiler, rows }
    }

    #[test]
    fn what_is_written_is_read() {
        let figures = figures(&[("plaintext-uring", 3474), ("plaintext-epoll", 3572)]);
        let table: Table = figures.to_text().parse().unwrap();
        assert_eq!(Figures::from_table(&table), Some(figures));
    }

    #[test]
    fn other_shapes_are_refused() {
        let head = "rustc = \"a\"\nhost = \"b\"\n";
        for text in [
            "[instructions]\na = 1",
            "rustc = \"a\"\nhost = \"b\"",
            &format!("{head}[instructions]\na = -1"),
            &format!("{head}[instructions]\na = 1.5"),
            &format!("{head}instructions = 1"),
        ] {
            assert_eq!(Figures::from_table(&text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn a_row_is_held_within_its_tolerance() {
        let figures = figures(&[("row", 1000)]);
        let kind = |measured, tolerance| match figures.judge("row", measured, tolerance) {
            Verdict::Held => "held",
            Verdict::Lower(_) => "lower",
            Verdict::Failed(_) => "failed",
        };
        assert_eq!([979, 980, 1020, 1021].map(|n| kind(n, 2)), ["lower", "held", "held", "failed"]);
        assert_eq!(
            [899, 900, 1100, 1101].map(|n| kind(n, 10)),
            ["lower", "held", "held", "failed"]
        );
    }

    #[test]
    fn a_failure_names_the_row_the_figures_and_the_way_out() {
        let Verdict::Failed(said) = figures(&[("row", 1000)]).judge("row", 1100, 2) else {
            panic!("not failed")
        };
        for part in ["row costs 1100", "2 % above the 1000", WRITE] {
            assert!(said.contains(part), "no {part:?} in {said:?}");
        }
    }

    #[test]
    fn every_row_has_a_figure_and_every_figure_a_row() {
        let figures = figures(&[("row", 1000)]);
        assert!(matches!(figures.judge("other", 1, 2), Verdict::Failed(_)));
        assert_eq!(figures.strays(&["row".to_owned()]), Vec::<String>::new());
        assert_eq!(figures.strays(&["other".to_owned()]).len(), 1);
    }

    #[test]
    fn another_compiler_has_more_room() {
        let figures = figures(&[]);
        let other = Compiler { version: "rustc 2".to_owned(), ..figures.compiler.clone() };
        assert_eq!(figures.tolerance_percent(&figures.compiler), TOLERANCE_PERCENT);
        assert_eq!(figures.tolerance_percent(&other), OTHER_COMPILER_TOLERANCE_PERCENT);
    }
}
