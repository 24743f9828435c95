//! A machine at rest as plain data, with which another one goes on: nothing of it may be forgotten.
//! It must never hold received bytes: those not consumed are the caller's, who gives them again.

use super::super::body::Body;
use super::super::encode::OpenReply;
use super::super::pace::Pace;
use super::super::replies::{Held, HeldReply};
use super::super::scan::HeadScan;
use super::{Fault, Machine, Reading};
use crate::{Outbox, Piece};

/// A [`Machine`] between two calls, as plain data: numbers, flags, and the bytes of replies that
/// came before their turn. Times in it are the caller's, and go on where it is thawed.
///
/// ```
/// use springtide_proto::http1::{Head, Limits, Machine, Received};
/// let (limits, mut head) = (Limits::default(), Head::new());
/// let mut machine = Machine::server(0, &limits);
/// let input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// assert_eq!(machine.receive(&input[..9], 0, &limits, &mut head), Ok(Received::NeedBytes));
/// let mut machine = Machine::thaw(machine.freeze());
/// let received = machine.receive(input, 0, &limits, &mut head);
/// assert!(matches!(received, Ok(Received::Head { consumed: 27, .. })));
/// ```
#[derive(Debug)]
pub struct Frozen {
    since_ms: u64,
    body: Body,
    open: OpenReply,
    held: Vec<FrozenReply>,
    scan: HeadScan,
    pace: Pace,
    next: u32,
    owed: u32,
    reading: Reading,
    fault: Fault,
    newest_flags: u8,
    is_last: bool,
    says_close: bool,
    has_offer: bool,
    is_draining: bool,
}

/// A reply that came before its turn.
#[derive(Debug)]
struct FrozenReply {
    number: u32,
    open: OpenReply,
    pieces: Vec<Piece>,
}

impl Machine {
    /// The machine as plain data. Keep the input that it has not consumed: it must be given again.
    #[must_use]
    pub fn freeze(self) -> Frozen {
        // Named one by one, so that a new field cannot be forgotten.
        let Self {
            since_ms,
            body,
            open,
            held,
            scan,
            pace,
            next,
            owed,
            reading,
            fault,
            newest_flags,
            is_last,
            says_close,
            has_offer,
            is_draining,
        } = self;
        let held = held.map_or_else(Vec::new, |held| held.replies);
        let held = held.into_iter().map(FrozenReply::of).collect();
        Frozen {
            since_ms,
            body,
            open,
            held,
            scan,
            pace,
            next,
            owed,
            reading,
            fault,
            newest_flags,
            is_last,
            says_close,
            has_offer,
            is_draining,
        }
    }

    /// The machine that was frozen.
    #[must_use]
    pub fn thaw(frozen: Frozen) -> Self {
        let Frozen {
            since_ms,
            body,
            open,
            held,
            scan,
            pace,
            next,
            owed,
            reading,
            fault,
            newest_flags,
            is_last,
            says_close,
            has_offer,
            is_draining,
        } = frozen;
        let replies: Vec<HeldReply> = held.into_iter().map(FrozenReply::thaw).collect();
        let held = (!replies.is_empty()).then(|| Box::new(Held { replies }));
        Self {
            since_ms,
            body,
            open,
            held,
            scan,
            pace,
            next,
            owed,
            reading,
            fault,
            newest_flags,
            is_last,
            says_close,
            has_offer,
            is_draining,
        }
    }
}

impl FrozenReply {
    fn of(reply: HeldReply) -> Self {
        let HeldReply { number, open, mut outbox } = reply;
        let mut pieces = Vec::new();
        outbox.take_pieces(&mut pieces);
        Self { number, open, pieces }
    }

    fn thaw(self) -> HeldReply {
        let Self { number, open, pieces } = self;
        let mut outbox = Outbox::new();
        pieces.into_iter().for_each(|piece| outbox.push(piece));
        HeldReply { number, open, outbox }
    }
}
