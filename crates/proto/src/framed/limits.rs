//! The limits of one connection that carries frames, each with its default.
//! How long a frame may be is said with what frames are: see [`super::Framed`].

crate::limits! {
/// What a peer may ask of one connection that carries frames.
///
/// ```
/// let limits = springtide_proto::framed::Limits { in_flight_max: 16, ..Default::default() };
/// assert_eq!(limits.in_flight_bytes_max, 1024 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many frames of one connection may wait for their reply; then no further one is read.
    in_flight_max: u32 = 1024, Count, 1;
    /// How many bytes the frames of one connection may have that wait for their reply, and the
    /// replies that wait for their turn; then no further one is read. One frame may be longer.
    in_flight_bytes_max: usize = 1024 * 1024, Bytes, 1;
    /// The time from a frame's first byte to its last; then the connection closes.
    frame_timeout_ms: u64 = 30_000, Milliseconds, 1;
    /// The time between frames; then the connection closes.
    frame_idle_timeout_ms: u64 = 300_000, Milliseconds, 1;
}
}
