//! Who waits until the peer of a WebSocket is not behind: code that is awaited, before it says more.
//! Nobody is called here: tasks end, and their shard tells of that.

use super::Messaging;
use crate::limits::STREAM_LOW_BYTES;
use crate::peer::{Peer, Reason};
use crate::room::Room;
use crate::task::{Ended, Waiter};
use crate::websocket::ClosedBy;

/// They wait for the same.
pub(super) struct Waiting(Vec<Waiter>);

/// Beyond so many, those are looked for whom nobody wants any more.
const UNWANTED_MIN: usize = 8;

impl Messaging {
    /// Somebody waits until less waits for the peer; [`sent`](Self::sent) looks at once.
    pub(crate) fn await_room(&mut self, waiter: Waiter, peer: Peer, room: &Room) {
        let tasks = &room.requests.tasks;
        if !self.machine.may_send() || self.queue.is_closing() {
            return tasks.end(peer, waiter, Ended::Failed(Reason::Closed));
        }
        let Waiting(waiting) =
            &mut **self.waiting.get_or_insert_with(|| Box::new(Waiting(Vec::new())));
        if waiting.len() >= UNWANTED_MIN {
            waiting.retain(|own| tasks.is_wanted(own));
        }
        waiting.push(waiter);
    }

    /// So much waits to be sent, and what the queue has.
    pub(in crate::session) fn sent(&mut self, waiting_bytes: usize, peer: Peer, room: &Room) {
        let low = STREAM_LOW_BYTES.min(room.limits.socket_queue_bytes_max / 2);
        let is_low = waiting_bytes + self.queue.bytes() < low;
        if let Some(waiting) = self.waiting.take_if(|_| is_low) {
            let Waiting(waiting) = *waiting;
            for waiter in waiting {
                room.requests.tasks.end(peer, waiter, Ended::Done);
            }
        }
    }

    /// The connection is gone.
    pub(super) fn end_waiting(&mut self, peer: Peer, by: ClosedBy, room: &Room) {
        let Some(waiting) = self.waiting.take() else { return };
        let reason = match by {
            ClosedBy::Peer => Reason::PeerClosed,
            ClosedBy::Here => Reason::Closed,
            ClosedBy::Lost(reason) => reason,
        };
        let Waiting(waiting) = *waiting;
        for waiter in waiting {
            room.requests.tasks.end(peer, waiter, Ended::Failed(reason));
        }
    }
}
