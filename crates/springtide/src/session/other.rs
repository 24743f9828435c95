//! Sessions that are not HTTP: most connections never have one, so one look tells them apart.
//! It decides nothing about any of them.

use springtide_proto::Outbox;
use springtide_proto::http1::Exchange;

use super::detecting::Detecting;
use super::framed::Framed;
use super::messaging::Messaging;
use super::peered::Peered;
use super::proxied::Proxied;
use super::tunnel::Tunnel;
use super::upstream::Upstream;
use super::{Session, Source, Step, Who};
use crate::executor::Origin;
use crate::peer::Reason;
use crate::response::Response;
use crate::room::Room;
use crate::session::http1::Http1;

/// A session of another kind.
pub(crate) enum Other {
    /// Pulls and pushes of the application.
    Peered(Peered),
    Framed(Box<Framed>),
    /// HTTP/1.1 or one of the above, as soon as its first bytes tell.
    Detecting(Detecting),
    /// HTTP/1.1 as soon as the header of a proxy has come.
    Proxied(Box<Proxied>),
    /// A WebSocket, which HTTP/1.1 has become.
    Messaging(Messaging),
    /// What HTTP/1.1 has become.
    Tunnel(Box<Tunnel>),
    /// The client's side, to another server.
    Upstream(Box<Upstream>),
    /// What was one before it was frozen: its connection is closed.
    Left,
}

impl Other {
    pub(super) fn end_of_stream(&mut self, unread: usize, who: Who, room: &Room) {
        match self {
            Self::Peered(session) => session.end_of_stream(unread, who, room),
            Self::Framed(session) => session.end_of_stream(),
            Self::Detecting(session) => session.end_of_stream(unread),
            Self::Proxied(session) => session.end(),
            Self::Messaging(session) => session.end_of_stream(),
            Self::Tunnel(session) => session.end_of_input(),
            Self::Upstream(session) => session.end_of_stream(),
            Self::Left => {}
        }
    }

    pub(super) fn drain(&mut self, who: Who, room: &Room) {
        match self {
            Self::Peered(session) => session.drain(who, room),
            Self::Framed(session) => session.drain(),
            Self::Detecting(session) => session.drain(),
            Self::Proxied(session) => session.end(),
            Self::Messaging(session) => session.drain(),
            Self::Tunnel(session) => session.end_of_input(),
            Self::Upstream(session) => session.drain(),
            Self::Left => {}
        }
    }

    pub(super) fn wants_close(&self) -> bool {
        match self {
            Self::Peered(session) => session.wants_close(),
            Self::Framed(session) => session.wants_close(),
            Self::Detecting(session) => session.wants_close(),
            Self::Proxied(session) => session.wants_close(),
            Self::Messaging(session) => session.wants_close(),
            Self::Tunnel(session) => session.wants_close(),
            Self::Upstream(session) => session.is_over(),
            Self::Left => true,
        }
    }

