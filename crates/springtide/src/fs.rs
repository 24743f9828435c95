//! Files of the application: opened, read, written and closed as tasks, and names changed.
//! Nothing here waits for a disk: what is asked is begun by the shard, and done at once where the system
//! has it in memory, or on a few threads.
//!
//! What is asked here is asked of the shard whose callbacks and futures run on this thread; elsewhere,
//! and in handlers that are no futures, it fails with [`Reason::Stale`]. [`remote`] gives the same for
//! any thread. A task that is dropped before the shard has looked at it, or while it waits for others of
//! its file, is not done; one that has begun is done, and nobody told. Cancelled, it ends as it was
//! done, or with [`Reason::Cancelled`]: then of a write some bytes may have been written, and of
//! anything else nothing was done. What the system refuses is [`Reason::System`].
//!
//! A shard that is frozen (io_uring was refused to it) goes on with its files where it goes on; what had
//! not begun then begins there.
//!
//! ```
//! use springtide::{Peer, Server, fs};
//!
//! // Whatever a client sends is appended to a log, and answered when it is on the disk.
//! let server = Server::new().raw_async(async |peer: Peer| {
//!     let log = fs::open("/log", fs::OpenOptions::new().append(true).create(true)).await?;
//!     while let Some(line) = peer.pull_until("\n", 1 << 10).await? {
//!         log.append(line).await?;
//!         log.sync_data().await?;
//!         peer.push("kept\n").await?;
//!     }
//!     Ok(())
//! });
//! # let mut world = springtide::test::World::new(1);
//! # world.serve(server);
//! # let mut peer = world.connect();
//! # let _ = peer.write(b"high\nlow\n");
//! # world.settle();
//! # let mut received = Vec::new();
//! # peer.read(usize::MAX, &mut received);
//! # assert_eq!(received, b"kept\nkept\n");
//! ```

mod cabinet;
mod known;
mod remote;
mod work;

pub use crate::task::{
    Change, FileRead, Known, Names, OpenFile, OpenRemoteFile, ReadAll, WriteAll, Written,
};
pub use cabinet::Opened;
pub(crate) use cabinet::{Cabinet, FileAsk, Job, OpenFile as Held};
pub use known::{DirEntry, Metadata, OpenOptions};
pub use remote::{RemoteFile, RemoteFs, remote};
pub(crate) use work::{Next, Step, Work};

use std::ffi::CString;
use std::fmt;
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use springtide_engine::{Error as EngineError, OpKind};

use crate::peer::{Peer, Reason};
use crate::task::{Ask, Operation, Task};
use work::{Reading, Writing};

/// EINVAL: a path with a NUL in it is none.
const EINVAL: i32 = 22;

/// Opens a file; links are followed (open(2)).
pub fn open(path: impl AsRef<Path>, options: OpenOptions) -> Task<OpenFile> {
    ask(None, asked::open(path.as_ref(), options))
}

/// Reads a whole file, of at most
/// [`Limits::file_read_bytes_max`](crate::Limits::file_read_bytes_max) bytes.
///
/// ```
/// use springtide::{Request, Server, fs, test::World};
///
/// let mut world = World::new(1);
/// world.write_file("/motto", b"with the tide");
/// world.serve(Server::new().get("/", async |_: Request| {
///     fs::read("/motto").await.map_err(|_| springtide::StatusCode::NOT_FOUND)
/// }));
/// let mut peer = world.connect();
/// let _ = peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// world.settle();
/// assert_eq!(peer.reply().expect("a whole reply").body(), b"with the tide");
/// ```
pub fn read(path: impl AsRef<Path>) -> Task<FileRead> {
    ask(None, asked::read(path.as_ref()))
}

/// Writes a whole file, which is made where there is none and cut otherwise; the bytes come back. Who
/// reads it meanwhile may see a part: write another one and [`rename`] it.
pub fn write(path: impl AsRef<Path>, bytes: impl Into<Bytes>) -> Task<Written> {
    ask(None, asked::write(path.as_ref(), bytes.into()))
}

