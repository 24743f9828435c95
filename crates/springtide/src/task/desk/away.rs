//! Tasks of other threads at the desk: how they begin, are told of, and go.
//! What came of a pull stands before the next one until the other thread has taken it.

use std::sync::Arc;

use springtide_engine::Callback;

use super::{Listener, Order, Ready, Slot, State, Tasks};
use crate::executor::apart;
use crate::peer::{Link, Peer, PeerStatus};
use crate::table::{Place, Table};
use crate::task::hatch::{Asked, Called, Due, Ear, Errand, Hatch};
use crate::task::{Ask, Ended};

impl Tasks {
    /// Something that another thread says.
    pub(crate) fn take_in(&self, asked: Asked) {
        match asked {
            Asked::Begin(due, what) => {
                let errand = Arc::clone(due.errand());
                if let Some(task) = self.begin(errand.peer(), |task| what.for_task(task)) {
                    errand.stand_at(task);
                    let before = self.listen(task, Listener::Elsewhere(due));
                    drop(before);
                }
            }
            Asked::Cancel(errand) => {
                if let Some(task) = self.task_of(&errand) {
                    self.order(Order { peer: errand.peer(), ask: Ask::Cancel(task) });
                }
            }
            Asked::Call(errand, callback, ended) => {
                self.tell(called(callback, errand.peer(), ended));
                self.leave(&errand, None);
            }
            Asked::Leave(errand, ended) => self.leave(&errand, ended),
        }
    }

    /// The task of an errand, unless that has gone.
    fn task_of(&self, errand: &Arc<Errand>) -> Option<Place> {
        let task = errand.slot();
        let mut slots = self.slots.borrow_mut();
        let own = match &slots.get_mut(task)?.state {
            State::Pending(Listener::Elsewhere(due)) => due.errand(),
            State::Away(own, _) => own,
            _ => return None,
        };
        Arc::ptr_eq(own, errand).then_some(task)
    }

    /// Nobody wants an errand any more; what came of it and was not taken is given back.
    fn leave(&self, errand: &Arc<Errand>, left: Option<Ended>) {
        let Some(task) = self.task_of(errand) else { return };
        if left.is_some()
            && let Some(Slot { state: State::Away(_, own), .. }) =
                self.slots.borrow_mut().get_mut(task)
        {
            *own = left;
        }
        let left = self.give_up(task);
        apart(|| drop(left));
    }

    /// A task of another thread has ended, which is told of it: what stands in its place from here on.
    pub(super) fn give_away(
        &self,
        due: &Due,
        slot: &Slot,
        make: impl FnOnce() -> Ended,
    ) -> Option<State> {
        let (errand, mut make, mut is_given) = (due.errand(), Some(make), false);
        errand.promise.end(|ear| {
            let ended = make.take()?();
            match ear {
                Some(Ear::Callback { callback, .. }) => {
                    self.tell(called(callback, slot.peer, ended));
                    return None;
                }
                Some(Ear::Waker(waker)) => self.wake(waker),
                None => {}
            }
            is_given = true;
            Some(ended)
        });
        match make {
            // Its holder has gone, and says so: until then nobody gets what was meant for it.
            Some(make) => Some(State::Away(Arc::clone(errand), Some(make()))),
            None if is_given && slot.is_pull => Some(State::Away(Arc::clone(errand), None)),
            None => None,
        }
    }

    /// What other threads share of a connection.
    pub(crate) fn link(&self, peer: Peer, hatch: &Arc<Hatch>) -> Arc<Link> {
        let (status, mut links) = (self.status(peer), self.links.borrow_mut());
        let make = || Arc::new(Link::new(peer, Arc::clone(hatch), status));
        match status {
            PeerStatus::Closed => make(),
            _ => Arc::clone(links.entry(peer.place()).or_insert_with(make)),
        }
    }

    pub(super) fn tell_link(&self, place: Place, status: PeerStatus) {
        let mut links = self.links.borrow_mut();
        if let Some(link) = links.get(&place) {
            link.stand(status);
        }
        if status == PeerStatus::Closed {
            links.remove(&place);
        }
    }

    /// The shard has ended or was frozen: every task of another thread ends here, and what is kept for
    /// the application is dropped, one by one.
    pub(crate) fn end_all(&self) {
        self.standing.take();
        for (_, link) in self.links.take() {
            link.stand(PeerStatus::Closed);
        }
        let mut slots = self.slots.replace(Table::new());
        for place in slots.places() {
            let slot = slots.remove(place);
            apart(|| drop(slot));
        }
        for ready in self.ready.take() {
            apart(|| drop(ready));
        }
        // Some wait elsewhere for what has just ended.
        for waker in self.woken.take() {
            apart(|| waker.wake());
        }
    }
}

/// A callback of another thread, to be called on the shard.
fn called(callback: Called, peer: Peer, ended: Ended) -> Ready {
    let callback = Callback::new(move |(peer, ended)| callback(peer, ended));
    Ready::Call(callback, peer, ended)
}
