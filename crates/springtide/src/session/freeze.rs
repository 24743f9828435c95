//! Sessions as plain data, of any kind.
//! It decides nothing about any of them.

use springtide_proto::{Outbox, framed};

use super::http1::{FrozenHttp1, Http1};
use super::peered::Peered;
use super::{Detecting, Framed, Messaging, Other, Proxied, Session, Tunnel, Who};
use crate::files::{FrozenAsk, FrozenStream};
use crate::peer::Peer;
use crate::room::Room;
use crate::table::Place;

/// A frozen session.
#[derive(Debug)]
pub(crate) enum FrozenSession {
    Http1(Box<FrozenHttp1>),
    /// What the application holds of it stays at the desk of its shard.
    Peered,
    /// The same of a WebSocket, with its handler.
    Messaging,
    Framed(Box<framed::Frozen>),
    Detecting(Detecting),
    Proxied(Box<Proxied>),
    /// Its future could not be frozen: the connection is cut.
    Cut,
    /// A client's: who waits for it is gone, so that its connection is only closed.
    Upstream,
}

impl FrozenSession {
    /// The files it sends, which are open.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &FrozenStream> {
        let http1 = match self {
            Self::Http1(session) => Some(session.streams()),
            _ => None,
        };
        http1.into_iter().flatten()
    }
}

impl Session {
    /// Whether everything it is made of can go to another shard now.
    pub(crate) fn is_movable(&self, room: &mut Room) -> bool {
        match self {
            Self::Http1(session) => session.is_movable(room),
            Self::Other(Other::Framed(session)) => session.is_movable(),
            Self::Other(Other::Detecting(_) | Other::Proxied(_)) => true,
            Self::Other(_) => false,
        }
    }

    /// Everything it is made of is to go: what it waits for is withdrawn.
    pub(crate) fn hold(&mut self, place: Place, room: &mut Room) {
        match self {
            Self::Http1(session) => session.hold(place, room),
            Self::Other(_) => {}
        }
    }

    /// Whether nothing is in flight for it.
    pub(crate) fn is_at_rest(&self) -> bool {
        match self {
            Self::Http1(session) => session.is_at_rest(),
            Self::Other(_) => true,
        }
    }

    /// The session as plain data; what it waited for was withdrawn.
    pub(crate) fn freeze(self, peer: Peer, asks: Vec<FrozenAsk>, room: &mut Room) -> FrozenSession {
        match self {
            Self::Http1(session) => FrozenSession::Http1(Box::new(session.freeze(asks, room))),
            Self::Other(Other::Framed(session)) => FrozenSession::Framed(session.freeze()),
            Self::Other(Other::Detecting(session)) => FrozenSession::Detecting(session),
            Self::Other(Other::Proxied(session)) => FrozenSession::Proxied(session),
            Self::Other(Other::Peered(session)) => {
                room.requests.tasks.places.freeze(peer, session);
                FrozenSession::Peered
            }
            Self::Other(Other::Messaging(session)) => {
                room.requests.tasks.places.freeze_socket(peer, session);
                FrozenSession::Messaging
            }
            Self::Other(Other::Tunnel(_)) => FrozenSession::Cut,
            Self::Other(Other::Upstream(mut session)) => {
                session.abandon();
                FrozenSession::Upstream
            }
            Self::Other(Other::Left) => FrozenSession::Upstream,
        }
    }

    fn thaw_peered(who: Who, room: &mut Room) -> Peered {
        let Some(session) = room.requests.tasks.places.thaw(who.id, who.place) else {
            return Peered::lost(room);
        };
        room.requests.topics.move_to(who.id, who.place);
        if let Some(future) = session.future()
            && let Some(waiting) = room.executor.get_mut(future)
        {
            waiting.connection = who.place;
        }
        session
    }

    fn thaw_socket(who: Who, room: &mut Room) -> Option<Messaging> {
        room.requests.topics.move_to(who.id, who.place);
        let session = room.requests.tasks.places.thaw_socket(who.id, who.place)?;
        session.arrive(who, room);
        Some(session)
    }

    /// The session that was frozen.
    pub(crate) fn thaw(
        frozen: FrozenSession,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> Self {
        match frozen {
            FrozenSession::Http1(frozen) => Self::Http1(Http1::thaw(*frozen, who, outbox, room)),
            FrozenSession::Peered => Self::Other(Other::Peered(Self::thaw_peered(who, room))),
            FrozenSession::Messaging => Self::Other(match Self::thaw_socket(who, room) {
                Some(session) => Other::Messaging(session),
                None => Other::Tunnel(Box::new(Tunnel::cut())),
            }),
            FrozenSession::Framed(frozen) => {
                Self::Other(Other::Framed(Box::new(Framed::thaw(*frozen, outbox, room))))
            }
            FrozenSession::Detecting(session) => Self::Other(Other::Detecting(session)),
            FrozenSession::Proxied(session) => Self::Other(Other::Proxied(session)),
            FrozenSession::Cut => Self::Other(Other::Tunnel(Box::new(Tunnel::cut()))),
            FrozenSession::Upstream => Self::Other(Other::Left),
        }
    }
}
