//! The alarm: the one timer of the kernel that a shard has, for deadlines that are far ahead.
//! A wait that names its own end has the kernel set a timer and take it back each time, which at a
//! moderate rate is 4 % of a request; an alarm that is set stays set over many waits.

use std::time::Duration;

use crate::clock::{Moment, system_now};

/// A deadline nearer than this is named by the wait: an alarm for it would pay for few waits.
const AHEAD_LEAST: Duration = Duration::from_millis(10);

/// When the kernel's timer is due. It may be due before anything else is: a turn is spent then.
#[derive(Default)]
pub(crate) struct Alarm {
    due: Option<Moment>,
    is_refused: bool,
}

impl Alarm {
    /// Whether the alarm ends a wait by `at`. Where it would come too late it is given to `set`,
    /// with whether it was set before; `set` says whether the system has accepted it.
    #[inline]
    pub(crate) fn ends_by(&mut self, at: Moment, set: impl FnOnce(Moment, bool) -> bool) -> bool {
        match self.due {
            Some(due) if due <= at => true,
            _ => self.set_for(at, set),
        }
    }

    fn set_for(&mut self, at: Moment, set: impl FnOnce(Moment, bool) -> bool) -> bool {
        if self.is_refused || at.since(system_now()) < AHEAD_LEAST {
            return false;
        }
        self.is_refused = !set(at, self.due.is_some());
        if !self.is_refused {
            self.due = Some(at);
        }
        !self.is_refused
    }

    /// It has rung: it is not set any more.
    pub(crate) fn rang(&mut self) {
        self.due = None;
    }

    /// The system refuses it: from here on waits name their end.
    pub(crate) fn refuse(&mut self) {
        *self = Self { due: None, is_refused: true };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(milliseconds: u64) -> Moment {
        system_now() + Duration::from_millis(milliseconds)
    }

    #[test]
    fn it_is_set_once_for_all_that_is_due_later() {
        let mut alarm = Alarm::default();
        let (sooner, later) = (ahead(100_000), ahead(200_000));
        assert!(alarm.ends_by(sooner, |at, again| at == sooner && !again));
        assert!(alarm.ends_by(later, |_, _| panic!("it comes before that")));
        alarm.rang();
        assert!(alarm.ends_by(later, |at, again| at == later && !again));
        assert!(alarm.ends_by(sooner, |at, again| at == sooner && again));
    }

    #[test]
    fn it_is_not_set_for_what_is_near_nor_where_it_is_refused() {
        let mut alarm = Alarm::default();
        assert!(!alarm.ends_by(ahead(1), |_, _| panic!("too near")));
        assert!(!alarm.ends_by(ahead(100_000), |_, _| false));
        assert!(!alarm.ends_by(ahead(100_000), |_, _| panic!("refused for good")));
        let mut alarm = Alarm::default();
        assert!(alarm.ends_by(ahead(100_000), |_, _| true));
        alarm.refuse();
        assert!(!alarm.ends_by(ahead(200_000), |_, _| panic!("refused for good")));
    }
}
