//! What can go wrong in a task itself, as opposed to what a task finds. Never says less than which
//! file or program it was.

use std::fmt;
use std::path::PathBuf;

#[derive(Debug)]
pub(crate) enum Error {
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    Toml {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    /// A file that is not as the task expects.
    Shape {
        path: PathBuf,
        expected: &'static str,
    },
    Spawn {
        program: String,
        source: std::io::Error,
    },
    /// A program that ran and refused; `said` is what it printed to its standard error.
    Refused {
        program: String,
        said: String,
    },
    Network {
        doing: &'static str,
        source: std::io::Error,
    },
    /// A reply of the server that the task cannot count.
    Reply {
        expected: &'static str,
        got: String,
    },
    UnknownStep {
        name: String,
    },
    UnknownMutant {
        name: String,
    },
    /// A program of tests that ran none.
    NoTest {
        filters: String,
    },
    /// A mutant that cannot be made.
    Mutant {
        name: String,
        why: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Write { path, source } => write!(f, "cannot write {}: {source}", path.display()),
            Self::Toml { path, source } => write!(f, "{} is no TOML: {source}", path.display()),
            Self::Shape { path, expected } => write!(f, "{}: expected {expected}", path.display()),
            Self::Spawn { program, source } => write!(f, "cannot start `{program}`: {source}"),
            Self::Refused { program, said } => write!(f, "`{program}` refused: {}", said.trim()),
            Self::Network { doing, source } => write!(f, "{doing}: {source}"),
            Self::Reply { expected, got } => write!(f, "expected {expected}, got {got:?}"),
            Self::UnknownStep { name } => {
                write!(f, "no step is called `{name}`; `cargo xtask test --list` names them")
            }
            Self::UnknownMutant { name } => {
                write!(f, "no mutant is called `{name}`; they lie in crates/sim/mutants")
            }
            Self::NoTest { filters } => write!(f, "no test has a name with one of: {filters}"),
            Self::Mutant { name, why } => write!(f, "the mutant {name} does not apply: {why}"),
        }
    }
}

impl std::error::Error for Error {}
