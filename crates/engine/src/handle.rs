//! The one door through which an engine is used.
//! It says what an engine promises, and nothing of how it is kept.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::clock::Moment;
use crate::completion::{Completion, Metadata};
use crate::error::Error;
use crate::op::{Descriptor, FilePart, Op, Piece, Spliced, Taken};
use crate::options::{Address, ListenOptions};
use crate::slots::Key;
use crate::stats::Stats;
use crate::system::SocketFile;
use crate::wake::Waker;

/// The one door through which an engine is used: later the engine can be another library.
pub trait Handle {
    /// Its mechanism's name.
    fn name(&self) -> &'static str;

    /// Starts an operation. Its completions carry `token`; a failure, also one to start, is a
    /// completion. One that breaks a law or a limit has no key: it is [`Key::NONE`].
    fn submit(&mut self, op: Op, token: u64) -> Key;

    /// As [`submit`](Self::submit), where nobody waits for a good end: when it has that in the turn
    /// that begins it, the completion wakes nobody and may come with the next one that does. An
    /// operation that had to wait ends a turn as any other.
    fn submit_quiet(&mut self, op: Op, token: u64) -> Key;

    /// Asks an operation to end. It still completes, with what it had or as cancelled; a stale
    /// key is ignored.
    fn cancel(&mut self, key: Key);

    /// How many bytes of a send the peer's system has taken; less than zero while it has yet to
    /// take what was sent before. Two looks that are alike: it has taken nothing in between. None
    /// for a stale key and for what is no send. Each look asks the system.
    ///
    /// Over a Unix socket the system counts the memory of what waits, not its bytes: there only
    /// whether two looks are alike says anything.
    fn send_progress(&mut self, key: Key) -> Option<i64>;

