//! The style of the house, checked: every rule is a small function over source text, with its own
//! bad and good examples. Never changes a file, and never lets an exception grow.

mod code;
mod edges;
mod house;
mod length;
mod rooms;
mod source;

use crate::error::Error;
use source::Source;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use toml::{Table, Value};

const RATCHET: &str = "xtask/tidy-ratchet.toml";
const UNSAFE_LIST: &str = "xtask/tidy-unsafe.toml";

/// Every check that reads one Rust file.
const FILE_CHECKS: [fn(&Source) -> Vec<Finding>; 11] = [
    code::header,
    code::cfg_in_bodies,
    code::unfinished,
    code::ignored_tests,
    code::sleeps,
    code::fixed_ports,
    code::names,
    rooms::clock,
    rooms::system_calls,
    rooms::thread_locals,
    rooms::statics,
];

/// One thing to mend: where, by which rule, and what to do.
pub(crate) struct Finding {
    rule: &'static str,
    path: String,
    line: usize,
    advice: String,
    is_warning: bool,
}

impl Finding {
    fn new(rule: &'static str, path: &str, line: usize, advice: &str) -> Self {
        Self { rule, path: path.to_owned(), line, advice: advice.to_owned(), is_warning: false }
    }

    fn into_warning(mut self) -> Self {
        self.is_warning = true;
        self
    }

    /// True for what is said and not held against the change.
    pub(crate) fn is_warning(&self) -> bool {
        self.is_warning
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, path, line, advice, is_warning } = self;
        let kind = if *is_warning { "warning: " } else { "" };
        write!(f, "{path}:{line}: {rule}: {kind}{advice}")
    }
}

/// Runs every check on the repository at `root`; findings come sorted by place.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>, Error> {
    let repository = Repository::read(root)?;
    let mut found = Vec::new();
    let mut sources = Vec::new();
    for (path, text) in &repository.texts {
        found.extend(house::outside(path, text));
        if path.ends_with(".md") {
            found.extend(house::links(path, text, |target| repository.has(target)));
        }
        if path.ends_with(".rs") {
            match Source::parse(path, text) {
                Ok(source) => sources.push(source),
                Err(error) => found.push(Finding::new("lexer", path, 1, &error)),
            }
        }
        if path.ends_with("Cargo.toml") {
            found.extend(edges::manifest(path, &table(root, path, text)?));
        }
        if path == "Cargo.lock" {
            found.extend(edges::lock(path, &table(root, path, text)?));
        }
    }
    for (path, bytes) in &repository.sizes {
        found.extend(house::size(path, *bytes));
    }
    found.extend(
        sources.iter().flat_map(|source| FILE_CHECKS.iter().flat_map(|check| check(source))),
    );
    let listed = repository.list(root, UNSAFE_LIST, |value| value.as_str().map(str::to_owned))?;
    found.extend(rooms::unsafe_files(&sources, &listed));
    found.extend(rooms::forbid_unsafe(&sources, &listed));
    let lengths = |value: &Value| value.as_integer().and_then(|lines| usize::try_from(lines).ok());
    found.extend(length::lengths(&sources, &repository.list(root, RATCHET, lengths)?));
    found.extend(house::papers(&repository));
    let map = repository.text("ARCHITECTURE.md").unwrap_or_default();
    found.extend(house::map(map, edges::member_folders()));
    found.sort_by(|a, b| (&a.path, a.line, a.rule).cmp(&(&b.path, b.line, b.rule)));
    Ok(found)
}

/// The files that git knows, and new ones that it does not ignore, with paths relative to the root.
struct Repository {
    texts: BTreeMap<String, String>,
    sizes: BTreeMap<String, u64>,
}

impl Repository {
    fn read(root: &Path) -> Result<Self, Error> {
        let mut repository = Self { texts: BTreeMap::new(), sizes: BTreeMap::new() };
        for path in listed_by_git(root)? {
            let full = root.join(&path);
            // A file that is deleted and not yet committed is still listed.
            let Ok(metadata) = full.symlink_metadata() else { continue };
            if !metadata.is_file() {
                continue;
            }
            repository.sizes.insert(path.clone(), metadata.len());
            let bytes =
                std::fs::read(&full).map_err(|source| Error::Read { path: full, source })?;
            if let Ok(text) = String::from_utf8(bytes) {
                repository.texts.insert(path, text);
            }
        }
        Ok(repository)
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        self.sizes.contains_key(path) || self.sizes.keys().any(|file| file.starts_with(&folder))
    }

    /// The table `[files]` of a list of exceptions; a list that is not there is empty.
    fn list<T>(
        &self,
        root: &Path,
        path: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<BTreeMap<String, T>, Error> {
        let Some(text) = self.text(path) else { return Ok(BTreeMap::new()) };
        let table = table(root, path, text)?;
        let shape = || Error::Shape { path: root.join(path), expected: "a table `[files]`" };
        let files = table.get("files").and_then(Value::as_table).ok_or_else(shape)?;
        let entry = |(file, value)| Some((String::clone(file), read(value)?));
        files.iter().map(|file| entry(file).ok_or_else(shape)).collect()
    }
}

fn table(root: &Path, path: &str, text: &str) -> Result<Table, Error> {
    let wrap = |source| Error::Toml { path: root.join(path), source: Box::new(source) };
    text.parse().map_err(wrap)
}

/// Asks git, with the check on the folder's owner off: a build machine may run as somebody else.
pub(crate) fn listed_by_git(root: &Path) -> Result<Vec<String>, Error> {
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"]);
    git.arg("--exclude-standard").current_dir(root);
    let program = || "git ls-files".to_owned();
    let output = git.output().map_err(|source| Error::Spawn { program: program(), source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::Refused { program: program(), said });
    }
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// The repository that cargo runs this program for; else the one that it was built in, which is
/// another where two work trees share their target folder.
pub(crate) fn repository_root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| package.clone(), Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that `check` finds something in each of `texts` at `path`.
    pub(super) fn found(check: fn(&Source) -> Vec<Finding>, path: &str, texts: &[&str]) {
        for text in texts {
            let source = Source::parse(path, text).unwrap();
            assert!(!check(&source).is_empty(), "nothing found at {path} in:\n{text}");
        }
    }

    /// Asserts that `check` finds nothing in any of `texts` at `path`.
    pub(super) fn clean(check: fn(&Source) -> Vec<Finding>, path: &str, texts: &[&str]) {
        for text in texts {
            let findings = check(&Source::parse(path, text).unwrap());
            let said: Vec<String> = findings.iter().map(Finding::to_string).collect();
            assert!(said.is_empty(), "found in:\n{text}\n{said:?}");
        }
    }

    #[test]
    fn the_repository_is_tidy() {
        let found = check(&repository_root()).unwrap();
        let errors = found.iter().filter(|finding| !finding.is_warning());
        let errors: Vec<String> = errors.map(Finding::to_string).collect();
        assert!(errors.is_empty(), "cargo xtask tidy:\n{}", errors.join("\n"));
    }

    #[test]
    fn a_finding_says_where_and_what() {
        let finding = Finding::new("length", "a/b.rs", 7, "split it");
        assert_eq!(finding.to_string(), "a/b.rs:7: length: split it");
        assert_eq!(finding.into_warning().to_string(), "a/b.rs:7: length: warning: split it");
    }
}
