//! The limits of a server: one table, on by default.
//! No queue or buffer of this crate grows beyond what stands here.

mod met;
mod table;
mod text;

use std::time::Duration;

use springtide_proto::{framed, http1, websocket};

pub(crate) use met::Met;
pub(crate) use table::{LIMITS_COUNT, place_of};
pub use table::{Limit, LimitError};

springtide_proto::limits! {
/// What a server allows. The default protects a server on the open internet.
///
/// ```
/// use springtide::{Limits, Server};
/// let mut limits = Limits::default();
/// limits.http1.body_bytes_max = 16 * 1024 * 1024;
/// let server = Server::new().limits(limits);
/// ```
///
/// [`Limits::table`] lists them all, with what sets them by name and in words.
#[derive(Debug, Clone)]
pub struct Limits {
    part
    /// Limits of HTTP/1.1: heads, bodies, deadlines, exchanges in flight.
    http1: http1::Limits;
    part
    /// Limits of frames ([`Server::framed`](crate::Server::framed)): exchanges in flight, deadlines.
    /// They are the application's, and stand in no table.
    framed: framed::Limits;
    part
    /// Limits of WebSockets: messages, pings, closes.
    websocket: websocket::Limits;

    /// Bytes that wait to be sent on one connection, above which nothing more is received and no
    /// further request is handled; it goes on at half of it. One reply may exceed it; what is being
    /// sent already, 1 MiB at most, does not count.
    outbox_bytes_max: usize = 1 << 20, Bytes, 1;
    /// Bytes received on one connection and not handled yet, above which nothing more is received;
    /// it goes on at half of it. A pause takes effect up to 33 chunks (132 KiB) later.
    inbox_bytes_max: usize = 64 << 10, Bytes, 1;
    /// How long a peer may take nothing of what is sent to it, or less than `send_rate_min`, before
    /// its connection is closed; up to an eighth more, because that is how often it is looked at.
    send_timeout_ms: u64 = 30_000, Milliseconds, 1;
    /// What a peer has to take of what is sent to it, in the mean over `send_timeout`. Nothing is
    /// asked of it while nothing waits for it. At 0 a byte within that time is enough.
    send_rate_min: u64 = 1 << 10, BytesPerSecond, 0;
    /// How long a connection that was closed from here may take to end its side (RFC 9112 §9.6).
    linger_timeout_ms: u64 = 2_000, Milliseconds, 0;
    /// How long a peer may be silent before its system is asked whether it is there (TCP keepalive,
    /// tcp(7)), in whole seconds; one that does not answer for as long again has gone. A connection
    /// that receives nothing, because its peer has ended its side, is looked at four times in it.
    keepalive_ms: u64 = 60_000, Milliseconds, 1;
    /// How long a raw connection to somebody else may take to be made.
    connect_timeout_ms: u64 = 10_000, Milliseconds, 1;
    /// How long a raw connection may go on without a byte in either direction before it is closed.
    raw_idle_timeout_ms: u64 = 3_600_000, Milliseconds, 1;
    /// Bytes that a pull of so many, or up to a delimiter, may wait for on a raw connection; one that
    /// asks for more fails at once.
    pull_bytes_max: usize = 1 << 20, Bytes, 1;
    /// Pulls that may wait behind the first one of a raw connection; a further one fails at once.
    pulls_waiting_max: usize = 1024, Count, 0;
    /// Tasks that other threads may have on one shard, whether they have ended or not, until they are
    /// taken or dropped, and what they say to its WebSockets, until it looks at that; a further one
    /// fails at once.
    remote_tasks_max: usize = 65_536, Count, 1;
    /// Bytes of messages that may wait for the peer of a WebSocket; what becomes of further ones says
    /// its policy (1013 by default). At half of it nothing more is received from that peer.
    socket_queue_bytes_max: usize = 1 << 20, Bytes, 1;
    /// Bytes that the compressors of single WebSockets may take on one shard; where one more does not fit,
    /// messages are sent as they are.
    socket_compress_bytes_max: usize = 32 << 20, Bytes, 0;
    /// Topics that somebody has subscribed to, of the whole server; a further one is refused.
    topics_max: usize = 65_536, Count, 1;
    /// Bytes of the name of a topic; a longer one is refused.
    topic_bytes_max: usize = 256, Bytes, 1;
    /// Topics that one connection may have subscribed to at a time; a further one is refused.
    topics_per_connection_max: usize = 256, Count, 1;
    /// Messages of topics that may be on their way to one shard; further ones are refused, and counted
    /// as dropped for everybody there.
    topic_queue_messages_max: usize = 65_536, Count, 1;
    /// Bytes of such messages; one alone may have more.
    topic_queue_bytes_max: usize = 64 << 20, Bytes, 1;
    /// Bytes of a datagram that are received; of a longer one the rest is gone, and it says so.
    datagram_bytes_max: usize = 65_535, Bytes, 1;
    /// Datagrams that may wait to be taken from a socket, or to be sent on it, and tasks that may wait
    /// for one; beyond it nothing is received until half of them are taken, and what is asked for fails.
    datagrams_waiting_max: usize = 256, Count, 1;
    /// What may be asked of files and paths on one shard and not have ended; a further task fails at once.
    file_tasks_max: usize = 1024, Count, 1;
    /// Bytes that a task may read of a file; one that asks for more, or for a whole file that is longer,
    /// fails.
    file_read_bytes_max: usize = 16 << 20, Bytes, 1;
    /// Bytes that a task writes to a file at a time; a longer write goes on when others had their turn.
    file_write_bytes_max: usize = 256 << 10, Bytes, 1;
    /// Names that a directory may have whose names are asked for; with more the task fails.
    directory_entries_max: usize = 65_536, Count, 1;
    /// Waits for events that may be outstanding on one shard; a further one fails at once, unless its
    /// event has something for it.
    event_waits_max: usize = 65_536, Count, 1;
    /// Connections that may wait at a listener of the application's own until somebody takes them; beyond
    /// it others wait with the system, as `backlog_max` says.
    accepted_waiting_max: usize = 64, Count, 1;
    /// How old a connection becomes: the first request behind that is its last one, whose reply
    /// says `Connection: close` (RFC 9112 §9.6).
    connection_age_max_ms: u64 = 3_600_000, Milliseconds, 1;
    /// Open connections of the whole server, beyond which accepting pauses, and what was accepted
    /// already is closed. It is at most nine tenths of RLIMIT_NOFILE, which is raised as far as the
    /// system lets it, and 8,388,607.
    connections_max: usize = usize::MAX, Count, 1;
    /// Open connections of one address, or of one /64 of IPv6; one more is closed at once. None by
    /// default, because behind a proxy or a large network many clients have one address.
    connections_per_address_max: usize = usize::MAX, Count, 1;
    /// Requests in a second of one address, or of one /64 of IPv6; what comes beyond it is answered
    /// 429 with `Retry-After` (RFC 6585 §4). None by default, as above.
    requests_per_address_rate: u32 = u32::MAX, PerSecond, 1;
    /// Requests that one address may save up and send at once.
    requests_per_address_burst: u32 = 100, Count, 1;
    /// Addresses that are counted at a time; where there are more, further ones pass uncounted.
    addresses_max: usize = 65_536, Count, 1;
    /// Bytes that all connections together may hold: received and not handled, of bodies, and not
    /// sent. Beyond it accepting pauses, and those that hold the most and wait for their peers are
    /// closed; it is looked at ten times a second. None by default.
    memory_max: usize = usize::MAX, Bytes, 1;
    /// Futures of `to_the_end` on one shard that run on without their clients, beyond which a request
    /// for such a handler is answered 503 with `Retry-After` (RFC 9110 §15.6.4).
    futures_alone_max: usize = 1024, Count, 1;
    /// Connections that may wait to be accepted on each listener (listen(2)); the system may allow
    /// fewer (net.core.somaxconn).
    backlog_max: u32 = 4096, Count, 1;
    /// How long requests that have begun may take when the server is drained; what is left then is
    /// cut.
    drain_timeout_ms: u64 = 30_000, Milliseconds, 0;
    /// Threads of the pool that `offload` gives work to, for all shards; none are started when no
    /// route needs them.
    offload_threads: usize = 16, Count, 1;
    /// Requests that may wait for a thread of the pool, beyond which a request for it is answered
    /// 503 with `Retry-After` (RFC 9110 §15.6.4).
    offload_waiting_max: usize = 256, Count, 0;
}
}

