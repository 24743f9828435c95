//! Of which connections the events of a server were told, and what they are told next.
//! Whoever was not told of a connection hears nothing of it, and whoever was hears of its end once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use springtide_engine::Error;

use super::{Events, Failed, Operation, Protocol};
use crate::current;
use crate::executor::apart;
use crate::metrics::Protocol as Spoken;
use crate::peer::{Peer, PeerId, Reason};
use crate::room::Room;
use crate::session::Who;
use crate::task::Ready;
use crate::websocket::{CloseReason, Message, Socket};

/// The connections of a shard that its events were told of.
pub(crate) struct Told {
    events: Option<Arc<dyn Events>>,
    /// With what ends each, where that is known already.
    connections: RefCell<HashMap<PeerId, Option<Reason>>>,
}

/// Something that the events are to be told, in the order in which it happened.
pub(crate) enum Happened {
    Read(Bytes),
    Message(Message),
    Written(Spoken, usize),
    Closed(Spoken, Reason),
    SocketClosed(Box<CloseReason>),
    Failed(Failed),
    /// A callback has panicked in the middle of something else.
    Panicked,
}

impl Told {
    pub(crate) fn new(events: Option<Arc<dyn Events>>) -> Self {
        Self { events, connections: RefCell::default() }
    }

    /// Who is told.
    pub(crate) fn listener(&self) -> Option<&dyn Events> {
        self.events.as_deref()
    }

    /// Whether they were told of a connection, and not of its end.
    fn knows(&self, id: PeerId) -> bool {
        self.connections.borrow().contains_key(&id)
    }

    /// A connection goes elsewhere, or has ended: whether they knew of it, and by what it ends.
    pub(crate) fn take(&self, id: PeerId) -> Option<Option<Reason>> {
        self.connections.borrow_mut().remove(&id)
    }

    /// One has come from elsewhere.
    pub(crate) fn put(&self, id: PeerId, known: Option<Reason>) {
        if self.events.is_some() {
            self.connections.borrow_mut().insert(id, known);
        }
    }

    /// Tells what has happened; false when that panics.
    pub(crate) fn tell(&self, peer: Peer, happened: Happened) -> bool {
        let Some(events) = self.listener() else { return true };
        let (id, socket) = (peer.id(), Socket::new(peer));
        let called = apart(|| match happened {
            Happened::Read(bytes) => events.raw_read(peer, bytes),
            Happened::Message(message) => events.message(socket, message),
            Happened::Written(Spoken::Raw | Spoken::Framed, bytes) => {
                events.raw_written(peer, bytes);
            }
            Happened::Written(Spoken::WebSocket, bytes) => events.websocket_written(socket, bytes),
            Happened::Written(Spoken::Http | Spoken::Upgraded, bytes) => {
                events.http_written(id, bytes);
            }
            Happened::Closed(Spoken::Raw | Spoken::Framed, reason) => {
                events.raw_closed(peer, reason);
            }
            Happened::Closed(_, reason) => events.http_closed(id, reason),
            Happened::SocketClosed(reason) => events.websocket_closed(socket, *reason),
            Happened::Failed(failed) => events.failed(failed),
            Happened::Panicked => {}
        });
        called.is_some()
    }

    /// A raw connection has ended, and whoever else listens was told of that; false when that panics.
    pub(crate) fn tell_raw_closed(&self, peer: Peer, reason: Reason) -> bool {
        match self.take(peer.id()) {
            Some(_) => self.tell(peer, Happened::Closed(Spoken::Raw, reason)),
            None => true,
        }
    }
}

/// Calls the events of the shard that runs here.
pub(super) fn call(what: impl FnOnce(&dyn Events)) {
    if let Some(shared) = current::shard()
        && let Some(events) = shared.events.listener()
    {
        what(events);
    }
}

/// The same with what was begun for them and has failed.
pub(super) fn fail(operation: Operation, reason: Reason, name: u64) {
    let errno = match reason {
        Reason::System(error) => error.errno(),
        _ => None,
    };
    let failed = Failed { operation, reason, errno, peer: None, name: Some(name) };
    call(|events| events.failed(failed));
}

impl Room {
    /// It is known what is spoken on a connection that was accepted.
    #[cold]
    pub(crate) fn tell_accepted(&self, who: Who, spoken: Option<Spoken>) {
        let protocol = match spoken {
            Some(Spoken::Http) => Protocol::Http,
            Some(Spoken::Raw) => Protocol::Raw,
            Some(Spoken::Framed) => Protocol::Framed,
            Some(Spoken::WebSocket | Spoken::Upgraded) | None => return,
        };
        let told = &self.requests.events;
        told.put(who.id, None);
        let current = current::enter(&self.requests);
        let called = told.listener().map(|events| apart(|| events.accepted(who.peer(), protocol)));
        drop(current);
        if called == Some(None) {
            // It ends behind what is being done with it now.
            self.happens(who.peer(), Happened::Panicked);
        }
    }

    /// Something has happened to a connection that the events know of; they are told in this turn.
    pub(crate) fn happens(&self, peer: Peer, happened: Happened) {
        if self.requests.events.knows(peer.id()) {
            self.requests.tasks.tell(Ready::Happened(peer, happened));
        }
    }

    /// A connection ends for this reason, unless it was known before.
    pub(crate) fn blame(&self, id: PeerId, reason: Reason) {
        if self.has_events
            && let Some(known) = self.requests.events.connections.borrow_mut().get_mut(&id)
        {
            known.get_or_insert(reason);
        }
    }

    /// A connection has ended that is neither raw nor a WebSocket.
    #[cold]
    pub(crate) fn tell_closed(&self, peer: Peer, spoken: Spoken, reason: Reason) {
        if let Some(known) = self.requests.events.take(peer.id()) {
            let closed = Happened::Closed(spoken, known.unwrap_or(reason));
            self.requests.tasks.tell(Ready::Happened(peer, closed));
        }
    }

    /// A WebSocket has ended, and its handler is told of that before.
    pub(crate) fn tell_socket_closed(&self, peer: Peer, reason: CloseReason) {
        if self.has_events && self.requests.events.take(peer.id()).is_some() {
            let closed = Happened::SocketClosed(Box::new(reason));
            self.requests.tasks.tell(Ready::Happened(peer, closed));
        }
    }

    /// The system has refused what was asked of it, for a connection or for none. What was cancelled has
    /// not failed.
    pub(crate) fn fails(&self, operation: Operation, error: Error, peer: Option<Peer>) {
        let is_failure = !matches!(error, Error::Cancelled | Error::LateRefusal { .. });
        if !self.has_events || !is_failure {
            return;
        }
        let (reason, errno) = (Reason::of(error), error.errno());
        let id = peer.map(Peer::id);
        let failed = Happened::Failed(Failed { operation, reason, errno, peer: id, name: None });
        match peer {
            Some(peer) => self.happens(peer, failed),
            None => self.requests.tasks.tell(Ready::Happened(Peer::nobody(), failed)),
        }
    }

    /// A connect has ended without a connection: by the system, or because its time was over.
    pub(crate) fn connect_fails(&self, error: Error, late: Option<Reason>) {
        match late.filter(|_| self.has_events) {
            Some(reason) => {
                let operation = Operation::Connect;
                let failed = Failed { operation, reason, errno: None, peer: None, name: None };
                let failed = Ready::Happened(Peer::nobody(), Happened::Failed(failed));
                self.requests.tasks.tell(failed);
            }
            None => self.fails(Operation::Connect, error, None),
        }
    }
}
