//! Alarms: how a future is woken, from its shard or from any other thread.
//! An alarm never polls, and one whose future has ended wakes nothing.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use crossbeam_queue::SegQueue;

use super::apart;
use crate::current;
use crate::framed::Answered;
use crate::mailbox::Mailbox;
use crate::response::Response;
use crate::table::Place;

/// Where other threads tell one shard what concerns its futures. It is made anew when the shard is
/// thawed: places begin anew there, and what still rings the bell before is heard by nobody.
///
/// Bounded by what rings: a future once until it is polled, the pool once for each piece of work.
pub(crate) struct Bell {
    rings: SegQueue<Ring>,
    mailbox: Arc<Mailbox>,
}

/// What a shard is told.
pub(crate) enum Ring {
    /// Poll this future.
    Woken(Place),
    /// The pool has an answer; none when its handler panicked.
    Done(Place, Option<Response>),
    /// A request of frames has its answer.
    Answered(Answered),
    /// Nobody wants this body that was to be passed on.
    Unwanted(Place),
}

impl Bell {
    pub(crate) const fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { rings: SegQueue::new(), mailbox }
    }

    pub(crate) fn ring(&self, ring: Ring) {
        self.rings.push(ring);
        self.mailbox.wake();
    }

    #[inline]
    pub(crate) fn next(&self) -> Option<Ring> {
        // Asking an empty queue to pop costs a fence.
        if self.rings.is_empty() { None } else { self.rings.pop() }
    }
}

/// What the wakers of one future lead to.
pub(crate) struct Alarm {
    place: Place,
    bell: Arc<Bell>,
    /// It has been told of, and is to be polled.
    is_woken: AtomicBool,
    /// The client is gone.
    is_gone: AtomicBool,
    /// Who is to be told of that.
    listeners: Mutex<Vec<Waker>>,
}

/// How many may wait for a client to go at one request: a future that asks again and again without
/// end is not the way to wait, and the oldest of its wakers are forgotten.
const LISTENERS_MAX: usize = 64;

/// Whatever a shard holds of the alarm of its future: itself, and a waker.
const OWN: usize = 2;

impl Alarm {
    /// The alarm of a future that is to be polled.
    pub(super) fn new(place: Place, bell: Arc<Bell>) -> Self {
        let (is_gone, listeners) = Default::default();
        Self { place, bell, is_woken: AtomicBool::new(true), is_gone, listeners }
    }

