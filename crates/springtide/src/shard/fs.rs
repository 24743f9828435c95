//! The part of a turn in which files are opened, read, written and closed, and names changed.
//! What is asked of one file is done in its order, one thing at a time; nothing waits for a disk here.

use springtide_engine::{Completion, Error, Op};

use super::{CLOSE_TOKEN, Shard};
use crate::fs::{FileAsk, Held, Job, Next, Opened, Step, Work};
use crate::limits::place_of;
use crate::peer::{Link, Peer, Reason};
use crate::table::{PLACE_BITS, Place};
use crate::task::{Ended, Waiter};

/// What is wrong with a write that says another place than its file was opened for.
const NOT_SO: Error =
    Error::Misuse("a file that was opened to append is appended to, and no other one");
/// Tokens of operations on files of the application.
pub(super) const FS_TOKEN: u64 = 12 << PLACE_BITS;

impl Shard {
    /// What was asked of a file or a path.
    pub(super) fn obey_file(&self, ask: FileAsk, serial: u64, waiter: Waiter) {
        let (tasks, cabinet) = (&self.room.requests.tasks, &self.room.requests.cabinet);
        match ask {
            FileAsk::Close(place) => {
                if let Some(file) = cabinet.files.borrow_mut().get_mut(place) {
                    file.is_left = true;
                }
                self.go_on_with_file(place);
            }
            FileAsk::Do(..) if !tasks.is_wanted(&waiter) => {}
            FileAsk::Do(file, mut work) => {
                if let Err(reason) = self.may_begin(file, &mut work) {
                    return tasks.end(Peer::nobody(), waiter, Ended::Failed(reason));
                }
                let (key, has_begun, is_cut) = (None, false, false);
                let job = Job { serial, waiter, work, file, has_begun, key, is_cut };
                let place = cabinet.jobs.borrow_mut().insert_with(|_| job);
                let Some(file) = file else {
                    self.begin_job(place);
                    return;
                };
                if let Some(own) = cabinet.files.borrow_mut().get_mut(file) {
                    own.jobs.push_back(place);
                }
                self.go_on_with_file(file);
            }
        }
    }

    fn may_begin(&self, file: Option<Place>, work: &mut Work) -> Result<(), Reason> {
        let (limits, cabinet) = (&self.room.limits, &self.room.requests.cabinet);
        if cabinet.jobs.borrow().len() >= limits.file_tasks_max {
            self.room.met.count(const { place_of("file_tasks_max") });
            return Err(Reason::Limit("file_tasks_max"));
        }
        work.bound(limits).map_err(Reason::Limit)?;
        let Some(file) = file else { return Ok(()) };
        let mut files = cabinet.files.borrow_mut();
        let own = files.get_mut(file).filter(|own| !own.is_left).ok_or(Reason::Stale)?;
        match work.appends().is_none_or(|appends| appends == own.appends) {
            true => Ok(()),
            false => Err(Reason::System(NOT_SO)),
        }
    }

    /// Does what is next for a job. It waits for an operation, or has ended: then its file, if it is about
    /// one, is free for the next.
    fn begin_job(&self, place: Place) -> Option<Place> {
        let cabinet = &self.room.requests.cabinet;
        let mut jobs = cabinet.jobs.borrow_mut();
        let job = jobs.get_mut(place)?;
        let file = job
            .file
            .and_then(|file| cabinet.files.borrow_mut().get_mut(file).map(|file| file.descriptor));
        job.has_begun = true;
        let next = job.work.next(file, &**self.room.requests.engine.borrow());
        match next {
            Next::Do(op) => {
                job.key = Some(self.room.submit(op, FS_TOKEN | place.raw()));
                None
            }
            Next::End(ended) => {
                drop(jobs);
                self.end_job(place, ended)
            }
        }
    }

    /// A job has ended: whoever waits is told. Gives the file that is free for the next.
    fn end_job(&self, place: Place, ended: Ended) -> Option<Place> {
        let (tasks, cabinet) = (&self.room.requests.tasks, &self.room.requests.cabinet);
        let Job { waiter, file, .. } = cabinet.jobs.borrow_mut().remove(place)?;
        tasks.end(Peer::nobody(), waiter, ended);
        if let Some(own) = cabinet.files.borrow_mut().get_mut(file?) {
            own.jobs.retain(|job| *job != place);
        }
        file
    }

