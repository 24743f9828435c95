//! A job: finds out what a name is on disk now, and brings a small file into memory.
//! It never gives out bytes of two versions of a file, and never loses a descriptor.

use std::ffi::CString;
use std::io::ErrorKind;
use std::rc::Rc;

use bytes::Bytes;
use springtide_engine::{Descriptor, Error, Handle, Metadata, Moment, Op, Outcome};

use super::coding::{self, Coding, Codings, Wanted};
use super::path::NAME_BYTES_MAX;
use super::query::{Question, Role};
use super::representation::{Representation, Subject};
use super::service::{Asker, Root, RootId};
use super::siblings::Siblings;
use super::token::Tokens;
use super::{listing, media_type};

/// How often a file is read that changes while it is.
const TRIES_MAX: u32 = 5;

/// Bytes of files that are being read into memory at a time; what would be more is streamed.
const LOADING_BYTES_MAX: u64 = 64 << 20;

/// Somebody who waits for a job.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) asker: Asker,
    pub(super) question: Question,
    pub(super) asked_at: Moment,
    pub(super) role: Role,
    /// Whether the file itself is to be sent, as an encoded form of it has gone.
    pub(super) is_bare: bool,
}

/// A file that is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenFile {
    pub(super) descriptor: Descriptor,
    pub(super) metadata: Metadata,
}

/// How a job ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// This is the file, in memory.
    Memory(Rc<Representation>),
    /// This is the file, too long for memory; it is open.
    Disk(OpenFile, Codings),
    /// A directory that has a page: an index, or its names.
    Directory,
    /// There is nothing.
    Missing,
    /// Not now.
    Busy,
    /// The system failed.
    Failed,
}

/// What a job works with.
pub(super) struct Means<'a> {
    pub(super) engine: &'a mut dyn Handle,
    pub(super) root: &'a mut Root,
    /// Bytes of files being read into memory, of all jobs.
    pub(super) loading_bytes: &'a mut u64,
    pub(super) tokens: Tokens,
    pub(super) token: u64,
}

impl Means<'_> {
    fn close(&mut self, file: OpenFile) {
        let descriptor = file.descriptor;
        self.engine.submit(Op::Close { descriptor }, self.tokens.nobody());
    }
}

/// A job. At most one operation is in flight for the file itself.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) root: RootId,
    /// The name that was asked for.
    pub(super) name: String,
    /// The form of it that is looked up.
    pub(super) coding: Coding,
    siblings: Siblings,
    pub(super) waiters: Vec<Waiter>,
    /// When the last open was started: what it found was there then or later.
    pub(super) opened_at: Moment,
    opened_seconds: u64,
    /// The index of the directory that the name has turned out to be.
    index: Option<String>,
    tries: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Opening,
    /// The names in it are read.
    Listing(OpenFile),
    /// So many bytes of it had been read before this read.
    Reading(OpenFile, usize),
    /// It is opened by its name once more, to see whether it is still the same.
    Verifying(OpenFile, Vec<u8>),
    /// It is known how the job ends, when what is beside the file has been looked up too.
    Ended(Ending),
}

impl Job {
    pub(super) fn new(root: RootId, wanted: Wanted<'_>, waiter: Waiter) -> Self {
        Self {
            root,
            name: wanted.name.to_owned(),
            coding: wanted.coding,
            siblings: Siblings::default(),
            opened_at: waiter.asked_at,
            opened_seconds: 0,
            waiters: vec![waiter],
            index: None,
            tries: 0,
            stage: Stage::Opening,
        }
    }

