//! Configuration files: TOML whose keys are the flags of `serve`, those of limits in `[limits]`.
//! What a value must be is decided by its flag: here is only where it stands.

use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use std::error::Error as _;
use toml::de::{DeTable, DeValue};

use crate::arguments::command;
use crate::limit_flags::HEADING;

/// The table of the limits.
const LIMITS: &str = "limits";

/// A file whose every value its flag accepts.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) entries: Vec<Entry>,
}

/// One value of a file.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The flag's name for the parser, which is the key's last part.
    pub(crate) id: String,
    pub(crate) line: usize,
    pub(crate) values: Vec<String>,
}

impl Entry {
    /// What says the same on the command line; the directory has no name there.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        if self.id == "directory" {
            return self.values.iter().map(OsString::from).collect();
        }
        let flag = format!("--{}", self.id.replace('_', "-"));
        let said = self.values.iter().map(|value| match is_switch(&self.id) {
            true if value == "true" => Some(flag.clone()),
            true => None,
            false => Some(format!("{flag}={value}")),
        });
        said.flatten().map(OsString::from).collect()
    }
}

/// Why a file cannot be used: a line for each mistake.
#[derive(Debug)]
pub(crate) enum FileError {
    Read { path: PathBuf, error: std::io::Error },
    Mistakes { path: PathBuf, mistakes: Vec<Mistake> },
}

/// One mistake in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    line: usize,
    what: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::Mistakes { path, mistakes } => {
                for (number, mistake) in mistakes.iter().enumerate() {
                    let end = if number + 1 < mistakes.len() { "\n" } else { "" };
                    write!(f, "{}:{}: {}{end}", path.display(), mistake.line, mistake.what)?;
                }
                Ok(())
            }
        }
    }
}

impl File {
    /// Reads a file and holds every value against its flag.
    ///
    /// # Errors
    /// It cannot be read, or has mistakes: all are named.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| FileError::Read { path: path.to_owned(), error })?;
        let entries = parse(&text);
        let entries =
            entries.map_err(|mistakes| FileError::Mistakes { path: path.to_owned(), mistakes })?;
        Ok(Self { path: path.to_owned(), entries })
    }
}

/// Flags that a file can have, in the order of the help: their names for the parser, and whether
/// each is a limit.
pub(crate) fn keys() -> Vec<(String, bool)> {
    let serve = serve();
    let own =
        serve.get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "config" | "help"));
    let own = own.map(|arg| (arg.get_id().to_string(), arg.get_help_heading() == Some(HEADING)));
    own.collect()
}

fn serve() -> Command {
    command(false).find_subcommand("serve").cloned().unwrap_or_default()
}

fn is_switch(id: &str) -> bool {
    let serve = serve();
    let mut arguments = serve.get_arguments();
    arguments.any(|arg| arg.get_id() == id && !arg.get_action().takes_values())
}

pub(crate) fn parse(text: &str) -> Result<Vec<Entry>, Vec<Mistake>> {
    let line_of = |span: Range<usize>| 1 + text[..span.start.min(text.len())].matches('\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, line_of);
        vec![Mistake { line, what: error.message().to_owned() }]
    })?;
    let mut reader = Reader { keys: keys(), entries: Vec::new(), mistakes: Vec::new() };
    for (key, value) in table.get_ref() {
        let line = line_of(key.span());
        match value.get_ref() {
            DeValue::Table(limits) if key.get_ref() == LIMITS => {
                for (key, value) in limits {
                    let line = line_of(key.span());
                    reader.entry(key.get_ref(), true, value.get_ref(), line);
                }
            }
            value => reader.entry(key.get_ref(), false, value, line),
        }
    }
    reader.entries.sort_by_key(|entry| entry.line);
    reader.mistakes.sort_by_key(|mistake| mistake.line);
    if reader.mistakes.is_empty() { Ok(reader.entries) } else { Err(reader.mistakes) }
}

struct Reader {
    keys: Vec<(String, bool)>,
    entries: Vec<Entry>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn entry(&mut self, key: &str, is_limit: bool, value: &DeValue<'_>, line: usize) {
        let name = full_name(key, is_limit);
        if !self.keys.iter().any(|own| *own == (key.to_owned(), is_limit)) {
            let what = match self.nearest(key, is_limit) {
                Some(nearest) => format!("there is no key {name}; the nearest is {nearest}"),
                None => format!("there is no key {name}"),
            };
            return self.mistakes.push(Mistake { line, what });
        }
        let checked = texts(value).and_then(|values| {
            let entry = Entry { id: key.to_owned(), line, values };
            check(&entry).map(|()| entry)
        });
        match checked {
            Ok(entry) => self.entries.push(entry),
            Err(reason) => {
                let what = format!("{name} = {}: {reason}", shown(value));
                self.mistakes.push(Mistake { line, what });
            }
        }
    }

