//! Backends: the ways to get operations done, one folder per mechanism of the system.
//! Chosen at run time in one place, here; nothing above knows which one it is.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use crate::clock::{Clock, Moment};
use crate::completion::{Metadata, Outcome};
use crate::error::{Error, OpKind};
use crate::ledger::Ledger;
use crate::op::{Descriptor, FilePart, Op, Piece, Spliced};
use crate::options::{Address, ListenOptions};
use crate::slots::Key;
use crate::stats::Stats;
pub(crate) use crate::system::Work;
use crate::system::{self, SocketFile};
use crate::wake::Waker;

mod alarm;
pub(crate) mod datagrams;
pub(crate) mod readiness;
pub mod simulated;
pub(crate) mod uring;

/// What every mechanism offers. Completions appear in `turn` only (law 2); a failure at submit
/// comes as a completion; a cancelled operation still completes (law 4).
pub(crate) trait Backend {
    /// Its name, as in `--engine`.
    fn name(&self) -> &'static str;

    /// Starts an operation that stands in the ledger.
    fn submit(&mut self, ledger: &mut Ledger, key: Key);

    /// Starts a send that stands in the ledger; none before the turn's flush.
    fn send(&mut self, ledger: &mut Ledger, key: Key) {
        self.submit(ledger, key);
    }

    /// Asks an operation to end; best effort.
    fn cancel(&mut self, ledger: &mut Ledger, key: Key);

    /// Submits, waits until something has ended, `until` is reached or the waker is used, and
    /// writes every end to the ledger.
    fn turn(&mut self, ledger: &mut Ledger, until: Until) -> Result<(), Error>;

    /// Ends the wait from any thread.
    fn waker(&self) -> &Waker;

    /// Adds its counts.
    fn count(&self, stats: &mut Stats);

    // What follows asks the system at once; a backend without a system answers for itself.

    /// What goes on when this one is refused, with the same waker: poll(2) needs no leave and no
    /// descriptor.
    fn successor(&self) -> Result<Box<dyn Backend>, Error> {
        let selector = Box::new(readiness::selector::poll::Poll::default());
        Ok(Box::new(readiness::Readiness::over(selector, self.waker().clone())?))
    }

    /// The clock its time runs by.
    fn clock(&self) -> Clock {
        Clock::System
    }

    /// A number by chance.
    fn chance(&mut self) -> u64 {
        // The standard library asks the system once for each thread, and differs with each state.
        RandomState::new().hash_one(())
    }

    /// Makes a listening socket.
    fn listen(&mut self, options: &ListenOptions<'_>) -> Result<Descriptor, Error> {
        listen(options)
    }

    /// Makes a socket for datagrams.
    fn bind(&mut self, address: SocketAddr, joining: bool) -> Result<Descriptor, Error> {
        let sharing = if joining { system::Sharing::Joining } else { system::Sharing::First };
        let bound = system::bind_udp(address, sharing).map(system::into_descriptor);
        bound.map_err(|error| Error::from_io(OpKind::Listen, &error))
    }

    /// Sends a datagram; EAGAIN where there is no room for it.
    fn send_to_now(&mut self, socket: Descriptor, bytes: &[u8], to: SocketAddr) -> Result<(), i32> {
        system::send_to(socket.number(), bytes, to)
    }

    /// The addresses of a socket.
    fn local_address(&self, socket: Descriptor) -> Result<Address, Error> {
        system::local_address(socket)
    }

    /// The file of a listener.
    fn socket_file(&self, listener: Descriptor) -> Option<SocketFile> {
        SocketFile::of(&system::local_address(listener).ok()?)
    }

    /// The other end's address.
    fn peer_address(&self, socket: Descriptor) -> Result<Address, Error> {
        system::peer_address(socket)
    }

    /// Whether the peer of a socket has gone, or both sides have ended.
    fn is_peer_gone(&self, socket: Descriptor) -> bool {
        system::is_hung_up(socket)
    }

    /// The close of a socket is to be a reset.
    fn reset_on_close(&mut self, socket: Descriptor) {
        system::reset_on_close(socket);
    }

    /// How many bytes that were sent on a socket its peer's system has not taken yet.
    fn waiting_bytes(&self, socket: Descriptor) -> u32 {
        system::waiting_bytes(socket)
    }

