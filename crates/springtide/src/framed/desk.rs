//! Where answers wait that were given on their shard, until their connection is told.
//! It calls nobody, and is never borrowed while code of the application runs.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use springtide_proto::Piece;
use springtide_proto::framed::Exchange;

use crate::executor::Bell;
use crate::table::Place;

/// What became of one request.
pub(crate) enum Answer {
    Reply(Piece),
    /// The connection ends behind it.
    Last(Piece),
    Nothing,
    /// Its reply was dropped.
    Dropped,
}

/// The same, and whose it is.
pub(crate) struct Answered {
    pub(crate) connection: Place,
    pub(crate) exchange: Exchange,
    pub(crate) answer: Answer,
}

/// The desk of a shard. As much lies on it as there are exchanges in flight, at most.
pub(crate) struct Desk {
    /// Where other threads give them.
    pub(super) bell: Arc<Bell>,
    /// Whose request is being handled.
    handling: Cell<Option<Place>>,
    /// What was given to that connection meanwhile: it takes it itself.
    own: RefCell<Vec<(Exchange, Answer)>>,
    /// What was given to others, or at another time.
    others: RefCell<Vec<Answered>>,
}

/// Room for so many answers is kept.
const KEPT_MAX: usize = 64;

impl Desk {
    pub(crate) fn new(bell: &Arc<Bell>) -> Self {
        let (handling, own, others) = Default::default();
        Self { bell: Arc::clone(bell), handling, own, others }
    }

    /// A request of this connection is handled until that is said of none.
    #[inline]
    pub(crate) fn handles(&self, connection: Option<Place>) {
        self.handling.set(connection);
    }

    pub(super) fn put(&self, answered: Answered) {
        let Answered { connection, exchange, answer } = answered;
        match self.handling.get() == Some(connection) {
            true => self.own.borrow_mut().push((exchange, answer)),
            false => self.others.borrow_mut().push(Answered { connection, exchange, answer }),
        }
    }

    /// Whether connections are to be told of something.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.others.borrow().is_empty()
    }

    /// What was given to the connection whose request was handled, one at a time.
    #[inline]
    pub(crate) fn take_own(&self) -> Option<(Exchange, Answer)> {
        let mut own = self.own.borrow_mut();
        let taken = own.pop();
        if taken.is_none() && own.capacity() > KEPT_MAX {
            *own = Vec::new();
        }
        taken
    }

    /// What is to be told to connections.
    pub(crate) fn take_others(&self) -> Vec<Answered> {
        self.others.take()
    }
}