    fn nearest(&self, key: &str, is_limit: bool) -> Option<String> {
        // Of two that are as near, the one of the same table.
        let far = |(own, is_own_limit): &&(String, bool)| {
            (strsim::levenshtein(own, key), *is_own_limit != is_limit)
        };
        self.keys.iter().min_by_key(far).map(|(own, is_limit)| full_name(own, *is_limit))
    }
}

/// A key as it stands in messages.
pub(crate) fn full_name(key: &str, is_limit: bool) -> String {
    if is_limit { format!("{LIMITS}.{key}") } else { key.to_owned() }
}

/// A value as the flag would have it.
fn texts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Boolean(is_on) => Ok(is_on.to_string()),
        _ => Err("it is text, a number, true or false, or a list of texts".to_owned()),
    };
    match value {
        DeValue::Array(values) => values.iter().map(|value| one(value.get_ref())).collect(),
        value => one(value).map(|value| vec![value]),
    }
}

/// A value as the file has it, near enough.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        value => texts(value).map_or_else(|_| "…".to_owned(), |texts| texts.join(", ")),
    }
}

/// Whether the flag takes it.
fn check(entry: &Entry) -> Result<(), String> {
    if is_switch(&entry.id) {
        let is_one = matches!(&entry.values[..], [value] if value == "true" || value == "false");
        return if is_one { Ok(()) } else { Err("it is true or false".to_owned()) };
    }
    let words = ["springtide", "serve"].map(OsString::from).into_iter().chain(entry.arguments());
    command(false).try_get_matches_from(words).map(|_| ()).map_err(|error| reason(&error))
}

/// What the parser has against a value, without the flag's name.
fn reason(error: &Error) -> String {
    if let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue)
        && error.kind() == ErrorKind::InvalidValue
    {
        return format!("it is one of {}", valid.join(", "));
    }
    match error.source() {
        Some(source) => source.to_string(),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let mistakes = parse(text).err().unwrap_or_default();
        mistakes.iter().map(|mistake| format!("{}: {}", mistake.line, mistake.what)).collect()
    }

    #[test]
    fn a_file_says_what_flags_say() {
        let text = "# a site\nlisten = [\"192.0.2.1:80\", \"192.0.2.2:80\"]\nlatency = true\nlist = false\n\
                    directory = \"public\"\nworkers = 2\n[limits]\nhead_timeout = \"5s\"\n";
        let entries = parse(text).unwrap();
        let said: Vec<_> = entries.iter().map(|own| (own.line, own.arguments())).collect();
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(
            said,
            [
                (2, words(&["--listen=192.0.2.1:80", "--listen=192.0.2.2:80"])),
                (3, words(&["--latency"])),
                (4, words(&[])),
                (5, words(&["public"])),
                (6, words(&["--workers=2"])),
                (8, words(&["--head-timeout=5s"])),
            ]
        );
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        for (text, expected) in [
            ("engine = \"magic\"", "1: engine = \"magic\": it is one of auto, uring, epoll, poll"),
            ("\n\nworkers = 0", "3: workers = 0: 0 is not in 1..=1023"),
            ("latency = \"yes\"", "1: latency = \"yes\": it is true or false"),
            (
                "[limits]\nhead_byte_max = 1",
                "2: there is no key limits.head_byte_max; the nearest is limits.head_bytes_max",
            ),
            (
                "head_timeout = \"1s\"",
                "1: there is no key head_timeout; the nearest is limits.head_timeout",
            ),
            ("lisen = \"a\"", "1: there is no key lisen; the nearest is listen"),
            (
                "[limits]\nhead_timeout = 10",
                "2: limits.head_timeout = 10: it is a time: 500ms, 30s, 5m or 1h",
            ),
            (
                "[limits]\nhead_bytes_max = \"16 kB\"",
                "2: limits.head_bytes_max = \"16 kB\": it is a size: 100B, 16KiB, 4MiB or 1GiB",
            ),
            ("config = \"a\"", "1: there is no key config; the nearest is"),
            ("spa = \"/x\"", "1: spa = \"/x\": it is relative to the directory: no / first"),
            (
                "workers = 1.5",
                "1: workers = …: it is text, a number, true or false, or a list of texts",
            ),
        ] {
            let found = mistakes(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with(expected), "{text}: {found:?}");
        }
        assert_eq!(mistakes("a = 1\nb = 2\n").len(), 2, "not the first one only");
        assert!(mistakes("x = = 1")[0].starts_with("1: "));
    }
}
