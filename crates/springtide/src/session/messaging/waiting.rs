//! What waits at a WebSocket for its peer: code that is awaited before it says more, and messages that are
//! sent in pieces.
//! Nobody is called here: tasks end, and their shard tells of that.

use std::collections::VecDeque;

use springtide_proto::websocket::code;
use springtide_proto::{Outbox, Piece as Sent};

use super::Messaging;
use super::queue::AHEAD_BYTES;
use crate::limits::STREAM_LOW_BYTES;
use crate::peer::{Peer, Reason};
use crate::room::Room;
use crate::task::{Ended, Waiter};
use crate::websocket::{Awaits, ClosedBy, Piece};

/// They wait.
#[derive(Default)]
pub(super) struct Waiting {
    /// Until less waits in all.
    room: Vec<Waiter>,
    /// Until less is to be sent next.
    credit: Vec<Waiter>,
    /// Until their first piece can be sent.
    turn: VecDeque<(Piece, Waiter)>,
    /// The message that is being sent in pieces; 0 where none is.
    stream: u64,
    /// With so many it is looked next whom nobody wants any more.
    sweep_at: usize,
}

/// Fewer are not looked at.
const SWEEP_MIN: usize = 8;

impl Waiting {
    fn is_idle(&self) -> bool {
        let Self { room, credit, turn, stream, sweep_at: _ } = self;
        room.is_empty() && credit.is_empty() && turn.is_empty() && *stream == 0
    }

    fn count(&self) -> usize {
        self.room.len() + self.credit.len() + self.turn.len()
    }

    /// Who has dropped his task takes no room for long: all are looked at when they have doubled.
    fn forget_unwanted(&mut self, mut is_wanted: impl FnMut(&Waiter) -> bool) {
        if self.count() >= self.sweep_at.max(SWEEP_MIN) {
            self.room.retain(&mut is_wanted);
            self.credit.retain(&mut is_wanted);
            self.turn.retain(|(_, own)| is_wanted(own));
            self.sweep_at = 2 * self.count();
        }
    }
}

impl Messaging {
    /// Somebody waits for something; what it is for is looked at behind this. Behind a close that waits
    /// nothing begins, but the message that is being sent in pieces is sent to its end before that.
    pub(crate) fn await_room(&mut self, awaits: Awaits, waiter: Waiter, peer: Peer, room: &Room) {
        let tasks = &room.requests.tasks;
        let goes_on = matches!(awaits, Awaits::Credit) && self.is_streaming();
        if !self.machine.may_send() || self.is_closing() && !goes_on {
            return tasks.end(peer, waiter, Ended::Failed(Reason::Closed));
        }
        let waiting = self.rest().waiting.get_or_insert_default();
        waiting.forget_unwanted(|own| tasks.is_wanted(own));
        match awaits {
            Awaits::Room => waiting.room.push(waiter),
            Awaits::Credit => waiting.credit.push(waiter),
            Awaits::Turn(piece) => waiting.turn.push_back((piece, waiter)),
        }
    }

    /// So much waits to be sent, and what the queue has.
    pub(in crate::session) fn sent(&mut self, waiting_bytes: usize, peer: Peer, room: &Room) {
        let Some(rest) = &mut self.rest else { return };
        let Some(waiting) = &mut rest.waiting else { return };
        let low = STREAM_LOW_BYTES.min(room.limits.socket_queue_bytes_max / 2);
        let is_low = waiting_bytes + rest.queue.bytes() < low;
        let tasks = &room.requests.tasks;
        let told = if is_low { std::mem::take(&mut waiting.room) } else { Vec::new() };
        let next =
            if waiting_bytes < low { std::mem::take(&mut waiting.credit) } else { Vec::new() };
        for waiter in told.into_iter().chain(next) {
            tasks.end(peer, waiter, Ended::Done);
        }
        rest.waiting.take_if(|waiting| waiting.is_idle());
        self.tidy();
    }

