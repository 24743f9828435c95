//! What the handler of a WebSocket says to its own connection, until its session takes it.
//! It calls nobody, and is never borrowed while code of the application runs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use bytes::Bytes;
use springtide_proto::websocket::CloseFrame;

use super::coders::Coders;
use super::message::Message;
use super::writer::Piece;
use crate::metrics::Counts;
use crate::peer::{Peer, PeerStatus};
use crate::request::Shared;
use crate::task::Ask;

/// What is said to a WebSocket.
pub(crate) enum Said {
    Message(Message),
    Ping(Bytes),
    Close(CloseFrame),
    /// Of a message that has begun.
    Piece(Piece),
    /// Nothing more comes of the message of this name.
    Cut(u64),
}

impl Said {
    /// Nobody is there any more whom it could be said to.
    pub(crate) const fn count_lost(&self, counts: &mut Counts) {
        if matches!(self, Self::Message(_)) {
            counts.messages_dropped += 1;
        }
    }
}

/// The desk of a shard.
#[derive(Default)]
pub(crate) struct Desk {
    /// Whose handler runs.
    handling: Cell<Option<Peer>>,
    /// What it has said to its own connection.
    own: RefCell<VecDeque<Said>>,
    /// How many messages were sent in pieces.
    streams: Cell<u64>,
    /// What compresses and inflates messages.
    pub(crate) coders: RefCell<Coders>,
}

/// Room for so much is kept.
const KEPT_MAX: usize = 64;

impl Desk {
    /// The handler of this connection runs until that is said of none.
    #[inline]
    pub(crate) fn handles(&self, peer: Option<Peer>) {
        self.handling.set(peer);
    }

    /// The name of a message that is sent in pieces.
    pub(super) fn name_stream(&self) -> u64 {
        self.streams.update(|count| count + 1);
        self.streams.get()
    }

    /// What its handler has said, in order. Behind the last the room for more than a few goes back.
    #[inline]
    pub(crate) fn next_own(&self) -> Option<Said> {
        let mut own = self.own.borrow_mut();
        if let Some(said) = own.pop_front() {
            return Some(said);
        }
        if own.capacity() > KEPT_MAX {
            *own = VecDeque::new();
        }
        None
    }

    /// Something is said: its own session takes it behind the handler, any other in its order. So does
    /// its own, once something waits there: nothing passes what was said before.
    #[inline]
    pub(super) fn say(&self, peer: Peer, said: Said, shared: &Shared) {
        let places = &shared.tasks.places;
        if matches!(said, Said::Close(_)) && places.status(peer) == PeerStatus::Open {
            // Whoever looks sees it at once.
            places.stand(places.find(peer), PeerStatus::Closing);
        }
        let is_own = self.handling.get().is_some_and(|own| own.id() == peer.id());
        if is_own && !shared.tasks.has_orders() {
            return self.own.borrow_mut().push_back(said);
        }
        shared.tasks.say(peer, Ask::Say(said));
    }
}