    pub(super) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        match self {
            Self::Left => None,
            Self::Peered(session) => session.next_deadline_ms(room),
            Self::Framed(session) => session.next_deadline_ms(room),
            Self::Detecting(session) => session.next_deadline_ms(room),
            Self::Proxied(session) => session.next_deadline_ms(room),
            Self::Messaging(session) => session.next_deadline_ms(room),
            Self::Tunnel(session) => session.next_deadline_ms(room),
            Self::Upstream(session) => session.next_deadline_ms(),
        }
    }

    pub(super) fn on_deadline(&mut self, who: Who, outbox: &mut Outbox, room: &mut Room) {
        match self {
            Self::Left => {}
            Self::Peered(session) => session.on_deadline(room),
            Self::Framed(session) => session.on_deadline(room),
            Self::Detecting(session) => session.on_deadline(room),
            Self::Proxied(session) => session.on_deadline(room),
            Self::Messaging(session) => session.on_deadline(outbox, room),
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
        match self {
            Self::Framed(session) => session.resume(now_ms),
            Self::Messaging(session) => session.resume(now_ms),
            Self::Upstream(session) => session.resume(now_ms),
            Self::Peered(_)
            | Self::Detecting(_)
            | Self::Proxied(_)
            | Self::Tunnel(_)
            | Self::Left => {}
        }
    }

    pub(super) fn abandon(&mut self, who: Who, room: &mut Room) {
        room.requests.topics.end(who.id);
        match self {
            Self::Peered(session) => session.abandon(who, room),
            Self::Framed(session) => session.abandon(room),
            Self::Messaging(session) => session.abandon(who, room),
            Self::Tunnel(session) => session.abandon(room),
            Self::Upstream(session) => session.abandon(),
            Self::Detecting(_) | Self::Proxied(_) | Self::Left => {}
        }
    }

    pub(super) fn sent(&mut self, waiting_bytes: usize, who: Who, room: &mut Room) {
        match self {
            Self::Peered(session) => session.sent(waiting_bytes, who, room),
            Self::Tunnel(session) => session.sent(waiting_bytes, room),
            Self::Upstream(session) => session.sent(waiting_bytes, room),
            Self::Messaging(session) => session.sent(waiting_bytes, who.peer(), room),
            Self::Framed(_) | Self::Detecting(_) | Self::Proxied(_) | Self::Left => {}
        }
    }

    pub(super) fn awaits_sent(&self) -> bool {
        match self {
            Self::Tunnel(_) => true,
            Self::Peered(session) => session.awaits_sent(),
            Self::Messaging(session) => session.has_waiting() || session.wants_close(),
            Self::Upstream(session) => session.awaits_sent(),
            session => session.wants_close(),
        }
    }

    pub(super) fn wants_reset(&self) -> bool {
        match self {
            Self::Peered(session) => session.is_broken(),
            Self::Tunnel(session) => session.wants_reset(),
            Self::Upstream(session) => session.wants_reset(),
            Self::Framed(_)
            | Self::Detecting(_)
            | Self::Messaging(_)
            | Self::Proxied(_)
            | Self::Left => false,
        }
    }

    pub(super) fn wants_bulk(&self) -> bool {
        match self {
            Self::Peered(session) => session.wants_bulk(),
            Self::Messaging(session) => session.wants_bulk(),
            _ => false,
        }
    }

    #[inline]
    pub(super) fn expects_long(&self, room: &Room) -> bool {
        match self {
            Self::Peered(session) => session.expects_long(room),
            Self::Messaging(session) => session.expects_long(),
            _ => false,
        }
    }

    pub(super) fn lend_bulk(&mut self, room: &mut Room) -> Option<(Vec<u8>, usize)> {
        match self {
            Self::Peered(session) => session.lend_bulk(room),
            Self::Messaging(session) => session.lend_bulk(room),
            _ => None,
        }
    }

    pub(super) fn receive_bulk(
        &mut self,
        memory: Vec<u8>,
        before: usize,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> Vec<u8> {
        match self {
            Self::Peered(session) => session.receive_bulk(memory, before, room),
            Self::Messaging(session) => session.receive_bulk(memory, before, who, outbox, room),
            _ => Vec::new(),
        }
    }

    pub(super) fn end_bulk(&mut self, who: Who, room: &Room) {
        if let Self::Peered(session) = self {
            session.end_bulk(who, room);
        }
    }

    pub(super) fn bytes_held(&self) -> usize {
        match self {
            Self::Peered(session) => session.bytes_held(),
            Self::Framed(session) => session.bytes_held(),
            Self::Messaging(session) => session.bytes_held(),
            Self::Tunnel(session) => session.bytes_held(),
            Self::Upstream(session) => session.bytes_held(),
            Self::Detecting(_) | Self::Proxied(_) | Self::Left => 0,
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
            Self::Other(Other::Peered(session)) => return session.receive(source, who, room),
            Self::Other(Other::Framed(session)) => {
                return session.receive(source, who, outbox, room);
            }
            Self::Other(Other::Messaging(session)) => {
                return session.receive(source, who, outbox, room);
            }
            Self::Other(Other::Tunnel(session)) => return session.receive(source, room),
            Self::Other(Other::Upstream(session)) => {
                return session.receive(source.bytes(), outbox, room);
            }
            Self::Other(Other::Left) => return (0, Step::Closed),
            Self::Other(Other::Detecting(_)) => {
                return self.receive_first(source, who, outbox, room);
            }
            Self::Other(Other::Proxied(session)) => session.receive(source.bytes(), who, room),
        };
        match received {
            Ok(consumed) => {
                *self = Self::Http1(Http1::new(room));
                room.met.counts().begin(self.spoken());
                if room.has_events {
                    room.tell_accepted(who, self.spoken());
                }
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

    /// Whether a peer's close waits to be answered, which has its time whatever has come behind it.
    pub(crate) fn is_asked(&self) -> bool {
        matches!(self, Self::Other(Other::Messaging(session)) if session.is_asked())
    }

    #[inline]
    pub(crate) const fn is_peered(&self) -> bool {
        matches!(self, Self::Other(Other::Peered(_)))
    }

    /// Whether a raw connection has ended its stream to its peer: when that ends its own, the system says
    /// that it is gone, though what it has said may be unread.
    pub(crate) const fn is_half_shut(&self) -> bool {
        matches!(self, Self::Other(Other::Peered(session)) if session.is_shut())
    }

    /// Whether the connection was made from here.
    pub(crate) const fn is_outgoing(&self) -> bool {
        match self {
            Self::Other(Other::Peered(session)) => session.is_outgoing(),
            session => session.is_client(),
        }
    }

    /// Whether it stays on its shard whatever it comes to.
    pub(crate) const fn is_bound(&self) -> bool {
        self.is_client()
            || matches!(
                self,
                Self::Other(Other::Tunnel(_) | Other::Peered(_) | Other::Messaging(_))
            )
    }

    /// Whether the connection is to end at once, whatever is unsent.
    #[inline]
    pub(crate) fn is_broken(&self) -> bool {
        match self {
            Self::Http1(_) => false,
            Self::Other(Other::Peered(session)) => session.is_broken(),
            Self::Other(session) => self.is_client() && session.wants_close(),
        }
    }

    /// A send failed; whether what the peer has said by then is read still.
    pub(crate) fn send_failed(&mut self, error: springtide_engine::Error, room: &Room) -> bool {
        match self {
            Self::Other(Other::Upstream(session)) => session.send_failed(room.now_ms),
            _ => {
                self.lose(Reason::of(error));
                false
            }
        }
    }

    /// The system ends the connection; whether what the peer has said by then is read still.
    pub(crate) fn broken_by(&mut self, error: springtide_engine::Error) -> bool {
        match self {
            Self::Other(Other::Upstream(session)) => {
                session.broken_by(error);
                true
            }
            _ => {
                self.lose(Reason::of(error));
                false
            }
        }
    }

    /// The connection is lost, where the application is told why; whether it is.
    pub(crate) fn lose(&mut self, reason: Reason) -> bool {
        match self {
            Self::Other(Other::Peered(session)) => session.break_for(reason),
            Self::Other(Other::Messaging(session)) => session.lose(reason),
            _ => return false,
        }
        true
    }

    /// The connection ends because the peer took nothing for so long.
    pub(crate) fn late(&mut self, limit: &'static str) {
        match self {
            Self::Other(Other::Upstream(session)) => session.late(limit),
            _ => _ = self.lose(Reason::TimedOut(limit)),
        }
    }

    /// The raw session, if it is one.
    #[inline]
    pub(crate) fn peered(&mut self) -> Option<&mut Peered> {
        if let Self::Other(Other::Peered(session)) = self { Some(session) } else { None }
    }

    /// The peer has said something that waits behind what it said before.
    pub(crate) fn heard(&mut self, room: &Room) {
        if let Some(session) = self.peered() {
            session.heard(room);
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
        let mut next = match session.take_accepted() {
            Some(accepted) => accepted.begin(who, outbox, room),
            // What was to have it could not be frozen.
            None => Other::Tunnel(Box::new(Tunnel::cut())),
        };
        if room.requests.desk.is_draining() {
            next.drain(who, room);
        }
        room.met.counts().leave(self.spoken());
        *self = Self::Other(next);
        room.met.counts().begin(self.spoken());
        let rest = Source::Joined(&source.bytes()[consumed..]);
        let (more, step) = self.receive_other(&rest, who, outbox, room);
        (consumed + more, step)
    }

    /// The session of a WebSocket, if it is one.
    #[inline]
    pub(crate) fn messaging(&mut self) -> Option<&mut Messaging> {
        if let Self::Other(Other::Messaging(session)) = self { Some(session) } else { None }
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
            Self::Other(Other::Peered(session)) => {
                let status = response.map(|response| response.status_code());
                room.counts.panics_total += u64::from(status.is_none());
                session.future_ended(crate::raw::reason_of(status));
            }
            Self::Other(Other::Framed(session)) => {
                room.counts.panics_total += u64::from(response.is_none());
                session.ended(exchange);
            }
            Self::Other(Other::Messaging(session)) => {
                let status = response.map(|response| response.status_code());
                session.future_ended(status, room);
            }
            Self::Other(_) => {}
        }
    }

    /// A future was dropped before its end.
    pub(crate) fn give_up(&mut self, exchange: Exchange) {
        match self {
            Self::Http1(session) => session.give_up(exchange),
            Self::Other(Other::Tunnel(session)) => session.give_up(exchange),
            Self::Other(Other::Framed(session)) => session.ended(exchange),
            Self::Other(_) => {}
        }
    }
}
