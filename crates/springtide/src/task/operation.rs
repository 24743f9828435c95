//! The operations of tasks: what each gives when it ends.
//! They are names; what is done for them stands in the session.

mod files;

pub use files::{
    Change, FileRead, Known, Names, OpenFile, OpenRemoteFile, ReadAll, WriteAll, Written,
};

use std::sync::Arc;

use bytes::Bytes;

use crate::datagram::Datagram;
use crate::fs::{DirEntry, Metadata, Opened};
use crate::peer::{Link, Peer, PeerId, Reason};
use crate::standalone::Client;
use crate::table::Place;

/// What a task is for, and what it gives. It is sealed: tasks come from peers.
pub trait Operation: sealed::Sealed + 'static {
    /// What `.await`, a wait and [`then_result`](crate::Task::then_result) give.
    type Output: 'static;
    /// What [`then`](crate::Task::then) calls back with.
    type Value: 'static;

    #[doc(hidden)]
    fn output(ended: Ended) -> Result<Self::Output, Reason>;

    #[doc(hidden)]
    fn value(output: Self::Output) -> Option<Self::Value>;
}

mod sealed {
    pub trait Sealed {}
}

/// How a task has ended, of whatever operation.
#[doc(hidden)]
#[derive(Debug)]
pub enum Ended {
    Bytes(Bytes),
    Pieces(Vec<Bytes>),
    Datagram(Box<Datagram>),
    File(Opened),
    Known(Box<Metadata>),
    Names(Vec<DirEntry>),
    /// So many triggers of an event, or bytes.
    Count(u64),
    EndOfStream,
    Done,
    /// A connection stands; it is plain data, so that it can be told anywhere.
    Connected(Stands),
    /// The same as another thread holds it.
    Linked(Linked),
    /// A connection has ended that was watched.
    Gone(Reason),
    Failed(Reason),
}

impl Ended {
    /// Why nothing came of an operation that ended so. What is no end of that operation cannot be: then
    /// whoever asked has a stale name.
    fn failure(self) -> Reason {
        match self {
            Self::Failed(reason) => reason,
            _ => Reason::Stale,
        }
    }

    /// Whom a callback is told of: a connection that was made, or the one that was asked.
    pub(super) fn whom(&self, asked: Peer) -> Peer {
        match self {
            Self::Connected(Stands(id, place, _)) => Peer::new(*id, *place),
            Self::Linked(Linked(link)) => link.peer(),
            _ => asked,
        }
    }
}

/// Where a connection stands, and the number of the listener that it came to.
#[doc(hidden)]
#[derive(Debug)]
pub struct Stands(pub(crate) PeerId, pub(crate) Place, pub(crate) Option<u64>);

/// A connection that is closed when nobody holds it any more; one that came to a listener and was not
/// taken goes back there.
#[doc(hidden)]
#[derive(Debug)]
pub struct Linked(pub(crate) Arc<Link>);

/// Bytes from the peer: some, or none at the end of its stream.
#[derive(Debug)]
pub struct Pull;

/// Bytes to the peer, which come back.
#[derive(Debug)]
pub struct Push;

/// Bytes in several pieces to the peer, which come back.
#[derive(Debug)]
pub struct PushAll;

/// The end of a connection, or of the stream to its peer.
#[derive(Debug)]
pub struct Close;

/// A datagram that has come.
#[derive(Debug)]
pub struct ReceiveFrom;

/// A datagram to somebody, whose bytes come back.
#[derive(Debug)]
pub struct SendTo;

/// Everything that comes from a connection, for another one: the number of bytes at its end.
#[derive(Debug)]
pub struct Forward;

/// A connection to somebody else.
#[derive(Debug)]
pub struct Connect;

/// The same as any thread holds it.
#[derive(Debug)]
pub struct Outgoing;

/// What an event has counted, and none when it is closed.
#[derive(Debug)]
pub struct Fired;
/// A connection from somebody else.
#[derive(Debug)]
pub struct Accept;

/// The end of a connection, however that comes about.
#[derive(Debug)]
pub(crate) struct Gone;

/// A request as a frame, and its reply.
#[derive(Debug)]
pub struct Call;

impl sealed::Sealed for Accept {}
impl sealed::Sealed for Call {}
impl sealed::Sealed for Fired {}
impl sealed::Sealed for Forward {}
impl sealed::Sealed for Gone {}
impl sealed::Sealed for Outgoing {}
impl sealed::Sealed for Pull {}
impl sealed::Sealed for Push {}
impl sealed::Sealed for PushAll {}
impl sealed::Sealed for Close {}
impl sealed::Sealed for Connect {}
impl sealed::Sealed for ReceiveFrom {}
impl sealed::Sealed for SendTo {}

impl Operation for Pull {
    type Output = Option<Bytes>;
    type Value = Bytes;

