//! A raw connection that is asked from outside the server, between turns: what is pulled goes back.
//! It never waits: the world goes on by its turns.

use std::time::Duration;

use springtide::test::World;
use springtide::{Elsewhere as There, Pull, Push, Reason, RemotePeer, Status, Task, Wait};

use super::told::{Mark, Told};

/// One connection.
pub(super) struct Elsewhere {
    peer: RemotePeer,
    pull: Option<Task<Pull, There>>,
    /// What goes back, before more is asked for.
    push: Option<Task<Push, There>>,
    is_over: bool,
}

impl Elsewhere {
    pub(super) const fn new(peer: RemotePeer) -> Self {
        Self { peer, pull: None, push: None, is_over: false }
    }

    /// Looks at what it waits for, or loses interest in it.
    pub(super) fn go_on(&mut self, world: &mut World, told: &Told) {
        if self.is_over || self.push.as_ref().is_some_and(|task| task.status() == Status::Pending) {
            return;
        }
        if let Some(Err(Wait::Failed(reason))) =
            self.push.take().map(|task| task.wait_for(Duration::ZERO))
        {
            if matches!(reason, Reason::Limit(_)) {
                told.mistake(format!("a push fails: {reason}"));
            }
            self.is_over = true;
            return;
        }
        let Some(task) = self.pull.take() else {
            self.pull = Some(self.peer.pull());
            return;
        };
        match world.below(8) {
            0 => {
                told.mark(Mark::PullDropped);
                return drop(task);
            }
            1 => task.cancel(),
            _ => {}
        }
        if task.status() == Status::Pending {
            self.pull = Some(task);
            return;
        }
        match task.wait_for(Duration::ZERO) {
            Ok(Some(bytes)) => {
                drop(self.peer.push("poison"));
                self.push = Some(self.peer.push(bytes));
            }
            Ok(None) => {
                self.peer.close().detach();
                self.is_over = true;
            }
            Err(Wait::Failed(Reason::Cancelled)) => {}
            Err(_) => self.is_over = true,
        }
    }
}