    /// Takes at once what lies behind the first chunk of a streaming receive, as far as the spare
    /// capacity of `memory` goes, and `bytes_max` at most: a long message needs no chunk, nor a copy
    /// out of it. Gives how many bytes were appended; none when nothing is there, or when it cannot
    /// be told that these are the next bytes: call it only in the turn that delivered that chunk,
    /// when all chunks of it have been handled. The end of the stream the receive tells itself. The
    /// next bytes it delivers come alone again, so that this can be called again.
    ///
    /// # Errors
    /// The system has failed (recv(2)), as when the peer has reset the connection. It says so once:
    /// the receive itself may end as if the stream had ended well.
    fn receive_now(
        &mut self,
        receive: Key,
        memory: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<usize, Error>;

    /// Takes at once what has come on a socket, as far as the spare capacity of `memory` goes, and
    /// `bytes_max` at most: so a long stream needs no chunk at all. [`Op::AwaitBytes`] tells when there
    /// is something, [`Op::WatchBytes`] each time, beside which bytes are taken. Less than there was room
    /// for is all that was there.
    ///
    /// # Errors
    /// The system has failed (recv(2)), as when the peer has reset the connection; it says so once.
    /// [`Error::Misuse`] where a receive is in flight on the socket, or where there is no room.
    fn take_now(
        &mut self,
        socket: Descriptor,
        memory: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<Taken, Error>;

    /// How many sends of one turn are made with [`send_now`](Self::send_now) for less than as
    /// operations: with more, the system may take them all together for less still. The same as long
    /// as the engine lives.
    fn sends_at_once_max(&self) -> usize;

    /// Sends at once what fits of pieces, and gives how many bytes that were: an [`Op::Send`] takes
    /// the rest. So go long ones, while they lie in the processor's cache, and the few of a turn with
    /// little to do. None while a send is in flight (law 5), and on an error, which the next send
    /// tells.
    fn send_now(&mut self, socket: Descriptor, pieces: &[Piece]) -> usize;

    /// As [`send_now`](Self::send_now), of bytes in one place.
    fn send_bytes_now(&mut self, socket: Descriptor, bytes: &[u8]) -> usize;

    /// As [`send_bytes_now`](Self::send_bytes_now), of the same bytes to many sockets, each named once: the
    /// system may take them all together for less. Appends which of them took less than all, by its place
    /// among them, and how many bytes that were.
    fn send_to_each_now(
        &mut self,
        sockets: &[Descriptor],
        bytes: &[u8],
        short: &mut Vec<(usize, usize)>,
    );

    /// Sends at once, without a copy, what fits of a part of a file that is in the system's memory
    /// (sendfile(2), cachestat(2)), and gives how many bytes that were. None where the part is not
    /// all there, or the system does not tell (before Linux 6.5; since 6.14 it tells only who owns
    /// the file or may write it, and nobody on an overlay), while a send is in flight (law 5),
    /// where SIGPIPE is not ignored, and on an error: an [`Op::Read`] and an [`Op::Send`] take over,
    /// and tell.
    ///
    /// The system sends the file's own pages: who writes to the file may change bytes that were
    /// sent and have not reached the peer.
    fn send_file_now(&mut self, socket: Descriptor, part: FilePart) -> usize;

    /// Whether [`splice_now`](Self::splice_now) is likely to pass anything: the system has not
    /// refused it.
    fn splices(&self) -> bool;

    /// Passes at once what has come on one socket to another, without a copy (splice(2)), `bytes_max` at
    /// most, and the system may say less. What found no room is appended to `rest`, of which an
    /// [`Op::Send`] is made: nothing stays between the two. A sink that has failed has no room, which
    /// the next send tells. [`Op::AwaitBytes`] tells when there is more.
    ///
    /// # Errors
    /// The source has failed, as when its peer has reset the connection; the system says so once.
    /// [`Error::Misuse`] where a receive is in flight on the source, or a send on the sink (law 5).
    fn splice_now(
        &mut self,
        source: Descriptor,
        sink: Descriptor,
        bytes_max: usize,
        rest: &mut Vec<u8>,
    ) -> Result<Spliced, Error>;

    /// Submits, waits until something has ended, `deadline` has come or the waker is used, and
    /// appends what has ended.
    ///
    /// # Errors
    /// [`Error::LateRefusal`]: a filter came that forbids what was allowed at the start. This turn
    /// has appended the last completion of everything in flight: what had come is delivered,
    /// sends say how far they came, the rest ended as cancelled. A receive or send of which the
    /// system tells too little for that failed instead (EIO): its stream cannot go on. Nothing is in flight now, every
    /// descriptor can be released to an engine of another mechanism, and this engine goes on over
    /// poll(2), with the same waker. Whoever closes a socket then, its peer sees the end some
    /// milliseconds later than usual, when the system has let go of what was armed on it. Where
    /// io_uring_register is forbidden as well that is not before this thread has ended: release the
    /// descriptors, go on in another thread, and end this one.
    /// Anything else: the system refuses to be waited for, and nothing will end any more.
    fn turn(
        &mut self,
        deadline: Option<Moment>,
        completions: &mut Vec<Completion>,
    ) -> Result<(), Error>;

    /// Cancels everything and takes turns until every last completion is there.
    ///
    /// # Errors
    /// As [`Handle::turn`], or operations do not end.
    fn quiesce(&mut self, completions: &mut Vec<Completion>) -> Result<(), Error>;

    /// Makes a listening socket with TCP_NODELAY.
    ///
    /// # Errors
    /// The address is busy or not ours (bind(2), listen(2)).
    fn listen(&mut self, options: &ListenOptions<'_>) -> Result<Descriptor, Error>;

    /// The address a socket is bound to.
    ///
    /// # Errors
    /// The socket is not open.
    fn local_address(&self, socket: Descriptor) -> Result<Address, Error>;

    /// A socket for datagrams (UDP) at an address, for [`Op::ReceiveFrom`] and [`Op::SendTo`]; port 0
    /// takes a free one. `joining` shares the port of another one of this process.
    ///
    /// # Errors
    /// The address is busy or not ours.
    fn bind(&mut self, address: SocketAddr, joining: bool) -> Result<Descriptor, Error>;

    /// Sends a datagram at once; false where there is no room for it, or an [`Op::SendTo`] is in flight.
    ///
    /// # Errors
    /// The system refuses it, as one that is too long (EMSGSIZE), or that leads nowhere. The socket
    /// goes on.
    fn send_to_now(
        &mut self,
        socket: Descriptor,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Result<bool, Error>;

    /// The file of a listening Unix socket that [`listen`](Self::listen) has just made, to be removed
    /// by dropping it; none where it has none.
    fn socket_file(&self, listener: Descriptor) -> Option<SocketFile>;

    /// The address of the other end.
    ///
    /// # Errors
    /// The socket is not connected any more.
    fn peer_address(&self, socket: Descriptor) -> Result<Address, Error>;

    /// Whether the peer of a connected socket has gone: it has reset the connection, or does not answer
    /// (see [`ListenOptions::keepalive`]), or both sides have ended. That a peer has ended its side
    /// alone is not meant: it may wait for what is sent to it. A receive in flight tells all of it by
    /// itself; this asks the system where there is none.
    fn is_peer_gone(&self, socket: Descriptor) -> bool;

    /// Makes the close of a TCP socket a reset, where an end of stream would say that everything was
    /// said: what the peer has not received by then, it never does. Other sockets know no reset.
    fn reset_on_close(&mut self, socket: Descriptor);

    /// Opens a directory beneath which files can be opened.
    ///
    /// # Errors
    /// There is none, or it may not be read.
    fn open_directory(&mut self, path: &Path) -> Result<Descriptor, Error>;

    /// What is known of an open file (fstat(2)). It waits for no disk: what is open is in memory.
    ///
    /// # Errors
    /// It is not open.
    fn metadata(&self, file: Descriptor) -> Result<Metadata, Error>;

    /// Takes over a socket that was opened elsewhere; it must not block.
    ///
    /// # Errors
    /// The mechanism has no descriptors of the system.
    fn adopt(&mut self, socket: OwnedFd) -> Result<Descriptor, Error>;

    /// Lets go of a descriptor with nothing in flight, so that another engine of the process, or
    /// of the same world, can use it: from here on that one's operations may name it.
    ///
    /// # Errors
    /// Operations on it are in flight: it stays here.
    fn release(&mut self, descriptor: Descriptor) -> Result<Descriptor, Error>;

    /// A descriptor comes that another engine has released, or has only just been given.
    fn take_over(&mut self, descriptor: Descriptor);

    /// Wakes this engine from any thread.
    fn waker(&self) -> Waker;

    /// The moment of the present turn.
    fn now(&self) -> Moment;

    /// This very moment: reads the clock.
    fn clock(&self) -> Moment;

    /// A number by chance, of the world's own in a simulated one: to spread what would come at once. It
    /// keeps no secret.
    fn chance(&mut self) -> u64;

    /// Seconds since 1970.
    fn unix_seconds(&self) -> u64;

    /// Counts so far.
    fn stats(&self) -> Stats;

    /// Operations in flight.
    fn in_flight(&self) -> usize;
}
