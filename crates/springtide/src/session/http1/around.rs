//! Requests of routers with middleware: seen when their heads have come, and again as replies.
//! It decides nothing of routes, and a panic of the application ends one request only.

use std::rc::Rc;

use http::StatusCode;
use springtide_proto::http1::{BodyLength, Exchange, Refusal, ReplyBody};
use springtide_proto::{Outbox, Piece};

use super::{Http1, compress, failed, head_of, otherwise};
use crate::executor::{Origin, apart};
use crate::files::FileReply;
use crate::middleware::{Finish, Outcome};
use crate::problem::Form;
use crate::request::{Request, RequestData, Shared};
use crate::response::Response;
use crate::room::Room;
use crate::route::{Answerer, Found};
use crate::session::Who;

/// What sees an exchange's reply, the outermost first.
pub(super) type Finishes = Vec<Finish>;

impl Http1 {
    /// Begins what no handler answers by itself: middleware comes first, then the handler, a file,
    /// or the reason why nothing is found.
    #[inline(never)]
    pub(super) fn begin_otherwise(
        &mut self,
        found: &Found<'_>,
        exchange: Exchange,
        mut data: Box<RequestData>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let shared = Rc::clone(&room.requests);
        let has_body = data.head.body != BodyLength::None;
        let surrounded = found.surrounded();
        // What no handler answers has no route, whatever the request before had.
        data.route = surrounded.map_or(usize::MAX, |(_, route)| route);
        if has_body {
            data.trailers = None;
        }
        let origin = compress::origin(&data, who, room);
        data = match self.see(found.scope(), exchange, data, &shared, room) {
            Ok(data) => data,
            Err(mut response) => {
                if has_body {
                    self.machine.discard_body(exchange, &room.limits.http1);
                }
                return self.answer_any(exchange, origin, &mut response, outbox, room);
            }
        };
        if let Some((handler, _)) = surrounded {
            return match has_body {
                true => self.begin_body(handler, exchange, data, who, outbox, room),
                false => self.call_around(handler, exchange, data, who, outbox, room),
            };
        }
        let reply = otherwise::reply(found, exchange, &data, who, room);
        // Few replies of files are errors: in what form those are said is not looked for with all.
        if self.busy.is_some() || !reply.as_ref().is_some_and(FileReply::is_of_file) {
            self.note_form(exchange, &data);
        }
        shared.put(data);
        if has_body {
            self.machine.discard_body(exchange, &room.limits.http1);
        }
        if let Some(reply) = reply {
            self.file_reply(exchange, origin, reply, outbox, room);
            self.pump(outbox.len(), room);
        } else {
            self.await_file(exchange, origin);
        }
    }

    /// Shows a request to the middleware of its router; an answer is shown to those further out.
    fn see(
        &mut self,
        scope: u32,
        exchange: Exchange,
        data: Box<RequestData>,
        shared: &Shared,
        room: &mut Room,
    ) -> Result<Box<RequestData>, Response> {
        let middleware = shared.router.middleware(scope);
        if middleware.is_empty() {
            return Ok(data);
        }
        let request = Request::new(data);
        let mut finishes = Finishes::new();
        for own in middleware {
            let answer = match apart(|| own.begin(&request)) {
                Some(Outcome::Pass) => continue,
                Some(Outcome::PassThen(finish)) => {
                    finishes.push(finish);
                    continue;
                }
                Some(Outcome::Answer(response)) => response,
                None => {
                    let path = request.path().escape_debug();
                    crate::report::error(format_args!("the middleware around {path} panicked"));
                    failed(None, room)
                }
            };
            let form = request.error_form();
            drop(request);
            return Err(form.put_on(finished(finishes, answer, room)));
        }
        if !finishes.is_empty() {
            self.busy().finishes.push((exchange, finishes));
        }
        Ok(request.into_data())
    }

    /// Calls a handler whose reply middleware may want to see.
    pub(super) fn call_around(
        &mut self,
        handler: &Answerer,
        exchange: Exchange,
        data: Box<RequestData>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let Answerer::Plain(handler) = handler else {
            return self.begin_later(handler, exchange, data, who, outbox, room);
        };
        self.note_form(exchange, &data);
        let origin = compress::origin(&data, who, room);
        let (route, mut response) = (data.route, None);
        let request = Request::new(data);
        let called = room.watched(route, |_| apart(|| handler(request, &mut response)));
        // It is in `forms` already, and must not be taken for that of a later request.
        room.requests.form_of_panic.take();
        let response = response.filter(|_| called.is_some());
        self.answer_around(exchange, origin, response, outbox, room);
    }

