//! The files of a world: a tree of paths with contents, numbers and virtual times.
//! No path leads out of the directory that it is opened beneath.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::paths::parent;
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

    /// Cuts it, or makes it longer by zeroes.
    pub(super) fn set_length(&mut self, length: usize, modified_ns: i128) {
        self.bytes.resize(length, 0);
        self.modified_ns = modified_ns;
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
    /// Directories that were made; those of a file that was written need not be.
    directories: BTreeSet<PathBuf>,
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
        self.insert(path, bytes.to_vec(), modified_ns);
    }

    fn insert(&mut self, path: PathBuf, bytes: Vec<u8>, modified_ns: i128) -> Rc<RefCell<File>> {
        self.inodes += 1;
        let fresh = Rc::new(RefCell::new(File { bytes, modified_ns, inode: self.inodes }));
        self.files.insert(path, fresh.clone());
        fresh
    }

    /// Makes an empty file in a directory that is there.
    pub(super) fn create(
        &mut self,
        path: &Path,
        modified_ns: i128,
    ) -> Result<Rc<RefCell<File>>, i32> {
        let path = self.fresh_name(path)?;
        Ok(self.insert(path, Vec::new(), modified_ns))
    }

    pub(super) fn create_directory(&mut self, path: &Path) -> Result<(), i32> {
        if self.find(Path::new(""), path).is_ok() {
            return Err(system::EEXIST);
        }
        let path = self.fresh_name(path)?;
        self.directories.insert(path);
        Ok(())
    }

    /// A path whose directory is there.
    fn fresh_name(&self, path: &Path) -> Result<PathBuf, i32> {
        let path = beneath(Path::new(""), path)?;
        match self.find(Path::new(""), &parent(&path))? {
            Found::Directory(_) => Ok(path),
            Found::File(_) => Err(system::ENOTDIR),
        }
    }

    /// Takes a name away, of a file or of an empty directory.
    pub(super) fn remove_name(&mut self, path: &Path, is_directory: bool) -> Result<(), i32> {
        let path = beneath(Path::new(""), path)?;
        match (self.find(Path::new(""), &path)?, is_directory) {
            (Found::File(_), true) => return Err(system::ENOTDIR),
            (Found::Directory(_), false) => return Err(system::EISDIR),
            (Found::File(_), false) => _ = self.files.remove(&path),
            (Found::Directory(_), true) if !self.list(&path, 1).entries.is_empty() => {
                return Err(system::ENOTEMPTY);
            }
            (Found::Directory(_), true) => _ = self.directories.remove(&path),
        }
        Ok(())
    }

    /// Gives a file or a directory, with what is in it, another name.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), i32> {
        let found = self.find(Path::new(""), from)?;
        let (from, to) = (beneath(Path::new(""), from)?, self.fresh_name(to)?);
        let taken = self.find(Path::new(""), &to).ok();
        match (found, taken) {
            (Found::File(_), Some(Found::Directory(_))) => return Err(system::EISDIR),
            (Found::Directory(_), Some(Found::File(_))) => return Err(system::ENOTDIR),
            (Found::File(file), _) => {
                self.files.remove(&from);
                self.files.insert(to, file);
                return Ok(());
            }
            (Found::Directory(_), Some(_)) if !self.list(&to, 1).entries.is_empty() => {
                return Err(system::ENOTEMPTY);
            }
            (Found::Directory(_), _) if to.starts_with(&from) => return Err(system::EINVAL),
            (Found::Directory(_), _) => {}
        }
        let moved = |path: PathBuf| match path.strip_prefix(&from) {
            Ok(rest) if rest.as_os_str().is_empty() => to.clone(),
            Ok(rest) => to.join(rest),
            Err(_) => path,
        };
        let files = std::mem::take(&mut self.files);
        self.files = files.into_iter().map(|(path, file)| (moved(path), file)).collect();
        let directories = std::mem::take(&mut self.directories);
        self.directories = directories.into_iter().map(moved).collect();
        self.directories.insert(to);
        Ok(())
    }

    pub(super) fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let file = self.files.get(path.strip_prefix("/").unwrap_or(path))?;
        Some(file.borrow().bytes.clone())
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
        for path in self.directories.iter().filter_map(|path| path.strip_prefix(directory).ok()) {
            if let Some(name) = path.components().next() {
                names.insert(name.as_os_str().as_encoded_bytes().to_vec(), true);
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
        let is_directory =
            is_directory || self.directories.iter().any(|own| own.starts_with(&path));
        if is_directory {
            return Ok(Found::Directory(path));
        }
        let is_in_file = path.ancestors().skip(1).any(|above| self.files.contains_key(above));
        Err(if is_in_file { system::ENOTDIR } else { system::ENOENT })
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
