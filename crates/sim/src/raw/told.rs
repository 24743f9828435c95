//! What applications of raw connections were told, and whether that may be.
//! Callbacks write it down, whichever shard they run on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use springtide::{Peer, PeerId, Reason, RemotePeer};

/// What applications do and come to that no other history has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    PullDropped,
    PullCancelled,
    PullGivenUp,
    PullsInARow,
    PushDropped,
    PushCancelled,
    ConnectDropped,
    ConnectCancelled,
    Connected,
    NotConnected,
    PeerClosed,
    Closed,
    Reset,
    TimedOut,
    Stopped,
    Panicked,
    Failed,
    EchoedBack,
    EchoedByFuture,
    Forwarded,
    EchoedElsewhere,
    FrameAnswered,
    FrameLate,
    FrameDropped,
    Frozen,
}

/// All of them.
pub(crate) const MARKS: [Mark; 25] = [
    Mark::PullDropped,
    Mark::PullCancelled,
    Mark::PullGivenUp,
    Mark::PullsInARow,
    Mark::PushDropped,
    Mark::PushCancelled,
    Mark::ConnectDropped,
    Mark::ConnectCancelled,
    Mark::Connected,
    Mark::NotConnected,
    Mark::PeerClosed,
    Mark::Closed,
    Mark::Reset,
    Mark::TimedOut,
    Mark::Stopped,
    Mark::Panicked,
    Mark::Failed,
    Mark::EchoedBack,
    Mark::EchoedByFuture,
    Mark::Forwarded,
    Mark::EchoedElsewhere,
    Mark::FrameAnswered,
    Mark::FrameLate,
    Mark::FrameDropped,
    Mark::Frozen,
];

/// What was told, by all shards.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    opened: u64,
    /// How many tasks were begun whose end is told, and how many ends were.
    begun: u64,
    ended: u64,
    numbers: HashMap<PeerId, u32>,
    closed: HashMap<PeerId, Reason>,
    arrivals: Vec<RemotePeer>,
    mistakes: Vec<String>,
    marks: [u64; MARKS.len()],
}

impl Told {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn mark(&self, mark: Mark) {
        self.log().marks[mark as usize] += 1;
    }

    pub(crate) fn marks(&self) -> [u64; MARKS.len()] {
        self.log().marks
    }

    pub(crate) fn open(&self) {
        self.log().opened += 1;
    }

    /// A connection has said whose it is.
    pub(crate) fn name(&self, peer: Peer, number: u32) {
        self.log().numbers.insert(peer.id(), number);
    }

    pub(crate) fn begin(&self) {
        self.log().begun += 1;
    }

    /// A task has ended, before its connection's end is told, unless it was asked for later.
    pub(crate) fn end<T>(&self, peer: Peer, result: &Result<T, Reason>) {
        let mut log = self.log();
        log.ended += 1;
        let is_late = !matches!(result, Err(Reason::Stale));
        if is_late && log.closed.contains_key(&peer.id()) {
            log.mistakes.push(format!("{peer:?} is told of something behind its end"));
        }
    }

    pub(crate) fn close(&self, peer: Peer, reason: Reason) {
        let mark = match reason {
            Reason::PeerClosed => Mark::PeerClosed,
            Reason::Closed => Mark::Closed,
            Reason::Reset => Mark::Reset,
            Reason::TimedOut(_) => Mark::TimedOut,
            Reason::Stopped => Mark::Stopped,
            Reason::Panicked => Mark::Panicked,
            Reason::Failed => Mark::Failed,
            reason => return self.mistake(format!("{peer:?} has ended: {reason}")),
        };
        self.mark(mark);
        if self.log().closed.insert(peer.id(), reason).is_some() {
            self.mistake(format!("the end of {peer:?} is told twice"));
        }
    }

    pub(crate) fn mistake(&self, what: String) {
        self.log().mistakes.push(what);
    }

    /// A connection is another thread's from here on.
    pub(crate) fn arrive(&self, peer: RemotePeer) {
        self.log().arrivals.push(peer);
    }

    pub(crate) fn arrivals(&self) -> Vec<RemotePeer> {
        std::mem::take(&mut self.log().arrivals)
    }

    /// The first thing that must not be.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.log().mistakes.first().map_or(Ok(()), |what| Err(what.clone()))
    }

    /// When all is over: every task and every connection has ended, and was told of once.
    pub(crate) fn check_end(&self) -> Result<(), String> {
        self.check()?;
        let log = self.log();
        if log.begun != log.ended {
            return Err(format!("of {} tasks {} have ended", log.begun, log.ended));
        }
        if log.opened != log.closed.len() as u64 {
            let closed = log.closed.len();
            return Err(format!("{} connections were told of, {closed} ends", log.opened));
        }
        Ok(())
    }

    /// Why the connection of a peer has ended, if that was told.
    pub(crate) fn reason(&self, number: u32) -> Option<Reason> {
        let log = self.log();
        let own = log.numbers.iter().find(|(_, own)| **own == number);
        own.and_then(|(id, _)| log.closed.get(id).copied())
    }
}
