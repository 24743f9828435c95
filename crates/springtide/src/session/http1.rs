//! The HTTP/1.1 session: requests out of bytes, handlers called, replies into the outbox.
//! It never touches the socket, and decides nothing that the machine decides.

mod around;
mod body;
mod compress;
mod files;
mod freeze;
mod later;
mod limited;
mod logged;
mod otherwise;
mod produce;
mod upgrade;

pub(super) use body::fields_of;
use body::{Reading, Target, Untaken};
pub(crate) use freeze::FrozenHttp1;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use http::StatusCode;
use springtide_proto::http1::{self, BodyLength, Exchange, Machine, Received, Reply, ReplyBody};
use springtide_proto::{COPY_BYTES_MAX, Outbox, Piece};

use super::{Accepted, Share, Source, Step, Who};
use crate::access::Begun;
use crate::executor::{Origin, apart};
use crate::files::{FrozenAsk, StreamId};
use crate::handler::PlainHandler;
use crate::problem::Form;
use crate::request::{BodyError, HeadBytes, Request, RequestData, Shared};
use crate::response::{Pipe, Response};
use crate::room::Room;
use crate::route::{Answerer, Found, Routes};
use crate::table::Place;
use around::Finishes;

/// The session.
pub(crate) struct Http1 {
    machine: Machine,
    share: Share,
    /// What only busy sessions have.
    busy: Option<Box<Busy>>,
}

#[derive(Default)]
struct Busy {
    /// The request whose body is arriving.
    reading: Option<Reading>,
    /// Bodies that have come, and that their handlers have not taken.
    untaken: Untaken,
    /// Files that are sent piece by piece, in the order of their replies.
    streams: VecDeque<(Exchange, StreamId)>,
    /// A piece of the first stream has been asked for.
    is_asked: bool,
    /// What was withdrawn because the connection goes to another shard.
    asks: Vec<FrozenAsk>,
    /// Exchanges that wait for a future or for the pool, also for the end of their body.
    waiting: Vec<(Exchange, Place)>,
    /// Those of them whose bodies are being produced.
    pipes: Vec<(Exchange, Rc<Pipe>)>,
    /// A body was cut that the end of the connection ends.
    is_torn: bool,
    /// Exchanges whose replies middleware wants to see.
    finishes: Vec<(Exchange, Finishes)>,
    /// Exchanges whose errors are not said as text.
    forms: Vec<(Exchange, Form)>,
    /// Lines of the access log whose end is not known yet.
    logged: Vec<Begun>,
    /// What has the connection next.
    accepted: Option<Box<Accepted>>,
    /// Exchanges that wait for a file, and whose clients take gzip.
    gzip: Vec<Exchange>,
}

impl Http1 {
    pub(crate) fn new(room: &Room) -> Self {
        let machine = Machine::server(room.now_ms, &room.limits.http1);
        Self { machine, share: Share::default(), busy: None }
    }

    #[inline]
    pub(crate) fn receive(
        &mut self,
        source: &Source<'_>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> (usize, Step) {
        let bytes = source.bytes();
        let mut consumed = 0;
        self.share.renew(room.turn);
        let shared = Rc::clone(&room.requests);
        let mut spare = None;
        let step = loop {
            if self.share.is_spent(consumed) {
                break Step::More;
            }
            if outbox.len() + self.machine.held_bytes() > room.limits.outbox_bytes_max {
                break Step::Paused;
            }
            let rest = &bytes[consumed..];
            let limits = &room.limits.http1;
            let data = spare.get_or_insert_with(|| shared.take());
            match self.machine.receive(rest, room.now_ms, limits, &mut data.head) {
                Ok(Received::NeedBytes) => break Step::NeedBytes,
                Ok(Received::Head { consumed: length, exchange }) => {
                    let Some(mut data) = spare.take() else { continue };
                    let place = match source {
                        Source::Chunk(chunk) => HeadBytes::Chunk((*chunk).clone(), consumed),
                        Source::Joined(_) | Source::Own(_) => HeadBytes::Copied,
                    };
                    data.place(place, rest);
                    data.socket = Some(who.socket);
                    consumed += length;
                    self.share.add_exchange();
                    self.begin(exchange, data, who, &shared, outbox, room);
                }
                Ok(Received::Body { consumed: length, data: span }) => {
                    self.keep(span.of(rest), source);
                    consumed += length;
                }
                Ok(Received::BodyEnd { consumed: length, trailers }) => {
                    consumed += length;
                    self.body_complete(trailers.of(rest), who, &shared, outbox, room);
                }
                Ok(Received::Skipped { consumed: length }) => consumed += length,
                Ok(Received::Paused) => {
                    self.paused(room);
                    break Step::Paused;
                }
                Ok(Received::Switched) if self.machine.is_switched() => break Step::Switched,
                Ok(Received::Switched) => break Step::Paused,
                Ok(Received::Closed) => break Step::Closed,
                Err(refusal) => self.refuse(refusal, who, outbox, room),
            }
        };
        if let Some(data) = spare {
            shared.put(data);
        }
        if room.is_watching {
            self.keep_line(room);
        }
        self.share.add_bytes(consumed);
        (consumed, step)
    }

