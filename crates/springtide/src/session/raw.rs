//! The raw session: sends back what it receives, byte for byte.
//! It takes no more than the outbox has room for: back-pressure reaches the peer.

use springtide_proto::Outbox;

use super::{Share, Source, Step};
use crate::room::Room;

/// The session.
#[derive(Default)]
pub(crate) struct Raw {
    share: Share,
    is_ended: bool,
}

/// A frozen session.
#[derive(Debug)]
pub(crate) struct FrozenRaw {
    is_ended: bool,
}

impl Raw {
    pub(crate) fn receive(
        &mut self,
        source: &Source<'_>,
        outbox: &mut Outbox,
        room: &Room,
    ) -> (usize, Step) {
        let bytes = source.bytes();
        self.share.renew(room.turn);
        let space = room.limits.outbox_bytes_max.saturating_sub(outbox.len());
        let taken = bytes.len().min(space);
        outbox.extend(&bytes[..taken]);
        self.share.add_bytes(taken);
        let step = match taken < bytes.len() {
            true => Step::Paused,
            false if self.share.is_spent(0) => Step::More,
            false => Step::NeedBytes,
        };
        (taken, step)
    }

    pub(crate) const fn end_of_stream(&mut self) {
        self.is_ended = true;
    }

    /// What has come is sent back; nothing has begun that could be finished first.
    pub(crate) const fn drain(&mut self) {
        self.is_ended = true;
    }

    /// Everything that came is in the outbox by then.
    pub(crate) const fn wants_close(&self) -> bool {
        self.is_ended
    }

    pub(crate) fn freeze(self) -> FrozenRaw {
        let Self { share: _, is_ended } = self;
        FrozenRaw { is_ended }
    }

    pub(crate) fn thaw(frozen: FrozenRaw) -> Self {
        let FrozenRaw { is_ended } = frozen;
        Self { share: Share::default(), is_ended }
    }
}
