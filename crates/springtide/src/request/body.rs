//! Bodies that a handler takes while they arrive, and what it is told when they do not.
//! A body that is not taken holds its connection up, and nothing else.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use springtide_proto::http1::Refusal;

use super::Shared;
use crate::response::{IntoResponse, Response};
use crate::table::Place;

/// Why a body does not come whole.
///
/// As a response it is the status that HTTP has for it, and the connection ends behind that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than its route allows: `413 Content Too Large`.
    TooLong,
    /// It stopped coming, or comes more slowly than allowed: `408 Request Timeout`.
    TooSlow,
    /// Its framing is broken: `400 Bad Request`. The words say how.
    Malformed(&'static str),
    /// The client has gone before its end.
    Gone,
}

impl BodyError {
    pub(crate) const fn of(refusal: Refusal) -> Self {
        match refusal {
            Refusal::BodyTooLong => Self::TooLong,
            Refusal::BodyTimeout | Refusal::BodyTooSlow => Self::TooSlow,
            other => Self::Malformed(other.reason()),
        }
    }

    /// The status that says the same.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Malformed(_) | Self::Gone => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => Refusal::BodyTooLong.reason(),
            Self::TooSlow => Refusal::BodyTooSlow.reason(),
            Self::Malformed(reason) => reason,
            Self::Gone => "the client has gone before the end of the body",
        })
    }
}

impl std::error::Error for BodyError {}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}

impl From<BodyError> for Response {
    fn from(error: BodyError) -> Self {
        error.into_response()
    }
}

/// The body of a request, piece by piece.
///
/// On a route made with [`streamed`](crate::streamed) it begins before the body has come, and its
/// connection receives no more than [`Limits::inbox_bytes_max`](crate::Limits::inbox_bytes_max)
/// ahead of the handler. Elsewhere the body has come, and is one piece.
///
/// Dropped before its end, what is left of the body is thrown away, up to a limit beyond which the
/// connection ends behind the reply.
///
/// ```
/// use springtide::{BodyError, Request, Server, streamed};
///
/// let server = Server::new().put("/log", streamed(async |mut request: Request| {
///     let mut body = request.take_body();
///     let mut lines = 0;
///     while let Some(bytes) = body.next().await? {
///         lines += bytes.iter().filter(|byte| **byte == b'\n').count();
///     }
///     Ok::<_, BodyError>(format!("{lines} lines"))
/// }));
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"PUT /log HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na\nb\n");
/// # world.settle();
/// # assert_eq!(peer.reply().unwrap().body(), b"2 lines");
/// ```
pub struct Body {
    source: Source,
    trailers: HeaderMap,
}

enum Source {
    /// It has come.
    Whole(Bytes),
    Arriving(Arriving),
}

impl Body {
    pub(crate) fn whole(bytes: Bytes, trailers: HeaderMap) -> Self {
        Self { source: Source::Whole(bytes), trailers }
    }

    pub(crate) fn arriving(arriving: Arriving) -> Self {
        Self { source: Source::Arriving(arriving), trailers: HeaderMap::new() }
    }

