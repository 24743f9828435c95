//! Answers to those who waited for a job, each for its own question.
//! Nobody is answered with what may be older than the root allows.

use std::rc::Rc;

use http::StatusCode;
use springtide_engine::{Handle, Outcome};

use super::coding::{Coding, Wanted};
use super::job::{Ending, Job, Means, Waiter};
use super::outline::Outline;
use super::query::{FileQuery, Role};
use super::representation::{
    Representation, Selected, Subject, busy, by_accept, not_acceptable, plain, redirect,
};
use super::service::{Ask, FileEvent, FileReply, FileService, Root, RootId, STREAMS_MAX};
use super::stream::{SharedFile, Stream, StreamId};
use crate::response::Response;

impl FileService {
    /// An operation of a job has completed: for its file, or for the encoded form at a place.
    pub(super) fn complete_job(
        &mut self,
        engine: &mut dyn Handle,
        index: u32,
        beside: Option<usize>,
        outcome: Outcome,
        events: &mut Vec<FileEvent>,
    ) {
        let place = self.jobs.place_of(index);
        let place = place.expect("a job lives until its operation has completed");
        let job = self.jobs.get_mut(place).expect("it is there, see above");
        let root = &mut self.roots[job.root.0];
        let (tokens, token) = (self.tokens, self.tokens.job(place));
        let loading_bytes = &mut self.loading_bytes;
        let mut means = Means { engine: &mut *engine, root, loading_bytes, tokens, token };
        let ending = match beside {
            None => job.step(&mut means, outcome),
            Some(place) => job.looked(&mut means, place, &outcome),
        };
        let Some(ending) = ending else { return };
        let job = self.jobs.remove(place).expect("it is there, see above");
        self.roots[job.root.0].jobs[job.coding.index()].remove(&job.name);
        self.waiting -= job.waiters.len();
        self.conclude(engine, job, ending, events);
    }

    fn conclude(
        &mut self,
        engine: &mut dyn Handle,
        job: Job,
        ending: Ending,
        events: &mut Vec<FileEvent>,
    ) {
        let seen_at = job.seen_at();
        let Job { root, name, coding, waiters, .. } = job;
        let wanted = Wanted { name: &name, coding };
        let until = seen_at + self.roots[root.0].files.revalidate();
        let ending = self.share(engine, root, wanted, ending);
        for waiter in waiters {
            let asker = waiter.asker;
            // Who asked so late that the file may have changed since it was seen waits again.
            let reply = if waiter.asked_at > until && ending.can_age() {
                self.wait(engine, root, wanted, waiter).err().map(FileReply::Whole)
            } else {
                self.answer(engine, root, wanted, &ending, waiter)
            };
            events.extend(reply.map(|reply| FileEvent::Reply(asker, reply)));
        }
        if let Known::Disk(_, file) = ending {
            self.release(engine, file);
        }
    }

    /// What all who waited will share.
    fn share(
        &self,
        engine: &dyn Handle,
        root: RootId,
        wanted: Wanted<'_>,
        ending: Ending,
    ) -> Known {
        let response = match ending {
            Ending::Memory(version) => return Known::Memory(version),
            Ending::Disk(file, siblings) => {
                let files = &self.roots[root.0].files;
                let (metadata, seconds) = (file.metadata, engine.unix_seconds());
                let subject = Subject { wanted, metadata, siblings };
                let version = Representation::new(files, subject, None, seconds);
                let file = SharedFile::new(root, &wanted.path(), file);
                return Known::Disk(Rc::new(version), file);
            }
            Ending::Directory => return Known::Directory,
            Ending::Missing => return Known::Missing,
            Ending::Busy => busy(),
            Ending::Failed => plain(StatusCode::INTERNAL_SERVER_ERROR),
        };
        Known::Trouble(response)
    }

    fn answer(
        &mut self,
        engine: &mut dyn Handle,
        root: RootId,
        wanted: Wanted<'_>,
        known: &Known,
        mut waiter: Waiter,
    ) -> Option<FileReply> {
        let Some(coding) = known.coding_for(wanted, &waiter) else {
            return Some(FileReply::Whole(not_acceptable()));
        };
        if coding != wanted.coding {
            // An encoded form is looked up by itself; when it has gone, the file itself is sent.
            waiter.is_bare = coding == Coding::Identity;
            return self.ask_otherwise(engine, root, Wanted { coding, ..wanted }, waiter);
        }
        let query = waiter.question.query();
        let ask = waiter.ask(&query);
        match known {
            Known::Memory(version) => Some(ask.of_memory(engine, version)),
            Known::Disk(version, file) => match ask.select(engine, version) {
                Selected::Reply(response) => Some(FileReply::Whole(response)),
                Selected::Parts(..) => unreachable!("the body is not in memory"),
                Selected::Disk(response, body) => Some(self.stream(ask, file, response, body)),
            },
            Known::Directory if ask.role == Role::Itself => match redirect(query.request_path) {
                Some(response) => Some(FileReply::Whole(response)),
                None => self.ask_for_page(engine, root, ask),
            },
            Known::Directory | Known::Missing => self.ask_for_page(engine, root, ask),
            Known::Trouble(response) => Some(FileReply::Whole(response.clone())),
        }
    }

