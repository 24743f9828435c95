//! The session behind an upgrade: bytes between a connection and the future that has it now.
//! It knows nothing of what they mean, and reads no more than the future takes.

use std::rc::Rc;

use bytes::Bytes;
use http::HeaderMap;
use springtide_proto::http1::Exchange;
use springtide_proto::{Outbox, Piece};

use super::{Messaging, Other, Share, Source, Step, Who};
use crate::executor::Origin;
use crate::limits::{STREAM_LOW_BYTES, place_of};
use crate::request::{BodyError, Pipe as Input};
use crate::response::{Make, Pipe as Output, Successor, Upgraded};
use crate::room::Room;
use crate::table::Place;

/// The session.
pub(crate) struct Tunnel {
    share: Share,
    /// When bytes came last, or were written or sent.
    since_ms: u64,
    /// Something was written, and is not known to be sent.
    has_unsent: bool,
    end: End,
    ends: Option<Ends>,
}

/// What stands between the connection and the future.
struct Ends {
    exchange: Exchange,
    future: Place,
    input: Rc<Input>,
    output: Rc<Output>,
}

/// How far it is from its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// Nothing more is written: the connection ends behind what was.
    Over,
    /// The same, and its peer is to notice that more should have come.
    Cut,
}

/// An upgrade that was answered, until the reply's turn has come.
pub(crate) struct Accepted {
    pub(super) exchange: Exchange,
    pub(super) origin: Origin,
    pub(super) successor: Successor,
}

impl Accepted {
    /// The connection is what was agreed on from here on.
    pub(super) fn begin(self, who: Who, outbox: &mut Outbox, room: &mut Room) -> Other {
        let Self { exchange, origin, successor } = self;
        match successor {
            Successor::Future(make) => {
                Other::Tunnel(Box::new(Tunnel::begin(exchange, origin, make, who, room)))
            }
            Successor::Socket(opening) => {
                Other::Messaging(Messaging::begin(opening, who, outbox, room))
            }
        }
    }
}

impl Tunnel {
    /// The connection speaks its new protocol from here on.
    pub(super) fn begin(
        exchange: Exchange,
        origin: Origin,
        make: Make,
        who: Who,
        room: &mut Room,
    ) -> Self {
        let (input, arriving) = Input::new(who.place, room.limits.inbox_bytes_max, &room.requests);
        let mut output = None;
        let future = room.executor.begin(origin, exchange, true, |alarm| {
            let pipe = output.insert(Output::new(alarm, None, STREAM_LOW_BYTES, None));
            make(Upgraded::new(arriving, Rc::clone(pipe)))
        });
        let ends = output.map(|output| Ends { exchange, future, input, output });
        let (share, since_ms) = (Share::default(), room.now_ms);
        Self { share, since_ms, has_unsent: false, end: End::Open, ends }
    }

    /// One whose future is gone.
    pub(super) fn cut() -> Self {
        let (share, since_ms) = (Share::default(), 0);
        Self { share, since_ms, has_unsent: false, end: End::Cut, ends: None }
    }

    pub(super) fn receive(&mut self, source: &Source<'_>, room: &Room) -> (usize, Step) {
        let Some(ends) = self.ends.as_ref().filter(|_| self.end == End::Open) else {
            return (0, Step::Closed);
        };
        if ends.input.is_full() {
            return (0, Step::Paused);
        }
        self.share.renew(room.turn);
        let bytes = source.bytes();
        let taken = bytes.len().min(room.limits.inbox_bytes_max);
        if taken > 0 {
            self.since_ms = room.now_ms;
        }
        let is_full = ends.input.push(Bytes::copy_from_slice(&bytes[..taken]));
        self.share.add_bytes(taken);
        let step = match () {
            () if is_full => Step::Paused,
            () if taken < bytes.len() || self.share.is_spent(0) => Step::More,
            () => Step::NeedBytes,
        };
        (taken, step)
    }

    /// The peer has ended its side, or the server stops: what is written is still sent.
    pub(super) fn end_of_input(&self) {
        if let Some(ends) = &self.ends {
            ends.input.end(HeaderMap::new());
        }
    }

    /// What was written is sent so far: the future may go on.
    pub(super) fn sent(&mut self, waiting_bytes: usize, room: &mut Room) {
        if waiting_bytes == 0 && std::mem::take(&mut self.has_unsent) {
            self.since_ms = room.now_ms;
        }
        if waiting_bytes < STREAM_LOW_BYTES
            && let Some(ends) = &self.ends
        {
            room.executor.granted.extend(ends.output.grant(waiting_bytes));
        }
    }

    /// Takes over what the future has written.
    pub(super) fn pour(&mut self, exchange: Exchange, outbox: &mut Outbox, room: &Room) {
        let Some(ends) = self.ends.as_ref().filter(|ends| ends.exchange == exchange) else {
            return;
        };
        let pieces = ends.output.take();
        if !pieces.is_empty() {
            self.has_unsent = true;
            self.since_ms = room.now_ms;
        }
        for piece in pieces {
            outbox.push(Piece::Shared(piece));
        }
    }

    /// The future has ended.
    pub(super) fn ended(
        &mut self,
        exchange: Exchange,
        has_panicked: bool,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        self.pour(exchange, outbox, room);
        let Some(ends) = self.ends.take_if(|ends| ends.exchange == exchange) else { return };
        room.counts.panics_total += u64::from(has_panicked);
        self.end = match ends.output.close() {
            Ok(_) if !has_panicked => End::Over,
            Ok(_) => End::Cut,
            Err(failure) => {
                crate::report::error(format_args!("an upgraded connection is cut: {failure}"));
                End::Cut
            }
        };
    }

    /// The future was dropped.
    pub(super) fn give_up(&mut self, exchange: Exchange) {
        if self.ends.take_if(|ends| ends.exchange == exchange).is_some() {
            self.end = End::Cut;
        }
    }

    /// The connection is gone.
    pub(super) fn abandon(&mut self, room: &mut Room) {
        if let Some(ends) = self.ends.take() {
            ends.input.fail(BodyError::Gone);
            room.executor.gone.push(ends.future);
        }
    }

    pub(super) fn wants_close(&self) -> bool {
        self.end != End::Open
    }

    pub(super) fn wants_reset(&self) -> bool {
        self.end == End::Cut
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.ends.as_ref().map_or(0, |ends| ends.input.bytes_held())
    }

    /// Idle is who neither sends nor is sent anything, as with connections between requests.
    pub(super) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        let is_open = self.end == End::Open;
        is_open.then(|| self.since_ms.saturating_add(room.limits.http1.idle_timeout_ms))
    }

    pub(super) fn on_deadline(&mut self, room: &mut Room) {
        if self.next_deadline_ms(room).is_some_and(|deadline_ms| deadline_ms <= room.now_ms) {
            room.counts.deadlines_total += 1;
            room.met.count(const { place_of("idle_timeout_ms") });
            self.end = End::Over;
        }
    }
}
