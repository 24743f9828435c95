//! Exchanges whose reply comes later, from a future on the shard or from the pool.
//! It polls nothing and drops nothing: that is the executor's business, in its part of the turn.

use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;
use springtide_proto::Outbox;
use springtide_proto::http1::Exchange;

use super::{Http1, failed, said};
use crate::executor::{Ring, apart};
use crate::offload::{Detached, Job, PoolHandler};
use crate::request::{Request, RequestData};
use crate::response::Response;
use crate::room::Room;
use crate::route::Answerer;
use crate::session::Who;
use crate::table::Place;

/// The reply where the server cannot answer now, and may in a moment (RFC 9110 §15.6.4).
pub(super) fn try_again() -> Response {
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
        let begun = match handler {
            Answerer::Awaited(number) | Answerer::Streamed(number) => {
                Some(begin_future(*number, exchange, data, who, room))
            }
            Answerer::OnPool(handler) => begin_away(handler, exchange, data, who, room),
            Answerer::Limited { answerer, .. } => {
                return self.call(answerer, exchange, data, who, outbox, room);
            }
            Answerer::Plain(_) => None,
        };
        match begun {
            Some(place) => self.busy().waiting.push((exchange, place)),
            None => self.answer(exchange, &mut try_again(), outbox, room),
        }
    }

    /// The reply that was waited for; none when its handler panicked.
    pub(crate) fn answer_late(
        &mut self,
        exchange: Exchange,
        response: Option<Response>,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        self.leave_body(exchange, room);
        self.wait_no_more(exchange);
        let response = match response {
            Some(response) if !response.status_code().is_informational() => response,
            other => failed(other.as_ref(), room),
        };
        let mut response = response;
        self.answer(exchange, &mut response, outbox, room);
    }

    /// Nobody answers this exchange any more: its client is taken to be gone.
    pub(crate) fn give_up(&mut self, exchange: Exchange) {
        self.wait_no_more(exchange);
        self.machine.abort_reply(exchange);
    }

    /// Tells all that wait that their client is gone.
    pub(in crate::session) fn client_gone(&self, room: &mut Room) {
        let waiting = self.busy.iter().flat_map(|busy| &busy.waiting);
        room.executor.gone.extend(waiting.map(|(_, place)| *place));
    }

    fn wait_no_more(&mut self, exchange: Exchange) {
        if let Some(busy) = &mut self.busy {
            busy.waiting.retain(|(own, _)| *own != exchange);
        }
        self.rest();
    }
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
    room.executor.begin(who.place, exchange, data.route, |alarm| {
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
    let route = data.route;
    let detached = Detached::of(&mut data, &shared.router);
    shared.put(data);
    let place = room.executor.begin_away(who.place, exchange, route);
    let (handler, bell) = (Arc::clone(handler), Arc::clone(&shared.bell));
    let job: Job = Box::new(move || {
        let response = apart(|| handler(detached.attach()));
        bell.ring(Ring::Done(place, response));
    });
    let is_taken = room.pool.as_ref().is_some_and(|pool| pool.take(job));
    if !is_taken {
        room.executor.remove(place);
        room.counts.offloads_refused += 1;
    }
    is_taken.then_some(place)
}
