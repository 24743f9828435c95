//! Answers to those who waited for a job, each for its own question.
//! Nobody is answered with what may be older than the root allows.

use std::rc::Rc;

use http::StatusCode;
use springtide_engine::{Handle, Outcome};

use super::job::{Ending, Job, Means, Waiter};
use super::outline::Outline;
use super::representation::{Representation, Selected, busy, plain, redirect};
use super::service::{Ask, FileEvent, FileReply, FileService, RootId, STREAMS_MAX};
use super::stream::{SharedFile, Stream, StreamId};
use crate::response::Response;

impl FileService {
    /// The operation of a job has completed.
    pub(super) fn complete_job(
        &mut self,
        engine: &mut dyn Handle,
        index: u32,
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
        let Some(ending) = job.step(&mut means, outcome) else { return };
        let job = self.jobs.remove(place).expect("it is there, see above");
        self.roots[job.root.0].jobs.remove(&job.name);
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
        let Job { root, name, waiters, opened_at, .. } = job;
        let until = opened_at + self.roots[root.0].files.revalidate();
        let ending = self.share(engine, root, &name, ending);
        for waiter in waiters {
            let asker = waiter.asker;
            // Who asked so late that the file may have changed since it was opened waits again.
            let reply = if waiter.asked_at > until && ending.can_age() {
                self.wait(engine, root, &name, waiter).err().map(FileReply::Whole)
            } else {
                self.answer(engine, root, &ending, &waiter)
            };
            events.extend(reply.map(|reply| FileEvent::Reply(asker, reply)));
        }
        if let Known::Disk(_, file) = ending {
            self.release(engine, file);
        }
    }

    /// What all who waited will share.
    fn share(&self, engine: &dyn Handle, root: RootId, name: &str, ending: Ending) -> Known {
        let response = match ending {
            Ending::Memory(version) => return Known::Memory(version),
            Ending::Disk(file) => {
                let files = &self.roots[root.0].files;
                let (metadata, seconds) = (file.metadata, engine.unix_seconds());
                let version = Representation::new(files, name, metadata, None, seconds);
                return Known::Disk(Rc::new(version), SharedFile::new(root, name, file));
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
        known: &Known,
        waiter: &Waiter,
    ) -> Option<FileReply> {
        let query = waiter.question.query();
        let ask = Ask { asker: waiter.asker, query: &query, is_page: waiter.is_page };
        match known {
            Known::Memory(version) => Some(ask.of_memory(engine, version)),
            Known::Disk(version, file) => match ask.select(engine, version) {
                Selected::Reply(response) => Some(FileReply::Whole(response)),
                Selected::Parts(..) => unreachable!("the body is not in memory"),
                Selected::Disk(response, body) => Some(self.stream(ask, file, response, body)),
            },
            Known::Directory if !ask.is_page => match redirect(query.request_path) {
                Some(response) => Some(FileReply::Whole(response)),
                None => self.ask_for_page(engine, root, ask),
            },
            Known::Directory | Known::Missing => self.ask_for_page(engine, root, ask),
            Known::Trouble(response) => Some(FileReply::Whole(response.clone())),
        }
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

/// What a job has found out, shared by all who waited for it.
enum Known {
    Memory(Rc<Representation>),
    Disk(Rc<Representation>, Rc<SharedFile>),
    Directory,
    Missing,
    Trouble(Response),
}

impl Known {
    /// Whether it tells of the file, which may have changed since.
    const fn can_age(&self) -> bool {
        !matches!(self, Self::Trouble(_))
    }
}

impl Ask<'_> {
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
        if self.is_page {
            return version.select_page();
        }
        if self.query.lacks_slash() {
            let reply = redirect(self.query.request_path);
            return Selected::Reply(reply.unwrap_or_else(|| plain(StatusCode::NOT_FOUND)));
        }
        version.select(self.query, || engine.unix_seconds())
    }
}