    /// Takes what has come on a socket, so many bytes at most, for which the memory has room; 0 at the
    /// end of its stream, and none when nothing is there.
    fn receive_now(
        &mut self,
        socket: Descriptor,
        memory: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<Option<usize>, i32> {
        receive_now(socket, memory, bytes_max)
    }

    /// How many sends of a turn cost less at once than as operations: all, where each is a call anyway.
    fn sends_at_once_max(&self) -> usize {
        usize::MAX
    }

    /// Sends what fits of pieces; none when nothing does, or on an error, which the next send tells.
    fn send_now(&mut self, ledger: &mut Ledger, socket: Descriptor, pieces: &[Piece]) -> usize {
        send_now(ledger, socket, pieces)
    }

    /// As [`Backend::send_now`], of bytes in one place.
    fn send_bytes_now(&mut self, socket: Descriptor, bytes: &[u8]) -> usize {
        system::send(socket.number(), bytes).unwrap_or(0)
    }

    /// The same of these bytes to each of many sockets, unless a send is in flight there: tells which took
    /// less, and how much.
    fn send_to_each_now(
        &mut self,
        ledger: &mut Ledger,
        sockets: &[Descriptor],
        bytes: &[u8],
        short: &mut Vec<(usize, usize)>,
    ) {
        for (place, socket) in sockets.iter().enumerate() {
            let is_free = !ledger.is_sending(*socket);
            let sent = if is_free { self.send_bytes_now(*socket, bytes) } else { 0 };
            if sent < bytes.len() {
                short.push((place, sent));
            }
        }
    }

    /// Sends what fits of a part of a file that is in memory; none when nothing does, when it is not
    /// there, or on an error.
    fn send_file_now(&mut self, socket: Descriptor, part: FilePart) -> usize {
        system::send_file(socket.number(), part).unwrap_or(0)
    }

    /// Opens a directory that files are opened beneath.
    fn open_directory(&mut self, path: &std::path::Path) -> Result<Descriptor, Error> {
        system::open_directory(path).map(system::into_descriptor)
    }

    /// Whether what is for the engine's workers is done here instead: there is no disk to wait for.
    fn has_own_files(&self) -> bool {
        false
    }

    /// Passes bytes from socket to socket where both are its own; none where they are the system's.
    fn pass_own(
        &mut self,
        _: Descriptor,
        _: Descriptor,
        _: usize,
        _: &mut Vec<u8>,
    ) -> Option<Result<Spliced, i32>> {
        None
    }

    /// What is known of an open file.
    fn metadata(&self, file: Descriptor) -> Result<Metadata, i32> {
        system::metadata(file.number())
    }

    /// Takes a socket over that was opened elsewhere.
    fn adopt(&mut self, socket: OwnedFd) -> Result<Descriptor, Error> {
        Ok(system::into_descriptor(socket))
    }

    /// Forgets a descriptor with nothing in flight: another engine will use it.
    fn release(&mut self, descriptor: Descriptor);

    /// Closes at once a descriptor with nothing in flight (used where no turn follows).
    fn close_now(&mut self, descriptor: Descriptor);
}

/// How long a turn may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Not at all.
    Now,
    /// Until a moment.
    Moment(Moment),
    /// Until something ends.
    Forever,
}

impl Until {
    /// How long from now; nothing for ever.
    pub(crate) fn timeout(self) -> Option<std::time::Duration> {
        match self {
            Self::Now => Some(std::time::Duration::ZERO),
            Self::Moment(moment) => Some(moment.since(crate::clock::system_now())),
            Self::Forever => None,
        }
    }
}

/// When a turn waits that has something to deliver already.
#[derive(Default)]
pub(crate) struct Pace {
    /// The last turn delivered what it had without asking the system.
    skipped: bool,
}

impl Pace {
    /// How long this turn may wait; none when it delivers what it has and asks the system in the
    /// next turn, so that a chatty connection cannot starve the rest.
    #[inline]
    pub(crate) fn until(&mut self, ledger: &Ledger, until: Until) -> Option<Until> {
        let had_skipped = std::mem::take(&mut self.skipped);
        match (ledger.awaited, had_skipped) {
            (false, _) => Some(until),
            (true, true) => Some(Until::Now),
            (true, false) => {
                self.skipped = true;
                None
            }
        }
    }
}

/// Sends what fits of a send at once; true when all has gone. The slot keeps how far it came.
#[inline]
pub(crate) fn send_directly(ledger: &mut Ledger, key: Key) -> Result<bool, i32> {
    let Ledger { slots, spare_work, .. } = ledger;
    let Some(slot) = slots.get(key) else { return Ok(false) };
    let Op::Send { socket, pieces } = &slot.op else { return Ok(false) };
    if pieces.is_empty() {
        return Ok(true);
    }
    let unsent = Ledger::unsent_of(pieces, slot.sent());
    let count = if let [piece] = pieces.as_slice() {
        crate::system::send(socket.number(), &piece.as_slice()[slot.sent()..])?
    } else {
        let work = slot.work.get_or_insert_with(|| spare_work.pop().unwrap_or_default());
        work.aim(pieces, slot.progress as usize);
        // SAFETY: the vectors were just aimed at the pieces, which the slot owns (law 3).
        unsafe { crate::system::send_vectors(socket.number(), &work.vectors) }?
    };
    slot.add_sent(count);
    Ok(count == unsent)
}

