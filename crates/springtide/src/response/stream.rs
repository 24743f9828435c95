//! Bodies that are written piece by piece while they are sent, and the producer's end of them.
//! A sink touches no connection: what it is given waits until the turn takes it.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::{Failure, Gzip, Response};
use crate::executor::{Alarm, Answering};
use crate::limits::STREAM_LOW_BYTES;

/// Where a producer puts the body of its response; see [`Response::stream`]. It stays on the shard.
pub struct Sink {
    pub(super) pipe: Rc<Pipe>,
}

impl Sink {
    /// Adds bytes to the body. While 256 KiB wait to be sent it waits before that, so that a body
    /// of any length takes no more memory than this and one piece. Pieces of some kilobytes cost
    /// least; an empty one is nothing.
    ///
    /// When the client goes, the producer is dropped where it waits.
    ///
    /// # Errors
    /// [`StreamError::TooLong`]: the body has no room for these bytes, and will be cut.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), StreamError> {
        let bytes = bytes.into();
        poll_fn(|context| self.pipe.poll_credit(context)).await;
        self.pipe.put(bytes)
    }

    /// Adds a field behind the body (RFC 9110 §6.5): what is known at its end only. Clients that
    /// were not told to look for it, by `Trailer` among the response's fields, may overlook it. Of
    /// a body of declared length, and for HTTP/1.0, trailers are left out.
    ///
    /// # Errors
    /// [`StreamError::Trailer`]: the name or the value is none, or the field may not come so late:
    /// it frames or routes the message, or says how to read it (RFC 9110 §6.5.1).
    pub fn trailer<N, V>(&mut self, name: N, value: V) -> Result<(), StreamError>
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) if may_trail(&name) => {
                self.pipe.inner.borrow_mut().trailers.push((name, value));
                Ok(())
            }
            _ => Err(StreamError::Trailer),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

/// Whether a field may stand behind the body (RFC 9110 §6.5.1).
fn may_trail(name: &HeaderName) -> bool {
    const NEVER: &[HeaderName] = &[
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::DATE,
        header::HOST,
        header::LOCATION,
        header::RETRY_AFTER,
        header::SET_COOKIE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::VARY,
        header::WWW_AUTHENTICATE,
    ];
    !NEVER.contains(name)
}

/// Why a body cannot be written as it was begun. Its connection is cut, so that the client notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// More bytes than the declared length: this many too many.
    TooLong(u64),
    /// Fewer bytes than the declared length: this many are missing.
    TooShort(u64),
    /// A field that cannot stand behind a body.
    Trailer,
    /// An id or name of an event has a line end, or an id a NUL: it would be read as something else.
    Event,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "the body is {bytes} bytes longer than declared"),
            Self::TooShort(bytes) => write!(f, "the body is {bytes} bytes shorter than declared"),
            Self::Trailer => f.write_str("a field cannot stand behind a body"),
            Self::Event => f.write_str("the id or the name of an event has a line end"),
        }
    }
}

impl std::error::Error for StreamError {}

/// A body that is not written yet. Clones share it, and only one of them can be sent.
#[derive(Clone)]
pub(crate) struct Stream {
    /// In bytes; unknown for most.
    pub(crate) length: Option<u64>,
    make: Arc<Mutex<Option<Make>>>,
}

/// Makes the producer, on the shard that sends the response.
type Make = Box<dyn FnOnce(Sink) -> Answering + Send>;

impl Stream {
    pub(super) fn new<F>(length: Option<u64>, producer: F) -> Self
    where
        F: AsyncFnOnce(Sink) -> Result<(), Failure> + Send + 'static,
    {
        let make: Make = Box::new(|sink| {
            let pipe = Rc::clone(&sink.pipe);
            Box::pin(produce(pipe, async move { producer(sink).await }))
        });
        Self { length, make: Arc::new(Mutex::new(Some(make))) }
    }

    /// Takes the producer out; none when a clone of the response has it.
    pub(crate) fn take(&self) -> Option<Producer> {
        let make = self.make.lock().unwrap_or_else(PoisonError::into_inner).take();
        make.map(Producer)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("length", &self.length).finish_non_exhaustive()
    }
}

/// A producer that has not begun. Dropping it drops what it captured.
pub(crate) struct Producer(Make);

impl Producer {
    /// Its future; no code of the application runs before that is polled.
    pub(crate) fn begin(self, pipe: &Rc<Pipe>) -> Answering {
        let Self(make) = self;
        make(Sink { pipe: Rc::clone(pipe) })
    }
}

