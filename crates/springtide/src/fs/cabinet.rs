//! The cabinet of a shard: its open files, and what was asked of them and of paths.
//! It begins nothing itself, and calls nobody.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use springtide_engine::{Descriptor, Key};

use super::Work;
use crate::peer::Link;
use crate::table::{Place, Table};
use crate::task::{Ask, Asked, Waiter};

/// The cabinet.
pub(crate) struct Cabinet {
    pub(crate) files: RefCell<Table<OpenFile>>,
    pub(crate) jobs: RefCell<Table<Job>>,
}

/// What is asked of it.
pub(crate) enum FileAsk {
    /// Something of a path, or of an open file.
    Do(Option<Place>, Work),
    /// Nobody holds a file any more.
    Close(Place),
}

/// An open file.
pub(crate) struct OpenFile {
    pub(crate) descriptor: Descriptor,
    /// It is written to at its end.
    pub(crate) appends: bool,
    /// What is being done, and what is done behind it, in the order in which it was asked.
    pub(crate) jobs: VecDeque<Place>,
    /// It is closed when all that is done.
    pub(crate) is_left: bool,
}

/// Something asked, until it has ended.
pub(crate) struct Job {
    pub(crate) serial: u64,
    pub(crate) waiter: Waiter,
    pub(crate) work: Work,
    /// The file that it is about, unless that is its own.
    pub(crate) file: Option<Place>,
    /// It goes on whatever becomes of its task.
    pub(crate) has_begun: bool,
    /// The operation in flight.
    pub(crate) key: Option<Key>,
    /// Somebody has cancelled it.
    pub(crate) is_cut: bool,
}

/// An open file as the application holds it: closed when nobody does any more.
#[doc(hidden)]
#[derive(Debug)]
pub struct Opened {
    pub(crate) link: Arc<Link>,
    pub(crate) place: Place,
}

impl Drop for Opened {
    fn drop(&mut self) {
        let ask = Ask::File(Box::new(FileAsk::Close(self.place)));
        self.link.hatch.hand_in(Asked::Tell(ask));
    }
}

impl Cabinet {
    pub(crate) const fn new() -> Self {
        Self { files: RefCell::new(Table::new()), jobs: RefCell::new(Table::new()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.borrow().len() == 0 && self.jobs.borrow().len() == 0
    }

    /// Everything open.
    pub(crate) fn descriptors(&self) -> Vec<Descriptor> {
        let (files, jobs) = (self.files.borrow(), self.jobs.borrow());
        let files = files.iter().map(|file| file.descriptor);
        files.chain(jobs.iter().filter_map(|job| job.work.own_file())).collect()
    }

    /// The job of a serial number.
    pub(crate) fn job_of(&self, serial: u64) -> Option<Place> {
        let mut jobs = self.jobs.borrow_mut();
        let mut places = jobs.places().into_iter();
        places.find(|place| jobs.get_mut(*place).is_some_and(|job| job.serial == serial))
    }
}
