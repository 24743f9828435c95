//! What becomes of paths in a world: files opened, names made, moved and taken away.
//! Paths begin at the root of the world, which is every engine's own directory as well.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::State;
use super::chance::Fault;
use super::descriptors::{Entry, Mode};
use super::files::{Found, directory_metadata};
use super::operations::Simulated;
use crate::clock::VIRTUAL_EPOCH_SECONDS;
use crate::completion::{Metadata, Outcome};
use crate::op::{Descriptor, Op, OpenOptions, Piece};
use crate::system;

fn path_of(path: &CStr) -> &Path {
    let path = Path::new(OsStr::from_bytes(path.to_bytes()));
    path.strip_prefix("/").unwrap_or(path)
}

impl Simulated {
    /// What an operation on files of the engine's own comes to.
    pub(super) fn perform_on_files(&self, op: &mut Op) -> Result<Outcome, i32> {
        let modified_ns =
            i128::from(VIRTUAL_EPOCH_SECONDS) * 1_000_000_000 + i128::from(self.now());
        let state = &mut *self.world.state.borrow_mut();
        match op {
            Op::List { directory, entries_max } => {
                let path = state.table.directory(*directory)?;
                Ok(Outcome::Listed(state.files.list(path, *entries_max)))
            }
            Op::OpenFile { path, options } => state.open_file(path_of(path), *options, modified_ns),
            Op::ReadVectored { file, memories, offset } => {
                let count = state.read(*file, memories, *offset)?;
                Ok(Outcome::FilledAll(std::mem::take(memories), count))
            }
            Op::Write { file, pieces, offset } => {
                let count = state.write(*file, pieces, *offset, modified_ns)?;
                Ok(Outcome::Written(std::mem::take(pieces), count))
            }
            Op::Sync { file, .. } => state.table.get(*file).map(|_| Outcome::Done),
            Op::Truncate { file, length } => {
                let (file, mode) = state.table.file(*file)?;
                if !mode.writes {
                    return Err(system::EINVAL);
                }
                let length = usize::try_from(*length).map_err(|_| system::EINVAL)?;
                file.borrow_mut().set_length(length, modified_ns);
                Ok(Outcome::Done)
            }
            Op::Describe { path } => state.describe(path_of(path)).map(Outcome::Described),
            Op::Remove { path, is_directory } => {
                state.files.remove_name(path_of(path), *is_directory).map(|()| Outcome::Done)
            }
            Op::Rename { from, to } => {
                state.files.rename(path_of(from), path_of(to)).map(|()| Outcome::Done)
            }
            Op::CreateDirectory { path, .. } => {
                state.files.create_directory(path_of(path)).map(|()| Outcome::Done)
            }
            _ => unreachable!("asked for what the engine does with files"),
        }
    }
}

impl State {
    fn open_file(
        &mut self,
        path: &Path,
        options: OpenOptions,
        modified_ns: i128,
    ) -> Result<Outcome, i32> {
        if self.chance.strikes(Fault::NoDescriptors) || !self.table.has_room() {
            return Err(system::EMFILE);
        }
        let OpenOptions { write, append, truncate, create, create_new, .. } = options;
        let mode = Mode::of(options);
        let found = self.files.find(Path::new(""), path);
        let entry = match found {
            Ok(_) if create_new => return Err(system::EEXIST),
            Ok(Found::Directory(_)) if write || append || create => return Err(system::EISDIR),
            Ok(Found::Directory(path)) => Entry::Directory(path),
            Ok(Found::File(file)) => Entry::File(file, mode),
            Err(system::ENOENT) if create || create_new => {
                Entry::File(self.files.create(path, modified_ns)?, mode)
            }
            Err(errno) => return Err(errno),
        };
        let metadata = match &entry {
            Entry::File(file, _) => {
                if truncate {
                    file.borrow_mut().set_length(0, modified_ns);
                }
                file.borrow().metadata()
            }
            _ => directory_metadata(),
        };
        Ok(Outcome::Opened(self.table.insert(entry)?, metadata))
    }

    fn read(
        &mut self,
        file: Descriptor,
        memories: &mut [Vec<u8>],
        offset: u64,
    ) -> Result<usize, i32> {
        let file = self.table.read_file(file)?.clone();
        let file = file.borrow();
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut rest = file.bytes.get(offset..).unwrap_or_default();
        let room = memories.iter().map(|memory| memory.capacity() - memory.len()).sum();
        let count = self.fewer(rest.len().min(room), Fault::ShortRead);
        rest = &rest[..count];
        for memory in memories {
            let (now, behind) = rest.split_at(rest.len().min(memory.capacity() - memory.len()));
            memory.extend_from_slice(now);
            rest = behind;
        }
        Ok(count)
    }

    fn write(
        &mut self,
        file: Descriptor,
        pieces: &[Piece],
        offset: u64,
        modified_ns: i128,
    ) -> Result<usize, i32> {
        let (file, mode) = self.table.file(file)?;
        if !mode.writes {
            return Err(system::EBADF);
        }
        let file = file.clone();
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.as_slice()).copied().collect();
        let count = self.fewer(all.len(), Fault::PartialSend);
        let mut file = file.borrow_mut();
        let offset = usize::try_from(offset).map_err(|_| system::EINVAL)?;
        let at = if mode.appends { file.bytes.len() } else { offset };
        let length = file.bytes.len().max(at + count);
        file.set_length(length, modified_ns);
        file.bytes[at..at + count].copy_from_slice(&all[..count]);
        Ok(count)
    }

    /// So many, or by chance fewer.
    fn fewer(&mut self, count: usize, fault: Fault) -> usize {
        let is_fewer = count > 1 && self.chance.strikes(fault);
        if is_fewer { 1 + self.chance.below(count - 1) } else { count }
    }

    fn describe(&self, path: &Path) -> Result<Metadata, i32> {
        Ok(match self.files.find(Path::new(""), path)? {
            Found::File(file) => file.borrow().metadata(),
            Found::Directory(_) => directory_metadata(),
        })
    }
}

/// The directory that a name stands in.
pub(super) fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}
