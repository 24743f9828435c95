//! A plan in callbacks: each burst is followed by one task more, whose end begins the next.
//! It keeps what is held in cells of the shard's thread, as an application would.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::record::Record;
use super::{DELIMITER, Fate, Plan, Step, Wanted};
use crate::{Canceller, Peer, Pull, Push, Task};

/// What the callbacks of one connection share.
struct Acting {
    plan: Arc<Plan>,
    record: Arc<Record>,
    burst: usize,
    pushed: u32,
    pulls: Vec<(Wanted, Task<Pull>)>,
    pushes: Vec<(u32, Task<Push>)>,
    cancellers: Vec<Canceller>,
    is_over: bool,
}

type Shared = Rc<RefCell<Acting>>;

pub(super) fn begin(peer: Peer, plan: &Arc<Plan>, record: &Arc<Record>) {
    let acting = Acting {
        plan: Arc::clone(plan),
        record: Arc::clone(record),
        burst: 0,
        pushed: 0,
        pulls: Vec::new(),
        pushes: Vec::new(),
        cancellers: Vec::new(),
        is_over: false,
    };
    go_on(peer, &Rc::new(RefCell::new(acting)));
}

pub(super) fn pull(peer: Peer, wanted: Wanted) -> Task<Pull> {
    match wanted {
        Wanted::Some => peer.pull(),
        Wanted::Exact(count) => peer.pull_exact(count),
        Wanted::Until(bytes_max) => peer.pull_until(DELIMITER, bytes_max),
    }
}

/// The next burst, and what begins the one behind it.
fn go_on(peer: Peer, own: &Shared) {
    let acting = &mut *own.borrow_mut();
    if acting.is_over {
        return;
    }
    let plan = Arc::clone(&acting.plan);
    let burst = plan.bursts.get(acting.burst);
    acting.burst += 1;
    for step in burst.into_iter().flatten() {
        acting.take(peer, *step);
    }
    if burst.is_none() {
        acting.pulls.clear();
    }
    // Behind a pull that is held no other one is served.
    if burst.is_some() && (!acting.pulls.is_empty() || acting.burst.is_multiple_of(3)) {
        return acting.push_and_go_on(peer, own);
    }
    let (record, next) = (Arc::clone(&acting.record), Rc::clone(own));
    record.begin();
    let (task, token) = (peer.pull(), record.token());
    acting.cancellers.extend(task.canceller());
    task.then_result(move |peer, result| {
        let is_cut = result.is_err();
        let is_end = record.end_pull(Wanted::Some, result);
        drop(token);
        next.borrow_mut().is_over |= is_end;
        if is_end && !is_cut {
            return next.borrow_mut().finish(peer);
        }
        go_on(peer, &next);
    });
}

impl Acting {
    fn push_and_go_on(&mut self, peer: Peer, own: &Shared) {
        let (record, next) = (Arc::clone(&self.record), Rc::clone(own));
        record.begin();
        let (number, task) = self.push(peer, 4);
        self.cancellers.extend(task.canceller());
        task.then_result(move |peer, result| {
            record.end_push(number, &result);
            if matches!(result, Ok(_) | Err(crate::Reason::Cancelled | crate::Reason::Limit(_))) {
                go_on(peer, &next);
            }
        });
    }

    /// Everything was received: what is held is sent, and then it ends.
    fn finish(&mut self, peer: Peer) {
        self.pulls.clear();
        for (number, task) in std::mem::take(&mut self.pushes) {
            self.hear_push(number, task);
        }
        let (_, last) = self.push(peer, 1);
        last.detach();
        let record = Arc::clone(&self.record);
        record.begin();
        peer.close().then_result(move |_, result| {
            let ended = result.map(|()| None);
            record.end_pull(Wanted::Exact(0), ended);
        });
    }

    fn take(&mut self, peer: Peer, step: Step) {
        match step {
            Step::Pull(wanted, fate) => {
                let task = pull(peer, wanted);
                self.let_pull(wanted, task, fate);
            }
            Step::Push(len, fate) => {
                let (number, task) = self.push(peer, len);
                self.let_push(number, task, fate);
            }
            Step::PullHeld(which, fate) if !self.pulls.is_empty() => {
                let (wanted, task) = self.pulls.remove(which % self.pulls.len());
                self.let_pull(wanted, task, fate);
            }
            Step::PushHeld(which, fate) if !self.pushes.is_empty() => {
                let (number, task) = self.pushes.remove(which % self.pushes.len());
                self.let_push(number, task, fate);
            }
            Step::CancelHeard(which) if !self.cancellers.is_empty() => {
                self.cancellers[which % self.cancellers.len()].cancel();
            }
            _ => {}
        }
    }

    fn push(&mut self, peer: Peer, len: usize) -> (u32, Task<Push>) {
        self.pushed += 1;
        (self.pushed, peer.push(self.record.begin_push(self.pushed, len)))
    }

    fn let_pull(&mut self, wanted: Wanted, task: Task<Pull>, fate: Fate) {
        match fate {
            Fate::Held => return self.pulls.push((wanted, task)),
            Fate::Dropped => return drop(task),
            Fate::Cancelled => task.cancel(),
            Fate::Heard | Fate::Detached => {}
        }
        self.cancellers.extend(task.canceller());
        let (record, token) = (Arc::clone(&self.record), self.record.token());
        record.begin();
        task.then_result(move |_, result| {
            record.end_pull(wanted, result);
            drop(token);
        });
    }

    fn let_push(&mut self, number: u32, task: Task<Push>, fate: Fate) {
        match fate {
            Fate::Held => return self.pushes.push((number, task)),
            Fate::Dropped => return drop(task),
            Fate::Detached => return task.detach(),
            Fate::Cancelled => task.cancel(),
            Fate::Heard => {}
        }
        self.hear_push(number, task);
    }

    fn hear_push(&mut self, number: u32, task: Task<Push>) {
        self.cancellers.extend(task.canceller());
        let record = Arc::clone(&self.record);
        record.begin();
        task.then_result(move |_, result| record.end_push(number, &result));
    }
}
