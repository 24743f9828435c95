//! Replies that are none of an ordinary handler: those behind which a connection speaks another protocol
//! (RFC 9110 §7.8), and what is said where a handler gave nothing that can be sent.
//! It hands nothing over itself: that is done when the reply's turn has come.

use http::StatusCode;
use springtide_proto::http1::{Exchange, ReplyBody};
use springtide_proto::{Outbox, Piece};

use super::{Http1, failed, head_of, said};
use crate::executor::{Origin, apart};
use crate::response::{Response, Upgrade};
use crate::room::Room;
use crate::session::Accepted;

impl Http1 {
    /// The reply of a handler that gave none that can be sent, or one that ends HTTP.
    #[cold]
    #[inline(never)]
    pub(super) fn answer_failed(
        &mut self,
        exchange: Exchange,
        origin: Origin,
        given: Option<&Response>,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let form = room.requests.form_of_panic.take();
        if let Some(response) = given.filter(|given| given.is_reply()) {
            return self.accept(exchange, origin, response, outbox, room);
        }
        let mut response = form.put_on(failed(given, room));
        self.answer(exchange, &mut response, outbox, room);
    }

    /// Answers with a 101, if the request may have one.
    #[cold]
    pub(super) fn accept(
        &mut self,
        exchange: Exchange,
        origin: Origin,
        response: &Response,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        let may_switch = self.machine.may_switch(exchange);
        let mut successor = response.upgrade().and_then(Upgrade::take);
        let Some(successor) = successor.take_if(|_| may_switch) else {
            // What it captured is the application's.
            apart(|| drop(successor));
            crate::report::error(format_args!(
                "a handler cannot answer with {}: its request offers no upgrade, or has a body \
                 that was not taken, or the response was sent before",
                response.status_code()
            ));
            return self.answer(
                exchange,
                &mut said(StatusCode::INTERNAL_SERVER_ERROR),
                outbox,
                room,
            );
        };
        room.counts.requests_total += 1;
        self.log(exchange, response.status_code().as_u16(), 0, room);
        let nothing = ReplyBody::Full(Piece::Owned(Vec::new()));
        self.machine.send_reply(exchange, &head_of(response, room), nothing, outbox);
        self.busy().accepted = Some(Box::new(Accepted { exchange, origin, successor }));
    }

    /// Whether the reply has gone out behind which HTTP ends.
    pub(crate) fn is_switched(&self) -> bool {
        self.machine.is_switched()
    }

    /// What has the connection next.
    pub(crate) fn take_accepted(&mut self) -> Option<Accepted> {
        self.busy.as_mut().and_then(|busy| busy.accepted.take()).map(|accepted| *accepted)
    }

    /// Nobody has the connection next.
    pub(super) fn forget_accepted(accepted: Option<Box<Accepted>>) {
        // What it captured is the application's.
        apart(|| drop(accepted));
    }
}
