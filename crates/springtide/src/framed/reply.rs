//! What answers a request of a framed connection, at once, later, or from another thread.
//! It answers once: dropped, it says so.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use springtide_proto::Piece;
use springtide_proto::framed::Exchange;

use super::desk::{Answer, Answered, Desk};
use crate::executor::{Bell, Ring};
use crate::table::Place;

/// Answers one request; see [`Server::framed`](crate::Server::framed). It stays on its shard, and may
/// be kept there until the answer is known; [`detach`](Self::detach) makes one for other threads.
///
/// A reply that is dropped, or whose payload is no frame, becomes what the codec says of it
/// ([`Framed::dropped`](crate::Framed::dropped), [`Codec::answer_to`](super::Codec::answer_to)), or
/// ends its connection behind the replies before. One whose peer has gone goes nowhere.
///
/// ```compile_fail
/// fn is_send<T: Send>() {}
/// is_send::<springtide::Reply>();
/// ```
#[must_use = "a reply that is dropped says that its request was given up"]
pub struct Reply {
    way: Option<Way>,
}

/// To whom it goes.
struct Way {
    /// Not the shard: what the application keeps must not keep that alive.
    desk: Rc<Desk>,
    connection: Place,
    exchange: Exchange,
}

impl Reply {
    #[inline]
    pub(crate) fn new(desk: &Rc<Desk>, connection: Place, exchange: Exchange) -> Self {
        Self { way: Some(Way { desk: Rc::clone(desk), connection, exchange }) }
    }

    /// Sends a payload, without what the codec puts around it.
    pub fn send(mut self, payload: impl Into<Piece>) {
        self.answer(Answer::Reply(payload.into()));
    }

    /// The same, and closes the connection behind it. No further request is read; those before are
    /// answered still.
    pub fn send_last(mut self, payload: impl Into<Piece>) {
        self.answer(Answer::Last(payload.into()));
    }

    /// Says nothing to this request: for protocols in which not every one has a reply.
    pub fn send_nothing(mut self) {
        self.answer(Answer::Nothing);
    }

    /// The same reply for another thread.
    ///
    /// ```
    /// use springtide::{Bytes, Framed, Reply, Server};
    ///
    /// let server = Server::new().framed(Framed::lines(), |request: Bytes, reply: Reply| {
    ///     let reply = reply.detach();
    ///     std::thread::spawn(move || reply.send(request));
    /// });
    /// ```
    pub fn detach(mut self) -> RemoteReply {
        let way = self.way.take().map(|way| RemoteWay {
            bell: Arc::clone(&way.desk.bell),
            connection: way.connection,
            exchange: way.exchange,
        });
        RemoteReply { way }
    }

    fn answer(&mut self, answer: Answer) {
        if let Some(Way { desk, connection, exchange }) = self.way.take() {
            desk.put(Answered { connection, exchange, answer });
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.answer(Answer::Dropped);
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

/// A [`Reply`] for any thread; see [`Reply::detach`].
#[must_use = "a reply that is dropped says that its request was given up"]
pub struct RemoteReply {
    way: Option<RemoteWay>,
}

struct RemoteWay {
    bell: Arc<Bell>,
    connection: Place,
    exchange: Exchange,
}

impl RemoteReply {
    /// As [`Reply::send`].
    pub fn send(mut self, payload: impl Into<Piece>) {
        self.answer(Answer::Reply(payload.into()));
    }

    /// As [`Reply::send_last`].
    pub fn send_last(mut self, payload: impl Into<Piece>) {
        self.answer(Answer::Last(payload.into()));
    }

    /// As [`Reply::send_nothing`].
    pub fn send_nothing(mut self) {
        self.answer(Answer::Nothing);
    }

    fn answer(&mut self, answer: Answer) {
        if let Some(RemoteWay { bell, connection, exchange }) = self.way.take() {
            bell.ring(Ring::Answered(Answered { connection, exchange, answer }));
        }
    }
}

impl Drop for RemoteReply {
    fn drop(&mut self) {
        self.answer(Answer::Dropped);
    }
}

impl fmt::Debug for RemoteReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteReply").finish_non_exhaustive()
    }
}
