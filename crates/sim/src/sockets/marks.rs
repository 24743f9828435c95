//! What histories of WebSockets and topics have come to, each counted in the run's table.
//! It counts nothing by itself.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Called,
    Awaited,
    InParts,
    FirstBytes,
    NoHandshake,
    Whole,
    Fragments,
    PingWithin,
    Compressed,
    Inflated,
    Echoed,
    Streamed,
    PingAnswered,
    PongTold,
    Asked,
    Dead,
    Unanswered,
    Deaf,
    PeerClosed,
    ClosedHere,
    ClosedByBoth,
    HalfClosed,
    Reset,
    ResetInClose,
    Malformed,
    Limit,
    Failed,
    Stopped,
    Clogged,
    Resumed,
    TryAgain,
    DroppedNewest,
    DroppedOldest,
    KeptLatest,
    Subscribed,
    Unsubscribed,
    Delivered,
    FromElsewhere,
    Broadcast,
    QueueFull,
    Remote,
    Frozen,
}

/// All of them.
pub(crate) const MARKS: [Mark; 42] = [
    Mark::Called,
    Mark::Awaited,
    Mark::InParts,
    Mark::FirstBytes,
    Mark::NoHandshake,
    Mark::Whole,
    Mark::Fragments,
    Mark::PingWithin,
    Mark::Compressed,
    Mark::Inflated,
    Mark::Echoed,
    Mark::Streamed,
    Mark::PingAnswered,
    Mark::PongTold,
    Mark::Asked,
    Mark::Dead,
    Mark::Unanswered,
    Mark::Deaf,
    Mark::PeerClosed,
    Mark::ClosedHere,
    Mark::ClosedByBoth,
    Mark::HalfClosed,
    Mark::Reset,
    Mark::ResetInClose,
    Mark::Malformed,
    Mark::Limit,
    Mark::Failed,
    Mark::Stopped,
    Mark::Clogged,
    Mark::Resumed,
    Mark::TryAgain,
    Mark::DroppedNewest,
    Mark::DroppedOldest,
    Mark::KeptLatest,
    Mark::Subscribed,
    Mark::Unsubscribed,
    Mark::Delivered,
    Mark::FromElsewhere,
    Mark::Broadcast,
    Mark::QueueFull,
    Mark::Remote,
    Mark::Frozen,
];

/// How often each was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts(pub(crate) [u64; MARKS.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; MARKS.len()])
    }
}
