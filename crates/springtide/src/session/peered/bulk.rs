//! Long messages, which are received into memory of their own and given to a pull as they are.
//! What came is given in the turn in which it came, or to the next pull.

use bytes::Bytes;

use super::Peered;
use crate::room::Room;
use crate::session::Who;
use crate::task::Ended;

/// What a long message is given at first, four times as much when that is full. More than the powers of two
/// that messages often have: memory that is full to the last byte is made larger, and asked for in vain.
pub(super) const BYTES_MIN: usize = 20 << 10;
/// A message that is longer comes in several pulls.
const BYTES_MAX: usize = 128 << 10;

impl Peered {
    pub(in crate::session) fn lend_bulk(&mut self, room: &Room) -> Option<(Vec<u8>, usize)> {
        let left = self.share.left();
        let busy = self.busy.as_mut().filter(|busy| !busy.bulk.is_empty())?;
        let mut bulk = std::mem::take(&mut busy.bulk);
        if left == 0 || bulk.len() >= BYTES_MAX.min(room.limits.inbox_bytes_max) {
            busy.bulk = bulk;
            return None;
        }
        if bulk.len() == bulk.capacity() {
            bulk.reserve(3 * bulk.len());
        }
        Some((bulk, left))
    }

    pub(in crate::session) fn wants_bulk(&self) -> bool {
        self.busy.as_ref().is_some_and(|busy| !busy.bulk.is_empty())
    }

    /// Takes back what came of a long message.
    pub(crate) fn receive_bulk(&mut self, memory: Vec<u8>, before: usize) -> Vec<u8> {
        self.share.add_bytes(memory.len() - before);
        if let Some(busy) = &mut self.busy {
            busy.bulk = memory;
        }
        Vec::new()
    }

    /// Gives what came of a long message, as nothing more of it is there. Without a pull it waits.
    pub(crate) fn end_bulk(&mut self, who: Who, room: &Room) {
        let tasks = &room.requests.tasks;
        if !self.is_pulled(tasks) || self.offer(0, tasks) {
            return;
        }
        let Some(busy) = &mut self.busy else { return };
        let bulk = std::mem::take(&mut busy.bulk);
        if !bulk.is_empty() {
            self.share.add_exchange();
            self.end_first(who, room, Ended::Bytes(Bytes::from(bulk)));
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
