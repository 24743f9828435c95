//! What is in effect: flags before variables, variables before the file, the file before defaults.
//! All of them are parsed by the same flags, so none can say what another cannot.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};

use crate::arguments::{Arguments, Command, Config, command};
use crate::config::{Entry, File, FileError, keys};

/// What the program is to do, and how what it has in effect came about.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) command: Command,
    matches: ArgMatches,
    /// What came from a file and where from, unless a flag or a variable said otherwise.
    from_file: Vec<(String, String)>,
}

/// Why there is nothing to be done.
#[derive(Debug)]
pub(crate) enum SettingsError {
    /// A flag or a variable is wrong, or help was asked for.
    Flags(clap::Error),
    File(FileError),
}

impl From<clap::Error> for SettingsError {
    fn from(error: clap::Error) -> Self {
        Self::Flags(error)
    }
}

impl From<FileError> for SettingsError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl Settings {
    /// Reads the command line, the environment, and the file that one of them names.
    ///
    /// # Errors
    /// One of them is wrong.
    pub(crate) fn read(words: impl Iterator<Item = OsString>) -> Result<Self, SettingsError> {
        let mut words: Vec<OsString> = words.collect();
        if words.len() < 2 {
            words = ["springtide", "serve"].map(OsString::from).to_vec();
        }
        let mut matches = command(true).try_get_matches_from(&words)?;
        let mut from_file = Vec::new();
        if let Some(path) = serving(&matches).and_then(|own| own.get_one::<PathBuf>("config")) {
            let mut file = File::read(path)?;
            file.entries.retain(|entry| !is_said(&matches, &entry.id));
            let origin = |line| format!("{}:{line}", file.path.display());
            let used = file.entries.iter().map(|own| (own.id.clone(), origin(own.line)));
            from_file = used.collect();
            matches = parse_with(&words, &file)?;
        }
        let parsed = Arguments::from_arg_matches(&matches)?;
        let command = parsed.command.ok_or_else(|| {
            command(true).error(clap::error::ErrorKind::MissingSubcommand, "a command is missing")
        })?;
        Ok(Self { command, matches, from_file })
    }

    /// What is in effect, as a configuration file with each value's origin.
    pub(crate) fn show(&self) -> String {
        let mut text = String::new();
        let mut was_limit = false;
        for (id, is_limit) in keys() {
            if is_limit && !was_limit {
                text.push_str("\n[limits]\n");
            }
            was_limit = is_limit;
            // Writing to text cannot fail.
            let _ = match self.value(&id) {
                Some(value) => writeln!(text, "{id} = {value}  # {}", self.origin(&id)),
                None => writeln!(text, "# {id} is not set"),
            };
        }
        text
    }

    fn value(&self, id: &str) -> Option<String> {
        let own = serving(&self.matches)?;
        let texts = own.get_raw(id)?.map(|text| text.to_string_lossy());
        let mut texts: Vec<String> = texts.map(|text| quoted(&text)).collect();
        if matches!(id, "listen" | "admin" | "cache_control" | "trusted_proxies") {
            return Some(format!("[{}]", texts.join(", ")));
        }
        texts.pop()
    }

    fn origin(&self, id: &str) -> String {
        if let Some((_, place)) = self.from_file.iter().find(|(own, _)| own == id) {
            return place.clone();
        }
        match serving(&self.matches).and_then(|own| own.value_source(id)) {
            Some(ValueSource::EnvVariable) => format!("variable SPRINGTIDE_{}", id.to_uppercase()),
            Some(ValueSource::CommandLine) => "flag".to_owned(),
            _ => "default".to_owned(),
        }
    }
}

/// A text as TOML has it; numbers and switches as they are.
fn quoted(text: &str) -> String {
    let is_plain = text == "true" || text == "false" || text.parse::<i64>().is_ok();
    if is_plain { text.to_owned() } else { toml::Value::from(text).to_string() }
}

/// What was said of `serve`, or of what is to be shown of it.
fn serving(matches: &ArgMatches) -> Option<&ArgMatches> {
    match matches.subcommand()? {
        ("serve", own) => Some(own),
        ("config", own) => own.subcommand_matches("show"),
        _ => None,
    }
}

/// Whether a flag or a variable says it.
fn is_said(matches: &ArgMatches, id: &str) -> bool {
    let source = serving(matches).and_then(|own| own.value_source(id));
    matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// Parses once more, with what the file says as if it stood on the command line.
fn parse_with(words: &[OsString], file: &File) -> Result<ArgMatches, clap::Error> {
    let behind = words.iter().position(|word| word == "serve" || word == "show");
    let (before, rest) = words.split_at(behind.map_or(words.len(), |place| place + 1));
    let (names, flags): (Vec<&Entry>, Vec<&Entry>) =
        file.entries.iter().partition(|entry| entry.id == "directory");
    let mut all = before.to_vec();
    all.extend(flags.into_iter().flat_map(Entry::arguments));
    all.extend_from_slice(rest);
    if let [directory] = names[..] {
        all.push(OsString::from("--"));
        all.extend(directory.arguments());
    }
    command(true).try_get_matches_from(all)
}

/// Does what `springtide config` is asked for.
///
/// # Errors
/// The file to be checked cannot be used.
pub(crate) fn config(asked: &Config, settings: &Settings) -> Result<(), FileError> {
    match asked {
        Config::Check { file } => {
            let file = File::read(file)?;
            println!("{}: {} values, all as they may be", file.path.display(), file.entries.len());
        }
        Config::Show(_) => print!("{}", settings.show()),
    }
    Ok(())
}
