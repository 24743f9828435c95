//! Static files: what of a directory is served, and how. What serves them stands in `files/`.
//! Nothing here reads a file, a clock or a directory by itself: the engine does.

mod answer;
mod cache;
mod coding;
mod condition;
mod freeze;
mod job;
mod media_type;
mod outline;
mod path;
mod query;
mod range;
mod representation;
mod service;
mod siblings;
mod stream;
#[cfg(test)]
mod tests;
mod token;

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;

pub(crate) use freeze::{FrozenAsk, FrozenFiles, FrozenStream};
pub(crate) use query::FileQuery;
pub(crate) use range::is_within_limit;
pub(crate) use service::{Asker, FileEvent, FileReply, FileService, RootId};
pub(crate) use stream::StreamId;

/// A directory to serve: `GET` and `HEAD` with entity tags, conditions (RFC 9110 §13) and byte
/// ranges (§14): up to 16 in a request, which never cost more than the file itself.
///
/// Nothing outside the directory is served, whatever the path or a symbolic link says, and
/// directories are not listed. Names that begin with a dot are not found, unless
/// [`hidden`](Self::hidden) is on. Small files are sent from memory.
///
/// ```
/// use springtide::Files;
/// let site = Files::new("site").not_found_page("404.html").cache_control("max-age=60");
/// # let _ = site;
/// ```
#[derive(Debug, Clone)]
pub struct Files {
    directory: PathBuf,
    hidden: bool,
    index: String,
    not_found_page: Option<String>,
    cache_control: Option<HeaderValue>,
    precompressed: bool,
    revalidate_ms: u32,
    memory_bytes_max: usize,
    file_bytes_max: usize,
}

impl Files {
    /// The files beneath a directory, which is opened when the server starts.
    ///
    /// ```
    /// let files = springtide::Files::new("/var/www");
    /// # let _ = files;
    /// ```
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            hidden: false,
            index: "index.html".to_owned(),
            not_found_page: None,
            cache_control: None,
            precompressed: true,
            revalidate_ms: 1000,
            memory_bytes_max: 64 << 20,
            file_bytes_max: 4 << 20,
        }
    }

    /// Whether names that begin with a dot are served; by default they are not.
    ///
    /// ```
    /// let files = springtide::Files::new("site").hidden(true);
    /// # let _ = files;
    /// ```
    #[must_use]
    pub const fn hidden(mut self, hidden: bool) -> Self {
        self.hidden = hidden;
        self
    }

    /// The file that stands for its directory; `index.html` by default.
    ///
    /// ```
    /// let files = springtide::Files::new("site").index("home.html");
    /// # let _ = files;
    /// ```
    ///
    /// # Panics
    /// When `name` is not the name of a file: empty, or with a slash or NUL in it.
    #[must_use]
    pub fn index(mut self, name: &str) -> Self {
        assert!(!name.is_empty(), "the name of an index is not empty");
        assert!(!name.contains(['/', '\0']), "an index is a file in the directory itself");
        name.clone_into(&mut self.index);
        self
    }

    /// A file, relative to the directory, that is sent with status 404 when there is no other;
    /// none by default.
    ///
    /// ```
    /// let files = springtide::Files::new("site").not_found_page("errors/404.html");
    /// # let _ = files;
    /// ```
    ///
    /// # Panics
    /// When `name` is empty, begins with a slash or has a NUL in it.
    #[must_use]
    pub fn not_found_page(mut self, name: &str) -> Self {
        assert!(!name.is_empty(), "the name of a page is not empty");
        assert!(!name.starts_with('/'), "a page is named relative to the directory");
        assert!(!name.contains('\0'), "no file has a NUL in its name");
        self.not_found_page = Some(name.to_owned());
        self
    }

    /// The `Cache-Control` of every file (RFC 9111 §5.2); none by default, so that clients go by
    /// `Last-Modified`.
    ///
    /// ```
    /// let files = springtide::Files::new("assets").cache_control("public, max-age=31536000");
    /// # let _ = files;
    /// ```
    ///
    /// # Panics
    /// When `value` has bytes that no field may have.
    #[must_use]
    pub fn cache_control(mut self, value: &str) -> Self {
        let Ok(value) = HeaderValue::from_str(value) else {
            panic!("the value of Cache-Control has bytes that no field may have")
        };
        self.cache_control = Some(value);
        self
    }

    /// Whether `NAME.br`, `NAME.zst` and `NAME.gz` are sent in place of `NAME` to clients that take
    /// them (RFC 9110 §12.5.3), where they are not older than it; by default they are. A client that
    /// refuses the file itself and whatever is there beside it gets a `406`.
    ///
    /// ```
    /// let files = springtide::Files::new("site").precompressed(false);
    /// # let _ = files;
    /// ```
    #[must_use]
    pub const fn precompressed(mut self, precompressed: bool) -> Self {
        self.precompressed = precompressed;
        self
    }

    /// How long a file is sent from memory before the one on disk is looked at again, in
    /// milliseconds; 1000 by default. With 0 it is looked at for every request.
    ///
    /// ```
    /// let files = springtide::Files::new("site").revalidate_ms(100);
    /// # let _ = files;
    /// ```
    #[must_use]
    pub const fn revalidate_ms(mut self, revalidate_ms: u32) -> Self {
        self.revalidate_ms = revalidate_ms;
        self
    }

    /// How many bytes each shard keeps in memory for this directory; 64 MiB by default. The files
    /// that were not asked for lately give way.
    ///
    /// ```
    /// let files = springtide::Files::new("site").memory_bytes_max(256 << 20);
    /// # let _ = files;
    /// ```
    #[must_use]
    pub const fn memory_bytes_max(mut self, memory_bytes_max: usize) -> Self {
        self.memory_bytes_max = memory_bytes_max;
        self
    }

    /// How long a file may be, in bytes, that is kept in memory; 4 MiB by default. A longer one is
    /// read piece by piece while it is sent.
    ///
    /// ```
    /// let files = springtide::Files::new("site").file_bytes_max(1 << 20);
    /// # let _ = files;
    /// ```
    #[must_use]
    pub const fn file_bytes_max(mut self, file_bytes_max: usize) -> Self {
        self.file_bytes_max = file_bytes_max;
        self
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn rules(&self) -> path::Rules<'_> {
        path::Rules { hidden: self.hidden, index: &self.index }
    }

    /// How long a file may be that is read into memory.
    fn loaded_bytes_max(&self) -> u64 {
        self.file_bytes_max.min(self.memory_bytes_max) as u64
    }

    fn revalidate(&self) -> Duration {
        Duration::from_millis(u64::from(self.revalidate_ms))
    }
}

impl<P: Into<PathBuf>> From<P> for Files {
    /// The files beneath a directory, as usual.
    fn from(directory: P) -> Self {
        Self::new(directory)
    }
}