    /// The same for another future, as nobody else holds it.
    pub(super) fn renew(&mut self, place: Place) {
        self.place = place;
        *self.is_woken.get_mut() = true;
        *self.is_gone.get_mut() = false;
        self.listeners.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// It is polled now, by the shard, which has its alarm and its waker: whoever wakes from here on wakes
    /// anew, and what was written before the last wake is seen.
    #[inline]
    pub(crate) fn silence(self: &Arc<Self>) {
        if self.is_shards_own() {
            self.is_woken.store(false, Ordering::Relaxed);
        } else {
            self.is_woken.swap(false, Ordering::AcqRel);
        }
    }

    /// The shard, which has the alarm and the waker, wakes it; false when it is to be polled already.
    #[inline]
    pub(super) fn rouse_here(self: &Arc<Self>) -> bool {
        if !self.is_shards_own() {
            return self.rouse();
        }
        let before = self.is_woken.load(Ordering::Relaxed);
        self.is_woken.store(true, Ordering::Relaxed);
        !before
    }

    /// Whether nobody else can wake it: then nothing of it is shared, and nobody gets it but from here.
    #[inline]
    fn is_shards_own(self: &Arc<Self>) -> bool {
        let is_own = Arc::strong_count(self) <= OWN;
        // What others did before they let go of it has happened.
        fence(Ordering::Acquire);
        is_own
    }

    /// It is to be polled; false when it was already.
    fn rouse(&self) -> bool {
        !self.is_woken.swap(true, Ordering::AcqRel)
    }

    /// Whether it is to be polled.
    pub(crate) fn is_woken(&self) -> bool {
        self.is_woken.load(Ordering::Acquire)
    }

    /// The client is gone: wakes whoever listens to that. False when it was gone before.
    pub(crate) fn go(&self) -> bool {
        if self.is_gone.swap(true, Ordering::AcqRel) {
            return false;
        }
        let listeners = std::mem::take(&mut *self.listeners());
        for waker in listeners {
            apart(|| waker.wake());
        }
        true
    }

    /// Its future has ended: nobody is told any more. Who listens holds what it listens to, so that
    /// neither would ever go.
    pub(crate) fn forget(&self) {
        let listeners = std::mem::take(&mut *self.listeners());
        for waker in listeners {
            apart(|| drop(waker));
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Tells `waker` when the client goes.
    pub(super) fn listen(&self, waker: Waker) {
        let mut forgotten = None;
        let mut listeners = self.listeners();
        if !listeners.iter().any(|own| own.will_wake(&waker)) {
            if listeners.len() == LISTENERS_MAX {
                forgotten = Some(listeners.remove(0));
            }
            listeners.push(waker);
        }
        drop(listeners);
        drop(forgotten);
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rouse() {
            return;
        }
        match current::shard() {
            Some(shared) if Arc::ptr_eq(&shared.bell, &self.bell) => shared.wake(self.place),
            _ => self.bell.ring(Ring::Woken(self.place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::{self, Thread};

    use super::super::Closed;
    use super::{Alarm, Bell, Mailbox, Ring};
    use crate::table::Place;
    use crate::tests::Backend;

    /// Whoever wakes from elsewhere is heard, with what he wrote before, also when the last of the others
    /// has just gone and the shard counts nothing any more.
    #[test]
    fn wakes_from_elsewhere_are_heard() {
        let bell = Arc::new(Bell::new(Arc::new(Mailbox::new(Backend::Epoll.engine(None).waker()))));
        let alarm = Arc::new(Alarm::new(Place::from_raw(7), Arc::clone(&bell)));
        let waker = Waker::from(Arc::clone(&alarm));
        let written = Arc::new(AtomicU32::new(0));
        alarm.silence();
        for round in 1..=2_000 {
            let others = [(); 2].map(|()| {
                let (waker, written) = (waker.clone(), Arc::clone(&written));
                thread::spawn(move || {
                    written.fetch_max(round, Ordering::Relaxed);
                    waker.wake();
                })
            });
            // As a shard: it sleeps until it is told, and polls then.
            while bell.next().is_none_or(|ring| !matches!(ring, Ring::Woken(_))) {
                thread::yield_now();
            }
            alarm.silence();
            assert_eq!(written.load(Ordering::Relaxed), round);
            for other in others {
                other.join().unwrap();
            }
            // The second may have rung again behind the poll.
            while bell.next().is_some() {}
            alarm.silence();
            assert!(alarm.rouse_here() && !alarm.rouse_here(), "nobody else has it");
            alarm.silence();
        }
        drop(waker);
    }

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Who waits on another thread for a client to go is told, whenever it goes.
    #[test]
    fn who_listens_elsewhere_is_told() {
        let bell = Arc::new(Bell::new(Arc::new(Mailbox::new(Backend::Epoll.engine(None).waker()))));
        for _ in 0..2_000 {
            let alarm = Arc::new(Alarm::new(Place::from_raw(7), Arc::clone(&bell)));
            let (mut closed, ready) = (Closed::new(Some(Arc::clone(&alarm))), Barrier::new(2));
            thread::scope(|scope| {
                scope.spawn(|| {
                    let waker = Waker::from(Arc::new(Unpark(thread::current())));
                    ready.wait();
                    while std::pin::pin!(&mut closed).poll(&mut Context::from_waker(&waker))
                        == Poll::Pending
                    {
                        thread::park();
                    }
                });
                ready.wait();
                alarm.go();
            });
        }
    }
}
