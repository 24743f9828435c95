//! Sessions that are not HTTP: most connections never have one, so one look tells them apart.
//! It decides nothing about any of them.

use springtide_proto::Outbox;

use super::proxied::Proxied;
use super::raw::Raw;
use super::{Session, Source, Step, Who};
use crate::room::Room;
use crate::session::http1::Http1;

/// A session of another kind.
pub(crate) enum Other {
    Raw(Raw),
    /// HTTP/1.1 as soon as the header of a proxy has come.
    Proxied(Box<Proxied>),
}

impl Other {
    pub(super) fn end_of_stream(&mut self) {
        match self {
            Self::Raw(session) => session.end_of_stream(),
            Self::Proxied(session) => session.end(),
        }
    }

    pub(super) fn drain(&mut self) {
        match self {
            Self::Raw(session) => session.drain(),
            Self::Proxied(session) => session.end(),
        }
    }

    pub(super) fn wants_close(&self) -> bool {
        match self {
            Self::Raw(session) => session.wants_close(),
            Self::Proxied(session) => session.wants_close(),
        }
    }

    pub(super) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        match self {
            Self::Raw(_) => None,
            Self::Proxied(session) => session.next_deadline_ms(room),
        }
    }

    pub(super) fn on_deadline(&mut self, room: &mut Room) {
        match self {
            Self::Raw(_) => {}
            Self::Proxied(session) => session.on_deadline(room),
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
}
