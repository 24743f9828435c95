//! Long messages, which are received into memory of their own and given to a pull as they are.
//! What came is given in the turn in which it came, or to the next pull.

use bytes::Bytes;
use springtide_engine::CHUNK_BYTES;

use super::{End, Peered};
use crate::room::Room;
use crate::session::Who;
use crate::task::Ended;

/// A message that is longer comes in several pulls.
const BYTES_MAX: usize = 128 << 10;

impl Peered {
    /// Lends the memory of the long message that is arriving, or of the next one.
    pub(in crate::session) fn lend_bulk(&mut self, room: &mut Room) -> Option<(Vec<u8>, usize)> {
        self.share.renew(room.turn);
        let left = self.share.left();
        if left > 0 && self.expects_long(room) {
            return Some((room.take_long(0), left));
        }
        let busy = self.busy.as_mut().filter(|busy| !busy.bulk.is_empty())?;
        let mut bulk = std::mem::take(&mut busy.bulk);
        if left == 0 || bulk.len() >= BYTES_MAX.min(room.limits.inbox_bytes_max) {
            busy.bulk = bulk;
            return None;
        }
        if bulk.len() == bulk.capacity() {
            bulk.reserve((3 * bulk.len()).max(CHUNK_BYTES));
        }
        Some((bulk, left))
    }

    pub(in crate::session) fn wants_bulk(&self) -> bool {
        self.busy.as_ref().is_some_and(|busy| !busy.bulk.is_empty())
    }

    /// Whether the next message is likely to be a long one, which somebody takes as it is.
    #[inline]
    pub(in crate::session) fn expects_long(&self, room: &Room) -> bool {
        self.share.expects_long()
            && self.end == End::Open
            && !self.is_forwarding()
            && self.takes_bulk(self.is_pulled(&room.requests.tasks))
    }

    /// Takes back what came of a long message.
    pub(crate) fn receive_bulk(
        &mut self,
        memory: Vec<u8>,
        before: usize,
        room: &mut Room,
    ) -> Vec<u8> {
        self.share.add_bytes(memory.len() - before);
        if memory.is_empty() {
            room.put_long(memory);
        } else {
            self.heard(room);
            self.busy(&room.requests.tasks).bulk = memory;
        }
        Vec::new()
    }

    /// Gives what came of a long message, as nothing more of it is there. Without a pull it waits.
    pub(crate) fn end_bulk(&mut self, who: Who, room: &Room) {
        let tasks = &room.requests.tasks;
        let waits = !self.is_pulled(tasks) || self.offer(0, tasks);
        let Some(busy) = &mut self.busy else { return };
        if waits {
            // A few bytes would keep all of the memory until somebody pulls.
            if busy.bulk.len() < busy.bulk.capacity() / 2 {
                busy.bulk.shrink_to_fit();
            }
            return;
        }
        let bulk = std::mem::take(&mut busy.bulk);
        if !bulk.is_empty() {
            self.share.add_exchange();
            self.share.note_message(bulk.len());
            // As would what is given.
            let bytes = match bulk.len() < bulk.capacity() / 2 {
                true => Bytes::copy_from_slice(&bulk),
                false => Bytes::from(bulk),
            };
            self.end_first(who, room, Ended::Bytes(bytes));
        }
    }

    /// Somebody may pull by now: gives him a long message that waits, or gives it back where he wants
    /// less or more than that.
    pub(crate) fn serve_ahead(&mut self, who: Who, room: &Room) -> Option<Vec<u8>> {
        if self.ahead() == 0 || !self.is_pulled(&room.requests.tasks) {
            return None;
        }
        if !self.wants_any() {
            return self.take_ahead();
        }
        self.end_bulk(who, room);
        None
    }

    /// What came before anything that waits elsewhere.
    pub(crate) fn take_ahead(&mut self) -> Option<Vec<u8>> {
        let busy = self.busy.as_mut().filter(|busy| !busy.bulk.is_empty())?;
        Some(std::mem::take(&mut busy.bulk))
    }

    /// How many bytes that are.
    pub(crate) fn ahead(&self) -> usize {
        self.busy.as_ref().map_or(0, |busy| busy.bulk.len())
    }

    /// Whether the first pull takes whatever comes.
    fn wants_any(&self) -> bool {
        let first = self.busy.as_ref().and_then(|busy| busy.first.as_ref());
        self.front.is_pull() || first.is_some_and(|first| first.want.takes_any())
    }
}
