//! The client's side of a connection: a client machine, the request that it carries, the pipe in
//! which the answer's body goes to whoever asked.
//! It is never frozen or moved: who waits for it is gone by then.

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use springtide_engine::Error as EngineError;
use springtide_proto::http1::{
    Ask, ClientMachine, ReplyDeadline, ReplyEnd, ReplyFault, ReplyHead, ReplyLength, ReplyReceived,
};
use springtide_proto::{Outbox, Piece};

use super::{Share, Step, Who};
use crate::client::{Answer, Call, ClientError, Line};
use crate::limits::STREAM_LOW_BYTES;
use crate::request::{BodyError, Pipe};
use crate::room::Room;
use crate::table::Place;

/// The session.
pub(crate) struct Upstream {
    line: Rc<Line>,
    place: Place,
    machine: ClientMachine,
    head: ReplyHead,
    /// The request that is out.
    call: Option<Rc<Call>>,
    /// Where its answer's body goes, while that comes.
    pipe: Option<Rc<Pipe>>,
    share: Share,
    /// The answer has come whole.
    is_answered: bool,
    /// Something of the request was written, and is not known to be sent.
    has_unsent: bool,
    /// Why nothing more comes behind what has come.
    broken: Option<EngineError>,
    /// Nothing more is to happen here.
    is_over: bool,
}