    /// A head is there: finds its route, and answers at once if nothing more is needed.
    #[inline]
    fn begin(
        &mut self,
        exchange: Exchange,
        mut data: Box<RequestData>,
        who: Who,
        shared: &Rc<Shared>,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        if room.is_watching && !self.admits(exchange, &data, who, outbox, room) {
            return shared.put(data);
        }
        let Some(found) = shared.router.find_plain(&data.head.method, data.target()) else {
            return self.begin_other(exchange, data, who, shared, outbox, room);
        };
        match found {
            Found::Handler(handler, route) => {
                data.route = route;
                if data.head.body != BodyLength::None {
                    self.begin_body(handler, exchange, data, who, outbox, room);
                } else {
                    self.call(handler, exchange, data, who, outbox, room);
                }
            }
            found => self.begin_otherwise(&found, exchange, data, who, outbox, room),
        }
    }

    /// The same for a path that no route has as it stands: apart, so that what was found for the
    /// others need not pass through memory.
    #[inline(never)]
    fn begin_other(
        &mut self,
        exchange: Exchange,
        mut data: Box<RequestData>,
        who: Who,
        shared: &Rc<Shared>,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        match find(&shared.router, &mut data) {
            Found::Handler(handler, route) => {
                data.route = route;
                if data.head.body != BodyLength::None {
                    self.begin_body(handler, exchange, data, who, outbox, room);
                } else {
                    self.call_other(handler, exchange, data, who, outbox, room);
                }
            }
            found => self.begin_otherwise(&found, exchange, data, who, outbox, room),
        }
    }

    #[inline]
    fn call(
        &mut self,
        handler: &Answerer,
        exchange: Exchange,
        data: Box<RequestData>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        match handler {
            Answerer::Plain(handler) if !room.watch.is_on() && room.compressing.is_none() => {
                let origin = compress::origin_of(&data, who, None);
                self.handle(handler, exchange, data, origin, outbox, room);
            }
            other => self.call_other(other, exchange, data, who, outbox, room),
        }
    }

    /// Calls a handler of any kind, whatever there is beside it.
    #[inline(never)]
    fn call_other(
        &mut self,
        handler: &Answerer,
        exchange: Exchange,
        data: Box<RequestData>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        match handler {
            Answerer::Plain(handler) => {
                self.handle_watched(handler, exchange, data, who, outbox, room);
            }
            later => self.begin_later(later, exchange, data, who, outbox, room),
        }
    }

    fn handle_watched(
        &mut self,
        handler: &PlainHandler,
        exchange: Exchange,
        data: Box<RequestData>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let origin = compress::origin(&data, who, room);
        let route = data.route;
        room.watched(route, |room| self.handle(handler, exchange, data, origin, outbox, room));
    }

    /// Calls the handler; a panic in it is a 500 for this request. A call of it in between is a
    /// hundredth of what a pipelined request costs.
    #[inline(always)]
    fn handle(
        &mut self,
        handler: &PlainHandler,
        exchange: Exchange,
        data: Box<RequestData>,
        origin: Origin,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let mut response = None;
        let request = Request::new(data);
        let called = catch_unwind(AssertUnwindSafe(|| handler(request, &mut response)));
        match (called, &mut response) {
            (Ok(()), Some(response)) if !response.status_code().is_informational() => {
                self.answer_any(exchange, origin, response, outbox, room);
            }
            (called, given) => {
                let given = given.as_ref().filter(|_| called.is_ok());
                self.answer_failed(exchange, origin, given, outbox, room);
            }
        }
    }

    #[inline]
    fn answer(
        &mut self,
        exchange: Exchange,
        response: &mut Response,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        room.counts.requests_total += 1;
        if room.is_watching {
            let bytes = response.body().len() as u64;
            self.log(exchange, response.status_code().as_u16(), bytes, room);
        }
        if response.body().len() <= COPY_BYTES_MAX {
            let reply = head_of(response, room);
            self.machine.send_copied(exchange, &reply, response.body(), outbox);
        } else {
            let body = ReplyBody::Full(Piece::Shared(response.take_body()));
            self.machine.send_reply(exchange, &head_of(response, room), body, outbox);
        }
    }