    /// Whether a message is being sent in pieces: no other may be then.
    #[inline]
    pub(super) fn is_streaming(&self) -> bool {
        self.waiting().is_some_and(|waiting| waiting.stream != 0)
    }

    fn waiting(&self) -> Option<&Waiting> {
        self.rest.as_ref().and_then(|rest| rest.waiting.as_deref())
    }

    /// Sends the first piece of the message whose turn has come, as nothing else waits; of several that are
    /// whole with it, as much as of other messages.
    pub(super) fn begin_stream(&mut self, outbox: &mut Outbox, room: &mut Room) {
        while !self.is_streaming()
            && outbox.len() < AHEAD_BYTES
            && let Some((piece, waiter)) =
                self.rest().waiting.as_mut().and_then(|own| own.turn.pop_front())
        {
            if room.requests.tasks.is_wanted(&waiter) {
                let ended = match self.send_piece(piece, outbox, room) {
                    true => Ended::Done,
                    false => Ended::Failed(Reason::Closed),
                };
                room.requests.tasks.end(Peer::nobody(), waiter, ended);
            }
        }
    }

    /// A piece of the message that is being sent; of any other it comes too late.
    pub(super) fn go_on_with(&mut self, piece: Piece, outbox: &mut Outbox, room: &mut Room) {
        if self.waiting().is_some_and(|waiting| waiting.stream == piece.stream) {
            self.send_piece(piece, outbox, room);
            self.pour(outbox, room);
        }
    }

    /// Whether it could be sent.
    fn send_piece(&mut self, piece: Piece, outbox: &mut Outbox, room: &mut Room) -> bool {
        let Piece { stream, kind, payload, is_last } = piece;
        let sent = self.machine.send_part(kind, Sent::Shared(payload), is_last, None, outbox);
        let goes_on = sent.is_ok() && !is_last;
        self.rest().waiting.get_or_insert_default().stream = if goes_on { stream } else { 0 };
        if is_last {
            self.count_written(sent.is_ok(), room);
        }
        sent.is_ok()
    }

    /// Whoever sent a message in pieces has gone before its end: its peer is not to take it for whole.
    pub(super) fn cut(&mut self, stream: u64, outbox: &mut Outbox, room: &mut Room) {
        let Some(waiting) = self.rest.as_mut().and_then(|rest| rest.waiting.as_mut()) else {
            return;
        };
        waiting.turn.retain(|(piece, _)| piece.stream != stream);
        if waiting.stream == stream {
            waiting.stream = 0;
            self.close_at_once(code::INTERNAL, "a message was cut", outbox, room);
        }
    }

    /// The connection is gone.
    pub(super) fn end_waiting(&mut self, peer: Peer, by: ClosedBy, room: &Room) {
        let Some(waiting) = self.rest.as_mut().and_then(|rest| rest.waiting.take()) else { return };
        let reason = match by {
            ClosedBy::Peer => Reason::PeerClosed,
            ClosedBy::Here => Reason::Closed,
            ClosedBy::Lost(reason) => reason,
        };
        let Waiting { room: told, credit, turn, stream: _, sweep_at: _ } = *waiting;
        let turn = turn.into_iter().map(|(_, waiter)| waiter);
        for waiter in told.into_iter().chain(credit).chain(turn) {
            room.requests.tasks.end(peer, waiter, Ended::Failed(reason));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many that wait are looked at a few times each, and who has gone is forgotten by then.
    #[test]
    fn who_waits_is_not_looked_at_for_each_other() {
        let (mut waiting, mut looks) = (Waiting::default(), 0);
        for _ in 0..10_000 {
            waiting.forget_unwanted(|_| {
                looks += 1;
                true
            });
            waiting.room.push(Waiter::Nobody);
        }
        assert!((10_000..30_000).contains(&looks), "{looks}");
        for _ in 0..30_000 {
            waiting.forget_unwanted(|own| !matches!(own, Waiter::Dropped));
            waiting.credit.push(Waiter::Dropped);
        }
        assert!(waiting.count() < 30_000, "{}", waiting.count());
    }
}
