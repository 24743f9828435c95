//! The limits of a server: one table, on by default.
//! No queue or buffer of this crate grows beyond what stands here.

use springtide_proto::http1;

/// What a server allows. The default protects a server on the open internet.
///
/// ```
/// use springtide::{Limits, Server};
/// let mut limits = Limits::default();
/// limits.http1.body_bytes_max = 16 * 1024 * 1024;
/// let server = Server::new().limits(limits);
/// ```
#[derive(Debug, Clone)]
pub struct Limits {
    /// Limits of HTTP/1.1: heads, bodies, deadlines, exchanges in flight.
    pub http1: http1::Limits,
    /// Bytes that wait to be sent on one connection, above which nothing more is received and no
    /// further request is handled; it goes on at half of it. One reply may exceed it; what is being
    /// sent already, 1 MiB at most, does not count. Default 1 MiB.
    pub outbox_bytes_max: usize,
    /// Bytes received on one connection and not handled yet, above which nothing more is received;
    /// it goes on at half of it. A pause takes effect up to 33 chunks (132 KiB) later. Default
    /// 64 KiB.
    pub inbox_bytes_max: usize,
    /// How long a peer may take nothing of what is sent to it, or less than
    /// [`send_rate_min`](Self::send_rate_min), before its connection is closed; up to an eighth
    /// more, because that is how often it is looked at. Default 30 s.
    pub send_timeout_ms: u64,
    /// What a peer has to take of what is sent to it, in bytes a second and in the mean over
    /// [`send_timeout_ms`](Self::send_timeout_ms). Nothing is asked of it while nothing waits for
    /// it. At 0 a byte within that time is enough. Default 1 KiB.
    pub send_rate_min: u64,
    /// How long a connection that was closed from here may take to end its side. Default 2 s.
    pub linger_timeout_ms: u64,
    /// Open connections of the whole server, beyond which accepting pauses, and what was accepted
    /// already is closed. Default: what the system allows in descriptors, less a tenth, and 8,388,607
    /// at most.
    pub connections_max: usize,
    /// Threads of the pool that [`offload`](crate::offload()) gives work to, for all shards; none are
    /// started when no route needs them. One at least. Default 16.
    pub offload_threads: usize,
    /// Requests that may wait for a thread of the pool, beyond which a request for it is answered
    /// 503 with `Retry-After`. Default 256.
    pub offload_waiting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http1: http1::Limits::default(),
            outbox_bytes_max: 1 << 20,
            inbox_bytes_max: 64 << 10,
            send_timeout_ms: 30_000,
            send_rate_min: 1 << 10,
            linger_timeout_ms: 2_000,
            connections_max: usize::MAX,
            offload_threads: 16,
            offload_waiting_max: 256,
        }
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
/// The most bytes of one connection that are handled in one turn (law 9).
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
