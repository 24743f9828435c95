//! What stands between who asks and the connection that carries it: a line for each connection, a
//! call for each request on it.
//! Nothing here touches a socket, and no waker is called but in the part of a turn where futures run.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use springtide_engine::Key;
use springtide_proto::http1::{AskBody, ReplyFault};

use super::url::Origin;
use super::{ClientError, Settings};
use crate::request::{Arriving, Shared};
use crate::table::Place;

/// A connection to a server, or one that is being made.
pub(crate) struct Line {
    pub(crate) shared: Rc<Shared>,
    pub(crate) settings: Arc<Settings>,
    pub(super) origin: Origin,
    state: RefCell<Standing>,
}

/// How far a line has come.
enum Standing {
    /// The operation that connects, once it is asked for, and who waits for it.
    Connecting(Key, Option<Waker>),
    /// Nobody waits any more.
    Withdrawn,
    /// Its connection, and the request that is to go there next.
    Open(Place, Option<Rc<Call>>),
    /// It could not be made.
    Failed(ClientError),
    /// Its connection has ended.
    Gone,
}

impl Line {
    pub(super) fn new(shared: Rc<Shared>, settings: Arc<Settings>, origin: Origin) -> Rc<Self> {
        let state = RefCell::new(Standing::Connecting(Key::NONE, None));
        Rc::new(Self { shared, settings, origin, state })
    }

    pub(super) fn connect_by(&self, key: Key) {
        *self.state.borrow_mut() = Standing::Connecting(key, None);
    }

    /// Whether somebody waits for it, so that its connection is to be opened.
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(*self.state.borrow(), Standing::Connecting(..))
    }

    /// The connection stands.
    pub(crate) fn opened(&self, place: Place) {
        self.settle(Standing::Open(place, None));
    }

    /// There will be none.
    pub(crate) fn refused(&self, error: ClientError) {
        if self.is_wanted() {
            self.settle(Standing::Failed(error));
        }
    }

    fn settle(&self, standing: Standing) {
        if let Standing::Connecting(_, Some(waker)) = self.state.replace(standing) {
            self.shared.wake_later(waker);
        }
    }

    pub(super) fn poll_open(&self, context: &Context<'_>) -> Poll<Result<(), ClientError>> {
        let waker = context.waker().clone();
        let mut before = None;
        let polled = match &mut *self.state.borrow_mut() {
            Standing::Connecting(_, own) => {
                before = own.replace(waker);
                Poll::Pending
            }
            Standing::Open(..) => Poll::Ready(Ok(())),
            Standing::Failed(error) => Poll::Ready(Err(error.clone())),
            Standing::Withdrawn | Standing::Gone => Poll::Ready(Err(ClientError::Ended)),
        };
        drop(before);
        polled
    }

    /// Nobody waits for it any more. One that stands already rests, as if it had answered; where there
    /// is no room for it, it ends.
    pub(super) fn give_up(self: &Rc<Self>) {
        let place = match &*self.state.borrow() {
            Standing::Connecting(..) => None,
            Standing::Open(place, None) => Some(*place),
            _ => return,
        };
        match place {
            None => self.end_connecting(Standing::Withdrawn),
            Some(_) if self.shared.desk.put_idle(self) => {}
            Some(place) => {
                *self.state.borrow_mut() = Standing::Withdrawn;
                self.shared.read_on(place);
            }
        }
    }

    /// The shard ends now: who waits for it is told so.
    pub(super) fn cut(&self) {
        if self.is_wanted() {
            self.end_connecting(Standing::Failed(ClientError::Ended));
        }
    }

    fn end_connecting(&self, standing: Standing) {
        if let Standing::Connecting(key, waker) = self.state.replace(standing) {
            self.shared.cancel_connect(key);
            if let Some(waker) = waker {
                self.shared.wake_later(waker);
            }
        }
    }

    /// Whether it was given up.
    pub(crate) fn is_withdrawn(&self) -> bool {
        matches!(*self.state.borrow(), Standing::Withdrawn)
    }

    /// Sends a request; false when the connection has ended.
    pub(super) fn send(&self, call: &Rc<Call>) -> bool {
        let place = match &mut *self.state.borrow_mut() {
            Standing::Open(place, next) => {
                *next = Some(Rc::clone(call));
                *place
            }
            _ => return false,
        };
        call.connection.set(Some(place));
        self.shared.read_on(place);
        true
    }

    /// The request that is to go next.
    pub(crate) fn take_next(&self) -> Option<Rc<Call>> {
        match &mut *self.state.borrow_mut() {
            Standing::Open(_, next) => next.take(),
            _ => None,
        }
    }

    /// Its connection takes no request: one that was about to go is not sent.
    pub(crate) fn refuse_next(&self) {
        if let Some(call) = self.take_next() {
            call.fail(ClientError::Malformed(ReplyFault::NoAnswer));
        }
    }

    /// Its connection ends.
    pub(crate) fn end(&self) {
        self.refuse_next();
        *self.state.borrow_mut() = Standing::Gone;
    }
}

