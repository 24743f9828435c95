//! Sessions that are not HTTP: most connections never have one, so one look tells them apart.
//! It decides nothing about any of them.

use springtide_proto::Outbox;

use super::proxied::Proxied;
use super::raw::Raw;
use super::upstream::Upstream;
use super::{Session, Source, Step, Who};
use crate::room::Room;
use crate::session::http1::Http1;

/// A session of another kind.
pub(crate) enum Other {
    Raw(Raw),
    /// HTTP/1.1 as soon as the header of a proxy has come.
    Proxied(Box<Proxied>),
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
            Self::Upstream(session) => session.end_of_stream(),
            Self::Left => {}
        }
    }

    pub(super) fn drain(&mut self) {
        match self {
            Self::Raw(session) => session.drain(),
            Self::Proxied(session) => session.end(),
            Self::Upstream(session) => session.drain(),
            Self::Left => {}
        }
    }

    pub(super) fn wants_close(&self) -> bool {
        match self {
            Self::Raw(session) => session.wants_close(),
            Self::Proxied(session) => session.wants_close(),
            Self::Upstream(session) => session.is_over(),
            Self::Left => true,
        }
    }

    pub(super) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        match self {
            Self::Raw(_) | Self::Left => None,
            Self::Proxied(session) => session.next_deadline_ms(room),
            Self::Upstream(session) => session.next_deadline_ms(),
        }
    }

    pub(super) fn on_deadline(&mut self, who: Who, outbox: &mut Outbox, room: &mut Room) {
        match self {
            Self::Raw(_) | Self::Left => {}
            Self::Proxied(session) => session.on_deadline(room),
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

    pub(super) fn abandon(&mut self) {
        if let Some(session) = self.upstream() {
            session.abandon();
        }
    }

    pub(super) fn sent(&self, waiting_bytes: usize) {
        if let Self::Upstream(session) = self {
            session.sent(waiting_bytes);
        }
    }

    pub(super) fn awaits_sent(&self) -> bool {
        match self {
            Self::Upstream(session) => session.awaits_sent(),
            session => session.wants_close(),
        }
    }

    pub(super) fn wants_reset(&self) -> bool {
        if let Self::Upstream(session) = self { session.wants_reset() } else { false }
    }

    pub(super) fn bytes_held(&self) -> usize {
        if let Self::Upstream(session) = self { session.bytes_held() } else { 0 }
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

    /// The system ends the connection.
    pub(crate) fn broken_by(&mut self, error: springtide_engine::Error) {
        if let Self::Other(Other::Upstream(session)) = self {
            session.broken_by(error);
        }
    }

    /// The connection ends because the peer took nothing for so long.
    pub(crate) fn late(&mut self, limit: &'static str) {
        if let Self::Other(Other::Upstream(session)) = self {
            session.late(limit);
        }
    }
}
