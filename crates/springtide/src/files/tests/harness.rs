//! A directory of its own, an engine, a service, and questions to it.
//! It takes a bounded number of turns and never sleeps.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use http::{HeaderName, StatusCode};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use springtide_engine::{Completion, Engine, EngineOptions, Handle, Mechanism};
use springtide_proto::http1::{Exchange, Head, Limits, Machine, Received};

use crate::files::{Asker, FileEvent, FileQuery, FileReply, FileService, Files, RootId, StreamId};
use crate::response::Response;

/// How many turns anything may take.
const TURNS_MAX: u32 = 100_000;

const TOKEN_KIND: u64 = 7 << 32;

/// A directory that is removed in the end.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("springtide-files-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, in place if it is there, with directories as needed.
    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Makes a file as old as if it had been written so many seconds ago.
    pub(super) fn age(&self, name: &str, seconds: u64) {
        let file = std::fs::File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    pub(super) fn link(&self, target: impl AsRef<Path>, name: &str) {
        symlink(target, self.path(name)).unwrap();
    }

    /// How many descriptors of this process lead here.
    pub(super) fn descriptors(&self) -> usize {
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        targets.filter(|target| target.starts_with(&self.0)).count()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Runs a test over every mechanism that works here, and where openat2(2) is refused.
pub(super) fn over_all(test: impl Fn(Mechanism) + Sync) {
    test(Mechanism::Epoll);
    std::thread::scope(|scope| {
        let filtered = scope.spawn(|| {
            refuse_openat2();
            test(Mechanism::Epoll);
        });
        if let Err(panic) = filtered.join() {
            std::panic::resume_unwind(panic);
        }
    });
    test(Mechanism::Poll);
    let options = EngineOptions { ring_chunks: 8, cq_entries: 64, ..EngineOptions::default() };
    if Engine::new(Mechanism::Uring, options).is_ok() {
        test(Mechanism::Uring);
    }
}

/// The calling thread, and those it starts, have no openat2(2) from now on, as in some containers.
fn refuse_openat2() {
    let refusal = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap());
    let rules = [(libc::SYS_openat2, Vec::new())].into();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

/// A service of one root.
pub(super) struct Server {
    pub(super) engine: Engine,
    pub(super) service: FileService,
    pub(super) root: RootId,
    pub(super) events: Vec<FileEvent>,
}

impl Server {
    pub(super) fn new(mechanism: Mechanism, files: &Files) -> Self {
        let options =
            EngineOptions { ring_chunks: 8, cq_entries: 1024, ..EngineOptions::default() };
        let mut engine = Engine::new(mechanism, options).unwrap();
        let mut service = FileService::new(TOKEN_KIND);
        let root = service.add_root(&mut engine, files).unwrap();
        Self { engine, service, root, events: Vec::new() }
    }

    /// Takes turns until something has happened.
    pub(super) fn next(&mut self) -> FileEvent {
        for _ in 0..TURNS_MAX {
            if !self.events.is_empty() {
                return self.events.remove(0);
            }
            assert!(self.turn(), "nothing can happen any more");
        }
        panic!("nothing has happened");
    }

    /// Takes a turn. False: nothing has ended and nothing is in flight.
    pub(super) fn turn(&mut self) -> bool {
        let is_idle = self.engine.in_flight() == 0;
        let completions = self.take_turn();
        let has_ended = !completions.is_empty();
        self.deliver(completions);
        has_ended || !is_idle
    }

    /// What has ended in a turn, before the service hears of it.
    pub(super) fn take_turn(&mut self) -> Vec<Completion> {
        let is_idle = self.engine.in_flight() == 0;
        let deadline = is_idle.then(|| self.engine.now());
        let mut completions = Vec::new();
        self.engine.turn(deadline, &mut completions).unwrap();
        completions
    }

    /// The same, of as many turns as it takes until something has.
    pub(super) fn take_turns(&mut self) -> Vec<Completion> {
        for _ in 0..TURNS_MAX {
            let completions = self.take_turn();
            if !completions.is_empty() {
                return completions;
            }
        }
        panic!("nothing has ended");
    }

    pub(super) fn deliver(&mut self, completions: Vec<Completion>) {
        for completion in completions {
            self.service.complete(&mut self.engine, completion, &mut self.events);
        }
    }

    /// Takes turns until nothing is in flight; nothing must happen.
    pub(super) fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            if !self.turn() {
                assert!(self.events.is_empty(), "{:?}", self.events);
                return;
            }
        }
        panic!("operations do not end");
    }

    pub(super) fn request(&mut self, query: &FileQuery<'_>, number: u64) -> Option<FileReply> {
        let asker = asker(number);
        self.service.request(&mut self.engine, self.root, query, asker)
    }

    /// Asks and takes turns until the answer is there.
    pub(super) fn reply(&mut self, query: &FileQuery<'_>) -> FileReply {
        if let Some(reply) = self.request(query, 1) {
            return reply;
        }
        match self.next() {
            FileEvent::Reply(to, reply) => {
                assert_eq!(to, asker(1));
                reply
            }
            other => panic!("not a reply: {other:?}"),
        }
    }

    /// The reply with its whole body.
    pub(super) fn ask(&mut self, query: &FileQuery<'_>) -> Response {
        match self.reply(query) {
            FileReply::Whole(response) => response,
            FileReply::Parts { response, pieces } => with_body(&response, pieces.concat()),
            FileReply::Streamed { response, length, stream } => {
                let body = self.body(stream.expect("a body is asked for"));
                assert_eq!(body.len() as u64, length);
                with_body(&response, body)
            }
        }
    }

    pub(super) fn get(&mut self, path: &str) -> Response {
        let request_path = format!("/{path}");
        self.ask(&FileQuery { path, request_path: &request_path, ..FileQuery::default() })
    }

    /// The status and the body as text.
    pub(super) fn text(&mut self, path: &str) -> (u16, String) {
        let response = self.get(path);
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        (response.status_code().as_u16(), body)
    }

    pub(super) fn status(&mut self, path: &str) -> StatusCode {
        self.get(path).status_code()
    }

    /// The whole body of a stream.
    pub(super) fn body(&mut self, stream: StreamId) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            match self.piece(stream) {
                Some((bytes, is_last)) => {
                    body.extend_from_slice(&bytes);
                    if is_last {
                        return body;
                    }
                }
                None => panic!("broken after {} bytes", body.len()),
            }
        }
    }

    /// The next piece of a stream, and whether it is the last; none when the file has changed.
    pub(super) fn piece(&mut self, stream: StreamId) -> Option<(Vec<u8>, bool)> {
        self.service.next_piece(&mut self.engine, stream);
        match self.next() {
            FileEvent::Piece { bytes, is_last, .. } => Some((bytes, is_last)),
            FileEvent::Broken { .. } => None,
            other => panic!("not a piece: {other:?}"),
        }
    }

    /// Asks for a file that is streamed.
    pub(super) fn stream(&mut self, path: &str) -> StreamId {
        let request_path = format!("/{path}");
        let query = FileQuery { path, request_path: &request_path, ..FileQuery::default() };
        match self.reply(&query) {
            FileReply::Streamed { stream: Some(stream), .. } => stream,
            other => panic!("not streamed: {other:?}"),
        }
    }

    /// How many operations were submitted so far.
    pub(super) fn submitted(&self) -> u64 {
        self.engine.stats().submitted
    }

    /// Ends the service: nothing may be left open.
    pub(super) fn close(mut self, directory: &Directory) {
        self.settle();
        self.service.close(&mut self.engine);
        self.settle();
        assert_eq!(directory.descriptors(), 0, "descriptors are left open");
        assert_eq!((self.service.waiting, self.service.loading_bytes), (0, 0));
    }
}

fn with_body(response: &Response, body: Vec<u8>) -> Response {
    let whole = Response::new(body).status(response.status_code());
    let fields = response.fields().iter();
    fields.fold(whole, |whole, (name, value)| whole.header(name.clone(), value.clone()))
}

/// The value of a field of a response.
pub(super) fn field<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    let field = response.fields().iter().find(|(field, _)| field == name);
    field.map(|(_, value)| value.to_str().unwrap())
}

/// Somebody who asks.
pub(super) fn asker(connection: u64) -> Asker {
    Asker { connection, exchange: exchange() }
}

/// An exchange, of which only a machine makes one.
fn exchange() -> Exchange {
    let limits = Limits::default();
    let (mut machine, mut head) = (Machine::server(0, &limits), Head::new());
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    match machine.receive(request, 0, &limits, &mut head) {
        Ok(Received::Head { exchange, .. }) => exchange,
        other => panic!("the request is whole: {other:?}"),
    }
}