/// The head of a request.
pub(crate) struct Order {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) host: String,
    pub(crate) fields: HeaderMap,
    pub(crate) body: AskBody,
    pub(crate) expects_continue: bool,
}

/// The head of an answer, and its body unless it has none.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Option<Arriving>,
    /// In bytes, where it was announced.
    pub(crate) length: Option<u64>,
}

/// One request on its way, and its answer.
pub(crate) struct Call {
    shared: Rc<Shared>,
    connection: Cell<Option<Place>>,
    state: RefCell<Talk>,
}

#[derive(Default)]
struct Talk {
    order: Option<Order>,
    /// Of the request's body, what the connection has not taken.
    pieces: Vec<Bytes>,
    /// The fields behind it, once all of it was put.
    end: Option<HeaderMap>,
    /// Bytes that the connection takes before who asks is to wait.
    credit: usize,
    answer: Option<Answer>,
    fault: Option<ClientError>,
    waker: Option<Waker>,
    /// Who asked wants no answer, or no more of it.
    is_unwanted: bool,
}

impl Call {
    pub(super) fn new(shared: &Rc<Shared>, order: Order) -> Rc<Self> {
        let state = RefCell::new(Talk { order: Some(order), ..Talk::default() });
        Rc::new(Self { shared: Rc::clone(shared), connection: Cell::new(None), state })
    }

    fn tell(&self) {
        if let Some(place) = self.connection.get() {
            self.shared.read_on(place);
        }
    }

    fn wait(&self, context: &Context<'_>) {
        // Wakers are the application's: nothing is borrowed while one is cloned or dropped.
        let waker = context.waker().clone();
        let before = self.state.borrow_mut().waker.replace(waker);
        drop(before);
    }

    fn wake(&self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.shared.wake_later(waker);
        }
    }

    pub(super) fn poll_answer(&self, context: &Context<'_>) -> Poll<Result<Answer, ClientError>> {
        let mut state = self.state.borrow_mut();
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(Ok(answer));
        }
        if let Some(fault) = &state.fault {
            return Poll::Ready(Err(fault.clone()));
        }
        drop(state);
        self.wait(context);
        Poll::Pending
    }

    /// Ready when the connection takes more of the request's body.
    pub(super) fn poll_credit(&self, context: &Context<'_>) -> Poll<()> {
        if self.state.borrow().credit > 0 {
            return Poll::Ready(());
        }
        self.wait(context);
        Poll::Pending
    }

    /// More of the request's body.
    pub(super) fn put(&self, bytes: Bytes) {
        let mut state = self.state.borrow_mut();
        state.credit = state.credit.saturating_sub(bytes.len());
        state.pieces.push(bytes);
        drop(state);
        self.tell();
    }

    /// All of the request's body was put, and these fields are behind it.
    pub(super) fn finish(&self, trailers: HeaderMap) {
        self.state.borrow_mut().end = Some(trailers);
        self.tell();
    }

    pub(super) fn fault(&self) -> Option<ClientError> {
        self.state.borrow().fault.clone()
    }

    /// Who asked goes.
    pub(super) fn give_up(&self) {
        let mut state = self.state.borrow_mut();
        state.is_unwanted = true;
        let left = (state.waker.take(), state.answer.take(), std::mem::take(&mut state.pieces));
        drop(state);
        drop(left);
        self.tell();
    }

    pub(crate) fn is_unwanted(&self) -> bool {
        self.state.borrow().is_unwanted
    }

    pub(crate) fn take_order(&self) -> Option<Order> {
        self.state.borrow_mut().order.take()
    }

    pub(crate) fn take_pieces(&self) -> Vec<Bytes> {
        std::mem::take(&mut self.state.borrow_mut().pieces)
    }

    /// The fields behind the body, when all of it was put; told once.
    pub(crate) fn take_end(&self) -> Option<HeaderMap> {
        self.state.borrow_mut().end.take()
    }

    /// So many bytes more are taken.
    pub(crate) fn grant(&self, credit: usize) {
        let mut state = self.state.borrow_mut();
        state.credit = credit;
        let waker = if credit > 0 { state.waker.take() } else { None };
        drop(state);
        self.wake(waker);
    }

    pub(crate) fn answer(&self, answer: Answer) {
        let mut state = self.state.borrow_mut();
        if state.is_unwanted {
            drop(state);
            return drop(answer);
        }
        state.answer = Some(answer);
        let waker = state.waker.take();
        drop(state);
        self.wake(waker);
    }

    /// Nothing more comes; the first reason counts.
    pub(crate) fn fail(&self, error: ClientError) {
        let mut state = self.state.borrow_mut();
        state.fault.get_or_insert(error);
        let waker = state.waker.take();
        drop(state);
        self.wake(waker);
    }
}
