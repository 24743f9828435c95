//! The first pull as it mostly is, in the session itself: whoever waits takes whatever comes.
//! It allocates nothing, and what wants something of its own stands elsewhere.

use super::{Peered, Pulling, Want};
use crate::session::peered::Busy;
use crate::table::Place;
use crate::task::{Tasks, Told, Waiter};

/// Who waits in front. A future and a callback share their room: where a future has the connection,
/// callbacks stand elsewhere.
pub(super) enum Front {
    /// What is told of the first pull, where any bytes will do and nobody holds its task.
    Callback(Told),
    /// The future that has the connection, and the task of the first pull, where any bytes will do.
    Quiet { future: Place, task: Place },
}

const _: () = assert!(size_of::<Front>() == size_of::<Told>(), "an idle connection holds one");

impl Front {
    /// Nobody. It is no constant, which would be copied with all of the room for a callback.
    #[inline(always)]
    pub(super) const fn empty() -> Self {
        Self::Quiet { future: Place::NONE, task: Place::NONE }
    }

    #[inline]
    pub(super) const fn has_callback(&self) -> bool {
        matches!(self, Self::Callback(_))
    }

    /// The task of the first pull, where that stands here.
    #[inline]
    pub(super) fn task(&self) -> Option<Place> {
        match self {
            Self::Quiet { task, .. } if *task != Place::NONE => Some(*task),
            _ => None,
        }
    }

    /// Whether the first pull stands here, which takes whatever comes.
    #[inline]
    pub(super) fn is_pull(&self) -> bool {
        self.has_callback() || self.task().is_some()
    }

    pub(super) fn future(&self) -> Option<Place> {
        match self {
            Self::Quiet { future, .. } if *future != Place::NONE => Some(*future),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn take_callback(&mut self) -> Option<Told> {
        if !self.has_callback() {
            return None;
        }
        match std::mem::replace(self, Self::empty()) {
            Self::Callback(callback) => Some(callback),
            Self::Quiet { .. } => None,
        }
    }

    /// The task of the first pull is this one from here on, where no callback waits.
    #[inline]
    pub(super) const fn set_task(&mut self, own: Place) {
        if let Self::Quiet { task, .. } = self {
            *task = own;
        }
    }

    #[inline]
    pub(super) fn take_task(&mut self) -> Option<Place> {
        let task = self.task();
        self.set_task(Place::NONE);
        task
    }
}

impl Peered {
    /// The next pull takes the first place.
    #[inline]
    pub(super) fn place_first(&mut self, pull: Pulling, tasks: &Tasks) {
        self.first = pull.serial;
        match pull {
            Pulling {
                waiter: Waiter::Callback { callback, takes_end }, want: Want::Some, ..
            } if self.front.future().is_none() => {
                (self.front, self.takes_end) = (Front::Callback(callback), takes_end);
            }
            Pulling { waiter: Waiter::Held(task), want: Want::Some, .. } => {
                self.front.set_task(task);
            }
            pull => {
                self.busy(tasks).first = Some(pull);
                self.begin_forward(tasks);
            }
        }
    }

    /// A pull as most are, of whatever comes, with nothing in front of it: who is called back, or holds
    /// its task. False when it was not that; nothing has happened.
    #[inline]
    pub(crate) fn pull_next(&mut self, serial: u64, waiter: &mut Waiter, tasks: &Tasks) -> bool {
        if self.end != super::End::Open {
            return false;
        }
        match waiter {
            Waiter::Callback { .. } if self.first == 0 && self.front.future().is_none() => {
                if let Waiter::Callback { callback, takes_end } = waiter.take() {
                    (self.front, self.takes_end) = (Front::Callback(callback), takes_end);
                }
            }
            Waiter::Held(task) if tasks.is_held(*task) => {
                self.go_on(tasks);
                if self.first != 0 {
                    return false;
                }
                self.front.set_task(*task);
            }
            _ => return false,
        }
        self.first = serial;
        true
    }

    /// A future has the connection.
    pub(crate) fn begin_future(&mut self, own: Place) {
        let (future, task) = (own, self.front.task().unwrap_or(Place::NONE));
        let before = std::mem::replace(&mut self.front, Front::Quiet { future, task });
        if let Front::Callback(callback) = before {
            let waiter = Waiter::Callback { callback, takes_end: self.takes_end };
            let first = Pulling { serial: self.first, waiter, want: Want::Some };
            self.busy.get_or_insert_default().first = Some(first);
        }
    }

    /// The future that has it.
    pub(crate) fn future(&self) -> Option<Place> {
        self.front.future()
    }

    /// Nobody has it any more.
    pub(super) fn lose_future(&mut self) {
        if let Front::Quiet { future, .. } = &mut self.front {
            *future = Place::NONE;
        }
    }
}

impl Busy {
    /// Who waits for the first pull, where that stands here.
    pub(super) fn waiter(&self) -> Option<&Waiter> {
        self.first.as_ref().map(|first| &first.waiter)
    }
}