fn receive_now(
    socket: Descriptor,
    memory: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<Option<usize>, i32> {
    let spare = memory.spare_capacity_mut();
    let (target, room) = (spare.as_mut_ptr().cast(), spare.len().min(bytes_max));
    // SAFETY: the spare capacity is the caller's, who lends it for the call only.
    let received = unsafe { system::receive(socket.number(), target, room) };
    let count = match received {
        Err(system::EAGAIN | system::EINTR) => return Ok(None),
        received => received?,
    };
    assert!(count <= room, "the system fills spare capacity only");
    // SAFETY: the system has written `count` bytes behind the old length.
    unsafe { memory.set_len(memory.len() + count) };
    Ok(Some(count))
}

fn send_now(ledger: &mut Ledger, socket: Descriptor, pieces: &[Piece]) -> usize {
    if let [piece] = pieces {
        return system::send(socket.number(), piece.as_slice()).unwrap_or(0);
    }
    let mut work = ledger.take_work();
    work.aim(pieces, 0);
    // SAFETY: the vectors were just aimed at the pieces, which the caller lends for the call.
    let sent = unsafe { system::send_vectors(socket.number(), &work.vectors) };
    ledger.put_work(work);
    sent.unwrap_or(0)
}

/// Whether the caller asked an operation to end.
#[inline]
pub(crate) fn cancelled(ledger: &mut Ledger, key: Key) -> bool {
    ledger.slots.get(key).is_some_and(|slot| slot.marks.cancelled)
}

/// The end of an operation that appended `count` bytes to its memory.
pub(crate) fn end_filled(ledger: &mut Ledger, key: Key, count: usize) {
    ledger.end(key, |op| match op {
        Op::ReceiveInto { mut memory, .. } | Op::Read { mut memory, .. } => {
            let length = memory.len() + count;
            assert!(length <= memory.capacity(), "the system fills spare capacity only");
            // SAFETY: the system has written `count` bytes behind the old length, within the
            // spare capacity it was given (law 3).
            unsafe { memory.set_len(length) };
            Outcome::Filled(memory)
        }
        _ => unreachable!("only operations with memory are filled"),
    });
}

/// Ends an open whose file is there: what is known of it comes along.
pub(crate) fn end_open(ledger: &mut Ledger, key: Key, fd: i32) {
    match crate::system::metadata(fd) {
        Ok(metadata) => ledger.end(key, |_| Outcome::Opened(Descriptor(fd), metadata)),
        Err(errno) => {
            crate::system::close(fd);
            ledger.fail_errno(key, OpKind::Open, errno);
        }
    }
}

/// Connects to a Unix listener; false where the address is of another family.
pub(crate) fn connect_unix(ledger: &mut Ledger, key: Key) -> bool {
    let op = ledger.slots.get(key).map(|slot| &slot.op);
    let Some(Op::Connect { route }) = op else { return false };
    let Address::Unix(Some(path)) = &route.address else { return false };
    match system::connect_unix(path) {
        Ok(socket) => {
            let socket = system::into_descriptor(socket);
            ledger.end(key, |_| Outcome::Connected(socket));
        }
        Err(error) => ledger.fail(key, Error::from_io(OpKind::Connect, &error)),
    }
    true
}

/// Makes a listening socket of the system.
fn listen(options: &ListenOptions<'_>) -> Result<Descriptor, Error> {
    open_listener(options).map(system::into_descriptor)
}

/// Makes a listening socket with TCP_NODELAY that no engine has yet; [`Handle::adopt`] brings it to one.
///
/// # Errors
/// The address is busy or not ours (bind(2), listen(2)).
///
/// [`Handle::adopt`]: crate::Handle::adopt
pub fn open_listener(options: &ListenOptions<'_>) -> Result<OwnedFd, Error> {
    use crate::system::Sharing;
    let listening = match options.address {
        Address::Internet(address) => {
            let sharing = if options.joining { Sharing::Joining } else { Sharing::First };
            system::listen_tcp(*address, options.backlog, sharing, options.keepalive)
        }
        Address::Unix(Some(path)) => system::listen_unix(path, options.backlog, options.mode),
        Address::Unix(None) => return Err(Error::Misuse("a Unix listener has a path")),
    };
    listening.map_err(|error| Error::from_io(OpKind::Listen, &error))
}