    /// Begins what is next on a file, or closes it where nobody holds it any more.
    fn go_on_with_file(&self, place: Place) {
        let (tasks, cabinet) = (&self.room.requests.tasks, &self.room.requests.cabinet);
        loop {
            let mut files = cabinet.files.borrow_mut();
            let Some(own) = files.get_mut(place) else { return };
            let Some(job) = own.jobs.front().copied() else {
                if own.is_left {
                    let descriptor = own.descriptor;
                    files.remove(place);
                    drop(files);
                    self.room.submit(Op::Close { descriptor }, CLOSE_TOKEN);
                }
                return;
            };
            let mut jobs = cabinet.jobs.borrow_mut();
            let is_begun = jobs.get_mut(job).is_some_and(|job| job.key.is_some());
            let goes_on = |job: &mut Job| job.has_begun || tasks.is_wanted(&job.waiter);
            if !jobs.get_mut(job).is_some_and(goes_on) {
                own.jobs.pop_front();
                let job = jobs.remove(job);
                drop((jobs, files));
                drop(job);
                continue;
            }
            drop((jobs, files));
            if is_begun || self.begin_job(job).is_none() {
                return;
            }
        }
    }

    /// An operation on a file has ended.
    pub(super) fn file_work_completed(&self, completion: Completion) {
        let place = Place::from_raw(completion.token & ((1 << PLACE_BITS) - 1));
        let free = self.absorb_file_work(completion).or_else(|| self.begin_job(place));
        if let Some(file) = free {
            self.go_on_with_file(file);
        }
    }

    /// The same without beginning anything: also while the shard is being frozen. Gives a file that is
    /// free for what is next.
    pub(super) fn absorb_file_work(&self, completion: Completion) -> Option<Place> {
        let place = Place::from_raw(completion.token & ((1 << PLACE_BITS) - 1));
        let cabinet = &self.room.requests.cabinet;
        let mut jobs = cabinet.jobs.borrow_mut();
        let job = jobs.get_mut(place)?;
        job.key = None;
        match job.work.take(completion.outcome, job.is_cut) {
            Step::Again => None,
            Step::End(ended) => {
                drop(jobs);
                self.end_job(place, ended)
            }
            Step::Opened(descriptor) => {
                let appends = job.work.opens_to_append();
                drop(jobs);
                let file = Held { descriptor, appends, jobs: Default::default(), is_left: false };
                let at = cabinet.files.borrow_mut().insert_with(|_| file);
                let link = Link::to(self.room.requests.hatch.clone());
                self.end_job(place, Ended::File(Opened { link, place: at }))
            }
        }
    }

    /// The task of a serial number is to end, if it is about a file.
    pub(super) fn cancel_file_work(&self, serial: u64) {
        let cabinet = &self.room.requests.cabinet;
        let Some(place) = cabinet.job_of(serial) else { return };
        let mut jobs = cabinet.jobs.borrow_mut();
        let Some(job) = jobs.get_mut(place) else { return };
        job.is_cut = true;
        let key = job.key;
        drop(jobs);
        match key {
            Some(key) => self.room.requests.engine.borrow_mut().cancel(key),
            None => _ = self.end_job(place, Ended::Failed(Reason::Cancelled)),
        }
    }

    /// Everything in flight was ended by a freeze: it begins again.
    pub(super) fn files_again(&self) {
        let cabinet = &self.room.requests.cabinet;
        let (jobs, files) = (cabinet.jobs.borrow().places(), cabinet.files.borrow().places());
        for place in jobs {
            let mut jobs = cabinet.jobs.borrow_mut();
            let is_of_path = jobs.get_mut(place).is_some_and(|job| job.file.is_none());
            drop(jobs);
            if is_of_path {
                self.begin_job(place);
            }
        }
        for place in files {
            self.go_on_with_file(place);
        }
    }

    /// The shard ends: its files are closed. True when none is open.
    pub(super) fn close_files(&self) -> bool {
        let cabinet = &self.room.requests.cabinet;
        let places = cabinet.files.borrow().places();
        for place in &places {
            if let Some(file) = cabinet.files.borrow_mut().get_mut(*place) {
                file.is_left = true;
            }
            self.go_on_with_file(*place);
        }
        places.is_empty()
    }
}
