//! Limits that are met: each is counted, and told in a line that names it and what it is.
//! A peer cannot flood the log: of each limit a shard says one line in ten seconds.

use std::fmt;
use std::sync::Arc;

use springtide_engine::{Address, Descriptor};

use super::{LIMITS_COUNT, Limit, Limits};
use crate::metrics::ShardCounts;

/// One line in so much time is enough; all are counted.
const QUIET_MS: u64 = 10_000;

/// The limits of one shard, as far as they were met.
pub(crate) struct Met {
    counts: Arc<ShardCounts>,
    said: [Said; LIMITS_COUNT],
    pub(crate) lines: Lines,
}

/// Every line that was said, which only tests keep.
#[cfg(test)]
pub(crate) type Lines = Vec<String>;
#[cfg(not(test))]
pub(crate) type Lines = Unkept;

/// Keeps nothing.
#[cfg(not(test))]
#[derive(Default)]
pub(crate) struct Unkept;

#[cfg(not(test))]
impl Unkept {
    fn push(&self, line: String) {
        let Self = self;
        drop(line);
    }
}

/// What was said of one limit.
#[derive(Clone, Copy, Default)]
struct Said {
    /// Nothing more is said before.
    quiet_until_ms: u64,
    /// How often it was met since the last line.
    unsaid: u64,
}

impl Met {
    pub(crate) fn new(counts: Arc<ShardCounts>) -> Self {
        Self { counts, said: [Said::default(); LIMITS_COUNT], lines: Lines::default() }
    }

    /// What the shard counts at once.
    pub(crate) fn counts(&self) -> &ShardCounts {
        &self.counts
    }

    /// Counts a limit that does its work without anybody being wronged: a pause, an idle time.
    #[cold]
    pub(crate) fn count(&self, place: usize) {
        self.counts.meet(place);
    }

    /// Counts a limit that a peer, or the load, has broken, and tells what came of it.
    #[cold]
    pub(crate) fn tell(
        &mut self,
        place: usize,
        now_ms: u64,
        limits: &Limits,
        what: fmt::Arguments<'_>,
    ) {
        self.counts.meet(place);
        let said = &mut self.said[place];
        if now_ms < said.quiet_until_ms {
            said.unsaid += 1;
            return;
        }
        let unsaid = std::mem::take(&mut said.unsaid);
        said.quiet_until_ms = now_ms.saturating_add(QUIET_MS);
        let limit = Limit::at(place);
        let more = More(unsaid);
        let line = format!("{what} (limit {} = {}{more})", limit.name(), limit.show(limits));
        crate::report::error(format_args!("{line}"));
        self.lines.push(line);
    }
}

/// How often it was met besides, if it was.
struct More(u64);

impl fmt::Display for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, "; {count} more since the last line"),
        }
    }
}

/// The other end of a connection as lines name it.
pub(crate) struct Named(pub(crate) Option<Address>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // A Unix socket's other end mostly has no name.
            Some(Address::Unix(None)) => f.write_str("a local peer"),
            Some(address) => address.fmt(f),
            None => f.write_str("a peer that is gone"),
        }
    }
}

impl crate::room::Room {
    /// A peer has broken a limit: counts it and tells what came of it.
    #[cold]
    pub(crate) fn tell_limit(
        &mut self,
        place: usize,
        socket: Descriptor,
        what: fmt::Arguments<'_>,
    ) {
        let who = Named(self.requests.client_of(socket));
        self.met.tell(place, self.now_ms, &self.limits, format_args!("{who}: {what}"));
    }

    /// The server as a whole has come to a limit.
    #[cold]
    pub(crate) fn tell_load(&mut self, place: usize, what: fmt::Arguments<'_>) {
        self.met.tell(place, self.now_ms, &self.limits, what);
    }
}