/// What is known of a path; links are followed (stat(2)).
pub fn metadata(path: impl AsRef<Path>) -> Task<Known> {
    ask(None, asked::metadata(path.as_ref()))
}

/// Gives a file or a directory another name, which is taken from what has it (rename(2)).
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Task<Change> {
    ask(None, asked::rename(from.as_ref(), to.as_ref()))
}

/// Takes the name of a file away (unlink(2)); a link is not followed.
pub fn remove_file(path: impl AsRef<Path>) -> Task<Change> {
    ask(None, asked::remove(path.as_ref(), false))
}

/// Removes an empty directory (rmdir(2)).
pub fn remove_dir(path: impl AsRef<Path>) -> Task<Change> {
    ask(None, asked::remove(path.as_ref(), true))
}

/// Makes a directory, in one that is there (mkdir(2)).
pub fn create_dir(path: impl AsRef<Path>) -> Task<Change> {
    ask(None, asked::create_dir(path.as_ref()))
}

/// The names in a directory, in no order, of which there are at most
/// [`Limits::directory_entries_max`](crate::Limits::directory_entries_max).
pub fn read_dir(path: impl AsRef<Path>) -> Task<Names> {
    ask(None, asked::read_dir(path.as_ref()))
}

fn ask<O: Operation>(file: Option<&Opened>, work: Result<Work, Reason>) -> Task<O> {
    match work {
        Ok(work) => {
            let ask = FileAsk::Do(file.map(|file| file.place), work);
            Task::ask(Peer::nobody(), Ask::File(Box::new(ask)))
        }
        Err(reason) => Task::refused(reason),
    }
}

/// What is asked, for whichever thread.
mod asked {
    use super::{
        Bytes, CString, EINVAL, EngineError, OpKind, OpenOptions, OsStrExt, Path, Reading, Reason,
        Work, Writing,
    };

    type Asked = Result<Work, Reason>;

    fn path_of(path: &Path, kind: OpKind) -> Result<CString, Reason> {
        CString::new(path.as_os_str().as_bytes())
            .map_err(|_| Reason::System(EngineError::system(kind, EINVAL)))
    }

    pub(super) fn open(path: &Path, options: OpenOptions) -> Asked {
        let path = path_of(path, OpKind::Open)?;
        Ok(Work::Open { path, options: options.0 })
    }

    pub(super) fn read(path: &Path) -> Asked {
        let (path, options) = (path_of(path, OpKind::Open)?, OpenOptions::new().read(true));
        Ok(Work::whole(path, options.0, Work::Read(Reading::rest())))
    }

    pub(super) fn write(path: &Path, bytes: Bytes) -> Asked {
        let path = path_of(path, OpKind::Open)?;
        let options = OpenOptions::new().write(true).create(true).truncate(true);
        let writing = Writing::new(vec![bytes], true, 0, false);
        Ok(Work::whole(path, options.0, Work::Write(writing)))
    }

    pub(super) fn read_dir(path: &Path) -> Asked {
        let (path, options) = (path_of(path, OpKind::Open)?, OpenOptions::new().read(true));
        Ok(Work::whole(path, options.0, Work::List { entries_max: 0 }))
    }

    pub(super) fn metadata(path: &Path) -> Asked {
        Ok(Work::Describe { path: path_of(path, OpKind::Describe)? })
    }

    pub(super) fn rename(from: &Path, to: &Path) -> Asked {
        let (from, to) = (path_of(from, OpKind::Rename)?, path_of(to, OpKind::Rename)?);
        Ok(Work::Rename { from, to })
    }

    pub(super) fn remove(path: &Path, is_directory: bool) -> Asked {
        Ok(Work::Remove { path: path_of(path, OpKind::Remove)?, is_directory })
    }

    pub(super) fn create_dir(path: &Path) -> Asked {
        Ok(Work::CreateDirectory { path: path_of(path, OpKind::CreateDirectory)? })
    }

