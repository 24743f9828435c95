//! Counts of what a server does: plain numbers on each shard, published once a turn.
//! Reading them never slows a shard down.

mod durations;
mod engine;
mod protocols;
mod text;

use durations::{Durations, Sums};
pub use engine::EngineCounts;
pub(crate) use protocols::Protocol;
pub use protocols::ProtocolCounts;
use protocols::Shares;
pub(crate) use text::MEDIA_TYPE;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::{LIMITS_COUNT, Limit, Limits};

/// What a server has done since it started, summed over its shards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Connections that are open now.
    pub connections_open: u64,
    /// Connections accepted.
    pub connections_total: u64,
    /// Connections that could not be accepted at once, because descriptors or the limit were spent.
    pub accepts_paused: u64,
    /// Connections closed at once, because accepting brought more than the limit allows.
    pub connections_refused: u64,
    /// Requests answered.
    pub requests_total: u64,
    /// Requests refused by the protocol's rules or limits.
    pub refusals_total: u64,
    /// Requests for a file in more than 16 ranges, which got the whole file.
    pub ranges_ignored_total: u64,
    /// Handlers that panicked.
    pub panics_total: u64,
    /// Connections closed because a deadline passed.
    pub deadlines_total: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Turns of all shards.
    pub turns_total: u64,
    /// Futures of async handlers dropped because their client had gone.
    pub futures_dropped: u64,
    /// Requests answered 503 because too many waited for the pool.
    pub offloads_refused: u64,
    /// Callbacks that held up their shard for 50 ms or more. They are timed on a shard that sleeps now
    /// and then, or was late lately: of a busy shard's the first may be missing.
    pub callbacks_slow: u64,
    /// Messages of WebSockets that came.
    pub messages_received: u64,
    /// Messages of WebSockets that were sent.
    pub messages_sent: u64,
    /// Messages of WebSockets that were not sent: a queue was full, or its connection ended before.
    pub messages_dropped: u64,
    /// Messages of topics and broadcasts that were given to a connection, each counted for each of them.
    pub deliveries_total: u64,
    /// Those that were not: a queue was full, that of a connection or that between shards, or the
    /// connection ended before.
    pub deliveries_dropped: u64,
}

impl Counts {
    const FIELDS: usize = 20;
    /// Places in the array.
    const CONNECTIONS_OPEN: usize = 0;
    const BYTES_SENT: usize = 10;
    const MESSAGES_SENT: usize = 16;
    const MESSAGES_DROPPED: usize = 17;
    const DELIVERIES: usize = 18;
    const DELIVERIES_DROPPED: usize = 19;

    const fn to_array(self) -> [u64; Self::FIELDS] {
        [
            self.connections_open,
            self.connections_total,
            self.accepts_paused,
            self.connections_refused,
            self.requests_total,
            self.refusals_total,
            self.ranges_ignored_total,
            self.panics_total,
            self.deadlines_total,
            self.bytes_received,
            self.bytes_sent,
            self.turns_total,
            self.futures_dropped,
            self.offloads_refused,
            self.callbacks_slow,
            self.messages_received,
            self.messages_sent,
            self.messages_dropped,
            self.deliveries_total,
            self.deliveries_dropped,
        ]
    }

    const fn from_array(values: [u64; Self::FIELDS]) -> Self {
        let [
            connections_open,
            connections_total,
            accepts_paused,
            connections_refused,
            requests_total,
            refusals_total,
            ranges_ignored_total,
            panics_total,
            deadlines_total,
            bytes_received,
            bytes_sent,
            turns_total,
            futures_dropped,
            offloads_refused,
            callbacks_slow,
            messages_received,
            messages_sent,
            messages_dropped,
            deliveries_total,
            deliveries_dropped,
        ] = values;
        Self {
            connections_open,
            connections_total,
            accepts_paused,
            connections_refused,
            requests_total,
            refusals_total,
            ranges_ignored_total,
            panics_total,
            deadlines_total,
            bytes_received,
            bytes_sent,
            turns_total,
            futures_dropped,
            offloads_refused,
            callbacks_slow,
            messages_received,
            messages_sent,
            messages_dropped,
            deliveries_total,
            deliveries_dropped,
        }
    }
}

/// A count for each limit of the table.
#[derive(Debug)]
struct LimitCounts([AtomicU64; LIMITS_COUNT]);

impl Default for LimitCounts {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; LIMITS_COUNT])
    }
}

/// One shard's counts, where other threads read them.
#[derive(Debug, Default)]
pub(crate) struct ShardCounts {
    values: [AtomicU64; Counts::FIELDS],
    /// How often each limit was met: seldom, so it is counted here at once.
    limits: LimitCounts,
    /// Connections by protocol: counted at once as well.
    protocols: Shares,
    log_lines_dropped: AtomicU64,
    /// Deliveries that others could not hand over to the shard.
    deliveries_refused: AtomicU64,
    /// How long requests took, where there is an access log.
    pub(crate) durations: Durations,
    /// Bytes that its connections held lately, where there is a budget of memory.
    bytes_held: AtomicUsize,
    has_ended: AtomicBool,
    engine: Mutex<&'static str>,
}

