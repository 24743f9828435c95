//! A copy of the tree, in which mutants are made. It must never write to the tree itself, and never
//! touch a file that is as it should be: what is not touched is not built again.

use crate::error::Error;
use crate::tidy;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The copy, and what is built from it.
pub(super) struct Tree {
    origin: PathBuf,
    /// What the copy is made of.
    pub(super) source: PathBuf,
    /// Where everything of mutants lies.
    pub(super) folder: PathBuf,
}

impl Tree {
    /// Copies what git knows of `origin` (and new files that it does not ignore) into `folder`.
    pub(super) fn copy(origin: &Path, folder: PathBuf) -> Result<Self, Error> {
        let own = Self { origin: origin.to_owned(), source: folder.join("tree"), folder };
        let mut wanted = HashSet::new();
        for path in tidy::listed_by_git(origin)? {
            // A file that is deleted and not yet committed is still listed.
            if own.origin.join(&path).is_file() {
                own.restore(&path)?;
                wanted.insert(own.source.join(path));
            }
        }
        remove_others(&own.source, &wanted)?;
        Ok(own)
    }

    /// Gives a file of the copy the text that it has in the tree.
    pub(super) fn restore(&self, path: &str) -> Result<(), Error> {
        let origin = self.origin.join(path);
        let bytes = std::fs::read(&origin);
        self.write(path, &bytes.map_err(|source| Error::Read { path: origin, source })?)
    }

    /// Gives a file of the copy a text.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let target = self.source.join(path);
        if std::fs::read(&target).is_ok_and(|present| present == bytes) {
            return Ok(());
        }
        let folder = target.parent().unwrap_or(&self.source);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&target, bytes));
        written.map_err(|source| Error::Write { path: target, source })
    }
}

/// Removes files that are not wanted any more: cargo finds tests by their files.
fn remove_others(folder: &Path, wanted: &HashSet<PathBuf>) -> Result<(), Error> {
    let wrap = |source| Error::Read { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(wrap)? {
        let path = entry.map_err(wrap)?.path();
        if path.is_dir() {
            remove_others(&path, wanted)?;
        } else if !wanted.contains(&path) {
            let removed = std::fs::remove_file(&path);
            removed.map_err(|source| Error::Write { path: path.clone(), source })?;
        }
    }
    Ok(())
}
