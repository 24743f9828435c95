//! The file service at rest: who waits for a file, and bodies that are being sent, as plain data.
//! It never closes what is handed over, and never keeps what nobody takes.

use std::collections::HashMap;
use std::ffi::CString;
use std::rc::Rc;

use springtide_engine::{Completion, Descriptor, Handle, Op, Outcome};
use springtide_proto::http1::Exchange;

use super::Files;
use super::cache::Cache;
use super::coding::Wanted;
use super::job::{Job, OpenFile, Waiter};
use super::outline::Outline;
use super::query::{Question, Role};
use super::service::{Asker, FileReply, FileService, Root, RootId};
use super::stream::{SharedFile, Stage, Stream, StreamId};
use super::token::Whose;

/// A request that waits for what a job finds out: it is asked again where it is thawed.
#[derive(Debug)]
pub(crate) struct FrozenAsk {
    exchange: Exchange,
    root: usize,
    name: String,
    question: Question,
    role: Role,
}

/// A body that is being sent: an open file and what has not been given out of it.
#[derive(Debug)]
pub(crate) struct FrozenStream {
    root: usize,
    path: CString,
    file: OpenFile,
    left: Outline,
}

impl FrozenAsk {
    pub(crate) const fn exchange(&self) -> Exchange {
        self.exchange
    }
}

impl FrozenStream {
    /// The open file. Bodies of several connections may be read from the same one.
    pub(crate) const fn file(&self) -> Descriptor {
        self.file.descriptor
    }
}

/// What of the service belongs to no connection.
#[derive(Debug, Default)]
pub(crate) struct FrozenFiles {
    /// The directories, in the order they were added.
    pub(crate) roots: Vec<Descriptor>,
    /// Open and wanted by nobody any more: to be closed.
    pub(crate) strays: Vec<Descriptor>,
}

impl FileService {
    /// One completion of an operation that ended because everything is frozen: what it found out
    /// is found out again.
    pub(crate) fn absorb(&mut self, completion: Completion) {
        if let Outcome::Opened(descriptor, _) = completion.outcome {
            self.strays.push(descriptor);
        }
        if let Whose::Stream(index) = self.tokens.whose(completion.token)
            && let Some(place) = self.streams.place_of(index)
            && let Some(stream) = self.streams.get_mut(place)
        {
            stream.stage = Stage::Idle;
        }
    }

    /// Everybody who waits, by connection; nobody waits any more.
    pub(crate) fn withdraw_all(&mut self) -> HashMap<u64, Vec<FrozenAsk>> {
        let mut asks: HashMap<u64, Vec<FrozenAsk>> = HashMap::new();
        for place in self.jobs.places() {
            let Some(job) = self.jobs.get_mut(place) else { continue };
            for (connection, ask) in job.withdraw(|_| true) {
                asks.entry(connection).or_default().push(ask);
            }
        }
        self.waiting = 0;
        asks
    }

    /// What one connection waits for; it waits no more.
    pub(crate) fn withdraw(&mut self, connection: u64) -> Vec<FrozenAsk> {
        let mut asks = Vec::new();
        if self.waiting > 0 {
            for place in self.jobs.places() {
                let Some(job) = self.jobs.get_mut(place) else { continue };
                asks.extend(job.withdraw(|asker| asker.connection == connection));
            }
        }
        self.waiting -= asks.len();
        asks.into_iter().map(|(_, ask)| ask).collect()
    }

    /// Asks again what was asked where the asker came from; answers as
    /// [`FileService::request`] does.
    pub(crate) fn ask_again(
        &mut self,
        engine: &mut dyn Handle,
        ask: FrozenAsk,
        asker: Asker,
    ) -> Option<FileReply> {
        let FrozenAsk { exchange: _, root, name, question, role } = ask;
        let (asked_at, is_bare) = (engine.now(), false);
        let waiter = Waiter { asker, question, asked_at, role, is_bare };
        self.wait(engine, RootId(root), Wanted::itself(&name), waiter).err().map(FileReply::Whole)
    }

    /// Whether nobody else reads from a body's file, so that the file can go elsewhere.
    pub(crate) fn is_sole(&mut self, stream: StreamId) -> bool {
        let stream = self.streams.get_mut(stream.0);
        stream.is_some_and(|stream| Rc::strong_count(&stream.file) == 1)
    }

