//! How a raw connection ends, and who is told.
//! Everybody is told once, and the application last.

use super::{End, Peered};
use crate::limits::place_of;
use crate::peer::{Peer, PeerStatus, Reason};
use crate::room::Room;
use crate::session::Who;
use crate::task::{Ended, Ready, Tasks, Waiter};

impl Peered {
    /// The peer has ended its stream, or the server stops: who waits for bytes hears of it. With bytes
    /// that are unread that is the first pull only, which wants more of them; they are the next one's.
    pub(crate) fn end_of_stream(&mut self, unread: usize, who: Who, room: &Room) {
        self.is_at_end = true;
        let tasks = &room.requests.tasks;
        tasks.places.stand(who.peer(), self.status());
        while self.is_pulled(tasks) {
            if self.is_forwarding() {
                // Behind what it has not carried on.
                if unread > 0 {
                    return;
                }
                if let Some(ended) = self.forward_end() {
                    self.end_first(who, room, ended);
                }
                continue;
            }
            let values_only = self.wants_values_only(tasks);
            self.end_first(who, room, Ended::EndOfStream);
            if values_only {
                // Nobody is called for it: the connection ends behind what was pushed.
                self.close_for(Reason::PeerClosed);
            }
            if unread > 0 {
                return;
            }
        }
        if self.is_shut() && unread == 0 {
            self.close_for(Reason::PeerClosed);
        }
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Whether what has come is waited for.
    pub(crate) fn wants_bytes(&self, room: &Room) -> bool {
        self.is_pulled(&room.requests.tasks)
    }

    /// How the connection stands is told where it is about to end.
    pub(crate) fn tell_status(&self, who: Who, room: &Room) {
        if self.end != End::Open {
            room.requests.tasks.places.stand(who.peer(), self.status());
        }
    }

    /// Whether the first pull is waited for by who wants values only.
    fn wants_values_only(&self, tasks: &Tasks) -> bool {
        if self.front.has_callback() {
            return !self.takes_end;
        }
        if let Some(task) = self.front.task() {
            return tasks.wants_values_only(task);
        }
        match self.busy.as_ref().and_then(|busy| busy.waiter()) {
            Some(Waiter::Callback { takes_end, .. }) => !takes_end,
            Some(Waiter::Held(task)) => tasks.wants_values_only(*task),
            _ => false,
        }
    }

    /// The server stops: bytes come no more, and what was pushed is sent.
    pub(in crate::session) fn drain(&mut self, who: Who, room: &Room) {
        if self.future().is_none() {
            self.close_for(Reason::Stopped);
        }
        self.end_of_stream(0, who, room);
    }

    pub(super) fn close_for(&mut self, reason: Reason) {
        if self.end == End::Open {
            self.end = End::Closing;
            self.busy.get_or_insert_default().reason.get_or_insert(reason);
        }
    }

    /// The server ends it now: in order where everything that was pushed has been sent.
    pub(crate) fn cut(&mut self, is_unsent: bool) {
        if is_unsent || self.busy.as_ref().is_some_and(|busy| !busy.pushes.is_empty()) {
            return self.break_for(Reason::Stopped);
        }
        self.close_for(Reason::Stopped);
    }

    /// It ends at once, for a reason that its peer need not know.
    pub(crate) fn break_for(&mut self, reason: Reason) {
        if matches!(self.end, End::Open | End::Closing) {
            self.end = End::Broken;
            self.busy.get_or_insert_default().reason = Some(reason);
        }
    }

    /// Ends when everything pushed has been sent.
    pub(crate) fn close(&mut self, waiter: Waiter, peer: Peer, room: &Room) {
        let tasks = &room.requests.tasks;
        if !tasks.is_wanted(&waiter) {
            return;
        }
        if let Some(reason) = self.refusal() {
            return tasks.end(peer, waiter, Ended::Failed(reason));
        }
        self.close_for(Reason::Closed);
        self.busy(tasks).closing.push(waiter);
    }

    /// Tells of the end of the connection.
    pub(crate) fn watch(&mut self, waiter: Waiter, peer: Peer, room: &Room) {
        let tasks = &room.requests.tasks;
        match self.end {
            End::Over => tasks.end(peer, waiter, Ended::Gone(self.reason())),
            _ => self.busy(tasks).watching.push(waiter),
        }
    }

    /// How the connection stands, as handles tell it.
    pub(crate) fn status(&self) -> PeerStatus {
        match self.end {
            End::Over => PeerStatus::Closed,
            End::Closing | End::Broken => PeerStatus::Closing,
            End::Open if self.is_at_end || self.is_shut() => PeerStatus::HalfClosed,
            End::Open => PeerStatus::Open,
        }
    }

    /// A session whose application has lost what it held: its connection is cut.
    pub(in crate::session) fn lost(room: &Room) -> Self {
        let mut own = Self::new(room);
        own.break_for(Reason::Stopped);
        own
    }

    /// The future that has it has ended.
    pub(in crate::session) fn future_ended(&mut self, reason: Reason) {
        self.lose_future();
        match reason {
            // Who had said all before is who ended it.
            Reason::Closed if self.is_at_end => self.close_for(Reason::PeerClosed),
            Reason::Closed => self.close_for(reason),
            reason => self.break_for(reason),
        }
    }

    pub(in crate::session) fn wants_close(&self) -> bool {
        self.end == End::Closing && !self.has_waiting()
    }

    /// Whether there is something to send, or to do when nothing is.
    pub(in crate::session) fn wants_flush(&self) -> bool {
        self.end != End::Open
            || self
                .busy
                .as_ref()
                .is_some_and(|busy| busy.pushes.len() > busy.poured || !busy.shutting.is_empty())
    }

    pub(in crate::session) fn is_broken(&self) -> bool {
        self.end == End::Broken
    }

    /// The connection is gone: everybody is told, those who closed it that it is done.
    pub(in crate::session) fn abandon(&mut self, who: Who, room: &mut Room) {
        if self.end == End::Over {
            return;
        }
        let reason = self.reason();
        self.end = End::Over;
        let (tasks, peer) = (&room.requests.tasks, who.peer());
        // Whoever is told on another thread finds it closed.
        tasks.places.fall(peer);
        if let Some(callback) = self.front.take_callback() {
            tasks.tell(Ready::Call(callback, peer, Ended::Failed(reason)));
        }
        if let Some(task) = self.front.take_task() {
            tasks.end_held(task, Ended::Failed(reason));
        }
        if let Some(busy) = self.busy.take() {
            let pulls = busy.first.into_iter().chain(busy.pulls).map(|pull| pull.waiter);
            let pushes = busy.pushes.into_iter().map(|push| push.waiter);
            for waiter in pulls.chain(pushes).chain(busy.shutting) {
                tasks.end(peer, waiter, Ended::Failed(reason));
            }
            let is_closed = reason == Reason::Closed;
            for waiter in busy.closing {
                let ended = if is_closed { Ended::Done } else { Ended::Failed(reason) };
                tasks.end(peer, waiter, ended);
            }
            if let Some(fed) = busy.fed {
                fed.end(who.id, reason, tasks);
            }
            for waiter in busy.watching {
                tasks.end(peer, waiter, Ended::Gone(reason));
            }
        }
        if let Some(future) = self.future() {
            self.lose_future();
            room.executor.gone.push(future);
            return tasks.tell_behind(future, peer, reason);
        }
        tasks.tell(Ready::Gone(peer, reason));
    }

    pub(in crate::session) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        let is_open = self.end == End::Open;
        let limit_ms = room.limits.raw_idle_timeout_ms;
        is_open.then(|| (u64::from(self.seen_s) * 1000).saturating_add(limit_ms))
    }

    pub(in crate::session) fn on_deadline(&mut self, room: &mut Room) {
        if self.next_deadline_ms(room).is_some_and(|deadline_ms| deadline_ms <= room.now_ms) {
            room.counts.deadlines_total += 1;
            room.met.count(const { place_of("raw_idle_timeout_ms") });
            self.close_for(Reason::TimedOut("raw_idle_timeout"));
        }
    }
}
