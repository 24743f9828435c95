//! Exchanges whose reply comes later, from a future on the shard or from the pool.
//! It polls nothing and drops nothing: that is the executor's business, in its part of the turn.

use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;
use springtide_proto::Outbox;
use springtide_proto::http1::Exchange;

use super::{Http1, compress, said};
use crate::executor::{Origin, Ring, apart};
use crate::limits::place_of;
use crate::offload::{Detached, Job, PoolHandler};
use crate::request::{Request, RequestData};
use crate::response::{Pipe, Response};
use crate::room::Room;
use crate::route::Answerer;
use crate::session::Who;
use crate::table::Place;

/// The reply where the server cannot answer now, and may in a moment (RFC 9110 §15.6.4).
fn try_again() -> Response {
    let second = http::HeaderValue::from_static("1");
    said(StatusCode::SERVICE_UNAVAILABLE).header(http::header::RETRY_AFTER, second)
}

impl Http1 {
    /// Begins what will answer an exchange.
    #[inline(never)]
    pub(super) fn begin_later(
        &mut self,
        handler: &Answerer,
        exchange: Exchange,
        data: Box<RequestData>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        if let Answerer::Limited { answerer, .. } = handler {
            return self.call_around(answerer, exchange, data, who, outbox, room);
        }
        self.note_form(exchange, &data);
        let origin = compress::origin_of(&data, who, None);
        let begun = match handler {
            Answerer::Awaited { to_the_end: true, .. } if is_left_alone(who, room) => None,
            Answerer::Awaited { number, to_the_end, .. } => {
                let place = begin_future(*number, exchange, data, who, room);
                if *to_the_end {
                    room.executor.run_to_the_end(place);
                }
                Some(place)
            }
            Answerer::OnPool(handler) => begin_away(handler, exchange, data, who, room),
            Answerer::Plain(_) | Answerer::Limited { .. } => None,
        };
        match begun {
            Some(place) => self.busy().waiting.push((exchange, place)),
            None => {
                // Nobody will take of its body, and the head of the reply says what comes of that.
                self.leave_body(exchange, room);
                self.answer_around(exchange, origin, Some(try_again()), outbox, room);
            }
        }
    }

    /// The reply that was waited for; none when its handler panicked.
    pub(crate) fn answer_late(
        &mut self,
        exchange: Exchange,
        origin: Origin,
        response: Option<Response>,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        if !self.is_body_wanted(exchange) {
            self.leave_body(exchange, room);
        }
        let pipe = self.wait_no_more(exchange);
        if let Some(pipe) = pipe {
            return self.end_stream(exchange, &pipe, response.is_none(), outbox, room);
        }
        self.answer_around(exchange, origin, response, outbox, room);
    }

    /// What was to answer this exchange, or to write its body, could not be frozen.
    pub(super) fn refuse_late(&mut self, exchange: Exchange, outbox: &mut Outbox, room: &mut Room) {
        let form = self.take_form(exchange);
        if self.machine.awaits_reply(exchange) {
            self.answer(exchange, &mut form.put_on(try_again()), outbox, room);
        } else {
            self.tear(exchange);
        }
    }

    /// Nobody answers this exchange any more: its client is taken to be gone.
    pub(crate) fn give_up(&mut self, exchange: Exchange) {
        drop(self.wait_no_more(exchange));
        self.forget_finishes(exchange);
        self.machine.abort_reply(exchange);
    }

    /// Tells all that wait that their client is gone.
    pub(super) fn client_gone(&self, room: &mut Room) {
        let waiting = self.busy.iter().flat_map(|busy| &busy.waiting);
        room.executor.gone.extend(waiting.map(|(_, place)| *place));
    }

    /// Gives back what its body was to be taken from.
    fn wait_no_more(&mut self, exchange: Exchange) -> Option<Rc<Pipe>> {
        let busy = self.busy.as_mut()?;
        busy.waiting.retain(|(own, _)| *own != exchange);
        let position = busy.pipes.iter().position(|(own, _)| *own == exchange);
        let pipe = position.map(|position| busy.pipes.swap_remove(position).1);
        self.rest();
        pipe
    }
}

/// Whether so many futures run on without their clients that none may begin which could do so too.
/// Those that have begun are not dropped for it: that they are not is what was asked for.
fn is_left_alone(who: Who, room: &mut Room) -> bool {
    let is_full = room.executor.alone() >= room.limits.futures_alone_max;
    if is_full {
        let place = const { place_of("futures_alone_max") };
        let what =
            format_args!("answered 503, because many clients have left what runs to its end");
        room.tell_limit(place, who.socket, what);
    }
    is_full
}

/// The shard answers with a future.
fn begin_future(
    number: usize,
    exchange: Exchange,
    mut data: Box<RequestData>,
    who: Who,
    room: &mut Room,
) -> Place {
    let shared = Rc::clone(&room.requests);
    let origin = compress::origin(&data, who, room);
    room.executor.begin(origin, exchange, false, |alarm| {
        data.await_with(&shared, alarm);
        shared.awaited[number](Request::new(data))
    })
}

/// The pool answers; none when too much waits for it.
fn begin_away(
    handler: &PoolHandler,
    exchange: Exchange,
    mut data: Box<RequestData>,
    who: Who,
    room: &mut Room,
) -> Option<Place> {
    let shared = Rc::clone(&room.requests);
    let origin = compress::origin(&data, who, room);
    let detached = Detached::of(&mut data, &shared.router);
    shared.put(data);
    let place = room.executor.begin_away(origin, exchange);
    let (handler, bell) = (handler.clone(), Arc::clone(&shared.bell));
    let bound = Arc::clone(&handler.bound);
    let job: Job = Box::new(move |done| {
        let response = apart(|| (handler.call)(detached.attach()));
        done();
        bell.ring(Ring::Done(place, response));
    });
    let is_taken = room.pool.as_ref().is_some_and(|pool| pool.take(job, &bound));
    if !is_taken {
        room.executor.remove(place);
        room.counts.offloads_refused += 1;
        let place = const { place_of("offload_waiting_max") };
        room.tell_limit(place, who.socket, format_args!("answered 503, because the pool is busy"));
    }
    is_taken.then_some(place)
}
