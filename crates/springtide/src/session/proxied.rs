//! What comes before a session behind a proxy: the header that names the client.
//! It answers nothing: who is not trusted, or sends no header, is closed without a word.

use springtide_proto::proxy::{Machine, Received};

use super::{Step, Who};
use crate::room::Room;

/// A connection whose header is awaited.
#[derive(Debug)]
pub(crate) struct Proxied {
    machine: Machine,
    /// Nothing is awaited any more.
    is_over: bool,
}

impl Proxied {
    pub(crate) const fn new(now_ms: u64) -> Self {
        Self { machine: Machine::new(now_ms), is_over: false }
    }

    /// How long the header is, once it is whole; else how far this came.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        who: Who,
        room: &mut Room,
    ) -> Result<usize, Step> {
        if self.is_over {
            return Err(Step::Closed);
        }
        let peer = room.requests.engine.borrow().peer_address(who.socket).ok();
        let is_trusted = peer.is_some_and(|peer| room.requests.router.proxies.trusts(&peer));
        match self.machine.receive(bytes) {
            Ok(Received::NeedBytes) if is_trusted => Err(Step::NeedBytes),
            Ok(Received::Header { consumed, source }) if is_trusted => {
                if let Some(source) = source {
                    room.requests.set_source(who.socket, source);
                }
                Ok(consumed)
            }
            _ => {
                room.counts.refusals_total += 1;
                self.is_over = true;
                Err(Step::Closed)
            }
        }
    }

    /// Nothing has begun that could be finished.
    pub(crate) const fn end(&mut self) {
        self.is_over = true;
    }

    pub(crate) const fn wants_close(&self) -> bool {
        self.is_over
    }

    /// A header has as much time as the head of a request.
    pub(crate) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        let timeout_ms = room.limits.http1.head_timeout_ms;
        (!self.is_over).then(|| self.machine.next_deadline_ms(timeout_ms))
    }

    pub(crate) fn on_deadline(&mut self, room: &mut Room) {
        let timeout_ms = room.limits.http1.head_timeout_ms;
        if self.machine.on_deadline(room.now_ms, timeout_ms).is_err() {
            room.counts.deadlines_total += 1;
            self.is_over = true;
        }
    }
}
