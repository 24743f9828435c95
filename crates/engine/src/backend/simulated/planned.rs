//! One failure at one place: the operation that is done as the nth of a world fails, with one of the
//! errors it can have on a real system. It does nothing by chance.

use super::World;
use super::operations::Simulated;
use crate::error::OpKind;
use crate::ledger::Ledger;
use crate::op::Op;
use crate::slots::Key;
use crate::system;

/// Which operation is to fail, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Planned {
    /// Operations that are still done before it; none is to fail without.
    before: Option<u64>,
    choice: usize,
    failed: Option<(OpKind, i32)>,
}

impl World {
    /// Lets the operation fail that is done next but `before`, with the error of its kind that has
    /// this number; kinds that have fewer errors are left alone. A look at a descriptor that has
    /// nothing yet does nothing, and does not count.
    pub fn fail_later(&self, before: u64, choice: usize) {
        let failed = None;
        self.state.borrow_mut().planned = Planned { before: Some(before), choice, failed };
    }

    /// Which operation failed since [`fail_later`](Self::fail_later), and with which errno; none as
    /// long as none has.
    #[must_use]
    pub fn failed(&self) -> Option<(OpKind, i32)> {
        self.state.borrow().planned.failed
    }
}

/// What each kind of operation can fail with, although nothing is wrong with how it is asked for.
const fn errors(kind: OpKind) -> &'static [i32] {
    match kind {
        OpKind::Accept => &[system::EMFILE, system::ENFILE, system::ENOBUFS],
        OpKind::Receive | OpKind::ReceiveInto => &[system::ECONNRESET, system::EIO],
        OpKind::Send => &[system::EPIPE, system::ECONNRESET, system::ENOBUFS],
        OpKind::Shutdown => &[system::ENOTCONN],
        OpKind::Close => &[system::EIO],
        OpKind::Open => &[system::EMFILE, system::ENFILE, system::ENOENT, system::EIO],
        OpKind::Read => &[system::EIO, system::EISDIR],
        OpKind::Write | OpKind::Truncate => &[system::ENOSPC, system::EIO],
        OpKind::Sync | OpKind::Describe => &[system::EIO],
        OpKind::Remove | OpKind::Rename | OpKind::CreateDirectory => &[system::EIO, system::ENOSPC],
        _ => &[],
    }
}

impl Simulated {
    /// Fails an operation that is ready, if it is the one. A close frees its descriptor all the
    /// same, as Linux does.
    pub(super) fn fails_as_planned(&self, ledger: &mut Ledger, key: Key) -> bool {
        let Some(op) = ledger.slots.get(key).map(|slot| &slot.op) else { return false };
        let kind = op.kind();
        let state = &mut *self.world.state.borrow_mut();
        let Some(errno) = errors(kind).get(state.planned.choice) else { return false };
        match &mut state.planned.before {
            Some(0) => state.planned.before = None,
            Some(before) => {
                *before -= 1;
                return false;
            }
            None => return false,
        }
        state.planned.failed = Some((kind, *errno));
        if let Op::Close { descriptor } = op {
            // It is open: a close is asked for once.
            let _ = state.table.close(*descriptor, &mut state.network);
        }
        ledger.fail_errno(key, kind, *errno);
        true
    }
}
