//! Selectors: the system's ways to tell which descriptors are ready, a file each.
//! A selector knows descriptors and interests; it reads, writes and owns none of them.

use std::collections::VecDeque;

use crate::backend::Until;

pub(crate) mod epoll;
pub(crate) mod poll;

/// What to be told of a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Interest {
    pub(crate) const fn is_none(self) -> bool {
        !self.readable && !self.writable
    }
}

/// What a descriptor is ready for. An error or a hang-up makes it ready for both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) fd: i32,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// One mechanism. Level-triggered: what stays ready is told again.
pub(crate) trait Selector {
    /// Its name, as in `--engine`.
    fn name(&self) -> &'static str;

    /// Changes what to be told of a descriptor; no interest at all forgets it.
    fn change(&mut self, fd: i32, from: Interest, to: Interest) -> Result<(), i32>;

    /// A descriptor is about to be closed: it is not to be told of any more.
    fn closing(&mut self, fd: i32);

    /// Waits until something is ready, at most `until` then, and lists it.
    fn wait(&mut self, until: Until, ready: &mut VecDeque<Ready>) -> Result<(), i32>;
}