    pub(super) fn read_at(offset: u64, length: usize) -> Asked {
        Ok(Work::Read(Reading::one(length, offset)))
    }

    pub(super) fn read_vectored_at(offset: u64, lengths: &[usize]) -> Asked {
        Ok(Work::Read(Reading::several(lengths, offset)))
    }

    pub(super) fn write_at(offset: u64, bytes: Bytes) -> Asked {
        Ok(Work::Write(Writing::new(vec![bytes], true, offset, false)))
    }

    pub(super) fn write_vectored_at(offset: u64, pieces: Vec<Bytes>) -> Asked {
        Ok(Work::Write(Writing::new(pieces, false, offset, false)))
    }

    pub(super) fn append(bytes: Bytes) -> Asked {
        Ok(Work::Write(Writing::new(vec![bytes], true, 0, true)))
    }

    pub(super) const fn sync(data_only: bool) -> Asked {
        Ok(Work::Sync { data_only })
    }

    pub(super) const fn set_len(length: u64) -> Asked {
        Ok(Work::Truncate { length })
    }

    pub(super) const fn look() -> Asked {
        Ok(Work::Look)
    }
}

/// An open file of a shard. What is asked of it is done in the order in which it was asked, one thing at
/// a time; whoever wants more at once opens it twice. Its clones are the same file, which is closed
/// behind what was asked of it when the last of them is dropped.
#[derive(Clone)]
pub struct File {
    own: Arc<Opened>,
    /// It stays on its thread.
    stays: PhantomData<Rc<()>>,
}

impl File {
    pub(crate) fn of(opened: Opened) -> Self {
        Self { own: Arc::new(opened), stays: PhantomData }
    }

    /// Reads so many bytes; fewer only at the end of the file, and none behind it.
    pub fn read_at(&self, offset: u64, length: usize) -> Task<FileRead> {
        ask(Some(&self.own), asked::read_at(offset, length))
    }

    /// The same into several buffers of these lengths, at most 1,024 (preadv(2)).
    pub fn read_vectored_at(&self, offset: u64, lengths: &[usize]) -> Task<ReadAll> {
        ask(Some(&self.own), asked::read_vectored_at(offset, lengths))
    }

    /// Writes all of the bytes, which come back; behind the end of the file what is between reads as
    /// zeroes. A file that was opened to append has [`append`](Self::append) instead.
    pub fn write_at(&self, offset: u64, bytes: impl Into<Bytes>) -> Task<Written> {
        ask(Some(&self.own), asked::write_at(offset, bytes.into()))
    }

    /// The same of several pieces in their order, at most 1,024, without joining them (pwritev(2)).
    pub fn write_vectored_at(&self, offset: u64, pieces: Vec<Bytes>) -> Task<WriteAll> {
        ask(Some(&self.own), asked::write_vectored_at(offset, pieces))
    }

    /// Writes all of the bytes at the end of a file that was opened to append, wherever that is by then.
    pub fn append(&self, bytes: impl Into<Bytes>) -> Task<Written> {
        ask(Some(&self.own), asked::append(bytes.into()))
    }

    /// Ends when everything of the file is on its disk (fsync(2)).
    pub fn sync_all(&self) -> Task<Change> {
        ask(Some(&self.own), asked::sync(false))
    }

    /// Ends when its content is on its disk (fdatasync(2)).
    pub fn sync_data(&self) -> Task<Change> {
        ask(Some(&self.own), asked::sync(true))
    }

    /// Cuts it, or makes it longer by zeroes (ftruncate(2)).
    pub fn set_len(&self, length: u64) -> Task<Change> {
        ask(Some(&self.own), asked::set_len(length))
    }

    /// What is known of it (fstat(2)).
    pub fn metadata(&self) -> Task<Known> {
        ask(Some(&self.own), asked::look())
    }

    /// The same file for other threads.
    #[must_use]
    pub fn remote(&self) -> RemoteFile {
        RemoteFile::share(&self.own)
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").finish_non_exhaustive()
    }
}
