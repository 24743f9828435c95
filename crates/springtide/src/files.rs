//! Static files: what of a directory is served, and how. What serves them stands in `files/`.
//! Nothing here reads a file, a clock or a directory by itself: the engine does.

mod accept;
mod answer;
mod cache;
mod coding;
mod condition;
mod freeze;
mod job;
mod listing;
mod media_type;
mod outline;
mod path;
mod pattern;
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

use pattern::Pattern;

pub(crate) use coding::takes_gzip;
pub(crate) use freeze::{FrozenAsk, FrozenFiles, FrozenStream};
pub(crate) use query::FileQuery;
pub(crate) use range::is_within_limit;
pub(crate) use service::{Asker, FileEvent, FileReply, FileService, RootId};
pub(crate) use stream::StreamId;

/// A directory to serve: `GET` and `HEAD` with entity tags, conditions (RFC 9110 §13) and byte
/// ranges (§14): up to 16 in a request, which never cost more than the file itself.
///
/// Nothing outside the directory is served, whatever the path or a symbolic link says, and
/// directories are not listed unless [`list`](Self::list) is on. Names that begin with a dot are not found, unless
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
    fallback: Option<String>,
    cache_control: Option<HeaderValue>,
    /// By pattern; the first that matches counts.
    cache_controls: Vec<(Pattern, HeaderValue)>,
    precompressed: bool,
    list: bool,
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
            fallback: None,
            cache_control: None,
            cache_controls: Vec::new(),
            precompressed: true,
            list: false,
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
    /// When `name` is empty, begins or ends with a slash or has a NUL in it.
    #[must_use]
    pub fn not_found_page(mut self, name: &str) -> Self {
        self.not_found_page = Some(page_of(name));
        self
    }

    /// The page of an application that has routes of its own: a file, relative to the directory,
    /// that is sent with status 200 where nothing is found and the request names `text/html` (or
    /// `text/*`) in its `Accept`, as browsers do when they open a page. Scripts, styles and images
    /// that are missing stay a 404: what asks for them takes `*/*`. None by default.
    ///
    /// ```
    /// let files = springtide::Files::new("app").fallback_page("index.html");
    /// # let _ = files;
    /// ```
    ///
    /// # Panics
    /// When `name` is empty, begins or ends with a slash or has a NUL in it.
    #[must_use]
    pub fn fallback_page(mut self, name: &str) -> Self {
        self.fallback = Some(page_of(name));
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
        self.cache_control = Some(field_of(value));
        self
    }

    /// The `Cache-Control` of the files whose names match a pattern; of several patterns the first
    /// that matches counts, and [`cache_control`](Self::cache_control) where none does.
    ///
    /// `*` stands for anything but a slash, `**` for anything. A pattern without a slash is held
    /// against the last segment of a name, one with a slash against the whole name, relative to the
    /// directory and decoded. A directory has the name of its index.
    ///
    /// ```
    /// let files = springtide::Files::new("site")
    ///     .cache_control_for("assets/**", "public, max-age=31536000, immutable")
    ///     .cache_control_for("*.html", "no-cache");
    /// # let _ = files;
    /// ```
    ///
    /// # Panics
    /// When the pattern is empty or begins with a slash, or `value` has bytes that no field may
    /// have.
    #[must_use]
    pub fn cache_control_for(mut self, pattern: &str, value: &str) -> Self {
        assert!(!pattern.is_empty(), "a pattern is not empty");
        assert!(!pattern.starts_with('/'), "a pattern is relative to the directory");
        self.cache_controls.push((Pattern::new(pattern), field_of(value)));
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

    /// Whether a directory without an index is shown as a page with its names; by default it is
    /// not. Directories come first, names that begin with a dot only when [`hidden`](Self::hidden)
    /// is on, and of more than 4,096 names the page shows so many and says so.
    ///
    /// ```
    /// let files = springtide::Files::new("downloads").list(true);
    /// # let _ = files;
    /// ```
    #[must_use]
    pub const fn list(mut self, list: bool) -> Self {
        self.list = list;
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

    fn cache_control_of(&self, name: &str) -> Option<&HeaderValue> {
        let own = self.cache_controls.iter().find(|(pattern, _)| pattern.matches(name));
        own.map(|(_, value)| value).or(self.cache_control.as_ref())
    }

    /// The name of the page of a directory that a query asks for, if there are such pages.
    fn listing_of(&self, query: &FileQuery<'_>) -> Option<String> {
        if !self.list || !path::is_directory(query.path) {
            return None;
        }
        let mut memory = Vec::new();
        let index = path::resolve(query.path, self.rules(), &mut memory).ok()?;
        let directory = index.strip_suffix(&*self.index)?;
        Some(if directory.is_empty() { "/".to_owned() } else { directory.to_owned() })
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

/// The name of a page, which a program gives.
fn page_of(name: &str) -> String {
    assert!(!name.is_empty(), "the name of a page is not empty");
    assert!(!name.starts_with('/'), "a page is named relative to the directory");
    assert!(!name.ends_with('/'), "a page is a file");
    assert!(!name.contains('\0'), "no file has a NUL in its name");
    name.to_owned()
}

/// A value of Cache-Control, which a program gives.
fn field_of(value: &str) -> HeaderValue {
    let Ok(value) = HeaderValue::from_str(value) else {
        panic!("the value of Cache-Control has bytes that no field may have")
    };
    value
}

impl<P: Into<PathBuf>> From<P> for Files {
    /// The files beneath a directory, as usual.
    fn from(directory: P) -> Self {
        Self::new(directory)
    }
}