    #[inline]
    fn output(ended: Ended) -> Result<Option<Bytes>, Reason> {
        match ended {
            Ended::Bytes(bytes) => Ok(Some(bytes)),
            Ended::Failed(reason) => Err(reason),
            _ => Ok(None),
        }
    }

    #[inline]
    fn value(output: Option<Bytes>) -> Option<Bytes> {
        output
    }
}

impl Operation for Fired {
    type Output = Option<u64>;
    type Value = u64;

    fn output(ended: Ended) -> Result<Option<u64>, Reason> {
        match ended {
            Ended::Count(count) => Ok(Some(count)),
            Ended::EndOfStream => Ok(None),
            other => Err(other.failure()),
        }
    }

    fn value(output: Option<u64>) -> Option<u64> {
        output
    }
}

impl Operation for Forward {
    type Output = u64;
    type Value = u64;

    fn output(ended: Ended) -> Result<u64, Reason> {
        match ended {
            Ended::Count(bytes) => Ok(bytes),
            other => Err(other.failure()),
        }
    }

    fn value(output: u64) -> Option<u64> {
        Some(output)
    }
}

impl Operation for Push {
    type Output = Bytes;
    type Value = Bytes;

    #[inline]
    fn output(ended: Ended) -> Result<Bytes, Reason> {
        match ended {
            Ended::Bytes(bytes) => Ok(bytes),
            Ended::Failed(reason) => Err(reason),
            _ => Ok(Bytes::new()),
        }
    }

    #[inline]
    fn value(output: Bytes) -> Option<Bytes> {
        Some(output)
    }
}

impl Operation for Call {
    type Output = Bytes;
    type Value = Bytes;

    fn output(ended: Ended) -> Result<Bytes, Reason> {
        match ended {
            Ended::Bytes(bytes) => Ok(bytes),
            other => Err(other.failure()),
        }
    }

    fn value(output: Bytes) -> Option<Bytes> {
        Some(output)
    }
}

impl Operation for PushAll {
    type Output = Vec<Bytes>;
    type Value = Vec<Bytes>;

    fn output(ended: Ended) -> Result<Vec<Bytes>, Reason> {
        match ended {
            Ended::Pieces(pieces) => Ok(pieces),
            Ended::Failed(reason) => Err(reason),
            _ => Ok(Vec::new()),
        }
    }

    fn value(output: Vec<Bytes>) -> Option<Vec<Bytes>> {
        Some(output)
    }
}

impl Operation for ReceiveFrom {
    type Output = Datagram;
    type Value = Datagram;

    fn output(ended: Ended) -> Result<Datagram, Reason> {
        match ended {
            Ended::Datagram(datagram) => Ok(*datagram),
            other => Err(other.failure()),
        }
    }

    fn value(output: Datagram) -> Option<Datagram> {
        Some(output)
    }
}

impl Operation for SendTo {
    type Output = Bytes;
    type Value = Bytes;

    fn output(ended: Ended) -> Result<Bytes, Reason> {
        Push::output(ended)
    }

    fn value(output: Bytes) -> Option<Bytes> {
        Some(output)
    }
}

impl Operation for Close {
    type Output = ();
    type Value = ();

    fn output(ended: Ended) -> Result<(), Reason> {
        if let Ended::Failed(reason) = ended { Err(reason) } else { Ok(()) }
    }

    fn value((): ()) -> Option<()> {
        Some(())
    }
}

impl Operation for Connect {
    type Output = Peer;
    type Value = Peer;

    fn output(ended: Ended) -> Result<Peer, Reason> {
        match ended {
            Ended::Connected(Stands(id, place, _)) => Ok(Peer::new(id, place)),
            other => Err(other.failure()),
        }
    }

    fn value(output: Peer) -> Option<Peer> {
        Some(output)
    }
}

impl Operation for Outgoing {
    type Output = Client;
    type Value = Client;

    fn output(ended: Ended) -> Result<Client, Reason> {
        match ended {
            Ended::Linked(Linked(link)) => Ok(Client::of(link)),
            other => Err(other.failure()),
        }
    }

    fn value(output: Client) -> Option<Client> {
        Some(output)
    }
}

impl Operation for Accept {
    type Output = Client;
    type Value = Client;

    fn output(ended: Ended) -> Result<Client, Reason> {
        if let Ended::Linked(Linked(link)) = &ended {
            link.be_taken();
        }
        Outgoing::output(ended)
    }

    fn value(output: Client) -> Option<Client> {
        Some(output)
    }
}

impl Operation for Gone {
    type Output = Reason;
    type Value = Reason;

    fn output(ended: Ended) -> Result<Reason, Reason> {
        match ended {
            Ended::Gone(reason) => Ok(reason),
            other => Err(other.failure()),
        }
    }

    fn value(output: Reason) -> Option<Reason> {
        Some(output)
    }
}
