//! Files for other threads: the same, asked of a shard by way of its hatch.
//! Nobody is blocked here.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{
    Change, FileAsk, FileRead, Known, Names, OpenOptions, OpenRemoteFile, Opened, ReadAll, Work,
    WriteAll, Written, asked,
};
use crate::current;
use crate::peer::{Link, Reason};
use crate::standalone::Background;
use crate::task::{Ask, Elsewhere, Operation, Task};

/// Files for any thread: on the shard whose callbacks and futures run here, or on the one in the
/// background, which the first use starts and the last handle stops.
///
/// ```
/// use springtide::fs;
///
/// # fn main() -> Result<(), springtide::Reason> {
/// let files = fs::remote()?;
/// let directory = std::env::temp_dir().join(format!("springtide-{}", std::process::id()));
/// files.create_dir(&directory).wait()?;
/// let path = directory.join("tide");
/// files.write(&path, "high").wait()?;
/// let file = files.open(&path, fs::OpenOptions::new().read(true).write(true)).wait()?;
/// file.write_at(4, " tide").wait()?;
/// assert_eq!(file.read_at(0, 100).wait()?, "high tide");
/// files.remove_file(&path).wait()?;
/// files.remove_dir(&directory).wait()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The system refuses a thread, an engine or descriptors.
pub fn remote() -> Result<RemoteFs, Reason> {
    let link = match current::shard() {
        Some(shared) => Link::to(shared.hatch.clone()),
        None => Background::shared()?.link(),
    };
    Ok(RemoteFs { link })
}

/// Files for any thread; see [`remote`]. What it asks is what the functions of [`fs`](crate::fs) ask.
#[derive(Clone)]
pub struct RemoteFs {
    link: Arc<Link>,
}

impl RemoteFs {
    /// As [`fs::open`](super::open).
    pub fn open(
        &self,
        path: impl AsRef<Path>,
        options: OpenOptions,
    ) -> Task<OpenRemoteFile, Elsewhere> {
        self.ask(asked::open(path.as_ref(), options))
    }

    /// As [`fs::read`](super::read).
    pub fn read(&self, path: impl AsRef<Path>) -> Task<FileRead, Elsewhere> {
        self.ask(asked::read(path.as_ref()))
    }

    /// As [`fs::write`](super::write).
    pub fn write(
        &self,
        path: impl AsRef<Path>,
        bytes: impl Into<Bytes>,
    ) -> Task<Written, Elsewhere> {
        self.ask(asked::write(path.as_ref(), bytes.into()))
    }

    /// As [`fs::metadata`](super::metadata).
    pub fn metadata(&self, path: impl AsRef<Path>) -> Task<Known, Elsewhere> {
        self.ask(asked::metadata(path.as_ref()))
    }

    /// As [`fs::rename`](super::rename).
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Task<Change, Elsewhere> {
        self.ask(asked::rename(from.as_ref(), to.as_ref()))
    }

    /// As [`fs::remove_file`](super::remove_file).
    pub fn remove_file(&self, path: impl AsRef<Path>) -> Task<Change, Elsewhere> {
        self.ask(asked::remove(path.as_ref(), false))
    }

    /// As [`fs::remove_dir`](super::remove_dir).
    pub fn remove_dir(&self, path: impl AsRef<Path>) -> Task<Change, Elsewhere> {
        self.ask(asked::remove(path.as_ref(), true))
    }

    /// As [`fs::create_dir`](super::create_dir).
    pub fn create_dir(&self, path: impl AsRef<Path>) -> Task<Change, Elsewhere> {
        self.ask(asked::create_dir(path.as_ref()))
    }

    /// As [`fs::read_dir`](super::read_dir).
    pub fn read_dir(&self, path: impl AsRef<Path>) -> Task<Names, Elsewhere> {
        self.ask(asked::read_dir(path.as_ref()))
    }

    fn ask<O: Operation>(&self, work: Result<Work, Reason>) -> Task<O, Elsewhere> {
        ask(&self.link, None, work)
    }
}

fn ask<O: Operation>(
    link: &Arc<Link>,
    file: Option<&Opened>,
    work: Result<Work, Reason>,
) -> Task<O, Elsewhere> {
    match work {
        Ok(work) => {
            let ask = FileAsk::Do(file.map(|file| file.place), work);
            Task::ask_elsewhere(Some(link), Ask::File(Box::new(ask)))
        }
        Err(reason) => Task::lost(reason),
    }
}

/// An open file for any thread; see [`File`](super::File), whose verbs it has.
#[derive(Clone)]
pub struct RemoteFile {
    own: Arc<Opened>,
}

impl RemoteFile {
    pub(crate) fn of(opened: Opened) -> Self {
        Self { own: Arc::new(opened) }
    }

    pub(super) fn share(own: &Arc<Opened>) -> Self {
        Self { own: Arc::clone(own) }
    }

    /// As [`File::read_at`](super::File::read_at).
    pub fn read_at(&self, offset: u64, length: usize) -> Task<FileRead, Elsewhere> {
        self.ask(asked::read_at(offset, length))
    }

    /// As [`File::read_vectored_at`](super::File::read_vectored_at).
    pub fn read_vectored_at(&self, offset: u64, lengths: &[usize]) -> Task<ReadAll, Elsewhere> {
        self.ask(asked::read_vectored_at(offset, lengths))
    }

    /// As [`File::write_at`](super::File::write_at).
    pub fn write_at(&self, offset: u64, bytes: impl Into<Bytes>) -> Task<Written, Elsewhere> {
        self.ask(asked::write_at(offset, bytes.into()))
    }

    /// As [`File::write_vectored_at`](super::File::write_vectored_at).
    pub fn write_vectored_at(&self, offset: u64, pieces: Vec<Bytes>) -> Task<WriteAll, Elsewhere> {
        self.ask(asked::write_vectored_at(offset, pieces))
    }

    /// As [`File::append`](super::File::append).
    pub fn append(&self, bytes: impl Into<Bytes>) -> Task<Written, Elsewhere> {
        self.ask(asked::append(bytes.into()))
    }

    /// As [`File::sync_all`](super::File::sync_all).
    pub fn sync_all(&self) -> Task<Change, Elsewhere> {
        self.ask(asked::sync(false))
    }

    /// As [`File::sync_data`](super::File::sync_data).
    pub fn sync_data(&self) -> Task<Change, Elsewhere> {
        self.ask(asked::sync(true))
    }

    /// As [`File::set_len`](super::File::set_len).
    pub fn set_len(&self, length: u64) -> Task<Change, Elsewhere> {
        self.ask(asked::set_len(length))
    }

    /// As [`File::metadata`](super::File::metadata).
    pub fn metadata(&self) -> Task<Known, Elsewhere> {
        self.ask(asked::look())
    }

    fn ask<O: Operation>(&self, work: Result<Work, Reason>) -> Task<O, Elsewhere> {
        ask(&self.own.link, Some(&self.own), work)
    }
}

impl fmt::Debug for RemoteFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFs").finish_non_exhaustive()
    }
}

impl fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFile").finish_non_exhaustive()
    }
}
