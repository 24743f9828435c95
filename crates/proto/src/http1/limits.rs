//! The limits of one HTTP/1.1 connection, each with its default and the status that names it.
//! Nothing else in the machine may hold a number that a peer can reach.

crate::limits! {
/// What a peer may ask of one HTTP/1.1 connection.
///
/// ```
/// let limits = springtide_proto::http1::Limits { requests_max: 100, ..Default::default() };
/// assert_eq!(limits.head_bytes_max, 16 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest request line, without its line end; beyond it 414 (RFC 9112 §3).
    request_line_bytes_max: usize = 8 * 1024, Bytes, 16;
    /// The longest head with its blank line, 1 GiB at most; beyond it 431 (RFC 6585 §5).
    head_bytes_max: usize = 16 * 1024, Bytes, 64;
    /// How many fields a head may have, each cookie pair counted, 128 at most; beyond it 431
    /// (RFC 6585 §5).
    fields_max: usize = 100, Count, 1;
    /// The longest trailer section of a chunked body; beyond it 431 (RFC 6585 §5).
    trailer_bytes_max: usize = 8 * 1024, Bytes, 0;
    /// How many bytes of extensions one chunk may carry; beyond it 400 (RFC 9112 §7.1.1).
    chunk_extension_bytes_max: u32 = 256, Bytes, 0;
    /// How many bytes of chunk extensions one body may carry; beyond it 400 (RFC 9112 §7.1.1).
    body_extension_bytes_max: u32 = 16 * 1024, Bytes, 0;
    /// The longest body when the route says nothing else, after chunks are joined; beyond it 413
    /// (RFC 9110 §15.5.14).
    body_bytes_max: u64 = 1024 * 1024, Bytes, 0;
    /// How much of a body that nobody wants is read to keep the connection; a longer one ends it
    /// (RFC 9112 §9.6).
    discard_bytes_max: u64 = 256 * 1024, Bytes, 0;
    /// How many requests of one connection may wait for their reply; then no further one is read.
    exchanges_max: u32 = 64, Count, 1;
    /// How many requests one connection may bring; the last reply says `Connection: close`
    /// (RFC 9112 §9.6).
    requests_max: u32 = 10_000, Count, 1;
    /// The time from a head's first byte to its blank line, however the bytes come; then 408
    /// (RFC 9110 §15.5.9).
    head_timeout_ms: u64 = 10_000, Milliseconds, 1;
    /// The time without any byte of a body that is owed; then 408 (RFC 9110 §15.5.9).
    body_timeout_ms: u64 = 30_000, Milliseconds, 1;
    /// What has to come of a body that is owed, in the mean over each `body_rate_window`; a slower
    /// one is answered 408 (RFC 9110 §15.5.9). At 0 any byte within `body_timeout` is enough.
    body_rate_min: u64 = 1024, BytesPerSecond, 0;
    /// Over what time the rate of a body is looked at, 30 s at most.
    body_rate_window_ms: u64 = 10_000, Milliseconds, 100;
    /// The time between requests; then the connection closes without a word (RFC 9112 §9.8).
    idle_timeout_ms: u64 = 60_000, Milliseconds, 1;
}
}

/// The most fields that [`Limits::fields_max`] can allow.
pub const FIELDS_MAX: usize = 128;

/// Where even a generous [`Limits::head_bytes_max`] ends, so that every [`super::Span`] fits.
const HEAD_BYTES_CEILING: usize = 1 << 30;

impl Limits {
    /// The head limit as the machine applies it.
    #[inline]
    pub(crate) fn head_window(&self) -> usize {
        self.head_bytes_max.min(HEAD_BYTES_CEILING)
    }

    /// The field limit as the machine applies it.
    #[inline]
    pub(crate) fn field_slots(&self) -> usize {
        self.fields_max.min(FIELDS_MAX)
    }
}
