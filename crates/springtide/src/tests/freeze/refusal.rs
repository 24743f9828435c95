//! An engine that the system refuses while the shard runs: it goes on over another one.
//! The stand-in refuses as the real one does: every operation ends first, then nothing goes.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use springtide_engine::{
    Address, Completion, Descriptor, Error, FilePart, Handle, Key, ListenOptions, Metadata, Moment,
    Op, OpKind, Piece, SocketFile, Spliced, Stats, Taken, Waker,
};

/// EPERM, as a filter of system calls gives it.
const REFUSAL: Error = Error::LateRefusal { errno: 1 };
const EADDRINUSE: i32 = 98;

/// An engine that is refused after so many turns.
pub(in crate::tests) struct Refused {
    pub(in crate::tests) engine: Box<dyn Handle>,
    pub(in crate::tests) turns_left: usize,
    /// How often an address that it listens on is busy before.
    pub(in crate::tests) busy_left: usize,
    /// What becomes of each completion before.
    pub(in crate::tests) change: fn(&mut Completion),
    /// How far its clock goes in front of its turn, in milliseconds.
    pub(in crate::tests) ahead_ms: Arc<AtomicU64>,
    /// By how much its turns are later than they are, in milliseconds.
    pub(in crate::tests) later_ms: Arc<AtomicU64>,
    pub(in crate::tests) sends: Sends,
    pub(in crate::tests) receives: Receives,
    /// How many syncs of files have been asked for, none of which ends; where they hang.
    pub(in crate::tests) hung: Option<usize>,
}

/// What each send was given: where each of its pieces lies, and how long it is.
pub(in crate::tests) type Sends = Arc<Mutex<Vec<Vec<(usize, usize)>>>>;

/// What was asked for to receive, in this order.
pub(in crate::tests) type Receives = Arc<Mutex<Vec<Receive>>>;

/// One way to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tests) enum Receive {
    /// In chunks, from now on.
    Chunks,
    /// What lies behind a chunk: so many bytes.
    Behind(usize),
    /// Nothing but a word when something is there.
    Wait,
    /// At once: so many bytes.
    Taken(usize),
}

impl Refused {
    /// One that is refused nothing.
    pub(in crate::tests) fn over(engine: Box<dyn Handle>) -> Self {
        let (ahead_ms, later_ms, sends, receives) = Default::default();
        let change = |_: &mut Completion| {};
        let (turns_left, hung) = (usize::MAX, None);
        Self { engine, turns_left, busy_left: 0, change, ahead_ms, later_ms, sends, receives, hung }
    }

    fn note(&self, pieces: &[Piece]) {
        let pieces = pieces.iter().map(Piece::as_slice);
        let places = pieces.map(|piece| (piece.as_ptr().addr(), piece.len())).collect();
        self.sends.lock().unwrap().push(places);
    }
}

impl Handle for Refused {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn submit(&mut self, op: Op, token: u64) -> Key {
        if let Op::Send { pieces, .. } = &op {
            self.note(pieces);
        }
        match &op {
            Op::Receive { .. } => self.receives.lock().unwrap().push(Receive::Chunks),
            Op::AwaitBytes { .. } | Op::WatchBytes { .. } => {
                self.receives.lock().unwrap().push(Receive::Wait)
            }
            _ => {}
        }
        if let (Op::Sync { .. }, Some(hung)) = (&op, &mut self.hung) {
            *hung += 1;
            return Key::NONE;
        }
        self.engine.submit(op, token)
    }

    fn submit_quiet(&mut self, op: Op, token: u64) -> Key {
        if let Op::Send { pieces, .. } = &op {
            self.note(pieces);
        }
        self.engine.submit_quiet(op, token)
    }

    fn cancel(&mut self, key: Key) {
        self.engine.cancel(key);
    }

    fn send_progress(&mut self, key: Key) -> Option<i64> {
        self.engine.send_progress(key)
    }

