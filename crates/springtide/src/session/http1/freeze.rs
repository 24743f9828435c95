//! An HTTP/1.1 session as plain data: the machine, the request that is arriving, files being sent.
//! It must never forget an exchange: whoever was to get a reply still gets it.

use springtide_proto::Outbox;
use springtide_proto::http1::{Exchange, Frozen, Machine};

use super::{Busy, Http1, Reading, Target};
use crate::access::Begun;
use crate::executor::apart;
use crate::files::{Asker, FrozenAsk, FrozenStream};
use crate::problem::Form;
use crate::request::FrozenRequest;
use crate::room::Room;
use crate::session::{Share, Who};
use crate::table::Place;

/// A frozen session.
#[derive(Debug)]
pub(crate) struct FrozenHttp1 {
    machine: Frozen,
    /// The request whose body is arriving, and what of it is there.
    reading: Option<(Exchange, FrozenRequest, Vec<u8>)>,
    /// Files that are sent piece by piece, in the order of their replies.
    streams: Vec<(Exchange, FrozenStream)>,
    /// Requests that wait for a file.
    asks: Vec<FrozenAsk>,
    /// Requests whose futures, or the middleware that was to see their replies, could not be frozen:
    /// they are answered with a 503, or cut where a body was being produced.
    refused: Vec<Exchange>,
    /// A body was cut that the end of the connection ends.
    is_torn: bool,
    /// Exchanges whose errors are not said as text.
    forms: Vec<(Exchange, Form)>,
    /// Lines of the access log that are not complete.
    logged: Vec<Begun>,
}

impl FrozenHttp1 {
    pub(crate) fn streams(&self) -> impl Iterator<Item = &FrozenStream> {
        self.streams.iter().map(|(_, stream)| stream)
    }
}

impl Http1 {
    /// Whether everything it is made of can go to another shard: not while a file is sent that
    /// other connections read from too, nor while a future or the pool makes a reply, or middleware
    /// waits for one.
    pub(crate) fn is_movable(&self, room: &mut Room) -> bool {
        let Some(busy) = &self.busy else { return true };
        let mut streams = busy.streams.iter();
        let is_kept = busy.accepted.is_some();
        let is_unseen = !is_kept && busy.finishes.is_empty() && busy.waiting.is_empty();
        is_unseen && streams.all(|(_, stream)| room.files.is_sole(*stream))
    }

    /// Withdraws what it waits for: an answer could be a file that others are sent too.
    pub(crate) fn hold(&mut self, place: Place, room: &mut Room) {
        let asks = room.files.withdraw(place.raw());
        if !asks.is_empty() {
            self.busy().asks = asks;
        }
    }

    /// Whether nothing is in flight for it.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.busy.as_ref().is_none_or(|busy| !busy.is_asked)
    }

    /// The session as plain data; what it waited for was withdrawn.
    pub(crate) fn freeze(self, mut asks: Vec<FrozenAsk>, room: &mut Room) -> FrozenHttp1 {
        let Self { machine, share: _, busy } = self;
        // What a pipe still holds is of a body that is cut.
        let Busy {
            reading,
            untaken: _,
            streams,
            is_asked: _,
            asks: withdrawn,
            waiting,
            pipes: _,
            is_torn,
            finishes,
            forms,
            logged,
            accepted,
            // A file that is asked for again comes as it is.
            gzip: _,
        } = busy.map_or_else(Busy::default, |busy| *busy);
        Self::forget_accepted(accepted);
        asks.extend(withdrawn);
        let mut refused: Vec<_> = waiting.into_iter().map(|(exchange, _)| exchange).collect();
        // Functions belong to their shard, and without them a reply would leave unseen.
        let unseen = finishes.iter().map(|(exchange, _)| *exchange);
        let unseen: Vec<_> = unseen.filter(|exchange| !refused.contains(exchange)).collect();
        asks.retain(|ask| !unseen.contains(&ask.exchange()));
        // The body of a future goes with that.
        let reading = reading.and_then(|Reading { exchange, target }| {
            let Target::Whole { mut data, body } = target else { return None };
            // What came at once stands there.
            let came = std::mem::take(&mut data.body);
            let body = if body.is_empty() { came.into() } else { body };
            let request = data.freeze();
            room.requests.put(data);
            (!unseen.contains(&exchange)).then_some((exchange, request, body))
        });
        refused.extend(unseen);
        apart(|| drop(finishes));
        let streams = streams
            .into_iter()
            .filter_map(|(exchange, stream)| Some((exchange, room.files.freeze_stream(stream)?)));
        let (machine, streams) = (machine.freeze(), streams.collect());
        FrozenHttp1 { machine, reading, streams, asks, refused, is_torn, forms, logged }
    }

    /// The session that was frozen. It asks for the next piece of a file when it is told that
    /// there is room ([`Self::pump`]).
    pub(crate) fn thaw(
        frozen: FrozenHttp1,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> Self {
        let FrozenHttp1 { machine, reading, streams, asks, refused, is_torn, forms, logged } =
            frozen;
        let asker = |exchange| Asker { connection: who.place.raw(), exchange };
        let mut own = Self { machine: Machine::thaw(machine), share: Share::default(), busy: None };
        if is_torn || !(forms.is_empty() && logged.is_empty()) {
            let busy = own.busy();
            (busy.is_torn, busy.forms, busy.logged) = (is_torn, forms, logged);
        }
        if let Some((exchange, request, body)) = reading {
            let mut data = room.requests.take();
            data.thaw(request, who.socket);
            own.busy().reading = Some(Reading { exchange, target: Target::Whole { data, body } });
        }
        for (exchange, stream) in streams {
            let stream = room.files.thaw_stream(stream, asker(exchange));
            own.busy().streams.push_back((exchange, stream));
        }
        for ask in asks {
            let exchange = ask.exchange();
            let reply = {
                let mut engine = room.requests.engine.borrow_mut();
                room.files.ask_again(&mut **engine, ask, asker(exchange))
            };
            if let Some(reply) = reply {
                let origin = own.origin_of_file(&asker(exchange), room);
                own.file_reply(exchange, origin, reply, outbox, room);
            }
        }
        for exchange in refused {
            own.machine.discard_body(exchange, &room.limits.http1);
            own.refuse_late(exchange, outbox, room);
        }
        own
    }
}