impl Upstream {
    /// The session of a connection that stands.
    pub(crate) fn new(line: Rc<Line>, place: Place, room: &Room) -> Self {
        line.opened(place);
        Self {
            line,
            place,
            machine: ClientMachine::new(room.now_ms),
            head: ReplyHead::new(),
            call: None,
            pipe: None,
            share: Share::default(),
            is_answered: false,
            has_unsent: false,
            broken: None,
            is_over: false,
        }
    }

    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        outbox: &mut Outbox,
        room: &Room,
    ) -> (usize, Step) {
        self.share.renew(room.turn);
        let mut at = 0;
        let step = loop {
            if self.is_over {
                break Step::Closed;
            }
            if self.share.is_spent(at) {
                break Step::More;
            }
            let (consumed, step) = self.step(&bytes[at..], outbox, room);
            at += consumed;
            if let Some(step) = step {
                break step;
            }
        };
        self.share.add_bytes(at);
        if step == Step::NeedBytes {
            self.rest(room);
        }
        (at, step)
    }

    /// One event; how many bytes it took, and how far that is, unless it goes on.
    fn step(&mut self, input: &[u8], outbox: &mut Outbox, room: &Room) -> (usize, Option<Step>) {
        let limits = self.line.settings.machine();
        match self.machine.receive(input, room.now_ms, limits, &mut self.head) {
            Ok(ReplyReceived::NeedBytes) => (0, Some(Step::NeedBytes)),
            Ok(ReplyReceived::Interim { consumed }) => {
                self.send_on(outbox, room);
                (consumed, None)
            }
            Ok(ReplyReceived::Head { consumed }) => {
                self.share.add_exchange();
                self.begin_answer(&input[..consumed]);
                (consumed, None)
            }
            Ok(ReplyReceived::Body { consumed, data }) => {
                let is_full = self
                    .pipe
                    .as_ref()
                    .is_some_and(|pipe| pipe.push(Bytes::copy_from_slice(data.of(input))));
                if is_full {
                    self.machine.hold_body();
                }
                (consumed, None)
            }
            Ok(ReplyReceived::BodyEnd { consumed, trailers }) => {
                if let Some(pipe) = self.pipe.take() {
                    pipe.end(super::http1::fields_of(trailers.of(input)));
                }
                self.is_answered = true;
                (consumed, None)
            }
            Ok(ReplyReceived::Skipped { consumed }) => (consumed, None),
            Ok(ReplyReceived::Paused) => (0, Some(Step::Paused)),
            Ok(ReplyReceived::Closed) => {
                self.finish();
                (0, Some(Step::Closed))
            }
            Err(fault) => {
                self.fail(ClientError::of(fault));
                (0, Some(Step::Closed))
            }
        }
    }

    /// The head of an answer has come.
    fn begin_answer(&mut self, bytes: &[u8]) {
        let Some(call) = &self.call else { return };
        let mut fields = HeaderMap::with_capacity(self.head.fields.len());
        for field in &self.head.fields {
            let name = HeaderName::from_bytes(field.name.of(bytes));
            let value = HeaderValue::from_bytes(field.value.of(bytes));
            if let (Ok(name), Ok(value)) = (name, value) {
                fields.append(name, value);
            }
        }
        let length = self.head.field(bytes, "content-length");
        let length = length.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        self.is_answered = self.head.body == ReplyLength::None;
        let body = (!self.is_answered).then(|| {
            let bytes_max = self.line.settings.inbox_bytes_max();
            let (pipe, arriving) = Pipe::new(self.place, bytes_max, &self.line.shared);
            self.pipe = Some(pipe);
            arriving
        });
        call.answer(Answer { status: self.head.status, fields, body, length });
    }

    /// Who asked has something to say: a request, more of its body, that it has taken of the answer,
    /// or that it goes.
    pub(super) fn read_on(&mut self, outbox: &mut Outbox, room: &Room) {
        if self.is_over {
            return self.line.refuse_next();
        }
        if self.call.is_none() {
            self.call = self.line.take_next();
            self.begin_request(outbox, room);
        }
        if self.line.is_withdrawn() {
            return self.finish();
        }
        let is_unwanted = self.call.as_ref().is_some_and(|call| call.is_unwanted())
            || self.pipe.as_ref().is_some_and(|pipe| pipe.is_unwanted());
        if is_unwanted {
            return self.fail(ClientError::Ended);
        }
        if self.pipe.as_ref().is_some_and(|pipe| !pipe.is_full()) {
            self.machine.resume_body(room.now_ms);
        }
        self.send_on(outbox, room);
    }

    fn begin_request(&mut self, outbox: &mut Outbox, room: &Room) {
        let order = self.call.as_ref().and_then(|call| call.take_order());
        let Some(order) = order else { return };
        self.is_answered = false;
        let ask = Ask {
            method: &order.method,
            target: &order.target,
            host: &order.host,
            fields: &order.fields,
            expects_continue: order.expects_continue,
        };
        if let Err(error) = self.machine.send_request(&ask, order.body, room.now_ms, outbox) {
            self.fail(ClientError::Request(error));
        }
        self.has_unsent |= !outbox.is_empty();
    }

    /// Takes what has been given of the request's body.
    fn send_on(&mut self, outbox: &mut Outbox, room: &Room) {
        let Some(call) = &self.call else { return };
        if !self.machine.is_sending() || self.machine.awaits_continue() {
            return;
        }
        let mut sent = Ok(());
        for piece in call.take_pieces() {
            sent = sent.and_then(|()| self.machine.send_body(Piece::Shared(piece), outbox));
        }
        if sent.is_ok()
            && let Some(end) = call.take_end()
        {
            let named = end.iter().map(|(name, value)| (name.clone(), value.clone()));
            let trailers: Vec<_> = named.collect();
            sent = self.machine.end_body(&trailers, room.now_ms, outbox);
        }
        call.grant(STREAM_LOW_BYTES.saturating_sub(outbox.len()));
        self.has_unsent |= !outbox.is_empty();
        if let Err(error) = sent {
            self.fail(ClientError::Request(error));
        }
    }

    /// So much still waits to be sent: more of the request's body may be given. The server's time
    /// begins when nothing does.
    pub(super) fn sent(&mut self, waiting_bytes: usize, room: &Room) {
        if waiting_bytes == 0 && std::mem::take(&mut self.has_unsent) {
            self.machine.sent(room.now_ms);
        }
        if self.machine.is_sending()
            && !self.machine.awaits_continue()
            && let Some(call) = &self.call
        {
            call.grant(STREAM_LOW_BYTES.saturating_sub(waiting_bytes));
        }
    }

    /// Whether the end of a send is waited for.
    pub(super) fn awaits_sent(&self) -> bool {
        self.has_unsent || self.machine.is_sending()
    }

    /// The answer is complete: the connection waits for the next request, if it may. It may not where
    /// the answer came before the request had gone: nobody knows whether the server reads on.
    fn rest(&mut self, room: &Room) {
        if self.machine.is_idle() && self.call.take().is_some() {
            self.is_over = self.has_unsent || !room.requests.desk.put_idle(&self.line);
        }
    }

    pub(super) fn end_of_stream(&mut self) {
        if let Some(error) = self.broken {
            return self.end_broken(error);
        }
        match self.machine.end_of_stream() {
            Ok(ReplyEnd::Clean) => self.finish(),
            Ok(ReplyEnd::BodyEnd) => {
                if let Some(pipe) = self.pipe.take() {
                    pipe.end(HeaderMap::new());
                }
                self.is_answered = true;
                self.finish();
            }
            Err(fault) => self.fail(ClientError::of(fault)),
        }
    }

    /// Nothing more is to happen here: nobody finds this connection at rest any more.
    fn finish(&mut self) {
        self.is_over = true;
        self.line.shared.desk.forget(&self.line);
    }

    /// Nothing more of the answer comes.
    fn fail(&mut self, error: ClientError) {
        self.finish();
        if let Some(call) = &self.call {
            call.fail(error);
        }
        if let Some(pipe) = self.pipe.take() {
            pipe.fail(BodyError::Gone);
        }
    }

    /// A send failed; what has come by then is read still. Whether there is something to wait for.
    pub(super) fn send_failed(&mut self, now_ms: u64) -> bool {
        self.has_unsent = false;
        self.machine.stop_sending(now_ms);
        self.call.is_some() && !self.is_over
    }

    /// The system ends the connection, because of this. What has come by then is read still, at the
    /// pace of whoever takes it, and the end is told behind it.
    pub(super) const fn broken_by(&mut self, error: EngineError) {
        self.broken = Some(error);
    }

    fn end_broken(&mut self, error: EngineError) {
        let is_waiting = self.call.is_some() && self.pipe.is_none() && !self.machine.has_begun();
        // It may have been closed while it was at rest: that is for whoever asked to judge.
        let error = match is_waiting && error.errno().is_some() {
            true => ClientError::Malformed(ReplyFault::NoAnswer),
            false => ClientError::Broken(error),
        };
        self.fail(error);
    }

    /// The connection ends, because this time is over.
    pub(super) fn late(&mut self, limit: &'static str) {
        self.fail(ClientError::TimedOut(limit));
    }

    pub(super) fn next_deadline_ms(&self) -> Option<u64> {
        let deadline_ms = self.machine.next_deadline_ms(self.line.settings.machine());
        deadline_ms.filter(|_| !self.has_unsent)
    }

    pub(super) fn on_deadline(&mut self, _who: Who, outbox: &mut Outbox, room: &Room) {
        match self.machine.on_deadline(room.now_ms, self.line.settings.machine()) {
            ReplyDeadline::None => {}
            ReplyDeadline::CloseIdle => self.finish(),
            ReplyDeadline::SendBody => self.send_on(outbox, room),
            ReplyDeadline::Fault(fault) => self.fail(ClientError::of(fault)),
        }
    }

    /// The time in which nothing was received was this side's.
    pub(super) fn resume(&mut self, now_ms: u64) {
        self.machine.resume(now_ms);
    }

    /// Takes no further request: one at rest ends.
    pub(super) fn drain(&mut self) {
        if self.line.shared.desk.is_idle(&self.line) {
            self.finish();
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether the server is to notice that nobody reads its answer.
    pub(super) fn wants_reset(&self) -> bool {
        self.call.is_some() && !self.is_answered
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.pipe.as_ref().map_or(0, |pipe| pipe.bytes_held())
    }

    /// The connection is gone.
    pub(super) fn abandon(&mut self) {
        self.fail(ClientError::Ended);
        self.line.end();
    }
}