    fn receive_now(
        &mut self,
        receive: Key,
        memory: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<usize, Error> {
        let taken = self.engine.receive_now(receive, memory, bytes_max);
        let count = *taken.as_ref().unwrap_or(&0);
        self.receives.lock().unwrap().push(Receive::Behind(count));
        taken
    }

    fn take_now(
        &mut self,
        socket: Descriptor,
        memory: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<Taken, Error> {
        let taken = self.engine.take_now(socket, memory, bytes_max);
        let count = if let Ok(Taken::Bytes(count)) = taken { count } else { 0 };
        self.receives.lock().unwrap().push(Receive::Taken(count));
        taken
    }

    fn sends_at_once_max(&self) -> usize {
        self.engine.sends_at_once_max()
    }

    fn send_now(&mut self, socket: Descriptor, pieces: &[Piece]) -> usize {
        self.note(pieces);
        self.engine.send_now(socket, pieces)
    }

    fn send_bytes_now(&mut self, socket: Descriptor, bytes: &[u8]) -> usize {
        self.engine.send_bytes_now(socket, bytes)
    }

    fn send_to_each_now(
        &mut self,
        sockets: &[Descriptor],
        bytes: &[u8],
        short: &mut Vec<(usize, usize)>,
    ) {
        self.engine.send_to_each_now(sockets, bytes, short);
    }

    fn send_file_now(&mut self, socket: Descriptor, part: FilePart) -> usize {
        self.engine.send_file_now(socket, part)
    }

    fn splices(&self) -> bool {
        self.engine.splices()
    }

    fn splice_now(
        &mut self,
        source: Descriptor,
        sink: Descriptor,
        bytes_max: usize,
        rest: &mut Vec<u8>,
    ) -> Result<Spliced, Error> {
        self.engine.splice_now(source, sink, bytes_max, rest)
    }

    fn turn(
        &mut self,
        deadline: Option<Moment>,
        completions: &mut Vec<Completion>,
    ) -> Result<(), Error> {
        if self.turns_left == 0 {
            // The last completions come with the refusal, and only once.
            self.engine.quiesce(completions)?;
            completions.iter_mut().for_each(self.change);
            return Err(REFUSAL);
        }
        self.turns_left -= 1;
        self.engine.turn(deadline, completions)?;
        completions.iter_mut().for_each(self.change);
        Ok(())
    }

    fn quiesce(&mut self, completions: &mut Vec<Completion>) -> Result<(), Error> {
        match self.engine.in_flight() {
            0 => self.engine.quiesce(completions),
            _ => Err(REFUSAL),
        }
    }

    fn listen(&mut self, options: &ListenOptions<'_>) -> Result<Descriptor, Error> {
        if self.busy_left > 0 {
            self.busy_left -= 1;
            return Err(Error::system(OpKind::Listen, EADDRINUSE));
        }
        self.engine.listen(options)
    }

    fn local_address(&self, socket: Descriptor) -> Result<Address, Error> {
        self.engine.local_address(socket)
    }

    fn bind(&mut self, address: SocketAddr, joining: bool) -> Result<Descriptor, Error> {
        self.engine.bind(address, joining)
    }

    fn send_to_now(
        &mut self,
        socket: Descriptor,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Result<bool, Error> {
        self.engine.send_to_now(socket, bytes, to)
    }

    fn socket_file(&self, listener: Descriptor) -> Option<SocketFile> {
        self.engine.socket_file(listener)
    }

    fn peer_address(&self, socket: Descriptor) -> Result<Address, Error> {
        self.engine.peer_address(socket)
    }

    fn is_peer_gone(&self, socket: Descriptor) -> bool {
        self.engine.is_peer_gone(socket)
    }

    fn reset_on_close(&mut self, socket: Descriptor) {
        self.engine.reset_on_close(socket);
    }

    fn open_directory(&mut self, path: &Path) -> Result<Descriptor, Error> {
        self.engine.open_directory(path)
    }

    fn metadata(&self, file: Descriptor) -> Result<Metadata, Error> {
        self.engine.metadata(file)
    }

    fn adopt(&mut self, socket: OwnedFd) -> Result<Descriptor, Error> {
        self.engine.adopt(socket)
    }

    fn release(&mut self, descriptor: Descriptor) -> Result<Descriptor, Error> {
        self.engine.release(descriptor)
    }

    fn take_over(&mut self, descriptor: Descriptor) {
        self.engine.take_over(descriptor);
    }

    fn waker(&self) -> Waker {
        self.engine.waker()
    }

    fn now(&self) -> Moment {
        self.engine.now() + Duration::from_millis(self.later_ms.load(Ordering::Relaxed))
    }

    fn clock(&self) -> Moment {
        self.now() + Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    fn chance(&mut self) -> u64 {
        self.engine.chance()
    }

    fn unix_seconds(&self) -> u64 {
        self.engine.unix_seconds()
    }

    fn stats(&self) -> Stats {
        self.engine.stats()
    }

    fn in_flight(&self) -> usize {
        self.engine.in_flight() + self.hung.unwrap_or(0)
    }
}
