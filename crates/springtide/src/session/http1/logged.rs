//! Exchanges of a server that keeps an access log, or counts what an address asks for: a line each,
//! however late it is answered. Nothing here runs without one or the other.

use http::StatusCode;
use springtide_proto::Outbox;
use springtide_proto::http1::{BodyLength, Exchange};

use super::{Http1, said};
use crate::request::RequestData;
use crate::room::Room;
use crate::session::Who;

/// The status of what nobody answered before its connection ended.
const NOBODY: u16 = 499;

impl Http1 {
    /// Begins the line of an exchange. Whether its address may ask for so much; it is answered when
    /// not.
    #[inline(never)]
    pub(super) fn admits(
        &mut self,
        exchange: Exchange,
        data: &RequestData,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> bool {
        self.keep_line(room);
        let now_ms = room.now_ms;
        if let Some(log) = room.log_now() {
            log.begin(exchange.number(), data, who.place, now_ms);
        }
        let Err(seconds) = room.takes_request(who.place, who.socket, data) else { return true };
        if data.head.body != BodyLength::None {
            self.machine.discard_body(exchange, &room.limits.http1);
        }
        let reply = said(StatusCode::TOO_MANY_REQUESTS);
        let mut reply = reply.header(http::header::RETRY_AFTER, seconds.to_string());
        self.answer(exchange, &mut reply, outbox, room);
        false
    }

    /// Keeps the line of the exchange before, if it was not answered at once.
    #[inline(never)]
    pub(super) fn keep_line(&mut self, room: &mut Room) {
        if let Some(begun) = room.log.as_mut().and_then(|log| log.take_open()) {
            self.busy().logged.push(begun);
        }
    }

    /// An exchange is answered.
    #[inline(never)]
    pub(super) fn log(&mut self, exchange: Exchange, status: u16, bytes: u64, room: &mut Room) {
        let now_ms = room.now_ms;
        let Some(log) = &mut room.log else { return };
        if log.is_open(exchange.number()) {
            return log.end_open(status, bytes, now_ms);
        }
        let Some(busy) = &mut self.busy else { return };
        let found = busy.logged.iter().position(|begun| begun.exchange() == exchange.number());
        if let Some(found) = found {
            log.end(&busy.logged.swap_remove(found), status, bytes, now_ms);
            self.rest();
        }
    }

    /// The connection has ended before these were answered.
    pub(super) fn log_rest(&mut self, room: &mut Room) {
        let (Some(log), Some(busy)) = (&mut room.log, &mut self.busy) else { return };
        for begun in busy.logged.drain(..) {
            log.end(&begun, NOBODY, 0, room.now_ms);
        }
    }
}