    pub(crate) fn end_of_stream(&mut self) {
        self.machine.end_of_stream();
        match self.busy.as_mut().and_then(|busy| busy.reading.take()) {
            // Nobody will hear a reply to half a request.
            Some(Reading { exchange, target: Target::Whole { .. } }) => {
                self.machine.abort_reply(exchange);
                self.forget_finishes(exchange);
            }
            Some(Reading { target: Target::Handler(pipe), .. }) => pipe.fail(BodyError::Gone),
            None => {}
        }
    }

    #[inline]
    pub(crate) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        self.machine.next_deadline_ms(&room.limits.http1)
    }

    pub(crate) fn drain(&mut self) {
        self.machine.drain();
    }

    #[inline]
    pub(crate) fn awaits_sent(&self, room: &Room) -> bool {
        // Behind a reply that came later than its request the idle time begins when it has gone.
        self.acts_on_sent() || self.next_deadline_ms(room) == Some(0)
    }

    #[inline]
    pub(crate) fn acts_on_sent(&self) -> bool {
        self.busy.is_some() || self.machine.wants_close()
    }

    #[inline]
    pub(crate) fn wants_close(&self) -> bool {
        self.machine.wants_close()
    }

    pub(crate) fn wants_reset(&self, has_unsent: bool) -> bool {
        let (_, writing) = self.machine.states();
        let is_cut_here = match writing {
            http1::Writing::UntilClose => true,
            // It may have been such a body that was cut or has ended.
            http1::Writing::Cut => has_unsent,
            _ => false,
        };
        is_cut_here || self.busy.as_ref().is_some_and(|busy| busy.is_torn)
    }

    #[inline]
    pub(crate) fn is_peer_done(&self) -> bool {
        self.machine.is_peer_done()
    }

    pub(crate) const fn states(&self) -> (http1::Reading, http1::Writing, u32) {
        let (reading, writing) = self.machine.states();
        (reading, writing, self.machine.exchanges_in_flight())
    }

    pub(crate) fn abandon(&mut self, room: &mut Room) {
        self.client_gone(room);
        self.log_rest(room);
        let Some(busy) = self.busy.take() else { return };
        let Busy { reading, streams, finishes, accepted, .. } = *busy;
        apart(|| drop(finishes));
        Self::forget_accepted(accepted);
        if let Some(Reading { target: Target::Handler(pipe), .. }) = &reading {
            pipe.fail(BodyError::Gone);
        }
        let mut engine = room.requests.engine.borrow_mut();
        for (_, stream) in streams {
            room.files.abandon(&mut **engine, stream);
        }
    }

    fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_default()
    }

    /// Gives the memory of a busy session back when it is busy no more.
    fn rest(&mut self) {
        self.busy.take_if(|busy| {
            let Busy {
                reading,
                untaken,
                streams,
                is_asked: _,
                asks,
                waiting,
                pipes,
                is_torn,
                finishes,
                forms,
                logged,
                accepted,
                gzip,
            } = &**busy;
            let is_held = !(untaken.is_empty() && streams.is_empty() && asks.is_empty());
            let is_reading = reading.is_some() || !gzip.is_empty() || is_held;
            let is_late = !(waiting.is_empty() && pipes.is_empty());
            let is_seen = !(finishes.is_empty() && forms.is_empty() && logged.is_empty());
            !is_reading && !is_late && !is_torn && !is_seen && accepted.is_none()
        });
    }
}

/// The head of a response, as the machine wants it.
#[inline]
fn head_of<'a>(response: &'a Response, room: &'a Room) -> Reply<'a> {
    Reply {
        status: response.status_code(),
        content_type: response.media_type(),
        fields: response.sent_fields(),
        opening: room.date.opening(),
    }
}

/// Finds what answers by host and path, and keeps the parameters.
fn find<'routes>(routes: &'routes Routes, data: &mut RequestData) -> Found<'routes> {
    let mut params = std::mem::take(&mut data.params);
    let host = if routes.asks_host() { data.host() } else { None };
    let found = routes.find(&data.head.method, host.as_deref(), data.path_bytes(), &mut params);
    drop(host);
    data.params = params;
    found
}

/// The reply where a handler gave none that can be sent: it panicked, or what it gave is no reply.
#[cold]
fn failed(given: Option<&Response>, room: &mut Room) -> Response {
    match given {
        // An interim status is the machine's to send, and 101 is what `Request::upgrade` makes.
        Some(response) => {
            let status = response.status_code();
            crate::report::error(format_args!("a handler cannot answer with {status}"));
        }
        None => room.counts.panics_total += 1,
    }
    said(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An error of the server itself.
fn said(status: StatusCode) -> Response {
    Response::said(status, None)
}
