//! The framed session: requests out of bytes, the handler called, replies into the outbox.
//! It never touches the socket, and decides nothing that the machine decides.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use springtide_proto::framed::{Codec, Exchange, Frozen, Machine, Received};
use springtide_proto::{Outbox, http1};

use super::{Session, Share, Source, Step, Who};
use crate::executor::{Origin, apart};
use crate::framed::{Answer, AwaitedHandler, Handler, Reply, Service};
use crate::request::Shared;
use crate::room::Room;
use crate::session::Other;
use crate::table::Place;

/// The session.
pub(crate) struct Framed {
    machine: Machine,
    share: Share,
    /// The handler, where it is one that is waited for.
    own: Option<AwaitedHandler>,
    /// What it waits in, by the names that they have here.
    futures: BTreeMap<u32, Place>,
    futures_begun: u32,
}

/// The route that futures and slow callbacks are told by: there is none.
const ROUTE: u32 = u32::MAX;

impl Framed {
    pub(crate) fn new(room: &Room) -> Self {
        Self::of(Machine::new(room.now_ms), room)
    }

    fn of(machine: Machine, room: &Room) -> Self {
        let service = room.requests.router.framed.as_ref();
        let own = service.and_then(|service| match &service.handler {
            Handler::Plain(_) => None,
            Handler::Awaited(make) => Some(make()),
        });
        let (share, futures) = Default::default();
        Self { machine, share, own, futures, futures_begun: 0 }
    }

    pub(super) fn receive(
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
        let Some(service) = &shared.router.framed else { return (0, Step::Closed) };
        let codec = &*service.codec;
        let step = loop {
            if self.share.is_spent(consumed) {
                break Step::More;
            }
            if outbox.len() + self.machine.held_bytes() > room.limits.outbox_bytes_max {
                break Step::Paused;
            }
            let rest = &bytes[consumed..];
            match self.machine.receive(rest, room.now_ms, codec, &room.limits.framed) {
                Ok(Received::NeedBytes { .. }) => break Step::NeedBytes,
                Ok(Received::Frame { consumed: length, payload, exchange }) => {
                    consumed += length;
                    self.share.add_exchange();
                    let request = Bytes::copy_from_slice(&rest[payload]);
                    let reply = Reply::new(&shared.answers, who.place, exchange);
                    self.begin(request, reply, service, who, room);
                    self.take_answers(codec, &shared, outbox, room);
                }
                Ok(Received::Skipped { consumed: length }) => consumed += length,
                Ok(Received::Paused) => break Step::Paused,
                Ok(Received::Closed) => break Step::Closed,
                Err(refusal) => self.machine.refuse(refusal, codec, outbox),
            }
        };
        self.share.add_bytes(consumed);
        (consumed, step)
    }

    /// Calls the handler, or begins its future. A panic in it has dropped the reply, no more.
    fn begin(
        &mut self,
        request: Bytes,
        reply: Reply,
        service: &Service,
        who: Who,
        room: &mut Room,
    ) {
        match (&service.handler, &self.own) {
            (Handler::Plain(handler), _) => {
                room.requests.answers.handles(Some(who.place));
                let called = room.watched(ROUTE as usize, |_| apart(|| handler(request, reply)));
                room.requests.answers.handles(None);
                room.counts.panics_total += u64::from(called.is_none());
            }
            (Handler::Awaited(_), Some(own)) => {
                let name = self.futures_begun;
                self.futures_begun = name.wrapping_add(1);
                let origin = Origin { connection: who.place, route: ROUTE, takes_gzip: None };
                let named = http1::Exchange::named(name);
                let place = room.executor.begin(origin, named, false, |_| own(request, reply));
                self.futures.insert(name, place);
            }
            (Handler::Awaited(_), None) => drop(reply),
        }
    }

    /// What the handler has answered, of this request and of those before.
    fn take_answers(
        &mut self,
        codec: &dyn Codec,
        shared: &Shared,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        while let Some((exchange, answer)) = shared.answers.take_own() {
            self.answer(exchange, answer, codec, outbox, room);
        }
    }

    fn answer(
        &mut self,
        exchange: Exchange,
        answer: Answer,
        codec: &dyn Codec,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        room.counts.requests_total += 1;
        let machine = &mut self.machine;
        let sent = match answer {
            Answer::Reply(payload) => {
                machine.send_reply(exchange, payload, room.now_ms, codec, outbox)
            }
            Answer::Last(payload) => machine.send_last(exchange, payload, codec, outbox),
            Answer::Nothing => {
                machine.send_nothing(exchange, room.now_ms, codec, outbox);
                Ok(())
            }
            Answer::Dropped => {
                machine.give_up(exchange, room.now_ms, codec, outbox);
                Ok(())
            }
        };
        if let Err(error) = sent {
            crate::report::error(format_args!("a reply cannot be sent: {error}"));
            machine.give_up(exchange, room.now_ms, codec, outbox);
        }
    }

    /// A future has ended, or was dropped: its replies were told of before.
    pub(super) fn ended(&mut self, named: http1::Exchange) {
        self.futures.remove(&named.number());
    }

    /// Requests that wait for their reply.
    pub(super) fn unanswered(&self) -> u32 {
        u32::try_from(self.machine.unanswered()).unwrap_or(u32::MAX)
    }

    /// The connection is gone: so are its futures.
    pub(super) fn abandon(&mut self, room: &mut Room) {
        room.executor.gone.extend(std::mem::take(&mut self.futures).into_values());
    }

    pub(super) const fn end_of_stream(&mut self) {
        self.machine.end_of_stream();
    }

    pub(super) fn drain(&mut self) {
        self.machine.drain();
    }

    pub(super) const fn resume(&mut self, now_ms: u64) {
        self.machine.resume(now_ms);
    }

    pub(super) fn wants_close(&self) -> bool {
        self.machine.wants_close()
    }

    pub(super) const fn bytes_held(&self) -> usize {
        self.machine.held_bytes()
    }

    pub(super) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        self.machine.next_deadline(&room.limits.framed)
    }

    pub(super) fn on_deadline(&mut self, room: &mut Room) {
        if self.machine.on_deadline(room.now_ms, &room.limits.framed).is_some() {
            room.counts.deadlines_total += 1;
        }
    }

    /// A reply is a function of its shard: who awaits one stays there.
    pub(super) fn is_movable(&self) -> bool {
        self.machine.unanswered() == 0 && self.futures.is_empty()
    }

    /// The session as plain data, without the replies that nobody has given.
    pub(super) fn freeze(self) -> Box<Frozen> {
        let Self { machine, share: _, own: _, futures: _, futures_begun: _ } = self;
        Box::new(machine.freeze())
    }

    /// The session that was frozen: requests that nobody had answered are given up.
    pub(super) fn thaw(frozen: Frozen, outbox: &mut Outbox, room: &Room) -> Self {
        let mut own = Self::of(Machine::thaw(frozen), room);
        if let Some(service) = &room.requests.router.framed {
            own.machine.give_up_all(room.now_ms, &*service.codec, outbox);
        }
        own
    }
}

impl Session {
    /// A request has got its answer, later or from elsewhere.
    pub(crate) fn answer_frame(
        &mut self,
        exchange: Exchange,
        answer: Answer,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let shared = Rc::clone(&room.requests);
        if let (Self::Other(Other::Framed(session)), Some(service)) = (self, &shared.router.framed)
        {
            session.answer(exchange, answer, &*service.codec, outbox, room);
        }
    }
}
