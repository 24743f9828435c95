//! The limits of one HTTP/1.1 connection, each with its default and the status that names it.
//! Nothing else in the machine may hold a number that a peer can reach.

/// What a peer may ask of one HTTP/1.1 connection.
///
/// ```
/// let limits = springtide_proto::http1::Limits { requests_max: 100, ..Default::default() };
/// assert_eq!(limits.head_bytes_max, 16 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest request line, without its line end; beyond it 414 (RFC 9112 §3).
    pub request_line_bytes_max: usize,
    /// The longest head with its blank line; beyond it 431 (RFC 6585 §5). Clamped to 1 GiB.
    pub head_bytes_max: usize,
    /// How many fields a head may have, each cookie pair counted; beyond it 431.
    /// At most [`FIELDS_MAX`] count.
    pub fields_max: usize,
    /// The longest trailer section of a chunked body; beyond it 431.
    pub trailer_bytes_max: usize,
    /// How many bytes of extensions one chunk may carry; beyond it 400 (RFC 9112 §7.1.1).
    pub chunk_extension_bytes_max: u32,
    /// How many bytes of chunk extensions one body may carry; beyond it 400.
    pub body_extension_bytes_max: u32,
    /// The longest body when the route says nothing else, after chunks are joined; beyond it 413.
    pub body_bytes_max: u64,
    /// How much of a body that nobody wants is read to keep the connection; a longer one ends it.
    pub discard_bytes_max: u64,
    /// How many requests may wait for their reply; then the machine pauses.
    pub exchanges_max: u32,
    /// How many requests one connection may bring; the last reply says `Connection: close`.
    pub requests_max: u32,
    /// The time from a head's first byte to its blank line, however the bytes come; then 408.
    pub head_timeout_ms: u64,
    /// The time without any byte of a body that is owed; then 408.
    pub body_timeout_ms: u64,
    /// How fast a body must come, in bytes a second and in the mean over
    /// [`body_rate_window_ms`](Self::body_rate_window_ms), its framing included; then 408. It is held
    /// against what has come whenever more comes: a peer that stops is
    /// [`body_timeout_ms`](Self::body_timeout_ms)' business.
    pub body_rate_min: u64,
    /// The least time over which a body's rate is taken.
    pub body_rate_window_ms: u64,
    /// The time between requests; then the connection closes without a word.
    pub idle_timeout_ms: u64,
}

/// The most fields that [`Limits::fields_max`] can allow.
pub const FIELDS_MAX: usize = 128;

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line_bytes_max: 8 * 1024,
            head_bytes_max: 16 * 1024,
            fields_max: 100,
            trailer_bytes_max: 8 * 1024,
            chunk_extension_bytes_max: 256,
            body_extension_bytes_max: 16 * 1024,
            body_bytes_max: 1024 * 1024,
            discard_bytes_max: 256 * 1024,
            exchanges_max: 64,
            requests_max: 10_000,
            head_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            body_rate_min: 1024,
            body_rate_window_ms: 10_000,
            idle_timeout_ms: 60_000,
        }
    }
}

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