    /// The next piece, not empty; none behind the last one. The first call is what a client waits for
    /// that sent `Expect: 100-continue`.
    ///
    /// # Errors
    /// The body does not come whole; then nothing more of it comes.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same for futures written by hand.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        match &mut self.source {
            Source::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready(Ok((!bytes.is_empty()).then_some(bytes)))
            }
            Source::Arriving(arriving) => arriving.poll_next(context),
        }
    }

    /// The fields behind a chunked body (RFC 9110 §6.5), once its end has come: none before. Those that
    /// belong in a head are left out.
    #[must_use]
    pub fn trailers(&self) -> HeaderMap {
        match &self.source {
            Source::Whole(_) => self.trailers.clone(),
            Source::Arriving(arriving) => arriving.pipe.state.borrow().trailers.clone(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

/// The handler's end of a pipe: when it goes, nobody wants the rest.
pub(crate) struct Arriving {
    pipe: Rc<Pipe>,
}

impl Arriving {
    /// The next piece; none at its end.
    pub(crate) fn poll_next(
        &self,
        context: &Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        self.pipe.poll_next(context)
    }

    /// All of it, which is then the only piece.
    pub(crate) async fn whole(&self) -> Result<Bytes, BodyError> {
        let mut taken = Taken { pipe: &self.pipe, first: Bytes::new(), joined: BytesMut::new() };
        while let Some(more) = poll_fn(|context| self.pipe.poll_next(context)).await? {
            taken.join(more);
        }
        Ok(taken.whole().clone())
    }

    pub(crate) fn trailers(&self) -> HeaderMap {
        self.pipe.state.borrow().trailers.clone()
    }
}

/// What was taken of a body by somebody who waits for all of it. It goes back in front of what is to
/// come: whoever asks next has all of it as well, also when the wait was given up.
struct Taken<'a> {
    pipe: &'a Pipe,
    /// The first piece; nothing of the others.
    first: Bytes,
    /// All of them, once there are two.
    joined: BytesMut,
}

impl Taken<'_> {
    fn join(&mut self, more: Bytes) {
        self.pipe.state.borrow_mut().gathered_bytes += more.len();
        if self.joined.is_empty() && self.first.is_empty() {
            self.first = more;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(self.first.len() + more.len());
            self.joined.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.joined.extend_from_slice(&more);
    }

    fn whole(&mut self) -> &Bytes {
        if !self.joined.is_empty() {
            self.first = std::mem::take(&mut self.joined).freeze();
        }
        &self.first
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let whole = self.whole().clone();
        self.pipe.state.borrow_mut().put_back(whole);
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let mut state = self.pipe.state.borrow_mut();
        state.is_unwanted = true;
        state.small = BytesMut::new();
        let left = (std::mem::take(&mut state.chunks), state.waker.take());
        (state.bytes, state.is_full) = (0, false);
        drop(state);
        drop(left);
        self.pipe.tell();
    }
}

/// The way of a body from its connection to its handler, both on one shard.
pub(crate) struct Pipe {
    state: RefCell<State>,
    connection: Place,
    bytes_max: usize,
    shared: Rc<Shared>,
}

/// Pieces are joined until they have so much: one takes some sixty bytes beside what it has, and a
/// client that cuts its body into single bytes would be charged for those alone.
const JOINED_BYTES_MIN: usize = 1 << 10;

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Behind them, what is too small yet to be one of them.
    small: BytesMut,
    /// What they have together.
    bytes: usize,
    /// What somebody who waits for all of it has gathered.
    gathered_bytes: usize,
    end: Option<Result<(), BodyError>>,
    trailers: HeaderMap,
    waker: Option<Waker>,
    /// The handler has asked for it.
    is_wanted: bool,
    /// It was held up, and is not taken again yet.
    is_full: bool,
    /// The handler has dropped it.
    is_unwanted: bool,
}

impl State {
    /// The next chunk, or the end; none when they are to come.
    fn take(&mut self, pipe: &Pipe) -> Option<Result<Option<Bytes>, BodyError>> {
        if self.chunks.is_empty() {
            self.end_small();
        }
        if let Some(chunk) = self.chunks.pop_front() {
            self.bytes -= chunk.len();
            if self.is_full && self.bytes <= pipe.bytes_max / 2 {
                self.is_full = false;
                pipe.tell();
            }
            return Some(Ok(Some(chunk)));
        }
        if self.end.is_none() && !std::mem::replace(&mut self.is_wanted, true) {
            pipe.tell();
        }
        self.end.map(|end| end.map(|()| None))
    }

    fn put(&mut self, chunk: Bytes) {
        if chunk.len() < JOINED_BYTES_MIN {
            return self.put_some(&chunk);
        }
        self.bytes += chunk.len();
        self.end_small();
        self.chunks.push_back(chunk);
    }

    fn put_some(&mut self, bytes: &[u8]) {
        if bytes.len() >= JOINED_BYTES_MIN {
            return self.put(Bytes::copy_from_slice(bytes));
        }
        self.bytes += bytes.len();
        self.small.extend_from_slice(bytes);
        if self.small.len() >= JOINED_BYTES_MIN {
            self.end_small();
        }
    }

    /// What is small becomes a piece of its own.
    fn end_small(&mut self) {
        if !self.small.is_empty() {
            self.chunks.push_back(std::mem::take(&mut self.small).freeze());
        }
    }

    /// Puts back what was taken; nothing of a body that does not come whole.
    fn put_back(&mut self, taken: Bytes) {
        self.gathered_bytes = 0;
        if !taken.is_empty() && !matches!(self.end, Some(Err(_))) {
            self.bytes += taken.len();
            self.chunks.push_front(taken);
        }
    }
}

impl Pipe {
    /// Both ends of a new one. The first is full with so many bytes, and goes on at half of them.
    pub(crate) fn new(
        connection: Place,
        bytes_max: usize,
        shared: &Rc<Shared>,
    ) -> (Rc<Self>, Arriving) {
        let state = RefCell::default();
        let pipe = Rc::new(Self { state, connection, bytes_max, shared: Rc::clone(shared) });
        let arriving = Arriving { pipe: Rc::clone(&pipe) };
        (pipe, arriving)
    }

    /// More of the body came; whether the connection is to wait.
    pub(crate) fn push(&self, chunk: Bytes) -> bool {
        let is_empty = chunk.is_empty();
        self.put(is_empty, |state| state.put(chunk))
    }

    /// The same with a copy of these bytes.
    pub(crate) fn push_copy(&self, bytes: &[u8]) -> bool {
        self.put(bytes.is_empty(), |state| state.put_some(bytes))
    }

    fn put(&self, is_empty: bool, put: impl FnOnce(&mut State)) -> bool {
        let mut state = self.state.borrow_mut();
        if state.is_unwanted || is_empty {
            return false;
        }
        put(&mut state);
        state.is_full |= state.bytes >= self.bytes_max;
        self.wake(state.waker.take());
        state.is_full
    }

    /// The body is whole.
    pub(crate) fn end(&self, trailers: HeaderMap) {
        let mut state = self.state.borrow_mut();
        state.end = Some(Ok(()));
        state.trailers = trailers;
        self.wake(state.waker.take());
    }

    /// Nothing more of the body comes.
    pub(crate) fn fail(&self, error: BodyError) {
        let mut state = self.state.borrow_mut();
        state.end.get_or_insert(Err(error));
        self.wake(state.waker.take());
    }

    /// How much of the body is held: it waits for the handler, or for the rest that is to be one with it.
    pub(crate) fn bytes_held(&self) -> usize {
        let state = self.state.borrow();
        state.bytes + state.gathered_bytes
    }

    /// Whether the connection is to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.state.borrow().is_full
    }

    /// Whether the handler has asked for the body.
    pub(crate) fn is_wanted(&self) -> bool {
        self.state.borrow().is_wanted
    }

    /// Whether nobody will ask for it any more.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.state.borrow().is_unwanted
    }

    fn wake(&self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.shared.wake_later(waker);
        }
    }

    /// The connection is to look at this end.
    fn tell(&self) {
        self.shared.read_on(self.connection);
    }

    fn poll_next(&self, context: &Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        if let Some(next) = self.state.borrow_mut().take(self) {
            return Poll::Ready(next);
        }
        // Wakers are the application's: nothing is borrowed while one is cloned or dropped.
        let waker = context.waker().clone();
        let before = self.state.borrow_mut().waker.replace(waker);
        drop(before);
        Poll::Pending
    }
}
