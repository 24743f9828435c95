//! A plan in a future, which takes what it holds in order, or leaves it behind some turns.
//! Whatever it still holds at its end is dropped with it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::called::pull;
use super::record::Record;
use super::{Fate, Plan, Step, Wanted};
use crate::response::Failure;
use crate::tests::peers::next_turn;
use crate::{Bytes, Operation, Peer, Pull, Push, Reason, Task};

struct Acting<'a> {
    peer: Peer,
    record: &'a Arc<Record>,
    pushed: u32,
    pulls: VecDeque<(Wanted, Task<Pull>)>,
    pushes: VecDeque<(u32, Task<Push>)>,
    /// The peer has said all, or is gone.
    is_over: bool,
}

pub(super) async fn play(peer: Peer, plan: &Plan, record: &Arc<Record>) -> Result<(), Failure> {
    let _token = record.token();
    let (pulls, pushes) = Default::default();
    let mut acting = Acting { peer, record, pushed: 0, pulls, pushes, is_over: false };
    for step in plan.bursts.iter().flatten() {
        acting.take(*step).await;
    }
    while let Some((wanted, task)) = acting.pulls.pop_front() {
        acting.hear_pull(wanted, task).await;
    }
    while !acting.is_over {
        acting.hear_pull(Wanted::Some, peer.pull()).await;
    }
    while let Some((number, task)) = acting.pushes.pop_front() {
        acting.hear_push(number, task).await;
    }
    let (number, last) = acting.push(1);
    acting.hear_push(number, last).await;
    Ok(())
}

/// Waits so many polls for a task, and gives it up then.
async fn patient<O: Operation>(
    mut task: Task<O>,
    polls: usize,
) -> Option<Result<O::Output, Reason>> {
    for _ in 0..polls {
        let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut task).poll(context))).await;
        if let Poll::Ready(result) = polled {
            return Some(result);
        }
        next_turn().await;
    }
    None
}

impl Acting<'_> {
    async fn take(&mut self, step: Step) {
        match step {
            Step::Pull(wanted, fate) => {
                let task = pull(self.peer, wanted);
                match fate {
                    Fate::Dropped => drop(task),
                    Fate::Cancelled => {
                        task.cancel();
                        self.pulls.push_back((wanted, task));
                    }
                    _ => self.pulls.push_back((wanted, task)),
                }
            }
            Step::Push(len, fate) => {
                let (number, task) = self.push(len);
                self.let_push(number, task, fate).await;
            }
            Step::PullHeld(which, fate) => self.let_pull(which, fate).await,
            Step::PushHeld(which, fate) if !self.pushes.is_empty() => {
                let held = self.pushes.remove(which % self.pushes.len());
                let (number, task) = held.expect("it is there");
                self.let_push(number, task, fate).await;
            }
            Step::Wait(turns) => {
                for _ in 0..turns {
                    next_turn().await;
                }
            }
            Step::PushHeld(..) | Step::CancelHeard(_) => {}
        }
    }

    /// Only the first of the pulls may be waited for; whichever may be given up.
    async fn let_pull(&mut self, which: usize, fate: Fate) {
        if self.pulls.is_empty() {
            return;
        }
        let place = which % self.pulls.len();
        match fate {
            Fate::Heard => {
                let (wanted, task) = self.pulls.pop_front().expect("it is there");
                self.hear_pull(wanted, task).await;
            }
            Fate::Detached => {
                let (wanted, task) = self.pulls.pop_front().expect("it is there");
                if let Some(result) = patient(task, which).await {
                    self.see_pull(wanted, result);
                }
            }
            Fate::Dropped => drop(self.pulls.remove(place)),
            Fate::Cancelled => self.pulls[place].1.cancel(),
            Fate::Held => {}
        }
    }

    async fn hear_pull(&mut self, wanted: Wanted, task: Task<Pull>) {
        let result = task.await;
        self.see_pull(wanted, result);
    }

    /// Only what is awaited is told, so it begins and ends here.
    fn see_pull(&mut self, wanted: Wanted, result: Result<Option<Bytes>, Reason>) {
        self.record.begin();
        self.is_over |= self.record.end_pull(wanted, result);
    }

    fn push(&mut self, len: usize) -> (u32, Task<Push>) {
        self.pushed += 1;
        (self.pushed, self.peer.push(self.record.begin_push(self.pushed, len)))
    }

    async fn let_push(&mut self, number: u32, task: Task<Push>, fate: Fate) {
        match fate {
            Fate::Held => self.pushes.push_back((number, task)),
            Fate::Dropped => drop(task),
            Fate::Detached => task.detach(),
            Fate::Cancelled => {
                task.cancel();
                self.hear_push(number, task).await;
            }
            Fate::Heard => self.hear_push(number, task).await,
        }
    }

    async fn hear_push(&self, number: u32, task: Task<Push>) {
        let result = task.await;
        self.record.begin();
        self.record.end_push(number, &result);
    }
}
