//! Sessions that are not HTTP: most connections never have one, so one look tells them apart.
//! It decides nothing about any of them.

use springtide_proto::Outbox;
use springtide_proto::http1::Exchange;

use super::proxied::Proxied;
use super::raw::Raw;
use super::tunnel::Tunnel;
use super::{Session, Source, Step, Who};
use crate::executor::Origin;
use crate::response::Response;
use crate::room::Room;
use crate::session::http1::Http1;

/// A session of another kind.
pub(crate) enum Other {
    Raw(Raw),
    /// HTTP/1.1 as soon as the header of a proxy has come.
    Proxied(Box<Proxied>),
    /// What HTTP/1.1 has become.
    Tunnel(Box<Tunnel>),
}

impl Other {
    pub(super) fn end_of_stream(&mut self) {
        match self {
            Self::Raw(session) => session.end_of_stream(),
            Self::Proxied(session) => session.end(),
            Self::Tunnel(session) => session.end_of_input(),
        }
    }

    pub(super) fn drain(&mut self) {
        match self {
            Self::Raw(session) => session.drain(),
            Self::Proxied(session) => session.end(),
            Self::Tunnel(session) => session.end_of_input(),
        }
    }

    pub(super) fn wants_close(&self) -> bool {
        match self {
            Self::Raw(session) => session.wants_close(),
            Self::Proxied(session) => session.wants_close(),
            Self::Tunnel(session) => session.wants_close(),
        }
    }

    pub(super) fn wants_reset(&self) -> bool {
        matches!(self, Self::Tunnel(session) if session.wants_reset())
    }

    pub(super) fn awaits_sent(&self) -> bool {
        matches!(self, Self::Tunnel(_)) || self.wants_close()
    }

    pub(super) fn sent(&mut self, waiting_bytes: usize, room: &mut Room) {
        if let Self::Tunnel(session) = self {
            session.sent(waiting_bytes, room);
        }
    }

    pub(super) fn bytes_held(&self) -> usize {
        match self {
            Self::Raw(_) | Self::Proxied(_) => 0,
            Self::Tunnel(session) => session.bytes_held(),
        }
    }

    pub(super) fn abandon(&mut self, room: &mut Room) {
        if let Self::Tunnel(session) = self {
            session.abandon(room);
        }
    }

    pub(super) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        match self {
            Self::Raw(_) => None,
            Self::Proxied(session) => session.next_deadline_ms(room),
            Self::Tunnel(session) => session.next_deadline_ms(room),
        }
    }

    pub(super) fn on_deadline(&mut self, room: &mut Room) {
        match self {
            Self::Raw(_) => {}
            Self::Proxied(session) => session.on_deadline(room),
            Self::Tunnel(session) => session.on_deadline(room),
        }
    }
}

impl Session {
    /// Handles what it can of the bytes, where it is none of HTTP; it may become one.
    #[inline(never)]
    pub(super) fn receive_other(
        &mut self,
        source: &Source<'_>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> (usize, Step) {
        let received = match self {
            Self::Http1(session) => return session.receive(source, who, outbox, room),
            Self::Other(Other::Raw(session)) => return session.receive(source, outbox, room),
            Self::Other(Other::Tunnel(session)) => return session.receive(source, room),
            Self::Other(Other::Proxied(session)) => session.receive(source.bytes(), who, room),
        };
        match received {
            Ok(consumed) => {
                *self = Self::Http1(Http1::new(room));
                let rest = Source::Joined(&source.bytes()[consumed..]);
                let (more, step) = self.receive(&rest, who, outbox, room);
                (consumed + more, step)
            }
            Err(step) => (0, step),
        }
    }

    /// The reply that ends HTTP on this connection has gone out: another session has it from here on,
    /// with what lies behind the request as the first it reads.
    #[cold]
    #[inline(never)]
    pub(super) fn hand_over(
        &mut self,
        consumed: usize,
        source: &Source<'_>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> (usize, Step) {
        let Self::Http1(session) = self else { return (consumed, Step::Closed) };
        let is_stopping = session.is_stopping();
        let tunnel = match session.take_accepted() {
            Some(accepted) => Tunnel::begin(accepted, who, room),
            // What was to have it could not be frozen.
            None => Tunnel::cut(),
        };
        if is_stopping {
            tunnel.end_of_input();
        }
        *self = Self::Other(Other::Tunnel(Box::new(tunnel)));
        let rest = Source::Joined(&source.bytes()[consumed..]);
        let (more, step) = self.receive_other(&rest, who, outbox, room);
        (consumed + more, step)
    }

    /// Whether [`Self::receive`] hands over, also where nothing was received.
    pub(crate) fn is_switched(&self) -> bool {
        matches!(self, Self::Http1(session) if session.is_switched())
    }

    /// A future has made what it is to send.
    pub(crate) fn pour(&mut self, exchange: Exchange, outbox: &mut Outbox, room: &Room) {
        match self {
            Self::Http1(session) => session.pour(exchange, outbox),
            Self::Other(Other::Tunnel(session)) => session.pour(exchange, outbox, room),
            Self::Other(_) => {}
        }
    }

    /// A future has ended, or the pool's work; none when it panicked.
    pub(crate) fn answer_late(
        &mut self,
        exchange: Exchange,
        origin: Origin,
        response: Option<Response>,
        outbox: &mut Outbox,
        room: &mut Room,
    ) {
        match self {
            Self::Http1(session) => session.answer_late(exchange, origin, response, outbox, room),
            Self::Other(Other::Tunnel(session)) => {
                session.ended(exchange, response.is_none(), outbox, room);
            }
            Self::Other(_) => {}
        }
    }

    /// A future was dropped before its end.
    pub(crate) fn give_up(&mut self, exchange: Exchange) {
        match self {
            Self::Http1(session) => session.give_up(exchange),
            Self::Other(Other::Tunnel(session)) => session.give_up(exchange),
            Self::Other(_) => {}
        }
    }
}
