//! One shard's file service: answers from memory, or sets a job to work and answers later.
//! It never waits, and never makes a system call: the engine does.

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use springtide_engine::{Completion, Descriptor, Error, Handle, Op};
use springtide_proto::http1::Exchange;

use super::cache::Cache;
use super::coding::{CODINGS, Coding, Wanted};
use super::job::{Job, Means, Waiter};
use super::query::{FileQuery, Question, Role};
use super::representation::{busy, by_accept, not_acceptable, plain};
use super::stream::{SharedFile, Stream, StreamId};
use super::token::{Tokens, Whose};
use super::{Files, accept, path};
use crate::response::Response;
use crate::table::{Place, Table};

/// Names that are looked up on disk at a time, those not counted that are in memory already: a
/// flood of names that lead nowhere must not keep the others from being looked at again.
pub(super) const JOBS_MAX: usize = 1024;

/// Askers that wait for them at a time.
pub(super) const WAITERS_MAX: usize = 16_384;

/// Bodies that are read from disk while they are sent, at a time.
pub(super) const STREAMS_MAX: usize = 4096;

/// A directory that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RootId(pub(super) usize);

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) connection: u64,
    pub(crate) exchange: Exchange,
}

/// An answer.
#[derive(Debug)]
pub(crate) enum FileReply {
    /// The response with its body. To `HEAD` too: the machine leaves the bytes out.
    Whole(Response),
    /// The head of a response and its body in several pieces, none of them empty. Not to `HEAD`.
    Parts { response: Response, pieces: Vec<Bytes> },
    /// The head of a response with a body of `length` bytes, at least one, which comes by
    /// [`FileService::next_piece`]; without a stream it does not come (`HEAD`).
    Streamed { response: Response, length: u64, stream: Option<StreamId> },
}

impl FileReply {
    /// Whether it is a file, or what is said of one, and no error.
    pub(crate) fn is_of_file(&self) -> bool {
        match self {
            Self::Whole(response) => !response.is_own(),
            Self::Parts { .. } | Self::Streamed { .. } => true,
        }
    }
}

/// What a completion brought about.
#[derive(Debug)]
pub(crate) enum FileEvent {
    /// The answer to a request. If nobody waits for it any more, its stream is to be abandoned.
    Reply(Asker, FileReply),
    /// The next bytes of a body, at least one.
    Piece { asker: Asker, bytes: Vec<u8>, is_last: bool },
    /// The file has changed or cannot be read: the reply cannot be completed.
    Broken { asker: Asker },
}

/// A directory that is open.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) descriptor: Descriptor,
    pub(super) files: Files,
    pub(super) cache: Cache,
    /// The jobs that are under way, by the coding and the name that they look up.
    pub(super) jobs: [HashMap<String, Place>; CODINGS],
    /// The last failure that was reported: it is not reported again and again.
    pub(super) reported: Option<Error>,
}

/// The file service.
pub(crate) struct FileService {
    pub(super) tokens: Tokens,
    pub(super) roots: Vec<Root>,
    pub(super) jobs: Table<Job>,
    pub(super) streams: Table<Stream>,
    /// Askers that wait, of all jobs.
    pub(super) waiting: usize,
    pub(super) loading_bytes: u64,
    is_closing: bool,
    /// Opened for nobody, because everything is frozen.
    pub(super) strays: Vec<Descriptor>,
    /// Files of the bodies that are being thawed.
    pub(super) thawed: HashMap<Descriptor, Rc<SharedFile>>,
    /// Where paths are decoded.
    memory: Vec<u8>,
}

/// Who asks what.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) asker: Asker,
    pub(super) query: &'a FileQuery<'a>,
    pub(super) role: Role,
    /// Whether the file itself is to be sent, as an encoded form of it has gone.
    pub(super) is_bare: bool,
}

impl FileService {
    /// A service without roots. Its operations carry tokens with `token_kind` in the upper 32
    /// bits.
    pub(crate) fn new(token_kind: u64) -> Self {
        Self {
            tokens: Tokens::new(token_kind),
            roots: Vec::new(),
            jobs: Table::new(),
            streams: Table::new(),
            waiting: 0,
            loading_bytes: 0,
            is_closing: false,
            strays: Vec::new(),
            thawed: HashMap::new(),
            memory: Vec::new(),
        }
    }

    /// Opens a directory to serve.
    pub(crate) fn add_root(
        &mut self,
        engine: &mut dyn Handle,
        files: &Files,
    ) -> Result<RootId, Error> {
        let descriptor = engine.open_directory(files.directory())?;
        self.roots.push(Root::new(descriptor, files));
        Ok(RootId(self.roots.len() - 1))
    }

    /// Answers from memory, or answers later with [`FileEvent::Reply`].
    pub(crate) fn request(
        &mut self,
        engine: &mut dyn Handle,
        root: RootId,
        query: &FileQuery<'_>,
        asker: Asker,
    ) -> Option<FileReply> {
        let ask = Ask { asker, query, role: Role::Itself, is_bare: false };
        if path::is_plain(query.path) {
            let found = self.find(engine, root, query.path, ask);
            if let Ok(found) = found {
                return Some(found);
            }
        }
        let mut memory = std::mem::take(&mut self.memory);
        let reply = match path::resolve(query.path, self.roots[root.0].files.rules(), &mut memory) {
            Ok(name) => self.ask(engine, root, name, ask),
            Err(path::Refused) => self.ask_for_page(engine, root, ask),
        };
        self.memory = memory;
        reply
    }

