//! What the handler of a WebSocket says to its own connection, until its session takes it.
//! It calls nobody, and is never borrowed while code of the application runs.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use springtide_proto::websocket::CloseFrame;

use super::message::Message;
use crate::peer::Peer;
use crate::request::Shared;
use crate::task::Ask;

/// What is said to a WebSocket.
pub(crate) enum Said {
    Message(Message),
    Ping(Bytes),
    Close(CloseFrame),
}

/// The desk of a shard.
#[derive(Default)]
pub(crate) struct Desk {
    /// Whose handler runs.
    handling: Cell<Option<Peer>>,
    /// What it has said to its own connection.
    own: RefCell<Vec<Said>>,
}

/// Room for so much is kept.
const KEPT_MAX: usize = 64;

impl Desk {
    /// The handler of this connection runs until that is said of none.
    #[inline]
    pub(crate) fn handles(&self, peer: Option<Peer>) {
        self.handling.set(peer);
    }

    /// What its handler has said, in order; to be given back by [`Self::put_back`].
    #[inline]
    pub(crate) fn take_own(&self) -> Vec<Said> {
        self.own.take()
    }

    /// Keeps the memory.
    #[inline]
    pub(crate) fn put_back(&self, mut own: Vec<Said>) {
        own.clear();
        if own.capacity() <= KEPT_MAX {
            self.own.replace(own);
        }
    }

    /// Something is said: its own session takes it behind the handler, any other in its order. So does
    /// its own, once something waits there: nothing passes what was said before.
    #[inline]
    pub(super) fn say(&self, peer: Peer, said: Said, shared: &Shared) {
        let is_own = self.handling.get().is_some_and(|own| own.id() == peer.id());
        if is_own && !shared.tasks.has_orders() {
            return self.own.borrow_mut().push(said);
        }
        shared.tasks.say(peer, Ask::Say(said));
    }
}
