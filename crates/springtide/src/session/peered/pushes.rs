//! What was pushed: how it waits, is sent, and is withdrawn while it has not begun to be.
//! Nothing of it goes out while something else is being sent (law 5).

use springtide_proto::{COPY_BYTES_MAX, Outbox, Piece};

use super::{End, Peered, Pushing, seconds};
use crate::limits::{SEND_BYTES_MAX, place_of};
use crate::peer::{Peer, PeerStatus, Pushed, Reason};
use crate::room::Room;
use crate::session::Who;
use crate::task::{Ended, Waiter};

/// What each piece of a push costs beside its bytes, as the limit on what waits counts it.
const PUSH_BYTES: usize = 128;

impl Pushing {
    pub(super) fn new(serial: u64, waiter: Waiter, pieces: Pushed) -> Self {
        Self { serial, waiter, len: pieces.len(), pieces }
    }

    pub(super) fn cost(&self) -> usize {
        self.len + PUSH_BYTES * self.pieces.pieces().len().max(1)
    }
}

impl Peered {
    /// Bytes are to be sent.
    #[inline]
    pub(crate) fn push(
        &mut self,
        serial: u64,
        pieces: Pushed,
        waiter: &mut Waiter,
        peer: Peer,
        room: &Room,
    ) {
        let tasks = &room.requests.tasks;
        if !tasks.is_wanted(waiter) {
            return;
        }
        if let Some(reason) = self.push_refusal(room) {
            return tasks.end(peer, waiter.take(), Ended::Failed(reason));
        }
        self.wait(Pushing::new(serial, waiter.take(), pieces), room);
    }

    /// It waits to be sent.
    #[inline(always)]
    pub(super) fn wait(&mut self, push: Pushing, room: &Room) {
        let busy = self.busy(&room.requests.tasks);
        busy.waiting_bytes += push.cost();
        busy.pushes.push_back(push);
    }

    /// Why nothing can be pushed now.
    #[inline]
    pub(super) fn push_refusal(&self, room: &Room) -> Option<Reason> {
        if self.end != End::Open {
            return self.refusal();
        }
        let busy = self.busy.as_ref();
        if self.is_shut() || busy.is_some_and(|busy| !busy.shutting.is_empty()) {
            return Some(Reason::Closed);
        }
        if busy.is_some_and(|busy| busy.waiting_bytes > room.limits.outbox_bytes_max) {
            room.met.count(const { place_of("outbox_bytes_max") });
            return Some(Reason::Limit("outbox_bytes_max"));
        }
        None
    }

    /// How many bytes wait to be sent, with what each push costs beside.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.busy.as_ref().map_or(0, |busy| busy.waiting_bytes)
    }

    /// What waits and is still wanted goes out: nothing else is being sent.
    pub(crate) fn pour(&mut self, outbox: &mut Outbox, room: &Room) {
        let Some(busy) = &mut self.busy else { return };
        let tasks = &room.requests.tasks;
        while busy.poured < busy.pushes.len() && outbox.len() < SEND_BYTES_MAX {
            let push = &mut busy.pushes[busy.poured];
            busy.poured += 1;
            busy.waiting_bytes -= push.cost();
            if !tasks.is_wanted(&push.waiter) {
                push.pieces.forget();
                push.len = 0;
            }
            for piece in push.pieces.pieces() {
                if piece.len() <= COPY_BYTES_MAX {
                    outbox.extend(piece);
                } else {
                    outbox.push(Piece::Shared(piece.clone()));
                }
            }
            busy.poured_bytes += push.len;
        }
    }

    /// What was poured has been sent, but for so many bytes that wait still.
    pub(crate) fn sent(&mut self, waiting_bytes: usize, who: Who, room: &Room) {
        let tasks = &room.requests.tasks;
        let Some(busy) = &mut self.busy else { return };
        while busy.poured > 0
            && let Some(first) = busy.pushes.front()
            && busy.poured_bytes - first.len >= waiting_bytes
            && let Some(push) = busy.pushes.pop_front()
        {
            // Not where nothing was: what is thawed asks as well.
            self.seen_s = seconds(room.now_ms);
            busy.poured -= 1;
            busy.poured_bytes -= push.len;
            tasks.end_here(who.peer(), push.waiter, push.pieces.ended());
        }
        if waiting_bytes == 0 {
            self.offer_room(who.peer(), tasks);
        }
        self.rest(tasks);
    }

    /// Whether something was pushed and is not being sent yet.
    pub(crate) fn has_waiting(&self) -> bool {
        self.busy.as_ref().is_some_and(|busy| busy.pushes.len() > busy.poured)
    }

    /// Whether somebody is to be told, or something to be done, when what is being sent has been.
    pub(in crate::session) fn awaits_sent(&self) -> bool {
        self.end != End::Open || self.busy.as_ref().is_some_and(|busy| busy.awaits_sent())
    }

    /// Ends the stream to the peer when everything pushed has been sent.
    pub(crate) fn shut(&mut self, waiter: Waiter, peer: Peer, room: &Room) {
        let tasks = &room.requests.tasks;
        if !tasks.is_wanted(&waiter) {
            return;
        }
        if let Some(reason) = self.refusal() {
            tasks.end(peer, waiter, Ended::Failed(reason));
        } else if self.is_shut() {
            tasks.end(peer, waiter, Ended::Done);
        } else {
            self.busy(tasks).shutting.push(waiter);
        }
    }

    /// Whether the stream to the peer is to end now, as nothing waits to be sent.
    pub(crate) fn take_shut(&mut self, unread: usize, who: Who, room: &Room) -> bool {
        let tasks = &room.requests.tasks;
        let Some(busy) = &mut self.busy else { return false };
        if busy.shutting.is_empty() || !busy.pushes.is_empty() {
            return false;
        }
        for waiter in std::mem::take(&mut busy.shutting) {
            tasks.end(who.peer(), waiter, Ended::Done);
        }
        tasks.places.stand(who.peer(), PeerStatus::HalfClosed);
        self.rest(tasks);
        if self.is_at_end && unread == 0 {
            // Neither side has anything to say any more.
            self.close_for(Reason::PeerClosed);
        }
        self.set_shut()
    }
}
