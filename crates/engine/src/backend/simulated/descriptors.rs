//! The descriptors of a world: numbers for listeners, sockets, files and directories.
//! The lowest free number comes next, as on a kernel: numbers are reused as soon as they can be.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;

use super::files::File;
use super::network::{End, Network};
use crate::op::{Descriptor, OpenOptions};
use crate::system;

/// Numbers below belong to the standard streams.
const FIRST: i32 = 3;

/// What a number stands for.
#[derive(Clone)]
pub(super) enum Entry {
    Listener(usize),
    Socket(End),
    /// For datagrams.
    Letterbox(usize),
    /// And what it was opened for.
    File(Rc<RefCell<File>>, Mode),
    Directory(PathBuf),
}

/// What a file was opened for.
#[derive(Clone, Copy)]
pub(super) struct Mode {
    pub(super) reads: bool,
    pub(super) writes: bool,
    /// It is written to at its end.
    pub(super) appends: bool,
}

impl Mode {
    pub(super) const READ: Self = Self { reads: true, writes: false, appends: false };

    /// As open(2) understands it: what is opened for nothing is opened for reading.
    pub(super) const fn of(options: OpenOptions) -> Self {
        let OpenOptions { read, write, append, .. } = options;
        let writes = write || append;
        Self { reads: read || !writes, writes, appends: append }
    }
}

/// All numbers of a world.
pub(super) struct Table {
    entries: Vec<Option<Entry>>,
    free: BTreeSet<usize>,
    pub(super) descriptors_max: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { entries: Vec::new(), free: BTreeSet::new(), descriptors_max: usize::MAX }
    }
}

impl Table {
    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether another one can be opened.
    pub(super) fn has_room(&self) -> bool {
        self.open() < self.descriptors_max
    }

    /// The lowest free number for an entry.
    pub(super) fn insert(&mut self, entry: Entry) -> Result<Descriptor, i32> {
        if !self.has_room() {
            return Err(system::EMFILE);
        }
        let index = self.free.pop_first().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        self.entries[index] = Some(entry);
        let index = i32::try_from(index).map_err(|_| system::EMFILE)?;
        Ok(Descriptor(FIRST + index))
    }

    pub(super) fn get(&self, descriptor: Descriptor) -> Result<&Entry, i32> {
        let index = usize::try_from(descriptor.0 - FIRST).map_err(|_| system::EBADF)?;
        self.entries.get(index).and_then(Option::as_ref).ok_or(system::EBADF)
    }

    pub(super) fn socket(&self, descriptor: Descriptor) -> Result<End, i32> {
        match self.get(descriptor)? {
            Entry::Socket(end) => Ok(*end),
            _ => Err(system::ENOTSOCK),
        }
    }

    pub(super) fn letterbox(&self, descriptor: Descriptor) -> Result<usize, i32> {
        match self.get(descriptor)? {
            Entry::Letterbox(own) => Ok(*own),
            _ => Err(system::ENOTSOCK),
        }
    }

    pub(super) fn directory(&self, descriptor: Descriptor) -> Result<&PathBuf, i32> {
        match self.get(descriptor)? {
            Entry::Directory(path) => Ok(path),
            _ => Err(system::ENOTDIR),
        }
    }

    pub(super) fn file(&self, descriptor: Descriptor) -> Result<(&Rc<RefCell<File>>, Mode), i32> {
        match self.get(descriptor)? {
            Entry::File(file, mode) => Ok((file, *mode)),
            Entry::Directory(_) => Err(system::EISDIR),
            Entry::Listener(_) | Entry::Socket(_) | Entry::Letterbox(_) => Err(system::EINVAL),
        }
    }

    /// A file that is open for reading (read(2)).
    pub(super) fn read_file(&self, descriptor: Descriptor) -> Result<&Rc<RefCell<File>>, i32> {
        let (file, mode) = self.file(descriptor)?;
        if mode.reads { Ok(file) } else { Err(system::EBADF) }
    }

    pub(super) fn listener(&self, descriptor: Descriptor) -> Result<usize, i32> {
        match self.get(descriptor)? {
            Entry::Listener(listener) => Ok(*listener),
            _ => Err(system::EINVAL),
        }
    }

    /// Frees a number and closes what it stood for.
    pub(super) fn close(
        &mut self,
        descriptor: Descriptor,
        network: &mut Network,
    ) -> Result<(), i32> {
        let entry = self.get(descriptor)?.clone();
        match entry {
            Entry::Listener(listener) => network.unlisten(listener),
            Entry::Socket(end) => network.close(end),
            Entry::Letterbox(own) => network.unbind(own),
            Entry::File(..) | Entry::Directory(_) => {}
        }
        let index = usize::try_from(descriptor.0 - FIRST).expect("it was just looked up");
        self.entries[index] = None;
        self.free.insert(index);
        Ok(())
    }
}
