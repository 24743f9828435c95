//! Operations: what can be asked of the system, each with the memory and descriptor it needs.
//! An operation lends nothing: its memory belongs to the engine until its last completion (law 3).

use std::ffi::CString;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::clock::Moment;
use crate::error::OpKind;
use crate::options::Address;

/// A descriptor of the system as the engine names it: plain data, closed by [`Op::Close`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Descriptor(pub(crate) i32);

impl Descriptor {
    /// The number the system knows it by.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

/// A part of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePart {
    /// A descriptor from [`Op::Open`].
    pub file: Descriptor,
    /// From the beginning of the file, in bytes.
    pub offset: u64,
    /// In bytes.
    pub length: usize,
}

/// For what a file is opened (open(2)).
///
/// ```
/// use springtide_engine::OpenOptions;
/// let log = OpenOptions { append: true, create: true, ..OpenOptions::default() };
/// assert!(!log.read && log.mode == 0o666);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// To be read; also where nothing else is said.
    pub read: bool,
    /// To be written to.
    pub write: bool,
    /// To be written to at its end, wherever that is by then.
    pub append: bool,
    /// What it holds is thrown away.
    pub truncate: bool,
    /// It is made where there is none.
    pub create: bool,
    /// It is made, and there is none yet.
    pub create_new: bool,
    /// Its permissions when it is made, as far as umask(2) leaves them.
    pub mode: u32,
}

impl Default for OpenOptions {
    fn default() -> Self {
        let (read, write, append, truncate, create, create_new) = Default::default();
        Self { read, write, append, truncate, create, create_new, mode: 0o666 }
    }
}

/// What came of [`Handle::splice_now`](crate::Handle::splice_now).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spliced {
    /// So many bytes have come, at least one; those that found no room are in the rest.
    Bytes(usize),
    /// Nothing is there.
    Nothing,
    /// The source's peer has ended its stream.
    End,
    /// The system has no pipe for it, or does not allow it: what comes is to be received and sent.
    Refused,
}

/// What came of [`Handle::take_now`](crate::Handle::take_now).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes were appended, at least one.
    Bytes(usize),
    /// Nothing is there.
    Nothing,
    /// The peer has ended its stream.
    End,
}

/// One piece of what a send sends.
#[derive(Clone, PartialEq, Eq)]
pub enum Piece {
    /// Owned bytes; the buffer comes back with the completion.
    Owned(Vec<u8>),
    /// Bytes shared by reference count, or static ones.
    Shared(Bytes),
}

impl Piece {
    /// The bytes of the piece.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// A piece may be megabytes: its length tells enough.
impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Piece({} bytes)", self.as_slice().len())
    }
}

/// A datagram that has come, or is to go.
#[derive(Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Where it comes from, or is to go.
    pub address: SocketAddr,
    /// What is in it, as far as it was received.
    pub bytes: Vec<u8>,
    /// How many bytes were sent: more than there are here, when it was longer than was received. Of
    /// one that is to go it means nothing.
    pub length: usize,
}

impl std::fmt::Debug for Datagram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Datagram({}, {} of {} bytes)", self.address, self.bytes.len(), self.length)
    }
}

/// The two ends of a connection that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub address: Address,
    /// From where, of TCP (bind(2)); with port 0 the system chooses the port, as one that is free for
    /// this address (IP_BIND_ADDRESS_NO_PORT). A bind that is refused fails with the operation
    /// [`OpKind::Bind`]. None: all of it is the system's choice.
    pub local: Option<SocketAddr>,
}

/// The most bytes of a datagram: what UDP's length field can say.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;

