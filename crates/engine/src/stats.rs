//! Counters of one shard's engine: what it asked of the system and how often it was short.
//! They are read by whoever owns the engine and reset by nobody.

/// Counts since the engine began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Turns made.
    pub turns: u64,
    /// Waits entered: io_uring_enter(2), epoll_wait(2), poll(2).
    pub enters: u64,
    /// Operations submitted.
    pub submitted: u64,
    /// Completions delivered.
    pub completed: u64,
    /// Cancels asked for.
    pub cancels: u64,
    /// Sends made directly, not through the ring.
    pub sends_direct: u64,
    /// Bytes that were passed from socket to socket without a copy.
    pub spliced_bytes: u64,
    /// Receives that found no buffer and were parked until one came back.
    pub starved: u64,
    /// Streaming operations that the system ended and the engine began again.
    pub rearmed: u64,
    /// Chunks held past their turn now.
    pub chunks_given_away: u64,
    /// Chunks that exist now.
    pub chunks_allocated: u64,
    /// Pages of the system that operations in flight take now, 512 to each; one may be empty.
    pub operation_pages: u64,
}