/// Runs a producer. What it says in the end stands in the pipe; the response is nobody's.
pub(super) async fn produce(
    pipe: Rc<Pipe>,
    producer: impl Future<Output = Result<(), Failure>>,
) -> Response {
    let mut producer = pin!(producer);
    let result = poll_fn(|context| {
        pipe.inner.borrow_mut().is_running = true;
        let polled = producer.as_mut().poll(context);
        pipe.inner.borrow_mut().is_running = false;
        polled
    })
    .await;
    pipe.end(result);
    Response::empty(StatusCode::OK)
}

/// What stands between a producer and its connection. The connection takes everything out whenever
/// the producer was polled, so nothing waits here in between.
pub(crate) struct Pipe {
    inner: RefCell<Inner>,
}

struct Inner {
    pieces: Vec<Bytes>,
    /// Bytes that are taken before the producer waits.
    credit: usize,
    /// Bytes that a body of declared length lacks.
    left: Option<u64>,
    trailers: Vec<(HeaderName, HeaderValue)>,
    /// Who waits for credit.
    waker: Option<Waker>,
    alarm: Arc<Alarm>,
    /// The producer is being polled.
    is_running: bool,
    /// Why the body cannot be completed.
    failure: Option<Failure>,
    /// Compresses what is put in.
    gzip: Option<Gzip>,
}

impl Pipe {
    /// A pipe for the future of this alarm that takes so many bytes at first, and compresses them
    /// with this coder if there is one.
    pub(crate) fn new(
        alarm: Arc<Alarm>,
        left: Option<u64>,
        credit: usize,
        gzip: Option<Gzip>,
    ) -> Rc<Self> {
        let (pieces, trailers, waker, is_running, failure) = Default::default();
        let inner =
            Inner { pieces, credit, left, trailers, waker, alarm, is_running, failure, gzip };
        Rc::new(Self { inner: RefCell::new(inner) })
    }

    pub(super) fn poll_credit(&self, context: &Context<'_>) -> Poll<()> {
        if self.inner.borrow().credit > 0 {
            return Poll::Ready(());
        }
        // To clone and to drop a waker is code of who made it: nothing is borrowed meanwhile.
        let waker = context.waker().clone();
        let before = self.inner.borrow_mut().waker.replace(waker);
        drop(before);
        Poll::Pending
    }

    pub(super) fn has_credit(&self) -> bool {
        self.inner.borrow().credit > 0
    }

    pub(super) fn put(&self, bytes: Bytes) -> Result<(), StreamError> {
        let inner = &mut *self.inner.borrow_mut();
        let len = bytes.len() as u64;
        if let Some(left) = &mut inner.left {
            let Some(rest) = left.checked_sub(len) else {
                let error = StreamError::TooLong(len - *left);
                inner.failure.get_or_insert_with(|| Failure::from(error));
                return Err(error);
            };
            *left = rest;
        }
        // What it takes to compress is spent, however little comes out.
        inner.credit = inner.credit.saturating_sub(bytes.len());
        let bytes = match &mut inner.gzip {
            // Of nothing there would be a flush.
            Some(gzip) if !bytes.is_empty() => Bytes::from(gzip.piece(&bytes)),
            _ => bytes,
        };
        // A sink that was lent to another future is noticed in the next turn.
        let is_noticed = inner.is_running || !inner.pieces.is_empty();
        let alarm = (!is_noticed).then(|| Arc::clone(&inner.alarm));
        inner.pieces.push(bytes);
        if let Some(alarm) = alarm {
            Waker::from(alarm).wake();
        }
        Ok(())
    }

    /// The producer has ended.
    fn end(&self, result: Result<(), Failure>) {
        let mut inner = self.inner.borrow_mut();
        let waker = inner.waker.take();
        let missing = inner.left.filter(|left| *left > 0).map(StreamError::TooShort);
        let mut failure = result.err().or_else(|| missing.map(Failure::from));
        if inner.failure.is_none() {
            inner.failure = failure.take();
        }
        if let Some(mut gzip) = inner.gzip.take().filter(|_| inner.failure.is_none()) {
            inner.pieces.push(Bytes::from(gzip.end()));
        }
        drop(inner);
        drop((waker, failure));
    }

    /// There is room for more while so many bytes wait: whoever waits for that is to be woken.
    pub(crate) fn grant(&self, waiting_bytes: usize) -> Option<Waker> {
        let mut inner = self.inner.borrow_mut();
        inner.credit = STREAM_LOW_BYTES.saturating_sub(waiting_bytes);
        if inner.credit > 0 { inner.waker.take() } else { None }
    }

    /// What was put in since the last time.
    pub(crate) fn take(&self) -> Vec<Bytes> {
        std::mem::take(&mut self.inner.borrow_mut().pieces)
    }

    /// What stands behind the body of a producer that has ended, or why it is not complete.
    pub(crate) fn close(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let mut inner = self.inner.borrow_mut();
        match inner.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(std::mem::take(&mut inner.trailers)),
        }
    }
}
