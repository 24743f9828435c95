//! The part of a turn in which futures of handlers run: woken ones are polled, each once, and once more
//! for what long messages bring; those whose client is gone are dropped.
//! The shard is not borrowed while one of them runs, so it may ask for anything but the shard.

use std::task::{Context, Poll};

use springtide_proto::Outbox;
use springtide_proto::http1::Exchange;

use super::Shard;
use crate::connection::Connection;
use crate::current;
use crate::executor::{Due, End, Origin, Polling, Ring, Whom, Work, apart};
use crate::framed::Answered;
use crate::response::Response;
use crate::room::Room;
use crate::session::Session;
use crate::table::Place;

impl Shard {
    /// Runs what is to run in this turn. What is woken meanwhile runs in the next (law 9).
    #[inline]
    pub(super) fn run_futures(&mut self) {
        while let Some(ring) = self.room.requests.bell.next() {
            match ring {
                Ring::Woken(place) => self.room.requests.wake(place),
                Ring::Done(place, response) => self.finish(place, response),
                Ring::Answered(answered) => self.answer(answered),
                Ring::Unwanted(place) => {
                    let body = self.room.requests.desk.unpark(place);
                    self.drop_future(body);
                }
            }
        }
        if !self.room.executor.is_at_rest() {
            self.run_some();
        }
    }

    #[inline(never)]
    fn run_some(&mut self) {
        let current = current::enter(&self.room.requests);
        self.expire_timers();
        for waker in std::mem::take(&mut self.room.executor.granted) {
            apart(|| waker.wake());
        }
        for place in std::mem::take(&mut self.room.executor.gone) {
            self.client_gone(place);
        }
        self.poll_all();
        drop(current);
        self.cancel_withdrawn();
        for place in self.room.requests.take_reading() {
            self.with(place, Connection::read_on);
        }
        for answered in self.room.requests.answers.take_others() {
            self.answer(answered);
        }
    }

    /// Polls those that are woken by now, and does nothing else of a turn's end: what comes in this turn
    /// still is in time.
    pub(super) fn run_woken(&mut self) {
        if self.room.requests.has_woken() {
            let current = current::enter(&self.room.requests);
            self.poll_all();
            drop(current);
        }
    }

    fn poll_all(&mut self) {
        let mut woken = self.room.requests.take_woken();
        for place in woken.drain(..) {
            self.poll(place);
        }
        self.room.requests.put_woken(woken);
    }

    /// Tells the connection of a request what that is answered.
    fn answer(&mut self, answered: Answered) {
        let Answered { connection, exchange, answer } = answered;
        self.tell(connection, |session, outbox, room| {
            session.answer_frame(exchange, answer, outbox, room);
        });
    }

    fn expire_timers(&self) {
        let shared = &self.room.requests;
        for waker in shared.take_told() {
            apart(|| waker.wake());
        }
        let mut due = Vec::new();
        shared.timers.borrow_mut().expire(self.room.now_ms, &mut due);
        for due in due {
            match due {
                Due::Once(Whom::Waker(waker)) => _ = apart(|| waker.wake()),
                Due::Once(Whom::Task(task)) => shared.tasks.expire(task),
                Due::Once(Whom::Callback(callback)) => shared.tasks.call(callback),
                Due::Once(Whom::Ticks(_)) => {}
                Due::Tick { timer, callback, missed } => shared.tasks.call(move || {
                    // It may have been taken back meanwhile.
                    let shared = current::shard();
                    if shared.is_some_and(|shared| shared.timers.borrow_mut().is_set(timer)) {
                        callback.borrow_mut()(missed);
                    }
                }),
            }
        }
    }

    fn poll(&mut self, place: Place) {
        let Some(waiting) = self.room.executor.get_mut(place) else { return };
        let Work::Future { polling, alarm } = &mut waiting.work else { return };
        let Some(mut own) = polling.take() else { return };
        alarm.silence();
        self.room.requests.tasks.polled.begin(place, &own.waker);
        let route = waiting.route as usize;
        let Polling { future, waker } = &mut own;
        let mut context = Context::from_waker(waker);
        let polled = self.room.watched(route, |_| apart(|| future.as_mut().poll(&mut context)));
        self.room.requests.tasks.polled.end();
        match polled {
            Some(Poll::Pending) => self.suspend(place, own),
            ended => {
                self.drop_future(own);
                let response = match ended {
                    Some(Poll::Ready(response)) => Some(response),
                    _ => None,
                };
                self.finish(place, response);
            }
        }
    }

    /// A future waits again, unless its client has gone and it goes with it.
    fn suspend(&mut self, place: Place, own: Polling) {
        let waiting = self.room.executor.get_mut(place);
        if let Some(waiting) = waiting
            && let Work::Future { polling, alarm } = &mut waiting.work
            && (!alarm.is_gone() || waiting.end != End::WithItsClient)
        {
            *polling = Some(own);
            if waiting.is_producer {
                let (connection, exchange) = (waiting.connection, waiting.exchange);
                self.tell(connection, |session, outbox, room| session.pour(exchange, outbox, room));
            }
            return;
        }
        self.drop_future(own);
        self.give_up(place);
    }

    /// The client of a future is gone. One that is to be polled has that poll still.
    fn client_gone(&mut self, place: Place) {
        let Some(waiting) = self.room.executor.get_mut(place) else { return };
        let Work::Future { alarm, .. } = &mut waiting.work else { return };
        let is_new = alarm.go();
        if self.room.executor.runs_on(place) {
            return;
        }
        let Some(waiting) = self.room.executor.get_mut(place) else { return };
        let Work::Future { polling, alarm } = &mut waiting.work else { return };
        if is_new && !alarm.is_woken() {
            let own = polling.take();
            self.drop_future(own);
            self.give_up(place);
        }
    }

    fn drop_future<T>(&mut self, future: T) {
        if apart(|| drop(future)).is_none() {
            self.room.counts.panics_total += 1;
        }
    }

    /// Answers an exchange, if its connection is still there.
    fn finish(&mut self, place: Place, response: Option<Response>) {
        let mut response = response;
        if let Some((origin, exchange)) = self.take_out(place) {
            self.tell(origin.connection, |session, outbox, room| {
                session.answer_late(exchange, origin, response.take(), outbox, room);
            });
        }
        // Nobody waits for it: what its stream has captured is the application's.
        if response.is_some() {
            self.drop_future(response);
        }
    }

    /// An exchange has nobody any more who answers it.
    fn give_up(&mut self, place: Place) {
        self.room.counts.futures_dropped += 1;
        let Some((origin, exchange)) = self.take_out(place) else { return };
        self.tell(origin.connection, |session, _, _| session.give_up(exchange));
    }

    fn take_out(&mut self, place: Place) -> Option<(Origin, Exchange)> {
        let waiting = self.room.executor.remove(place)?;
        let (origin, exchange) = (waiting.origin(), waiting.exchange);
        if let Work::Future { alarm, .. } = waiting.work {
            self.room.executor.put_alarm(alarm);
            self.room.requests.tasks.future_ended(place);
        }
        Some((origin, exchange))
    }

    fn tell(&mut self, connection: Place, what: impl FnOnce(&mut Session, &mut Outbox, &mut Room)) {
        self.with(connection, |connection, room| connection.tell(room, what));
    }
}
