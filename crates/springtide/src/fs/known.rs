//! What is said of files: for what they are opened, what is known of them, the names in directories.
//! It is plain data.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, SystemTime};

use springtide_engine::Entry;

/// For what a file is opened, as `std::fs::OpenOptions` has it; to be read, where nothing is said.
///
/// ```
/// use springtide::fs::OpenOptions;
/// let log = OpenOptions::new().append(true).create(true).mode(0o600);
/// # let _ = log;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions(pub(super) springtide_engine::OpenOptions);

impl OpenOptions {
    /// To be read, as long as nothing else is said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// To be read.
    #[must_use]
    pub const fn read(mut self, read: bool) -> Self {
        self.0.read = read;
        self
    }

    /// To be written to.
    #[must_use]
    pub const fn write(mut self, write: bool) -> Self {
        self.0.write = write;
        self
    }

    /// To be written to at its end, wherever that is by then.
    #[must_use]
    pub const fn append(mut self, append: bool) -> Self {
        self.0.append = append;
        self
    }

    /// What it holds is thrown away.
    #[must_use]
    pub const fn truncate(mut self, truncate: bool) -> Self {
        self.0.truncate = truncate;
        self
    }

    /// It is made where there is none.
    #[must_use]
    pub const fn create(mut self, create: bool) -> Self {
        self.0.create = create;
        self
    }

    /// It is made, and it is an error when there is one.
    #[must_use]
    pub const fn create_new(mut self, create_new: bool) -> Self {
        self.0.create_new = create_new;
        self
    }

    /// Its permissions when it is made, as far as umask(2) leaves them; 0o666 where nothing is said.
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> Self {
        self.0.mode = mode;
        self
    }
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata(pub(super) springtide_engine::Metadata);

impl Metadata {
    /// Its length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "as std::fs::Metadata has it")]
    pub const fn len(&self) -> u64 {
        self.0.length
    }

    /// Whether it is a regular file.
    #[must_use]
    pub const fn is_file(&self) -> bool {
        self.0.is_file
    }

    /// Whether it is a directory.
    #[must_use]
    pub const fn is_dir(&self) -> bool {
        self.0.is_directory
    }

    /// When its content last changed, by the system's clock.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        let since = u64::try_from(self.0.modified_ns).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_nanos(since)
    }

    /// Its number on its device: another file under the same name has another one.
    #[must_use]
    pub const fn ino(&self) -> u64 {
        self.0.inode
    }
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    name: OsString,
    is_directory: bool,
}

impl DirEntry {
    pub(super) fn new(entry: Entry) -> Self {
        Self { name: OsString::from_vec(entry.name), is_directory: entry.is_directory }
    }

    /// The name, without its directory.
    #[must_use]
    pub fn file_name(&self) -> &std::ffi::OsStr {
        &self.name
    }

    /// Whether it is known to be a directory; a link to one is not, nor is anything where the file
    /// system does not tell.
    #[must_use]
    pub const fn is_dir(&self) -> bool {
        self.is_directory
    }
}
