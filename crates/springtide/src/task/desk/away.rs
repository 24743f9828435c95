//! Tasks of other threads at the desk: how they begin, are told of, and go.
//! What came of a pull stands before the next one until the other thread has taken it. And what is said
//! to WebSockets, by whomever.

use std::sync::Arc;

use springtide_engine::Callback;

use super::{Listener, Ready, Slot, State, Tasks, Waiter};
use crate::executor::apart;
use crate::peer::{Peer, PeerStatus, Reason};
use crate::standalone::LobbyAsk;
use crate::table::{Place, Table};
use crate::task::hatch::{Asked, Called, Due, Ear, Errand};
use crate::task::operation::{Linked, Stands};
use crate::task::{Ask, Ended};
use crate::topic::Local;

impl Tasks {
    /// Whether something was asked and is not done.
    #[inline]
    pub(crate) fn has_orders(&self) -> bool {
        self.is_obeyed.get() || !self.orders.borrow().waiting.is_empty()
    }

    /// A connection is closed that nobody holds.
    pub(crate) fn close(&self, peer: Peer) {
        self.order(peer, Ask::Close, Waiter::Nobody);
    }

    /// Nobody takes what came of a task: a connection that was made for nobody is closed, and one that
    /// came to a listener waits there for the next who asks.
    pub(super) fn leave_alone(&self, ended: Ended) {
        match ended {
            Ended::Connected(Stands(id, place, None)) => self.close(Peer::new(id, place)),
            Ended::Connected(Stands(id, place, Some(lobby))) => {
                self.order(
                    Peer::nobody(),
                    Ask::Lobby(lobby, LobbyAsk::TakeBack(id, place)),
                    Waiter::Nobody,
                );
            }
            _ => {}
        }
    }

    /// Something is said to a WebSocket, unless that is gone.
    pub(crate) fn say(&self, peer: Peer, ask: Ask) {
        if self.places.status(peer) != PeerStatus::Closed {
            self.order(peer, ask, Waiter::Nobody);
        }
    }

    /// Something is published, behind what was said before.
    pub(crate) fn publish(&self, local: Local) {
        self.order(Peer::nobody(), Ask::Publish(Box::new(local)), Waiter::Nobody);
    }

    /// A limit is told of, by its name: somebody here has asked for more than it allows.
    pub(crate) fn tell_limit(&self, peer: Peer, limit: &'static str) {
        self.order(peer, Ask::Met(limit), Waiter::Nobody);
    }

    /// Something that another thread says.
    pub(crate) fn take_in(&self, asked: Asked) {
        match asked {
            Asked::Begin(due, what) => {
                let errand = Arc::clone(due.errand());
                let serial = self.begin(errand.peer(), || what);
                if let Some(task) = serial.and_then(|serial| self.hold_for(serial, due)) {
                    errand.stand_at(task);
                }
            }
            Asked::Cancel(errand) => {
                let name = self.task_of(&errand).and_then(|task| self.name_of(task));
                match name {
                    Some((peer, serial)) => {
                        self.order(peer, Ask::Cancel(serial), Waiter::Nobody);
                    }
                    // It stands elsewhere, or has ended.
                    None => Errand::end(&errand, Ended::Failed(Reason::Cancelled)),
                }
            }
            Asked::Call(errand, callback, ended) => {
                self.tell(called(callback, ended.whom(errand.peer()), ended));
                self.leave(&errand, None);
            }
            Asked::Leave(errand, ended) => self.leave(&errand, ended),
            Asked::Say(saying) => {
                let (peer, said) = saying.take();
                self.say(peer, Ask::Say(said));
            }
            Asked::Close(id, place) => self.close(Peer::new(id, place)),
            Asked::Tell(ask) => _ = self.order(Peer::nobody(), ask, Waiter::Nobody),
            Asked::Do(id, place, callback) => {
                self.tell(called(callback, Peer::new(id, place), Ended::Done));
            }
            Asked::Resolved(..) | Asked::Fired(_) => {}
        }
    }

    /// The task of an errand, unless that has gone.
    fn task_of(&self, errand: &Arc<Errand>) -> Option<Place> {
        let task = errand.slot()?;
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
    pub(super) fn give_away(&self, due: &Due, slot: &Slot, ended: Ended) -> Option<State> {
        let errand = due.errand();
        let (mut left, mut is_given) = (Some(self.linked(ended, errand)), false);
        errand.promise.end(|ear| {
            let ended = left.take()?;
            match ear {
                Some(Ear::Callback { callback, .. }) => {
                    self.tell(called(callback, ended.whom(slot.peer), ended));
                    return None;
                }
                Some(Ear::Waker(waker)) => self.wake(waker),
                None => {}
            }
            is_given = true;
            Some(ended)
        });
        match left {
            // Its holder has gone, and says so: until then nobody gets what was meant for it.
            Some(_) => Some(State::Away(Arc::clone(errand), left)),
            None if is_given && slot.is_pull => Some(State::Away(Arc::clone(errand), None)),
            None => None,
        }
    }

    /// A connection that was made for another thread, as that holds it.
    fn linked(&self, ended: Ended, errand: &Errand) -> Ended {
        match ended {
            Ended::Connected(Stands(id, place, lobby)) => {
                let peer = Peer::new(id, place);
                Ended::Linked(Linked(self.places.link_own(peer, errand.hatch(), lobby)))
            }
            ended => ended,
        }
    }

    /// The shard has ended: every task of another thread ends here, and what is kept for the application
    /// is dropped, one by one.
    pub(crate) fn end_all(&self) {
        self.places.end();
        let mut slots = self.slots.replace(Table::new());
        for place in slots.places() {
            let slot = slots.remove(place);
            apart(|| drop(slot));
        }
        for ready in self.ready.take().into_values() {
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
