//! Sessions that are not HTTP: most connections never have one, so one look tells them apart.
//! It decides nothing about any of them.

use springtide_proto::Outbox;
use springtide_proto::http1::Exchange;

use super::proxied::Proxied;
use super::raw::Raw;
use super::tunnel::Tunnel;
use super::upstream::Upstream;
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
    /// The client's side, to another server.
    Upstream(Box<Upstream>),
    /// What was one before it was frozen: its connection is closed.
    Left,
}

impl Other {
    pub(super) fn end_of_stream(&mut self) {
        match self {
            Self::Raw(session) => session.end_of_stream(),
            Self::Proxied(session) => session.end(),
            Self::Tunnel(session) => session.end_of_input(),
            Self::Upstream(session) => session.end_of_stream(),
            Self::Left => {}
        }
    }

    pub(super) fn drain(&mut self) {
        match self {
            Self::Raw(session) => session.drain(),
            Self::Proxied(session) => session.end(),
            Self::Tunnel(session) => session.end_of_input(),
            Self::Upstream(session) => session.drain(),
            Self::Left => {}
        }
    }

    pub(super) fn wants_close(&self) -> bool {
        match self {
            Self::Raw(session) => session.wants_close(),
            Self::Proxied(session) => session.wants_close(),
            Self::Tunnel(session) => session.wants_close(),
            Self::Upstream(session) => session.is_over(),
            Self::Left => true,
        }
    }

    pub(super) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        match self {
            Self::Raw(_) | Self::Left => None,
            Self::Proxied(session) => session.next_deadline_ms(room),
            Self::Tunnel(session) => session.next_deadline_ms(room),
            Self::Upstream(session) => session.next_deadline_ms(),
        }
    }

    pub(super) fn on_deadline(&mut self, who: Who, outbox: &mut Outbox, room: &mut Room) {
        match self {
            Self::Raw(_) | Self::Left => {}
            Self::Proxied(session) => session.on_deadline(room),
            Self::Tunnel(session) => session.on_deadline(room),
            Self::Upstream(session) => session.on_deadline(who, outbox, room),
        }
    }

    fn upstream(&mut self) -> Option<&mut Upstream> {
        if let Self::Upstream(session) = self { Some(session) } else { None }
    }

    pub(super) fn read_on(&mut self, outbox: &mut Outbox, room: &Room) {
        if let Some(session) = self.upstream() {
            session.read_on(outbox, room);
        }
    }

    pub(super) fn resume(&mut self, now_ms: u64) {
        if let Some(session) = self.upstream() {
            session.resume(now_ms);
        }
    }

    pub(super) fn abandon(&mut self, room: &mut Room) {
        match self {
            Self::Tunnel(session) => session.abandon(room),
            Self::Upstream(session) => session.abandon(),
            Self::Raw(_) | Self::Proxied(_) | Self::Left => {}
        }
    }

    pub(super) fn sent(&mut self, waiting_bytes: usize, room: &mut Room) {
        match self {
            Self::Tunnel(session) => session.sent(waiting_bytes, room),
            Self::Upstream(session) => session.sent(waiting_bytes, room),
            Self::Raw(_) | Self::Proxied(_) | Self::Left => {}
        }
    }

    pub(super) fn awaits_sent(&self) -> bool {
        match self {
            Self::Tunnel(_) => true,
            Self::Upstream(session) => session.awaits_sent(),
            session => session.wants_close(),
        }
    }

    pub(super) fn wants_reset(&self) -> bool {
        match self {
            Self::Tunnel(session) => session.wants_reset(),
            Self::Upstream(session) => session.wants_reset(),
            Self::Raw(_) | Self::Proxied(_) | Self::Left => false,
        }
    }

    pub(super) fn bytes_held(&self) -> usize {
        match self {
            Self::Tunnel(session) => session.bytes_held(),
            Self::Upstream(session) => session.bytes_held(),
            Self::Raw(_) | Self::Proxied(_) | Self::Left => 0,
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
            Self::Other(Other::Upstream(session)) => {
                return session.receive(source.bytes(), outbox, room);
            }
            Self::Other(Other::Left) => return (0, Step::Closed),
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

    /// Whether this is the client's side, to another server.
    #[inline]
    pub(crate) const fn is_client(&self) -> bool {
        matches!(self, Self::Other(Other::Upstream(_) | Other::Left))
    }

    /// Whether it stays on its shard whatever it comes to.
    pub(crate) const fn is_bound(&self) -> bool {
        self.is_client() || matches!(self, Self::Other(Other::Tunnel(_)))
    }

    /// Whether the connection is to end at once, whatever is unsent.
    #[inline]
    pub(crate) fn is_broken(&self) -> bool {
        match self {
            Self::Http1(_) => false,
            Self::Other(session) => self.is_client() && session.wants_close(),
        }
    }

    /// A send failed; whether what the peer has said by then is read still.
    pub(crate) fn send_failed(&mut self, now_ms: u64) -> bool {
        match self {
            Self::Other(Other::Upstream(session)) => session.send_failed(now_ms),
            _ => false,
        }
    }

    /// The system ends the connection; whether what the peer has said by then is read still.
    pub(crate) fn broken_by(&mut self, error: springtide_engine::Error) -> bool {
        match self {
            Self::Other(Other::Upstream(session)) => {
                session.broken_by(error);
                true
            }
            _ => false,
        }
    }

    /// The connection ends because the peer took nothing for so long.
    pub(crate) fn late(&mut self, limit: &'static str) {
        if let Self::Other(Other::Upstream(session)) = self {
            session.late(limit);
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
        let tunnel = match session.take_accepted() {
            Some(accepted) => Tunnel::begin(accepted, who, room),
            // What was to have it could not be frozen.
            None => Tunnel::cut(),
        };
        if room.requests.desk.is_draining() {
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