impl Limits {
    /// After how long silent peers are asked; none, when nobody is.
    pub(crate) fn keepalive(&self) -> Option<Duration> {
        (self.keepalive_ms != u64::MAX).then(|| Duration::from_millis(self.keepalive_ms))
    }
}

/// Operations of one connection in flight at most: a receive, a send or shutdown, a read of a file,
/// and the close that waits for them.
const OPERATIONS_PER_CONNECTION: usize = 4;

/// The most connections that a server may allow: an engine takes half of its operations for them.
pub(crate) const CONNECTIONS_MAX: usize =
    springtide_engine::OPERATIONS_MAX as usize / 2 / OPERATIONS_PER_CONNECTION;

/// Operations that each engine of a server has room for: those of all its connections, which one
/// shard may come to have, and as many for listeners and files as the engine offers by itself.
pub(crate) fn operations_max(connections_max: usize) -> u32 {
    let of_connections = connections_max.min(CONNECTIONS_MAX) * OPERATIONS_PER_CONNECTION;
    let of_connections = u32::try_from(of_connections).expect("half of OPERATIONS_MAX at most");
    springtide_engine::EngineOptions::default().operations_max + of_connections
}

/// The most exchanges of one connection in one turn (law 9).
pub(crate) const EXCHANGES_PER_TURN_MAX: u32 = 32;
/// The most bytes of one connection that are handled in one turn (law 9), and the head of a message of that
/// length.
pub(crate) const BYTES_PER_TURN_MAX: usize = 128 << 10;
/// The most bytes of one send: what a connection holds beside what waits, and for how long one
/// connection is copied from at a time. With less, a file of 1 MB costs more than the mark allows.
pub(crate) const SEND_BYTES_MAX: usize = 1 << 20;
/// Below this many bytes waiting to be sent, the next piece of a streamed file is
/// read, and the producer of a body goes on.
pub(crate) const STREAM_LOW_BYTES: usize = 256 << 10;
/// Bodies longer than this are compressed for clients that take it; up to [`COMPRESS_PIECE_BYTES`] at
/// once, and longer ones piece by piece.
pub(crate) const COMPRESS_BYTES_MIN: usize = springtide_proto::COPY_BYTES_MAX;
/// How much of a body is compressed in a turn: a millisecond's work.
pub(crate) const COMPRESS_PIECE_BYTES: usize = 64 << 10;
/// So many bodies of a shard are compressed piece by piece at a time, each with a coder of some 300
/// KB; more are sent as they are.
pub(crate) const COMPRESSED_STREAMS_MAX: usize = 128;
/// So much of a body that is produced may wait behind the replies before it.
pub(crate) const STREAM_BEHIND_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use springtide_engine::OPERATIONS_MAX;

    #[test]
    fn engines_have_room_for_every_connection() {
        assert_eq!(CONNECTIONS_MAX, 8_388_607, "as documented");
        for connections_max in [0, 1, 18_000, 1 << 20, CONNECTIONS_MAX, usize::MAX] {
            let operations_max = operations_max(connections_max);
            let fitting = operations_max as usize / OPERATIONS_PER_CONNECTION;
            assert!(
                operations_max <= OPERATIONS_MAX && fitting > connections_max.min(CONNECTIONS_MAX)
            );
        }
    }
}
