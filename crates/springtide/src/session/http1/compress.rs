//! Replies that are compressed on their way: who takes that, and what it makes of a response.
//! It reads one field of a request, and only where the server compresses.

use springtide_proto::Outbox;
use springtide_proto::http1::Exchange;

use super::{Http1, otherwise};
use crate::executor::Origin;
use crate::files::{self, Asker};
use crate::limits::COMPRESS_BYTES_MIN;
use crate::request::RequestData;
use crate::response::Response;
use crate::room::Room;
use crate::session::Who;
use crate::table::Place;

/// Where the answer to a request comes from and goes to.
pub(super) fn origin(data: &RequestData, who: Who, room: &Room) -> Origin {
    let takes_gzip = room.compressing.is_some().then(|| {
        let accepted = otherwise::joined(data, "accept-encoding");
        files::takes_gzip(accepted.as_deref())
    });
    origin_of(data, who, takes_gzip)
}

/// The same where it is known already whether the client takes gzip.
#[inline]
pub(super) fn origin_of(data: &RequestData, who: Who, takes_gzip: Option<bool>) -> Origin {
    #[expect(clippy::cast_possible_truncation, reason = "a server has no 2^32 routes")]
    let route = data.route as u32;
    Origin { connection: who.place, route, takes_gzip }
}

impl Http1 {
    /// A file is awaited for a client that takes gzip, or does not.
    pub(super) fn await_file(&mut self, exchange: Exchange, origin: Origin) {
        if origin.takes_gzip == Some(true) {
            self.busy().gzip.push(exchange);
        }
    }

    /// Where a file that was awaited goes to.
    pub(super) fn origin_of_file(&mut self, asker: &Asker, room: &Room) -> Origin {
        let takes_gzip = room.compressing.is_some().then(|| {
            let gzip = self.busy.as_mut().map(|busy| &mut busy.gzip);
            let found = gzip.and_then(|gzip| {
                let position = gzip.iter().position(|own| *own == asker.exchange)?;
                Some(gzip.swap_remove(position))
            });
            found.is_some()
        });
        let connection = Place::from_raw(asker.connection);
        Origin { connection, route: u32::MAX, takes_gzip }
    }

    /// Answers with what a handler gave.
    #[inline]
    pub(super) fn answer_any(
        &mut self,
        exchange: Exchange,
        origin: Origin,
        response: &mut Response,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let may_gain = origin.takes_gzip.is_some() && response.body().len() > COMPRESS_BYTES_MIN;
        if may_gain || response.is_special() {
            self.answer_specially(exchange, origin, response, outbox, room);
        } else {
            self.answer(exchange, response, outbox, room);
        }
    }

    /// Answers with a response that is compressed, perhaps, or produced.
    #[inline(never)]
    fn answer_specially(
        &mut self,
        exchange: Exchange,
        origin: Origin,
        response: &mut Response,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        if response.upgrade().is_some() {
            return self.accept(exchange, origin, response, outbox, room);
        }
        let compressing = room.compressing.as_mut().zip(origin.takes_gzip);
        let gzip = compressing.and_then(|(own, is_taken)| own.prepare(response, is_taken));
        if response.body_stream().is_some() {
            self.begin_stream(exchange, origin, response, gzip, outbox, room);
        } else {
            self.answer(exchange, response, outbox, room);
        }
    }
}
