//! Why a connection ended, and why a task did not succeed: one list, so that both say the same.
//! It never holds what a peer has sent.

use std::fmt;

use springtide_engine::Error as EngineError;
use springtide_proto::framed::{PayloadError, Refusal};

/// Why a connection ended, or a task on it.
///
/// ```
/// use springtide::Reason;
/// assert_eq!(Reason::TimedOut("idle_timeout").to_string(), "the time of idle_timeout is over");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Both sides have said everything: the peer has ended its stream, and nobody here had more to say.
    PeerClosed,
    /// It was closed here, by [`Peer::close`](crate::Peer::close) or because its future has ended.
    Closed,
    /// The peer has reset the connection, or does not answer any more.
    Reset,
    /// The time of a limit is over; its name.
    TimedOut(&'static str),
    /// Nobody listens at the address (connect(2), ECONNREFUSED).
    Refused,
    /// No connection stands at the moment; nothing was sent.
    NotConnected,
    /// No address was given, or one that is none; the caller's to mend: write `host:port`.
    Address,
    /// The system knows no address of the name.
    Unresolved,
    /// It was cancelled here before it had begun, or before it had an effect.
    Cancelled,
    /// A limit is reached; its name. Nothing was done.
    Limit(&'static str),
    /// The peer's bytes break the protocol of frames, or a limit of it.
    Frame(Refusal),
    /// What was to be sent is no frame, and nothing of it was; the caller's to mend.
    Payload(PayloadError),
    /// The connection that this handle names is gone, or the handle is used where no shard runs.
    Stale,
    /// The two connections are of different shards, between which bytes are not forwarded.
    Elsewhere,
    /// Code of the application panicked on this connection.
    Panicked,
    /// The future that had the connection has failed.
    Failed,
    /// The server has stopped.
    Stopped,
    /// A wait on a thread that turns a shard, or for a simulated world, which goes on by what its test
    /// does: it would never end. Say `.then` or `.await` there.
    Deadlock,
    /// The system failed: operation and errno (see the man page of the operation).
    System(EngineError),
}

impl Reason {
    /// What an error of the engine says of a connection.
    pub(crate) fn of(error: EngineError) -> Self {
        match error {
            EngineError::Cancelled => Self::Cancelled,
            EngineError::Limit(name) => Self::Limit(name),
            error if error.is_refused() => Self::Refused,
            error if error.is_peer_gone() => Self::Reset,
            error => Self::System(error),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::PeerClosed => "the peer has ended the connection",
            Self::Closed => "the connection was closed here",
            Self::Reset => "the peer has reset the connection",
            Self::TimedOut(limit) => return write!(f, "the time of {limit} is over"),
            Self::Refused => "nobody listens at the address",
            Self::NotConnected => "no connection stands at the moment",
            Self::Address => "there is no such address: write HOST:PORT",
            Self::Unresolved => "the name has no address",
            Self::Cancelled => "it was cancelled",
            Self::Limit(limit) => return write!(f, "the limit {limit} is reached"),
            Self::Stale => "the connection is gone",
            Self::Elsewhere => "the connections are of different shards",
            Self::Panicked => "code of the application panicked",
            Self::Failed => "the future of the connection has failed",
            Self::Stopped => "the server has stopped",
            Self::Deadlock => "to wait here would be a deadlock: a shard goes on by this thread",
            Self::Frame(refusal) => return refusal.fmt(f),
            Self::Payload(error) => return error.fmt(f),
            Self::System(error) => return error.fmt(f),
        };
        f.write_str(words)
    }
}

impl std::error::Error for Reason {}