    /// The file it has open, when its operation has ended and it does not go on.
    pub(super) fn into_file(self) -> Option<Descriptor> {
        match self.stage {
            Stage::Listing(file)
            | Stage::Reading(file, _)
            | Stage::Verifying(file, _)
            | Stage::Ended(Ending::Disk(file, _)) => Some(file.descriptor),
            Stage::Opening | Stage::Ended(_) => None,
        }
    }

    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted { name: &self.name, coding: self.coding }
    }

    /// Opens the file.
    pub(super) fn open(&mut self, means: &mut Means<'_>) {
        self.opened_at = means.engine.now();
        self.opened_seconds = means.engine.unix_seconds();
        let path = match (&self.index, self.name.strip_suffix('/')) {
            (Some(index), _) => path_of(index),
            (None, Some("")) => c".".to_owned(),
            (None, Some(directory)) => path_of(directory),
            (None, None) => path_of(&self.wanted().path()),
        };
        means.engine.submit(Op::Open { root: means.root.descriptor, path }, means.token);
    }

    /// When what it has found out was so, or later.
    pub(super) fn seen_at(&self) -> Moment {
        self.siblings.seen_at(self.opened_at)
    }

    /// Goes on when the operation has completed. None: others are in flight.
    pub(super) fn step(&mut self, means: &mut Means<'_>, outcome: Outcome) -> Option<Ending> {
        let ending = self.step_file(means, outcome)?;
        self.end(means, ending)
    }

    /// Goes on when an encoded form has been looked up beside the file.
    pub(super) fn looked(
        &mut self,
        means: &mut Means<'_>,
        place: usize,
        outcome: &Outcome,
    ) -> Option<Ending> {
        if let Some(descriptor) = self.siblings.looked(place, outcome) {
            means.engine.submit(Op::Close { descriptor }, means.tokens.nobody());
        }
        match std::mem::replace(&mut self.stage, Stage::Opening) {
            Stage::Ended(ending) => self.end(means, ending),
            stage => {
                self.stage = stage;
                None
            }
        }
    }

    /// Ends the job when nothing is in flight for it.
    fn end(&mut self, means: &mut Means<'_>, ending: Ending) -> Option<Ending> {
        if self.siblings.is_looking() {
            self.stage = Stage::Ended(ending);
            return None;
        }
        Some(match ending {
            Ending::Memory(version) => Ending::Memory(self.keep(means, version)),
            Ending::Disk(file, _) => Ending::Disk(file, self.siblings.beside(&file.metadata)),
            other => other,
        })
    }

    /// Keeps a version in memory, the one before or a new one.
    fn keep(&self, means: &mut Means<'_>, version: Rc<Representation>) -> Rc<Representation> {
        let Root { files, cache, .. } = &mut *means.root;
        let (wanted, seen_at) = (self.wanted(), self.seen_at());
        let siblings = self.siblings.beside(&version.metadata);
        let version = version.beside(files, wanted, siblings).map_or(version, Rc::new);
        if cache.last(wanted).is_some_and(|last| Rc::ptr_eq(last, &version)) {
            cache.seen(wanted, seen_at);
        } else {
            cache.insert(wanted, version.clone(), seen_at);
        }
        version
    }

    fn step_file(&mut self, means: &mut Means<'_>, outcome: Outcome) -> Option<Ending> {
        let stage = std::mem::replace(&mut self.stage, Stage::Opening);
        match (stage, outcome) {
            (Stage::Opening, Outcome::Opened(descriptor, metadata)) => {
                self.opened(means, OpenFile { descriptor, metadata })
            }
            (Stage::Listing(directory), outcome) => self.listed(means, directory, outcome),
            (Stage::Reading(file, before), Outcome::Filled(memory)) => {
                self.filled(means, file, before, memory)
            }
            (Stage::Verifying(file, body), Outcome::Opened(descriptor, metadata)) => {
                self.verified(means, file, body, OpenFile { descriptor, metadata })
            }
            (Stage::Opening, Outcome::Failed(error, _)) => self.failed(means, error),
            (Stage::Reading(file, _) | Stage::Verifying(file, _), Outcome::Failed(error, _)) => {
                unload(means, file);
                self.failed(means, error)
            }
            (_, other) => unreachable!("an open or a read does not end with {other:?}"),
        }
    }

    fn opened(&mut self, means: &mut Means<'_>, file: OpenFile) -> Option<Ending> {
        let metadata = file.metadata;
        if media_type::is_listing(&self.name) {
            return self.list(means, file);
        }
        let is_encoded = self.coding != Coding::Identity;
        if metadata.is_directory && self.index.is_none() && !is_encoded {
            means.close(file);
            return self.open_index(means);
        }
        if !metadata.is_file || self.index.is_some() {
            means.close(file);
            let is_index = metadata.is_file;
            return Some(if is_index { Ending::Directory } else { self.missing(means) });
        }
        if !is_encoded && means.root.files.precompressed && coding::may_be_encoded(&self.name) {
            self.siblings.look(means, &self.name);
        }
        let last = means.root.cache.last(self.wanted());
        if let Some(version) = last.filter(|version| version.is_surely(&metadata)).cloned() {
            means.close(file);
            return Some(Ending::Memory(version));
        }
        let loading = *means.loading_bytes + metadata.length.saturating_add(1);
        if metadata.length > means.root.files.loaded_bytes_max() || loading > LOADING_BYTES_MAX {
            means.root.cache.remove(self.wanted());
            return Some(Ending::Disk(file, Codings::default()));
        }
        *means.loading_bytes = loading;
        // One byte more than is announced tells a file that has grown.
        let length = usize::try_from(metadata.length).expect("it is below a limit of usize");
        self.read(means, file, Vec::with_capacity(length + 1));
        None
    }

    fn list(&mut self, means: &mut Means<'_>, file: OpenFile) -> Option<Ending> {
        let OpenFile { descriptor: directory, metadata } = file;
        if !metadata.is_directory {
            means.close(file);
            return Some(self.missing(means));
        }
        let entries_max = listing::ENTRIES_MAX;
        means.engine.submit(Op::List { directory, entries_max }, means.token);
        self.stage = Stage::Listing(file);
        None
    }

    fn listed(
        &mut self,
        means: &mut Means<'_>,
        directory: OpenFile,
        outcome: Outcome,
    ) -> Option<Ending> {
        means.close(directory);
        let listing = match outcome {
            Outcome::Listed(listing) => listing,
            Outcome::Failed(error, _) => return self.failed(means, error),
            other => unreachable!("a list does not end with {other:?}"),
        };
        let files = &means.root.files;
        let body = Bytes::from(listing::page(&self.name, &listing, files.hidden));
        let metadata = Metadata { length: body.len() as u64, ..directory.metadata };
        let (wanted, siblings) = (self.wanted(), Codings::default());
        let subject = Subject { wanted, metadata, siblings };
        let version = Representation::new(files, subject, Some(body), self.opened_seconds);
        Some(Ending::Memory(Rc::new(version)))
    }

    fn open_index(&mut self, means: &mut Means<'_>) -> Option<Ending> {
        if means.root.files.list {
            return Some(Ending::Directory);
        }
        let index = format!("{}/{}", self.name, means.root.files.index);
        if index.len() > NAME_BYTES_MAX {
            return Some(self.missing(means));
        }
        self.index = Some(index);
        self.open(means);
        None
    }

    fn read(&mut self, means: &mut Means<'_>, file: OpenFile, memory: Vec<u8>) {
        self.stage = Stage::Reading(file, memory.len());
        let (descriptor, offset) = (file.descriptor, memory.len() as u64);
        means.engine.submit(Op::Read { file: descriptor, memory, offset }, means.token);
    }

    fn filled(
        &mut self,
        means: &mut Means<'_>,
        file: OpenFile,
        before: usize,
        memory: Vec<u8>,
    ) -> Option<Ending> {
        let (length, filled) = (file.metadata.length, memory.len() as u64);
        if filled == length {
            self.stage = Stage::Verifying(file, memory);
            self.open(means);
        } else if filled < length && memory.len() > before {
            self.read(means, file, memory);
        } else {
            unload(means, file);
            return self.try_again(means);
        }
        None
    }

    fn verified(
        &mut self,
        means: &mut Means<'_>,
        file: OpenFile,
        body: Vec<u8>,
        second: OpenFile,
    ) -> Option<Ending> {
        unload(means, file);
        if second.metadata != file.metadata {
            self.tries += 1;
            if self.tries < TRIES_MAX {
                return self.opened(means, second);
            }
            means.close(second);
            return Some(Ending::Busy);
        }
        means.close(second);
        let (files, body) = (&means.root.files, Some(Bytes::from(body)));
        let seconds = self.opened_seconds;
        let (wanted, siblings) = (self.wanted(), Codings::default());
        let subject = Subject { wanted, metadata: file.metadata, siblings };
        let version = Representation::new(files, subject, body, seconds);
        Some(Ending::Memory(Rc::new(version)))
    }

    fn try_again(&mut self, means: &mut Means<'_>) -> Option<Ending> {
        self.tries += 1;
        if self.tries >= TRIES_MAX {
            return Some(Ending::Busy);
        }
        self.open(means);
        None
    }

    fn missing(&self, means: &mut Means<'_>) -> Ending {
        means.root.cache.remove(self.wanted());
        Ending::Missing
    }

    fn failed(&mut self, means: &mut Means<'_>, error: Error) -> Option<Ending> {
        if error.is_not_found() {
            return Some(self.missing(means));
        }
        if error.is_exhausted() || matches!(error, Error::Limit(_) | Error::Cancelled) {
            return Some(Ending::Busy);
        }
        if is_race(error) {
            return self.try_again(means);
        }
        if means.root.reported != Some(error) {
            means.root.reported = Some(error);
            crate::report::error(format_args!("{:?} cannot be served: {error}", self.name));
        }
        Some(Ending::Failed)
    }
}

/// A file that was being read into memory no longer is.
fn unload(means: &mut Means<'_>, file: OpenFile) {
    *means.loading_bytes -= file.metadata.length + 1;
    means.close(file);
}

/// Whether the system could not tell because somebody moved directories meanwhile (openat2(2),
/// EAGAIN).
fn is_race(error: Error) -> bool {
    let errno = error.errno();
    errno.is_some_and(|errno| {
        std::io::Error::from_raw_os_error(errno).kind() == ErrorKind::WouldBlock
    })
}

/// A name as the system takes it. No name has a NUL; the empty one, which does not exist, stands
/// for one that had.
pub(super) fn path_of(name: &str) -> CString {
    CString::new(name).unwrap_or_default()
}