impl ShardCounts {
    /// Publishes; only the shard itself writes.
    #[inline]
    pub(crate) fn publish(&self, counts: &Counts) {
        for (value, own) in self.values.iter().zip(counts.to_array()) {
            value.store(own, Ordering::Relaxed);
        }
    }

    /// Publishes what a flush changes of what was published before it: nothing else has changed.
    #[inline]
    pub(crate) fn publish_sent(&self, counts: &Counts) {
        self.values[Counts::CONNECTIONS_OPEN].store(counts.connections_open, Ordering::Relaxed);
        self.values[Counts::BYTES_SENT].store(counts.bytes_sent, Ordering::Relaxed);
        self.values[Counts::MESSAGES_SENT].store(counts.messages_sent, Ordering::Relaxed);
        self.values[Counts::MESSAGES_DROPPED].store(counts.messages_dropped, Ordering::Relaxed);
        self.values[Counts::DELIVERIES].store(counts.deliveries_total, Ordering::Relaxed);
        self.values[Counts::DELIVERIES_DROPPED].store(counts.deliveries_dropped, Ordering::Relaxed);
        debug_assert!(
            self.values.iter().map(|value| value.load(Ordering::Relaxed)).eq(counts.to_array()),
            "a flush counts what it sends, and nothing else"
        );
    }

    /// A limit was met, by its place in the table.
    pub(crate) fn meet(&self, place: usize) {
        self.limits.0[place].fetch_add(1, Ordering::Relaxed);
    }

    /// The connections hold so many bytes.
    pub(crate) fn hold(&self, bytes: usize) {
        self.bytes_held.store(bytes, Ordering::Relaxed);
    }

    /// How many bytes the connections held lately.
    pub(crate) fn bytes_held(&self) -> usize {
        self.bytes_held.load(Ordering::Relaxed)
    }

    /// Lines of the access log found no room.
    pub(crate) fn drop_log_lines(&self, count: u64) {
        self.log_lines_dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// So many deliveries could not be handed over.
    pub(crate) fn refuse_deliveries(&self, count: u64) {
        self.deliveries_refused.fetch_add(count, Ordering::Relaxed);
    }

    /// The shard takes no more messages.
    pub(crate) fn end(&self) {
        self.hold(0);
        self.has_ended.store(true, Ordering::SeqCst);
    }

    /// Whether the shard takes no more messages.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }

    /// The shard has an engine, its first or another one.
    pub(crate) fn run_on(&self, engine: &'static str) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    /// The name of the shard's engine.
    pub(crate) fn engine(&self) -> &'static str {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections the shard has accepted or been dealt.
    pub(crate) fn accepted(&self) -> u64 {
        self.values[1].load(Ordering::Relaxed)
    }

    /// How many connections the shard has.
    pub(crate) fn connections(&self) -> u64 {
        self.values[0].load(Ordering::Relaxed)
    }
}

/// A server's counts, readable from any thread, also from its own handlers and before it starts.
///
/// ```
/// use springtide::{Json, Server};
/// let server = Server::new();
/// let metrics = server.metrics();
/// let server = server.get("/counts", move || Json(metrics.counts()));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    shards: Arc<Mutex<Vec<Arc<ShardCounts>>>>,
}

impl Metrics {
    /// The sums over all shards.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sums = [0; Counts::FIELDS];
        for shard in self.shards.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for (sum, value) in sums.iter_mut().zip(&shard.values) {
                *sum += value.load(Ordering::Relaxed);
            }
            let refused = shard.deliveries_refused.load(Ordering::Relaxed);
            sums[Counts::DELIVERIES_DROPPED] += refused;
        }
        Counts::from_array(sums)
    }

    /// How often each limit was met, in the order of the table: what it says happens beyond it has
    /// happened so often. Limits that only say how something is done are never met.
    ///
    /// ```
    /// let metrics = springtide::Server::new().metrics();
    /// assert!(metrics.limits_met().all(|(_, count)| count == 0));
    /// ```
    pub fn limits_met(&self) -> impl Iterator<Item = (Limit, u64)> {
        let mut sums = [0; LIMITS_COUNT];
        for shard in self.shards.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for (sum, count) in sums.iter_mut().zip(&shard.limits.0) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        Limits::table().zip(sums)
    }

    /// Lines of the access log that were dropped because it was not written fast enough.
    #[must_use]
    pub fn log_lines_dropped(&self) -> u64 {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|shard| shard.log_lines_dropped.load(Ordering::Relaxed)).sum()
    }

    fn durations(&self) -> Sums {
        let mut sums = Sums::default();
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.iter().for_each(|shard| sums.add(&shard.durations));
        sums
    }

    pub(crate) fn add_shard(&self) -> Arc<ShardCounts> {
        let shard = Arc::new(ShardCounts::default());
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).push(shard.clone());
        shard
    }
}
