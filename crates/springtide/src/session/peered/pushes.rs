//! What was pushed: how it waits, is sent, and is withdrawn while it has not begun to be.
//! Nothing of it goes out while something else is being sent (law 5).

use bytes::Bytes;
use springtide_proto::{COPY_BYTES_MAX, Outbox, Piece};

use super::{End, Entry, Peered, seconds};
use crate::limits::{SEND_BYTES_MAX, place_of};
use crate::peer::{PeerStatus, Reason};
use crate::room::Room;
use crate::session::Who;
use crate::table::Place;
use crate::task::Ended;

impl Peered {
    /// Bytes are to be sent.
    pub(crate) fn push(&mut self, task: Place, bytes: Bytes, room: &Room) {
        let tasks = &room.requests.tasks;
        if !tasks.is_wanted(task) {
            return;
        }
        let is_shut =
            self.is_shut || self.busy.as_ref().is_some_and(|own| !own.shutting.is_empty());
        let reason = self.refusal().or_else(|| is_shut.then_some(Reason::Closed));
        let limit = room.limits.outbox_bytes_max;
        let is_full = self.busy.as_ref().is_some_and(|busy| busy.waiting_bytes > limit);
        if is_full {
            room.met.count(const { place_of("outbox_bytes_max") });
        }
        let reason = reason.or_else(|| is_full.then_some(Reason::Limit("outbox_bytes_max")));
        if let Some(reason) = reason {
            tasks.end(task, || Ended::Failed(reason));
            return;
        }
        let task = (!tasks.forget_detached(task)).then_some(task);
        let busy = self.busy();
        busy.waiting_bytes += bytes.len();
        busy.pushes.push_back(Entry { task, bytes });
    }

    /// What waits and is still wanted goes out: nothing else is being sent.
    pub(crate) fn pour(&mut self, outbox: &mut Outbox, room: &Room) {
        let Some(busy) = &mut self.busy else { return };
        let tasks = &room.requests.tasks;
        let mut index = busy.poured;
        while index < busy.pushes.len() && outbox.len() < SEND_BYTES_MAX {
            let entry = &mut busy.pushes[index];
            busy.waiting_bytes -= entry.bytes.len();
            match entry.task {
                Some(task) if tasks.is_wanted(task) => {
                    if entry.bytes.len() <= COPY_BYTES_MAX {
                        outbox.extend(&entry.bytes);
                    } else {
                        outbox.push(Piece::Shared(entry.bytes.clone()));
                    }
                    index += 1;
                }
                Some(_) => _ = busy.pushes.remove(index),
                None => {
                    outbox.push(Piece::Shared(std::mem::take(&mut entry.bytes)));
                    busy.pushes.remove(index);
                }
            }
        }
        busy.poured = index;
    }

    /// Everything that was poured has been sent.
    pub(in crate::session) fn sent(&mut self, waiting_bytes: usize, room: &Room) {
        if waiting_bytes > 0 {
            return;
        }
        self.seen_s = seconds(room.now_ms);
        let Some(busy) = &mut self.busy else { return };
        for entry in busy.pushes.drain(..std::mem::take(&mut busy.poured)) {
            if let Some(task) = entry.task {
                room.requests.tasks.end(task, || Ended::Bytes(entry.bytes));
            }
        }
        self.rest();
    }

    /// Whether something was pushed and is not being sent yet.
    pub(crate) fn has_waiting(&self) -> bool {
        self.busy.as_ref().is_some_and(|busy| busy.pushes.len() > busy.poured)
    }

    /// Whether somebody is to be told, or something to be done, when what is being sent has been.
    pub(in crate::session) fn awaits_sent(&self) -> bool {
        self.end != End::Open || self.busy.as_ref().is_some_and(|busy| !busy.pushes.is_empty())
    }

    /// Ends the stream to the peer when everything pushed has been sent.
    pub(crate) fn shut(&mut self, task: Place, room: &Room) {
        let tasks = &room.requests.tasks;
        if !tasks.is_wanted(task) {
            return;
        }
        if let Some(reason) = self.refusal() {
            tasks.end(task, || Ended::Failed(reason));
        } else if self.is_shut {
            tasks.end(task, || Ended::Done);
        } else {
            self.busy().shutting.push(task);
        }
    }

    /// Whether the stream to the peer is to end now, as nothing waits to be sent.
    pub(crate) fn take_shut(&mut self, who: Who, room: &Room) -> bool {
        let Some(busy) = &mut self.busy else { return false };
        if busy.shutting.is_empty() || !busy.pushes.is_empty() {
            return false;
        }
        for task in std::mem::take(&mut busy.shutting) {
            room.requests.tasks.end(task, || Ended::Done);
        }
        room.requests.tasks.stand(who.place, PeerStatus::HalfClosed);
        !std::mem::replace(&mut self.is_shut, true)
    }
}