    /// A reply that middleware may want to see; none when its handler panicked.
    pub(super) fn answer_around(
        &mut self,
        exchange: Exchange,
        origin: Origin,
        response: Option<Response>,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let response = match response {
            Some(response) if response.is_reply() => response,
            other => failed(other.as_ref(), room),
        };
        let mut response = self.seen(exchange, response, room);
        self.answer_any(exchange, origin, &mut response, outbox, room);
    }

    /// The reply as middleware leaves it, errors in the form that the client prefers.
    fn seen(&mut self, exchange: Exchange, response: Response, room: &mut Room) -> Response {
        let finishes = self.take_finishes(exchange).unwrap_or_default();
        self.take_form(exchange).put_on(finished(finishes, response, room))
    }

    /// The same for a reply of the file service.
    pub(super) fn seen_file(
        &mut self,
        exchange: Exchange,
        reply: FileReply,
        room: &mut Room,
    ) -> FileReply {
        if self.busy.is_none() {
            return reply;
        }
        match reply {
            FileReply::Whole(response) => FileReply::Whole(self.seen(exchange, response, room)),
            FileReply::Parts { response, pieces } => {
                let before = response.status_code();
                let response = self.seen(exchange, response, room);
                match is_another(&response, before) {
                    true => FileReply::Whole(response),
                    false => FileReply::Parts { response, pieces },
                }
            }
            FileReply::Streamed { response, length, stream } => {
                let before = response.status_code();
                let response = self.seen(exchange, response, room);
                if !is_another(&response, before) {
                    return FileReply::Streamed { response, length, stream };
                }
                if let Some(stream) = stream {
                    let mut engine = room.requests.engine.borrow_mut();
                    room.files.abandon(&mut **engine, stream);
                }
                FileReply::Whole(response)
            }
        }
    }

    /// Remembers how an error is to be said, unless it is text.
    pub(super) fn note_form(&mut self, exchange: Exchange, data: &RequestData) {
        let form = data.form();
        if form != Form::Text {
            self.busy().forms.push((exchange, form));
        }
    }

    pub(super) fn take_form(&mut self, exchange: Exchange) -> Form {
        let Some(busy) = &mut self.busy else { return Form::Text };
        let position = busy.forms.iter().position(|(own, _)| *own == exchange);
        let form = position.map(|position| busy.forms.swap_remove(position).1);
        self.rest();
        form.unwrap_or_default()
    }

    /// A request was refused in the middle of its body: its head is known, and so is the form.
    #[cold]
    pub(super) fn refuse_body(
        &mut self,
        exchange: Exchange,
        data: Box<RequestData>,
        refusal: Refusal,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        self.note_form(exchange, &data);
        let origin = compress::origin_of(&data, who, None);
        let reply = Response::said(refusal.status(), Some(refusal.reason()));
        let mut reply = self.seen(exchange, reply, room);
        room.requests.put(data);
        let refused = self.machine.refused();
        if let Some(exchange) = refused.filter(|_| reply.body_stream().is_some()) {
            return self.answer_any(exchange, origin, &mut reply, outbox, room);
        }
        let bytes = reply.body().len() as u64;
        self.log(exchange, reply.status_code().as_u16(), bytes, room);
        if let Some(exchange) = refused {
            let body = ReplyBody::Full(Piece::Shared(reply.take_body()));
            self.machine.send_reply(exchange, &head_of(&reply, room), body, outbox);
        }
    }

    fn take_finishes(&mut self, exchange: Exchange) -> Option<Finishes> {
        let busy = self.busy.as_mut()?;
        let position = busy.finishes.iter().position(|(own, _)| *own == exchange)?;
        let (_, finishes) = busy.finishes.swap_remove(position);
        self.rest();
        Some(finishes)
    }

    /// Nobody sees a reply to this exchange.
    pub(super) fn forget_finishes(&mut self, exchange: Exchange) {
        let finishes = self.take_finishes(exchange);
        self.take_form(exchange);
        apart(|| drop(finishes));
    }
}

/// Whether middleware has put another reply in place of that of a file, which had this status and no
/// body of its own: then nothing of the file is sent.
fn is_another(seen: &Response, before: StatusCode) -> bool {
    let status = seen.status_code();
    let has_body = !seen.body().is_empty() || seen.body_stream().is_some();
    has_body || (status != before && !status.is_success())
}

/// Shows a reply to middleware, the innermost first.
fn finished(finishes: Finishes, response: Response, room: &mut Room) -> Response {
    finishes.into_iter().rev().fold(response, |response, finish| {
        let seen = apart(|| finish(response)).filter(Response::is_reply);
        seen.unwrap_or_else(|| failed(None, room))
    })
}