/// One thing asked of the system.
#[derive(Debug)]
pub enum Op {
    /// Takes connections from a listener; streaming, one in flight per listener. Each comes as
    /// [`Outcome::Accepted`](crate::Outcome::Accepted), non-blocking and close-on-exec (accept4(2)).
    Accept {
        /// A descriptor from [`Handle::listen`](crate::Handle::listen).
        listener: Descriptor,
    },
    /// Opens a connection (connect(2)); the socket is made by the engine. A Unix listener with as
    /// many connections waiting as may wait fails it with EAGAIN, at once.
    Connect {
        /// Where to, and from where.
        route: Box<Route>,
    },
    /// Receives until the end of the stream; streaming (recv(2)). The bytes come in
    /// [`Chunk`](crate::Chunk)s of the shard's ring, at most 4,096 bytes each; the first one comes
    /// alone, see [`Handle::receive_now`](crate::Handle::receive_now).
    Receive {
        /// From where.
        socket: Descriptor,
    },
    /// Receives once, into the spare capacity of `memory` (which must not be zero).
    ReceiveInto {
        /// From where.
        socket: Descriptor,
        /// Appended to; comes back with the completion.
        memory: Vec<u8>,
    },
    /// Waits until there is something to receive, the end of the stream or an error included, and takes
    /// nothing (poll(2)): for whoever takes it then, by [`Handle::splice_now`](crate::Handle::splice_now) or
    /// [`Handle::take_now`](crate::Handle::take_now).
    AwaitBytes {
        /// From where.
        socket: Descriptor,
    },
    /// Tells each time that something has come, and takes nothing; streaming. Whoever takes it, by
    /// [`Handle::take_now`](crate::Handle::take_now) beside it, takes until there was less than room for
    /// it: of what he leaves he is told nothing more, unless he asks anew, which tells at once. It may
    /// tell of what has been taken already, and ends when there is an end to be taken, or an error; on a
    /// Unix socket it may end each time, since a take stops there where descriptors were passed (unix(7)).
    WatchBytes {
        /// From where.
        socket: Descriptor,
    },
    /// Sends all pieces in order, as one vectored send (sendmsg(2)). At most one is in flight per
    /// socket (law 5); a second one fails as misuse. One without pieces sends nothing: it completes
    /// when the socket has room, for whoever sends by [`Handle::send_now`](crate::Handle::send_now) or
    /// [`Handle::send_file_now`](crate::Handle::send_file_now).
    Send {
        /// Where to.
        socket: Descriptor,
        /// At most [`PIECES_MAX`] pieces, and [`SEND_BYTES_MAX`] bytes.
        pieces: Vec<Piece>,
    },
    /// Receives datagrams (recvfrom(2)); streaming. What another datagram has met on its way (ICMP)
    /// ends nothing.
    ReceiveFrom {
        /// A descriptor from [`Handle::bind`](crate::Handle::bind).
        socket: Descriptor,
        /// So many bytes of each at most, one at least; [`Datagram::length`] tells of longer ones.
        bytes_max: usize,
    },
    /// Sends a datagram (sendto(2)), as soon as there is room for it. One is in flight per socket.
    SendTo {
        /// A descriptor from [`Handle::bind`](crate::Handle::bind).
        socket: Descriptor,
        /// It comes back with the completion.
        datagram: Box<Datagram>,
    },
    /// Ends the write half: the peer reads an end of stream behind all bytes sent (shutdown(2)).
    /// It waits for the send in flight on the socket, if there is one.
    Shutdown {
        /// Of which socket.
        socket: Descriptor,
    },
    /// Closes a descriptor. It is done only after the last operation on that descriptor has
    /// completed (law 6): cancel those or shut the socket down, or it waits for them.
    Close {
        /// Which one.
        descriptor: Descriptor,
    },
    /// Opens a regular file for reading beneath `root`: no path and no symbolic link leads out of
    /// it (openat2(2), RESOLVE_BENEATH).
    Open {
        /// A directory from [`Handle::open_directory`](crate::Handle::open_directory).
        root: Descriptor,
        /// Relative to `root`.
        path: CString,
    },
    /// Reads into the spare capacity of `memory` from `offset` on (pread(2)). A short read is the
    /// end of the file or a race with its writer; an empty one is the end.
    Read {
        /// A descriptor from [`Op::Open`].
        file: Descriptor,
        /// Appended to; comes back with the completion.
        memory: Vec<u8>,
        /// From the beginning of the file, in bytes.
        offset: u64,
    },
    /// Opens a file by its path from the process's own directory (openat(2)), close-on-exec; it waits
    /// for no writer of a pipe.
    OpenFile {
        /// Which one; links are followed.
        path: CString,
        /// For what.
        options: OpenOptions,
    },
    /// Reads into the spare capacities of several buffers in their order (preadv2(2)): at least one,
    /// and at most [`PIECES_MAX`]. Short as a [`Op::Read`] may be.
    ReadVectored {
        /// A descriptor from [`Op::Open`] or [`Op::OpenFile`].
        file: Descriptor,
        /// Appended to; they come back with the completion.
        memories: Vec<Vec<u8>>,
        /// From the beginning of the file, in bytes.
        offset: u64,
    },
    /// Writes all pieces in order at `offset` (pwritev2(2)); at the end where the file was opened with
    /// [`OpenOptions::append`]. It may write less: on a full disk, at a limit, when it is interrupted.
    Write {
        /// A descriptor from [`Op::OpenFile`].
        file: Descriptor,
        /// At most [`PIECES_MAX`] pieces, and one byte at least.
        pieces: Vec<Piece>,
        /// From the beginning of the file, in bytes.
        offset: u64,
    },
    /// Waits until a file is on its disk (fsync(2)).
    Sync {
        /// A descriptor from [`Op::OpenFile`].
        file: Descriptor,
        /// Its content, and not when it was changed (fdatasync(2)).
        data_only: bool,
    },
    /// Cuts a file or makes it longer by zeroes (ftruncate(2)).
    Truncate {
        /// A descriptor from [`Op::OpenFile`].
        file: Descriptor,
        /// In bytes.
        length: u64,
    },
    /// Tells what is known of a path (stat(2)); links are followed.
    Describe {
        /// Which one.
        path: CString,
    },
    /// Takes a name away (unlink(2), rmdir(2)).
    Remove {
        /// Which one; a link is not followed.
        path: CString,
        /// It is an empty directory; a file or a link otherwise.
        is_directory: bool,
    },
    /// Gives another name, which is taken from whoever has it (rename(2)).
    Rename {
        /// The old one.
        from: CString,
        /// The new one, on the same file system.
        to: CString,
    },
    /// Makes a directory (mkdir(2)).
    CreateDirectory {
        /// Where there is none.
        path: CString,
        /// Its permissions, as far as umask(2) leaves them.
        mode: u32,
    },
    /// Reads the names in a directory (getdents64(2)), on a thread of the engine's own.
    List {
        /// A descriptor from [`Op::Open`], [`Op::OpenFile`] or
        /// [`Handle::open_directory`](crate::Handle::open_directory).
        directory: Descriptor,
        /// At most how many names: what is behind them is not read.
        entries_max: usize,
    },
    /// Completes at a moment, to the wheel's millisecond.
    Timeout {
        /// When.
        at: Moment,
    },
}

