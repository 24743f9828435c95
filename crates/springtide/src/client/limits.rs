//! The limits of a client, all on by default.
//! None of them is a server's: what a peer of a server may do stands in `Limits`.

use springtide_proto::http1;

springtide_proto::limits! {
/// What a client allows, and how long it waits.
///
/// ```
/// use springtide::{ClientLimits, HttpClient};
/// let limits = ClientLimits { connect_timeout_ms: 2_000, ..ClientLimits::default() };
/// let client = HttpClient::new().limits(limits);
/// ```
#[derive(Debug, Clone)]
pub struct ClientLimits {
    /// The time until a connection stands, its name resolved. The addresses of a name are tried one
    /// after the other, and each may take an equal share of what is left of it: of two, the first
    /// half of it.
    connect_timeout_ms: u64 = 10_000, Milliseconds, 1;
    /// The time from the end of the request until the whole head of the answer has come.
    head_timeout_ms: u64 = 30_000, Milliseconds, 1;
    /// The time without any byte of an answer's body that somebody waits for.
    body_timeout_ms: u64 = 30_000, Milliseconds, 1;
    /// What has to come of such a body, in the mean over ten seconds; at 0 any byte within
    /// `body_timeout` is enough.
    body_rate_min: u64 = 0, BytesPerSecond, 0;
    /// The time for all of it: redirects, and the body as long as it is being taken.
    total_timeout_ms: u64 = u64::MAX, Milliseconds, 1;
    /// How long a connection waits for its next request. Servers have such a time of their own: a
    /// shorter one here spares requests that find their connection closed.
    idle_timeout_ms: u64 = 15_000, Milliseconds, 1;
    /// Connections to one host and port that wait for their next request, on each shard.
    idle_per_host_max: usize = 32, Count, 0;
    /// Connections of all clients of a shard that wait for their next request.
    idle_max: usize = 256, Count, 0;
    /// Connections of all clients of a shard, beyond which a request fails at once.
    connections_max: usize = 1024, Count, 1;
    /// Names that are being resolved at a time, each on a thread of its own, beyond which a request
    /// fails at once.
    resolving_max: usize = 16, Count, 1;
    /// The longest head of an answer.
    head_bytes_max: usize = 64 * 1024, Bytes, 64;
    /// How many fields it may have, 128 at most.
    fields_max: usize = 100, Count, 1;
    /// The longest body that is taken at once, by `bytes` and `text`; one that is taken piece by
    /// piece may have any length.
    body_bytes_max: usize = 16 << 20, Bytes, 0;
    /// Bytes of a body that wait for whoever takes it; above it nothing more is received, and it goes
    /// on at half of it.
    inbox_bytes_max: usize = 64 << 10, Bytes, 1;
    /// How many redirects are followed; at 0 they are answers as any other.
    redirects_max: u32 = 0, Count, 0;
}
}

impl ClientLimits {
    /// The part of it that the machine holds.
    pub(super) fn of_machine(&self) -> http1::Limits {
        http1::Limits {
            head_timeout_ms: self.head_timeout_ms,
            body_timeout_ms: self.body_timeout_ms,
            body_rate_min: self.body_rate_min,
            idle_timeout_ms: self.idle_timeout_ms,
            head_bytes_max: self.head_bytes_max,
            fields_max: self.fields_max,
            ..http1::Limits::default()
        }
    }
}
