//! Connections by what is spoken on them, counted by their shard as they begin and end.
//! A connection is counted nowhere before it is known what is spoken on it, nor where it was made from here.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Metrics, ShardCounts};

/// What is spoken on a connection that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    WebSocket,
    Upgraded,
    Raw,
    Framed,
}

impl Protocol {
    const COUNT: usize = 5;
    const ALL: [Self; Self::COUNT] =
        [Self::Http, Self::WebSocket, Self::Upgraded, Self::Raw, Self::Framed];

    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::WebSocket => "websocket",
            Self::Upgraded => "upgraded",
            Self::Raw => "raw",
            Self::Framed => "framed",
        }
    }
}

/// Connections on which one protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ProtocolCounts {
    /// `http`, `websocket`, `raw`, `framed`, or `upgraded` for anything else behind a 101.
    pub name: &'static str,
    /// Connections that are open now.
    pub open: u64,
    /// Connections on which it was begun: one that becomes a WebSocket was one of HTTP before.
    pub total: u64,
}

/// One shard's counts, which only that writes.
#[derive(Debug, Default)]
pub(super) struct Shares {
    open: [AtomicU64; Protocol::COUNT],
    total: [AtomicU64; Protocol::COUNT],
}

fn add(count: &AtomicU64, step: u64) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(step), Ordering::Relaxed);
}

impl ShardCounts {
    /// A protocol begins on a connection, where it is known which.
    pub(crate) fn begin(&self, spoken: Option<Protocol>) {
        if let Some(protocol) = spoken {
            add(&self.protocols.total[protocol as usize], 1);
        }
        self.carry(spoken);
    }

    /// A connection on which it was begun before is here now.
    pub(crate) fn carry(&self, spoken: Option<Protocol>) {
        if let Some(protocol) = spoken {
            add(&self.protocols.open[protocol as usize], 1);
        }
    }

    /// A connection has ended, or goes elsewhere, or becomes another.
    pub(crate) fn leave(&self, spoken: Option<Protocol>) {
        if let Some(protocol) = spoken {
            add(&self.protocols.open[protocol as usize], u64::MAX);
        }
    }

    /// The connections of a frozen shard are counted again as they are thawed.
    pub(crate) fn carry_none(&self) {
        for open in &self.protocols.open {
            open.store(0, Ordering::Relaxed);
        }
    }
}

impl Metrics {
    /// How many connections there are and were by protocol, in a fixed order. One whose first bytes have
    /// not told its protocol yet is in none of them, nor is one that was made from here.
    ///
    /// ```
    /// let metrics = springtide::Server::new().metrics();
    /// assert!(metrics.protocols().any(|own| own.name == "websocket" && own.open == 0));
    /// ```
    pub fn protocols(&self) -> impl Iterator<Item = ProtocolCounts> {
        let mut counts =
            Protocol::ALL.map(|own| ProtocolCounts { name: own.name(), open: 0, total: 0 });
        for shard in self.shards.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let Shares { open, total } = &shard.protocols;
            for (counts, (open, total)) in counts.iter_mut().zip(open.iter().zip(total)) {
                counts.open += open.load(Ordering::Relaxed);
                counts.total += total.load(Ordering::Relaxed);
            }
        }
        counts.into_iter()
    }
}