/// The most pieces a send may have: what one sendmsg(2) takes (IOV_MAX of Linux).
pub const PIECES_MAX: usize = 1024;

/// The most bytes of a send: less than 2 GiB, which is what one sendmsg(2) of Linux takes.
pub const SEND_BYTES_MAX: usize = 1 << 30;

impl Op {
    /// Opens a connection to an address, from where the system chooses.
    ///
    /// ```
    /// use springtide_engine::{Address, Op, OpKind};
    /// assert_eq!(Op::connect(Address::unix("@tide")).kind(), OpKind::Connect);
    /// ```
    #[must_use]
    pub fn connect(address: impl Into<Address>) -> Self {
        Self::Connect { route: Box::new(Route { address: address.into(), local: None }) }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> OpKind {
        match self {
            Self::Accept { .. } => OpKind::Accept,
            Self::Connect { .. } => OpKind::Connect,
            Self::Receive { .. } => OpKind::Receive,
            Self::ReceiveInto { .. } => OpKind::ReceiveInto,
            Self::AwaitBytes { .. } => OpKind::AwaitBytes,
            Self::WatchBytes { .. } => OpKind::WatchBytes,
            Self::Send { .. } => OpKind::Send,
            Self::ReceiveFrom { .. } => OpKind::ReceiveFrom,
            Self::SendTo { .. } => OpKind::SendTo,
            Self::Shutdown { .. } => OpKind::Shutdown,
            Self::Close { .. } => OpKind::Close,
            Self::Open { .. } => OpKind::Open,
            Self::Read { .. } => OpKind::Read,
            Self::List { .. } => OpKind::List,
            Self::OpenFile { .. } => OpKind::Open,
            Self::ReadVectored { .. } => OpKind::Read,
            Self::Write { .. } => OpKind::Write,
            Self::Sync { .. } => OpKind::Sync,
            Self::Truncate { .. } => OpKind::Truncate,
            Self::Describe { .. } => OpKind::Describe,
            Self::Remove { .. } => OpKind::Remove,
            Self::Rename { .. } => OpKind::Rename,
            Self::CreateDirectory { .. } => OpKind::CreateDirectory,
            Self::Timeout { .. } => OpKind::Timeout,
        }
    }

    /// The descriptor it works on or ends.
    #[inline]
    pub(crate) const fn descriptor(&self) -> Option<Descriptor> {
        match self {
            Self::Close { descriptor } => Some(*descriptor),
            Self::Accept { listener } => Some(*listener),
            Self::Receive { socket }
            | Self::ReceiveInto { socket, .. }
            | Self::AwaitBytes { socket }
            | Self::WatchBytes { socket }
            | Self::Send { socket, .. }
            | Self::ReceiveFrom { socket, .. }
            | Self::SendTo { socket, .. }
            | Self::Shutdown { socket } => Some(*socket),
            Self::Read { file, .. }
            | Self::ReadVectored { file, .. }
            | Self::Write { file, .. }
            | Self::Sync { file, .. }
            | Self::Truncate { file, .. } => Some(*file),
            Self::Open { root, .. } => Some(*root),
            Self::List { directory, .. } => Some(*directory),
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::OpenFile { .. }
            | Self::Describe { .. }
            | Self::Remove { .. }
            | Self::Rename { .. }
            | Self::CreateDirectory { .. } => None,
        }
    }

    /// Whether the engine does it by itself, alike over every mechanism: at once when that does not
    /// wait, and on a thread of its own otherwise.
    #[inline]
    pub(crate) const fn is_for_workers(&self) -> bool {
        matches!(
            self,
            Self::List { .. }
                | Self::OpenFile { .. }
                | Self::ReadVectored { .. }
                | Self::Write { .. }
                | Self::Sync { .. }
                | Self::Truncate { .. }
                | Self::Describe { .. }
                | Self::Remove { .. }
                | Self::Rename { .. }
                | Self::CreateDirectory { .. }
        )
    }
}
