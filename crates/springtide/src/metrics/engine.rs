//! What the engines of a server's shards did, as their shards tell it when they are asked.
//! Nothing of it is published turn by turn: a request must not pay for what is seldom looked at.

use springtide_engine::Stats;

use super::text::{Row, write_rows};

/// What the engines of a server have done, summed over the shards that answered. A shard that changed
/// its engine counts anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct EngineCounts {
    /// Shards that answered.
    pub shards: u64,
    /// Calls that wait for the system: io_uring_enter(2), epoll_wait(2), poll(2).
    pub enters_total: u64,
    /// Operations submitted. What is sent at once is none.
    pub submissions_total: u64,
    /// Completions delivered; an operation that streams has many.
    pub completions_total: u64,
    /// Cancels asked for.
    pub cancels_total: u64,
    /// Receives that found every buffer taken, and were parked until one came back.
    pub buffers_exhausted_total: u64,
    /// Operations that stream, which the system ended and the engine began again.
    pub rearmed_total: u64,
    /// Operations in flight now.
    pub operations_in_flight: u64,
    /// Buffers that the application holds beyond the turn they came in, now.
    pub chunks_given_away: u64,
}

impl EngineCounts {
    /// Those of one shard.
    pub(crate) const fn of(stats: &Stats, in_flight: usize) -> Self {
        Self {
            shards: 1,
            enters_total: stats.enters,
            submissions_total: stats.submitted,
            completions_total: stats.completed,
            cancels_total: stats.cancels,
            buffers_exhausted_total: stats.starved,
            rearmed_total: stats.rearmed,
            operations_in_flight: in_flight as u64,
            chunks_given_away: stats.chunks_given_away,
        }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            shards: self.shards + other.shards,
            enters_total: self.enters_total + other.enters_total,
            submissions_total: self.submissions_total + other.submissions_total,
            completions_total: self.completions_total + other.completions_total,
            cancels_total: self.cancels_total + other.cancels_total,
            buffers_exhausted_total: self.buffers_exhausted_total + other.buffers_exhausted_total,
            rearmed_total: self.rearmed_total + other.rearmed_total,
            operations_in_flight: self.operations_in_flight + other.operations_in_flight,
            chunks_given_away: self.chunks_given_away + other.chunks_given_away,
        }
    }

    /// The same in the text format of Prometheus.
    pub(crate) fn to_text(self) -> String {
        let mut text = String::new();
        write_rows(&mut text, ROWS, &self);
        text
    }
}

const ROWS: &[Row<EngineCounts>] = &[
    Row::counter("springtide_engine_enters_total", "Calls that wait for the system.", |own| {
        own.enters_total
    }),
    Row::counter("springtide_engine_submissions_total", "Operations submitted.", |own| {
        own.submissions_total
    }),
    Row::counter("springtide_engine_completions_total", "Completions delivered.", |own| {
        own.completions_total
    }),
    Row::counter("springtide_engine_cancels_total", "Cancels asked for.", |own| own.cancels_total),
    Row::counter(
        "springtide_engine_buffers_exhausted_total",
        "Receives that found every buffer taken.",
        |own| own.buffers_exhausted_total,
    ),
    Row::counter(
        "springtide_engine_rearmed_total",
        "Operations that stream, ended by the system and begun again.",
        |own| own.rearmed_total,
    ),
    Row::gauge("springtide_engine_operations", "Operations in flight now.", |own| {
        own.operations_in_flight
    }),
    Row::gauge(
        "springtide_engine_chunks_given_away",
        "Buffers held beyond the turn they came in.",
        |own| own.chunks_given_away,
    ),
];