    /// A completion that carries a token of the service. What it brings about is appended.
    pub(crate) fn complete(
        &mut self,
        engine: &mut dyn Handle,
        completion: Completion,
        events: &mut Vec<FileEvent>,
    ) {
        match self.tokens.whose(completion.token) {
            Whose::Nobody => return,
            Whose::Job(index) => self.complete_job(engine, index, None, completion.outcome, events),
            Whose::Beside(index, place) => {
                self.complete_job(engine, index, Some(place), completion.outcome, events);
            }
            Whose::Stream(index) => self.complete_stream(engine, index, completion.outcome, events),
        }
        self.close_when_ended(engine);
    }

    /// Ends the service: nobody is answered any more, and everything open is closed when the
    /// operations in flight have ended.
    pub(crate) fn close(&mut self, engine: &mut dyn Handle) {
        self.is_closing = true;
        for place in self.streams.places() {
            self.abandon(engine, StreamId(place));
        }
        self.close_when_ended(engine);
    }

    /// Closes the directories of a service that is ending when nothing needs them any more.
    pub(super) fn close_when_ended(&mut self, engine: &mut dyn Handle) {
        if self.is_closing && self.jobs.len() == 0 && self.streams.len() == 0 {
            for root in self.roots.drain(..) {
                let descriptor = root.descriptor;
                engine.submit(Op::Close { descriptor }, self.tokens.nobody());
            }
        }
    }

    /// Answers from memory, or makes the asker wait.
    pub(super) fn ask(
        &mut self,
        engine: &mut dyn Handle,
        root: RootId,
        name: &str,
        ask: Ask<'_>,
    ) -> Option<FileReply> {
        let wanted = match self.find(engine, root, name, ask) {
            Ok(found) => return Some(found),
            Err(coding) => Wanted { name, coding },
        };
        let Ask { asker, query, role, is_bare } = ask;
        let (question, asked_at) = (Question::of(query), engine.now());
        let waiter = Waiter { asker, question, asked_at, role, is_bare };
        self.wait(engine, root, wanted, waiter).err().map(FileReply::Whole)
    }

    /// Asks for what is sent in place of a file that is not there.
    pub(super) fn ask_for_page(
        &mut self,
        engine: &mut dyn Handle,
        root: RootId,
        ask: Ask<'_>,
    ) -> Option<FileReply> {
        if ask.role == Role::Itself
            && let Some(name) = self.roots[root.0].files.listing_of(ask.query)
        {
            return self.ask(engine, root, &name, Ask { role: Role::Listing, ..ask });
        }
        let Files { fallback, not_found_page, .. } = &self.roots[root.0].files;
        let is_chosen = fallback.is_some();
        let takes_html = || ask.query.accept.is_some_and(accept::names_html);
        let (page, role) = match ask.role {
            Role::Itself | Role::Listing if is_chosen && takes_html() => (fallback, Role::Fallback),
            Role::Itself | Role::Listing | Role::Fallback => {
                (not_found_page, Role::NotFound { is_chosen })
            }
            Role::NotFound { .. } => (&None, ask.role),
        };
        if let Some(page) = page.clone() {
            return self.ask(engine, root, &page, Ask { role, ..ask });
        }
        let missing = plain(http::StatusCode::NOT_FOUND);
        Some(FileReply::Whole(if is_chosen { by_accept(missing) } else { missing }))
    }

    /// Answers from memory, or says which form of the file is to be looked up.
    #[inline]
    fn find(
        &mut self,
        engine: &dyn Handle,
        root: RootId,
        name: &str,
        ask: Ask<'_>,
    ) -> Result<FileReply, Coding> {
        let Root { cache, files, .. } = &mut self.roots[root.0];
        let (now, age_max) = (engine.now(), files.revalidate());
        let version = cache.fresh(Wanted::itself(name), now, age_max).ok_or(Coding::Identity)?;
        match ask.coding(version) {
            None => Ok(FileReply::Whole(not_acceptable())),
            Some(Coding::Identity) => Ok(ask.of_memory(engine, version)),
            Some(coding) => {
                let encoded = cache.fresh(Wanted { name, coding }, now, age_max).ok_or(coding)?;
                Ok(ask.of_memory(engine, encoded))
            }
        }
    }

    /// Makes an asker wait for a job, the one that is under way or a new one; or says why not.
    pub(super) fn wait(
        &mut self,
        engine: &mut dyn Handle,
        root_id: RootId,
        wanted: Wanted<'_>,
        waiter: Waiter,
    ) -> Result<(), Response> {
        if self.waiting >= WAITERS_MAX || self.is_closing {
            return Err(busy());
        }
        let root = &mut self.roots[root_id.0];
        let index = wanted.coding.index();
        let running = root.jobs[index].get(wanted.name).and_then(|place| self.jobs.get_mut(*place));
        if let Some(job) = running {
            job.waiters.push(waiter);
        } else {
            if self.jobs.len() >= JOBS_MAX && root.cache.last(wanted).is_none() {
                return Err(busy());
            }
            let mut job = Job::new(root_id, wanted, waiter);
            let (tokens, loading_bytes) = (self.tokens, &mut self.loading_bytes);
            let place = self.jobs.insert_with(|place| {
                let token = tokens.job(place);
                job.open(&mut Means { engine, root, loading_bytes, tokens, token });
                job
            });
            self.roots[root_id.0].jobs[index].insert(wanted.name.to_owned(), place);
        }
        self.waiting += 1;
        Ok(())
    }
}