    /// Takes a body out with nothing in flight. Its file stays open.
    pub(crate) fn freeze_stream(&mut self, stream: StreamId) -> Option<FrozenStream> {
        let stream = self.streams.remove(stream.0)?;
        let Stream { asker: _, file, left, stage: _, is_passing: _, is_abandoned: _ } = stream;
        Some(FrozenStream { root: file.root.0, path: file.path.clone(), file: file.file, left })
    }

    /// Takes a body in. It was within the limit where it came from, and is not refused here.
    pub(crate) fn thaw_stream(&mut self, frozen: FrozenStream, asker: Asker) -> StreamId {
        let FrozenStream { root, path, file, left } = frozen;
        let shared = SharedFile { root: RootId(root), path, file };
        let shared = self.thawed.entry(file.descriptor).or_insert_with(|| Rc::new(shared)).clone();
        StreamId(self.streams.insert_with(|_| Stream::new(asker, shared, left)))
    }

    /// All bodies are in: files that are read by several are known to them, and to nobody else.
    pub(crate) fn end_thaw(&mut self, engine: &mut dyn Handle) {
        for (_, file) in std::mem::take(&mut self.thawed) {
            self.release(engine, file);
        }
    }

    /// What is left when everybody who waited was withdrawn and before bodies are taken out: files
    /// of jobs and of abandoned bodies that nobody else reads from.
    pub(crate) fn freeze(&mut self) -> FrozenFiles {
        let mut strays = std::mem::take(&mut self.strays);
        for place in self.jobs.places() {
            strays.extend(self.jobs.remove(place).and_then(Job::into_file));
        }
        for place in self.streams.places() {
            let abandoned = self.streams.get_mut(place).is_some_and(|stream| stream.is_abandoned);
            let stream = if abandoned { self.streams.remove(place) } else { None };
            let file = stream.and_then(|stream| Rc::into_inner(stream.file));
            strays.extend(file.map(|file| file.file.descriptor));
        }
        let roots = self.roots.iter().map(|root| root.descriptor).collect();
        FrozenFiles { roots, strays }
    }

    /// A service over the same directories, which are open. It remembers no file.
    pub(crate) fn thaw(token_kind: u64, directories: &[Files], roots: &[Descriptor]) -> Self {
        let mut own = Self::new(token_kind);
        let open = directories.iter().zip(roots);
        own.roots.extend(open.map(|(files, descriptor)| Root::new(*descriptor, files)));
        own
    }

    /// The directories, in the order they were added.
    pub(crate) fn root_ids(&self) -> Vec<RootId> {
        (0..self.roots.len()).map(RootId).collect()
    }

    /// Closes what nobody wants any more.
    pub(crate) fn close_strays(&self, engine: &mut dyn Handle, strays: Vec<Descriptor>) {
        for descriptor in strays {
            engine.submit(Op::Close { descriptor }, self.tokens.nobody());
        }
    }
}

impl Root {
    pub(super) fn new(descriptor: Descriptor, files: &Files) -> Self {
        let cache = Cache::new(files.memory_bytes_max);
        let (jobs, files) = (Default::default(), files.clone());
        Self { descriptor, files, cache, jobs, reported: None }
    }
}

impl Job {
    /// Takes out those who wait and are wanted, with their connections.
    fn withdraw(
        &mut self,
        wanted: impl Fn(Asker) -> bool,
    ) -> impl Iterator<Item = (u64, FrozenAsk)> {
        let root = self.root.0;
        let (gone, left) =
            std::mem::take(&mut self.waiters).into_iter().partition(|waiter| wanted(waiter.asker));
        self.waiters = left;
        let name = self.name.clone();
        let gone: Vec<Waiter> = gone;
        gone.into_iter().map(move |waiter| {
            // Asked anew where it is thawed, and by its own name.
            let Waiter { asker, question, asked_at: _, role, is_bare: _ } = waiter;
            let ask =
                FrozenAsk { exchange: asker.exchange, root, name: name.clone(), question, role };
            (asker.connection, ask)
        })
    }
}
