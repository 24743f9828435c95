//! The limits of one WebSocket connection, each with its default and the close code that names it.
//! Nothing else in the machine may hold a number that a peer can reach.

crate::limits! {
/// What a peer may ask of one WebSocket connection.
///
/// ```
/// let limits = springtide_proto::websocket::Limits::default();
/// assert_eq!(limits.socket_message_bytes_max, 64 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest message of a WebSocket, all its fragments together, before and after it is
    /// inflated; a longer one ends the connection with 1009 as soon as its length is known.
    socket_message_bytes_max: u64 = 64 * 1024, Bytes, 1;
    /// In how many fragments a message of a WebSocket may come; beyond it 1008.
    socket_fragments_max: u32 = 64, Count, 1;
    /// How many pings and pongs a peer may send in a second; beyond it 1008.
    socket_controls_max: u32 = 100, PerSecond, 1;
    /// The time without a received byte after which the peer of a WebSocket is sent a ping.
    socket_ping_ms: u64 = 25_000, Milliseconds, 1;
    /// How long any byte may take to come behind such a ping; then the peer is taken to be gone.
    socket_dead_ms: u64 = 8_000, Milliseconds, 1;
    /// How long the peer of a WebSocket has to answer a close.
    socket_close_timeout_ms: u64 = 5_000, Milliseconds, 1;
}
}
