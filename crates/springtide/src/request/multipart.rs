//! Bodies of several parts, as browsers send forms with files (RFC 7578), part by part.
//! It holds a piece of the body at a time, and a part's head of bounded length: never a whole part.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use super::extract::{bad, unsupported};
use super::{Body, Request};
use crate::response::Response;

/// How much of a body may stand before a part, its head and what comes before the first one included.
const PART_HEAD_BYTES_MAX: usize = 16 << 10;

/// The parser reads a head from its beginning each time it is given more: it is given so much at least.
const FEED_BYTES_MIN: usize = 4 << 10;

impl Request {
    /// Takes the body as a form of several parts (`multipart/form-data`). On a route made with
    /// [`streamed`](crate::streamed) the parts are read while they arrive.
    ///
    /// # Errors
    /// A body of another type: a response with status 415; one whose type names no boundary: with
    /// status 400. Either is to be returned as it is.
    ///
    /// ```
    /// use springtide::{Request, Response, Server, body_max, streamed};
    ///
    /// async fn upload(mut request: Request) -> Result<String, Response> {
    ///     let mut parts = request.multipart()?;
    ///     let mut files = Vec::new();
    ///     while let Some(mut part) = parts.next_part().await? {
    ///         let name = part.file_name().unwrap_or("no file").to_owned();
    ///         let mut bytes = 0;
    ///         while let Some(piece) = part.next().await? {
    ///             bytes += piece.len();
    ///         }
    ///         files.push(format!("{name}: {bytes} bytes"));
    ///     }
    ///     Ok(files.join(", "))
    /// }
    ///
    /// let server = Server::new().post("/upload", body_max(1 << 30, streamed(upload)));
    /// ```
    pub fn multipart(&mut self) -> Result<Multipart, Response> {
        let boundary = match multer::parse_boundary(self.header("content-type").unwrap_or_default())
        {
            Ok(boundary) => boundary,
            Err(multer::Error::NoBoundary) => {
                return Err(bad("the type of the body names no boundary".to_owned()));
            }
            Err(_) => return Err(unsupported("multipart/form-data")),
        };
        let feed = Feed::default();
        let parser = multer::Multipart::new(feed.clone(), boundary);
        let body = self.take_body();
        let gathered = BytesMut::new();
        Ok(Multipart { parser, part: None, body, feed, gathered, head_bytes: 0 })
    }
}

/// A body of several parts; see [`Request::multipart`].
pub struct Multipart {
    parser: multer::Multipart<'static>,
    part: Option<multer::Field<'static>>,
    body: Body,
    feed: Feed,
    /// What has come of a head and is too little yet to be looked at.
    gathered: BytesMut,
    /// How much has come since the last part's end, when no further one has begun.
    head_bytes: usize,
}

impl Multipart {
    /// The next part; none behind the last one. What is left of the part before is read over.
    ///
    /// # Errors
    /// The body does not come whole, or its parts are malformed: a response with the status and the
    /// reason, to be returned as it is.
    pub async fn next_part(&mut self) -> Result<Option<Part<'_>>, Response> {
        let is_there = poll_fn(|context| self.poll_part(context)).await?;
        Ok(is_there.then_some(Part { parts: self }))
    }

    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Response>> {
        while self.part.is_some() {
            ready!(self.poll_piece(context))?;
        }
        loop {
            match self.parser.poll_next_field(context) {
                Poll::Ready(Ok(part)) => {
                    (self.part, self.head_bytes) = (part, 0);
                    return Poll::Ready(Ok(self.part.is_some()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(malformed(&error))),
                Poll::Pending if self.head_bytes > PART_HEAD_BYTES_MAX => {
                    let reason = "the head of a part is longer than allowed";
                    return Poll::Ready(Err(bad(reason.to_owned())));
                }
                Poll::Pending => self.head_bytes += ready!(self.poll_feed_much(context))?,
            }
        }
    }

    /// The next piece of the part; none at its end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Response>> {
        loop {
            let Some(part) = &mut self.part else { return Poll::Ready(Ok(None)) };
            match Pin::new(part).poll_next(context) {
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => {}
                Poll::Ready(Some(Ok(piece))) => return Poll::Ready(Ok(Some(piece))),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(malformed(&error))),
                Poll::Ready(None) => self.part = None,
                Poll::Pending => {
                    ready!(self.poll_feed(context))?;
                }
            }
        }
    }

    /// Gives the parser as much more of the body as is worth looking at, or the rest, and says how much.
    fn poll_feed_much(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, Response>> {
        while self.gathered.len() < FEED_BYTES_MIN {
            match ready!(self.body.poll_next(context)) {
                Ok(Some(piece)) => self.gathered.extend_from_slice(&piece),
                Ok(None) if self.gathered.is_empty() => return Poll::Ready(self.give(None)),
                Ok(None) => break,
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        let piece = std::mem::take(&mut self.gathered).freeze();
        Poll::Ready(self.give(Some(piece)))
    }

    /// Gives the parser more of the body, and says how much.
    fn poll_feed(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, Response>> {
        Poll::Ready(match ready!(self.body.poll_next(context)) {
            Ok(piece) => self.give(piece),
            Err(error) => Err(error.into()),
        })
    }

    fn give(&self, piece: Option<Bytes>) -> Result<usize, Response> {
        let count = piece.as_ref().map_or(0, Bytes::len);
        match self.feed.put(piece) {
            true => Ok(count),
            false => Err(bad("the body ends before its last part".to_owned())),
        }
    }
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart").finish_non_exhaustive()
    }
}

fn malformed(error: &multer::Error) -> Response {
    bad(format!("the parts of the body are malformed: {error}"))
}

/// One part of a body: a field of a form, or a file.
pub struct Part<'a> {
    parts: &'a mut Multipart,
}

impl Part<'_> {
    /// The name of its field in the form.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.field().and_then(multer::Field::name)
    }

    /// The name that its file has at the client: never a path to write to.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.field().and_then(multer::Field::file_name)
    }

    /// The type it says it has.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.field().and_then(|field| field.content_type()).map(AsRef::as_ref)
    }

    /// The next piece of it, not empty; none at its end.
    ///
    /// # Errors
    /// As [`Multipart::next_part`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, Response> {
        poll_fn(|context| self.parts.poll_piece(context)).await
    }

    /// The rest of it, as long as the body may be.
    ///
    /// # Errors
    /// As [`Multipart::next_part`].
    pub async fn bytes(mut self) -> Result<Bytes, Response> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The rest of it as text.
    ///
    /// # Errors
    /// As [`Multipart::next_part`], and a response with status 400 when it is not UTF-8.
    pub async fn text(self) -> Result<String, Response> {
        let bytes = self.bytes().await?;
        let text = String::from_utf8(bytes.into());
        text.map_err(|_| bad("a part of the body is not UTF-8 text".to_owned()))
    }

    fn field(&self) -> Option<&multer::Field<'static>> {
        self.parts.part.as_ref()
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// Pieces of the body on their way to the parser, which wants a stream that may change threads: it is
/// given what has come, and never waits by itself.
#[derive(Clone, Default)]
struct Feed(Arc<Mutex<Pieces>>);

#[derive(Default)]
struct Pieces {
    /// One at most.
    waiting: VecDeque<Bytes>,
    is_ended: bool,
}

impl Feed {
    /// More of the body, or its end; false when that was known.
    fn put(&self, piece: Option<Bytes>) -> bool {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_ended = pieces.is_ended;
        pieces.is_ended |= piece.is_none();
        pieces.waiting.extend(piece);
        !was_ended
    }
}

impl Stream for Feed {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match pieces.waiting.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None if pieces.is_ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
