//! How an operation begins: who does it, and what has waited for others.
//! It decides no law: the ledger does, before anybody is asked.

use super::Engine;
use crate::clock::Moment;
use crate::op::Op;
use crate::slots::Key;

/// Who begins an operation.
enum Way {
    Timeout(Moment),
    Workers,
    Backend,
}

impl Engine {
    #[inline]
    pub(super) fn start(&mut self, op: Op, token: u64, quiet: bool) -> Key {
        self.stats.submitted += 1;
        // Most are sends: nothing behind this looks again what it is.
        let Op::Send { socket, pieces } = op else { return self.start_other(op, token, quiet) };
        let (key, entered) = self.ledger.enter(Op::Send { socket, pieces }, token, quiet);
        if entered {
            self.backend.send(&mut self.ledger, key);
        }
        key
    }

    #[inline(never)]
    fn start_other(&mut self, op: Op, token: u64, quiet: bool) -> Key {
        let way = match &op {
            Op::Timeout { at } => Way::Timeout(*at),
            op if op.is_for_workers() => Way::Workers,
            _ => Way::Backend,
        };
        let (key, entered) = self.ledger.enter(op, token, quiet);
        match way {
            _ if !entered => {}
            Way::Timeout(at) => self.start_timeout(key, at),
            Way::Workers => self.start_work(key),
            Way::Backend => self.backend.submit(&mut self.ledger, key),
        }
        key
    }

    /// Closes go when the last operation of their descriptor has completed (law 6), shutdowns when
    /// the send has. One that was cancelled meanwhile is stale.
    pub(super) fn start_waiting(&mut self) {
        while let Some(key) = self.ledger.startable.pop() {
            self.backend.submit(&mut self.ledger, key);
        }
    }
}
