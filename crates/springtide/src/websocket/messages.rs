//! The messages of a WebSocket whose handler is a future: they wait here until it asks for them.
//! It touches no connection: that is told when there is room again, and reads on in its turn.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::close::CloseReason;
use super::message::Message;
use super::parts::MessagePart;
use crate::limits::EXCHANGES_PER_TURN_MAX;
use crate::peer::Peer;
use crate::request::Shared;
use crate::task::Ask;

/// What comes from the peer, as an async handler takes it; see
/// [`Server::websocket_async`](crate::Server::websocket_async). It stays on its shard.
///
/// While 32 messages wait here, or more bytes than
/// [`Limits::inbox_bytes_max`](crate::Limits::inbox_bytes_max), the connection is not received from. A
/// handler that drops this says that it wants none: what comes is thrown away from then on.
pub struct Messages {
    inlet: Rc<Inlet>,
}

impl Messages {
    /// Waits for the next message. None behind the last one, when either side has closed, as
    /// [`reason`](Self::reason) tells.
    ///
    /// The handler has that one poll more, and is dropped where it waits next.
    ///
    /// # Errors
    /// How the connection was lost, without a close.
    pub async fn next(&mut self) -> Result<Option<Message>, CloseReason> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same for futures written by hand.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, CloseReason>> {
        self.inlet.poll_next(context).map_ok(|part| part.map(|part| part.piece))
    }

    pub(super) async fn next_part(&self) -> Result<Option<MessagePart>, CloseReason> {
        poll_fn(|context| self.inlet.poll_next(context)).await
    }

    /// How the connection has ended, once it has.
    #[must_use]
    pub fn reason(&self) -> Option<CloseReason> {
        self.inlet.state.borrow().end.clone()
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        let mut state = self.inlet.state.borrow_mut();
        state.is_unwanted = true;
        state.is_busy = false;
        let left = (std::mem::take(&mut state.parts), state.waker.take());
        state.bytes = 0;
        drop(state);
        drop(left);
        self.inlet.go_on();
    }
}

/// The way of messages from their session to their handler, both on one shard.
pub(crate) struct Inlet {
    state: RefCell<State>,
    peer: Peer,
    bytes_max: usize,
    shared: Rc<Shared>,
}

#[derive(Default)]
struct State {
    parts: VecDeque<MessagePart>,
    bytes: usize,
    end: Option<CloseReason>,
    waker: Option<Waker>,
    /// The handler has taken a message and not asked for the next.
    is_busy: bool,
    /// The session waits until the handler asks.
    is_awaited: bool,
    is_unwanted: bool,
}

/// What a message costs besides its bytes.
const MESSAGE_COST_BYTES: usize = 64;

impl Inlet {
    pub(crate) fn new(peer: Peer, bytes_max: usize, shared: &Rc<Shared>) -> (Rc<Self>, Messages) {
        let (state, shared) = (RefCell::default(), Rc::clone(shared));
        let inlet = Rc::new(Self { state, peer, bytes_max, shared });
        let messages = Messages { inlet: Rc::clone(&inlet) };
        (inlet, messages)
    }

    /// Something is asked of the connection, behind what the handler has said to it.
    pub(crate) fn ask(&self, ask: Ask) {
        self.shared.tasks.say(self.peer, ask);
    }

    /// A message has come, or a part of one.
    pub(crate) fn push(&self, part: MessagePart) {
        let mut state = self.state.borrow_mut();
        if state.is_unwanted {
            return;
        }
        state.bytes += part.piece.len() + MESSAGE_COST_BYTES;
        state.parts.push_back(part);
        self.wake(state.waker.take());
    }

    /// Nothing more comes.
    pub(crate) fn end(&self, reason: CloseReason) {
        let mut state = self.state.borrow_mut();
        state.end.get_or_insert(reason);
        self.wake(state.waker.take());
    }

    /// Whether nothing more is to be put in before something was taken.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.state.borrow();
        state.parts.len() >= EXCHANGES_PER_TURN_MAX as usize || state.bytes > self.bytes_max
    }

    /// Whether the handler has something to do before it can be told of an end. If so, the connection
    /// is told when it has done it.
    pub(crate) fn is_behind(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.is_awaited = state.is_busy || !state.parts.is_empty();
        state.is_awaited
    }

    pub(crate) fn bytes_held(&self) -> usize {
        self.state.borrow().bytes
    }

    fn wake(&self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.shared.wake_later(waker);
        }
    }

    fn go_on(&self) {
        if std::mem::take(&mut self.state.borrow_mut().is_awaited) {
            self.ask(Ask::GoOn);
        }
    }

    fn poll_next(&self, context: &Context<'_>) -> Poll<Result<Option<MessagePart>, CloseReason>> {
        let mut state = self.state.borrow_mut();
        if let Some(part) = state.parts.pop_front() {
            state.bytes -= part.piece.len() + MESSAGE_COST_BYTES;
            state.is_busy = true;
            return Poll::Ready(Ok(Some(part)));
        }
        state.is_busy = false;
        if let Some(end) = &state.end {
            return Poll::Ready(if end.is_lost() { Err(end.clone()) } else { Ok(None) });
        }
        drop(state);
        self.go_on();
        // Wakers are the application's: nothing is borrowed while one is cloned or dropped.
        let waker = context.waker().clone();
        let before = self.state.borrow_mut().waker.replace(waker);
        drop(before);
        Poll::Pending
    }
}