    /// Answers with another form of a file than the one that was looked up.
    fn ask_otherwise(
        &mut self,
        engine: &mut dyn Handle,
        root: RootId,
        wanted: Wanted<'_>,
        waiter: Waiter,
    ) -> Option<FileReply> {
        let Root { cache, files, .. } = &mut self.roots[root.0];
        if let Some(version) = cache.fresh(wanted, engine.now(), files.revalidate()) {
            let query = waiter.question.query();
            return Some(waiter.ask(&query).of_memory(engine, version));
        }
        self.wait(engine, root, wanted, waiter).err().map(FileReply::Whole)
    }

    fn stream(
        &mut self,
        ask: Ask<'_>,
        file: &Rc<SharedFile>,
        response: Response,
        body: Outline,
    ) -> FileReply {
        let length = body.length();
        if ask.query.is_head {
            return FileReply::Streamed { response, length, stream: None };
        }
        if self.streams.len() >= STREAMS_MAX {
            return FileReply::Whole(busy());
        }
        let stream = Stream::new(ask.asker, file.clone(), body);
        let stream = Some(StreamId(self.streams.insert_with(|_| stream)));
        FileReply::Streamed { response, length, stream }
    }
}

impl Waiter {
    fn ask<'a>(&self, query: &'a FileQuery<'a>) -> Ask<'a> {
        let Self { asker, role, is_bare, .. } = *self;
        Ask { asker, query, role, is_bare }
    }
}

/// What a job has found out, shared by all who waited for it.
enum Known {
    Memory(Rc<Representation>),
    Disk(Rc<Representation>, Rc<SharedFile>),
    Directory,
    Missing,
    Trouble(Response),
}

impl Known {
    /// The form that is to be sent instead of the one that was looked up, or just that one.
    fn coding_for(&self, wanted: Wanted<'_>, waiter: &Waiter) -> Option<Coding> {
        let query = waiter.question.query();
        match self {
            Self::Memory(version) | Self::Disk(version, _) if wanted.coding == Coding::Identity => {
                waiter.ask(&query).coding(version)
            }
            Self::Missing | Self::Directory => Some(Coding::Identity),
            _ => Some(wanted.coding),
        }
    }

    /// Whether it tells of the file, which may have changed since.
    const fn can_age(&self) -> bool {
        !matches!(self, Self::Trouble(_))
    }
}

impl Ask<'_> {
    /// The form of a file to send, by what is there beside it.
    #[inline]
    pub(super) fn coding(&self, version: &Representation) -> Option<Coding> {
        if self.is_bare {
            return Some(Coding::Identity);
        }
        let coding = version.coding_for(self.query);
        // A page in place of another file is not refused for its form.
        if matches!(self.role, Role::NotFound { .. }) {
            coding.or(Some(Coding::Identity))
        } else {
            coding
        }
    }

    /// The answer from a version that is in memory.
    #[inline]
    pub(super) fn of_memory(&self, engine: &dyn Handle, version: &Representation) -> FileReply {
        match self.select(engine, version) {
            Selected::Reply(response) => FileReply::Whole(response),
            Selected::Parts(response, pieces) => FileReply::Parts { response, pieces },
            Selected::Disk(..) => unreachable!("a version in memory has its body"),
        }
    }

    #[inline]
    fn select(&self, engine: &dyn Handle, version: &Representation) -> Selected {
        let query = self.query;
        match self.role {
            Role::NotFound { is_chosen: false } => return version.select_page(),
            Role::NotFound { is_chosen: true } => return version.select_page().map(by_accept),
            Role::Fallback => {
                return version.select(query, || engine.unix_seconds()).map(by_accept);
            }
            Role::Itself | Role::Listing => {}
        }
        if query.lacks_slash() {
            let reply = redirect(query.request_path);
            return Selected::Reply(reply.unwrap_or_else(|| plain(StatusCode::NOT_FOUND)));
        }
        version.select(query, || engine.unix_seconds())
    }
}
