//! What an operation can fail with: whose fault it is, which operation, which errno.
//! Never a string, and never an errno kept as a sentinel among byte counts.

use std::fmt;

use crate::refusal::Refusal;

/// The kind of an operation, for messages and for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// Take connections from a listener.
    Accept,
    /// Open a connection.
    Connect,
    /// Receive into chunks of the shard.
    Receive,
    /// Receive once into memory of the caller.
    ReceiveInto,
    /// Wait for something to receive.
    AwaitBytes,
    /// Tell of all that comes.
    WatchBytes,
    /// Send pieces.
    Send,
    /// Receive datagrams.
    ReceiveFrom,
    /// Send a datagram.
    SendTo,
    /// End the write half of a connection.
    Shutdown,
    /// Close a descriptor.
    Close,
    /// Open a file beneath a directory.
    Open,
    /// Read from a file.
    Read,
    /// Write to a file.
    Write,
    /// Bring a file to its disk.
    Sync,
    /// Set the length of a file.
    Truncate,
    /// Tell what is known of a path.
    Describe,
    /// Take a name away.
    Remove,
    /// Give another name.
    Rename,
    /// Make a directory.
    CreateDirectory,
    /// Read the names in a directory.
    List,
    /// Wait for a moment.
    Timeout,
    /// Make a listening socket.
    Listen,
    /// Give a socket its local address.
    Bind,
    /// Set up an engine.
    Start,
    /// Wait for completions.
    Enter,
}

impl OpKind {
    const fn verb(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Connect => "connect",
            Self::Receive | Self::ReceiveInto | Self::ReceiveFrom => "receive",
            Self::AwaitBytes | Self::WatchBytes => "wait for bytes",
            Self::Send | Self::SendTo => "send",
            Self::Shutdown => "shutdown",
            Self::Close => "close",
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Truncate => "truncate",
            Self::Describe => "stat",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::CreateDirectory => "make a directory",
            Self::List => "list",
            Self::Timeout => "timeout",
            Self::Listen => "listen",
            Self::Bind => "bind to a local address",
            Self::Start => "start of the engine",
            Self::Enter => "wait for completions",
        }
    }
}

/// Why an operation failed.
///
/// ```
/// use springtide_engine::{Error, OpKind};
/// let error = Error::system(OpKind::Send, 104);
/// assert!(error.is_peer_gone());
/// assert_eq!(error.to_string(), "send: Connection reset by peer (os error 104)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The caller cancelled it.
    Cancelled,
    /// The caller broke a law of the engine; nothing was done. The sentence says which.
    Misuse(&'static str),
    /// A limit of the engine is spent; its name.
    Limit(&'static str),
    /// The system refused: operation and errno (see the operation's man page).
    System {
        /// What was asked.
        operation: OpKind,
        /// What the system answered.
        errno: i32,
    },
    /// The system refuses io_uring to an engine that starts: why, and what helps.
    Refused(Refusal),
    /// The system refuses to a running engine what it allowed at its start (errno says how):
    /// everything in flight has ended. [`Handle::turn`](crate::Handle::turn) says what then.
    LateRefusal {
        /// What the system answered.
        errno: i32,
    },
}

impl Error {
    /// An error of the system.
    #[must_use]
    pub const fn system(operation: OpKind, errno: i32) -> Self {
        Self::System { operation, errno }
    }

    /// The same fact as a `std::io::Error` tells.
    #[must_use]
    pub fn from_io(operation: OpKind, error: &std::io::Error) -> Self {
        Self::system(operation, error.raw_os_error().unwrap_or(crate::system::EIO))
    }

    /// Why an engine does not start: without descriptors that is no refusal.
    pub(crate) fn from_start(error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(crate::system::EMFILE) => Self::Limit("RLIMIT_NOFILE (ulimit -n)"),
            Some(crate::system::ENFILE) => Self::Limit("fs.file-max"),
            _ => Self::from_io(OpKind::Start, error),
        }
    }

    /// The errno, where the system gave one.
    #[must_use]
    pub const fn errno(&self) -> Option<i32> {
        match self {
            Self::System { errno, .. } | Self::LateRefusal { errno } => Some(*errno),
            _ => None,
        }
    }

    /// Whether the other end of the connection ended it (reset, broken pipe, timed out).
    #[must_use]
    pub fn is_peer_gone(&self) -> bool {
        self.errno().is_some_and(crate::system::is_peer_gone)
    }

    /// Whether nobody listens where a connection was to lead.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        match self {
            // Of a Unix socket there is not even a file.
            Self::System { operation: OpKind::Connect, errno: crate::system::ENOENT } => true,
            error => error.errno() == Some(crate::system::ECONNREFUSED),
        }
    }

    /// Whether descriptors or memory are exhausted: pause and try again later, this is not the
    /// end of a listener.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.errno().is_some_and(crate::system::is_exhausted)
    }

    /// Whether an address to listen on is in use.
    #[must_use]
    pub fn is_busy_address(&self) -> bool {
        self.errno() == Some(crate::system::EADDRINUSE)
    }

    /// Whether a path named nothing that may be seen.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.errno().is_some_and(crate::system::is_not_found)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the operation was cancelled"),
            Self::Misuse(sentence) => write!(f, "misuse of the engine: {sentence}"),
            Self::Limit(name) => write!(f, "the limit {name} is spent"),
            Self::System { operation, errno } => {
                write!(f, "{}: {}", operation.verb(), std::io::Error::from_raw_os_error(*errno))
            }
            Self::Refused(refusal) => write!(f, "io_uring is refused: {refusal}"),
            Self::LateRefusal { errno } => {
                let system = std::io::Error::from_raw_os_error(*errno);
                write!(f, "the running engine is refused from now on: {system}")
            }
        }
    }
}

impl std::error::Error for Error {}
