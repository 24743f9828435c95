//! The files of a world: a tree of paths with contents, numbers and virtual times.
//! No path leads out of the directory that it is opened beneath.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use crate::completion::{Entry, Listing, Metadata};
use crate::system;

/// A file, also while it has no name any more.
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    modified_ns: i128,
    inode: u64,
}

impl File {
    pub(super) fn metadata(&self) -> Metadata {
        Metadata {
            length: self.bytes.len() as u64,
            modified_ns: self.modified_ns,
            inode: self.inode,
            is_directory: false,
            is_file: true,
        }
    }
}

/// What a path leads to.
pub(super) enum Found {
    File(Rc<RefCell<File>>),
    Directory(PathBuf),
}

/// All files by their path from the root of the world.
#[derive(Default)]
pub(super) struct Files {
    files: BTreeMap<PathBuf, Rc<RefCell<File>>>,
    inodes: u64,
}

impl Files {
    /// Writes a whole file, in place when there is one.
    pub(super) fn write(&mut self, path: &Path, bytes: &[u8], modified_ns: i128) {
        let path = beneath(Path::new(""), path.strip_prefix("/").unwrap_or(path));
        let path = path.expect("a file of a world stands beneath its root");
        if let Some(file) = self.files.get(&path) {
            let mut file = file.borrow_mut();
            file.bytes = bytes.to_vec();
            file.modified_ns = modified_ns;
            return;
        }
        self.inodes += 1;
        let fresh = File { bytes: bytes.to_vec(), modified_ns, inode: self.inodes };
        self.files.insert(path, Rc::new(RefCell::new(fresh)));
    }

    /// Takes a file's name away; who has it open keeps it.
    pub(super) fn remove(&mut self, path: &Path) -> bool {
        self.files.remove(path.strip_prefix("/").unwrap_or(path)).is_some()
    }

    /// The names in a directory.
    pub(super) fn list(&self, directory: &Path, entries_max: usize) -> Listing {
        let mut names = BTreeMap::new();
        for path in self.files.keys().filter_map(|path| path.strip_prefix(directory).ok()) {
            let mut components = path.components();
            if let Some(name) = components.next() {
                let name = name.as_os_str().as_encoded_bytes().to_vec();
                names.insert(name, components.next().is_some());
            }
        }
        let is_cut = names.len() > entries_max;
        let entries = names.into_iter().take(entries_max);
        let entries = entries.map(|(name, is_directory)| Entry { name, is_directory }).collect();
        Listing { entries, is_cut }
    }

    /// What stands at a path beneath a directory.
    pub(super) fn find(&self, root: &Path, path: &Path) -> Result<Found, i32> {
        let path = beneath(root, path)?;
        if let Some(file) = self.files.get(&path) {
            return Ok(Found::File(file.clone()));
        }
        let is_directory =
            path.as_os_str().is_empty() || self.files.keys().any(|file| file.starts_with(&path));
        if is_directory { Ok(Found::Directory(path)) } else { Err(system::ENOENT) }
    }
}

/// What is known of a directory.
pub(super) const fn directory_metadata() -> Metadata {
    Metadata { length: 0, modified_ns: 0, inode: 0, is_directory: true, is_file: false }
}

/// Resolves a path as RESOLVE_BENEATH does: never above `root`, never from the top.
fn beneath(root: &Path, path: &Path) -> Result<PathBuf, i32> {
    let mut resolved = root.to_owned();
    let mut depth = 0usize;
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                resolved.push(name);
                depth += 1;
            }
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => {
                resolved.pop();
                depth -= 1;
            }
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(system::EXDEV);
            }
        }
    }
    Ok(resolved)
}
