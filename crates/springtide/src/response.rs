//! Responses: what a handler returns, and what may be turned into one.
//! It encodes nothing: how a response stands on the wire is the machine's business.

mod compress;
mod cookie;
mod events;
mod failure;
mod fields;
mod into;
mod redirect;
mod stream;
mod upgrade;

pub(crate) use compress::{Compressing, Gzip};
pub use cookie::{Cookie, SameSite};
pub use events::{Event, EventStream};
pub use failure::Failure;
pub use into::{IntoResponse, Json};
pub(crate) use stream::{Pipe, Stream};
pub use stream::{Sink, StreamError};
pub use upgrade::Upgraded;
pub(crate) use upgrade::{Make, Opening, Successor, Upgrade};

use bytes::Bytes;
use fields::OwnFields;
use http::header::{HeaderName, HeaderValue};
use http::{StatusCode, header};
use springtide_proto::http1::{Fields, MediaType};

/// A reply to one request: a status, fields and a body that is in memory, or produced piece by
/// piece while it is sent ([`Response::stream`]).
///
/// ```
/// use springtide::{Response, StatusCode};
/// let response = Response::new("gone fishing")
///     .status(StatusCode::SERVICE_UNAVAILABLE)
///     .header("retry-after", "3600");
/// assert_eq!(response.body(), b"gone fishing");
/// ```
#[derive(Debug, Clone)]
pub struct Response {
    status: StatusCode,
    /// The server says it by itself, of an error.
    is_own: bool,
    content_type: Option<MediaType<'static>>,
    /// Boxed, as most responses have none: a response is moved and dropped at every request.
    extras: Option<Box<Extras>>,
    body: Bytes,
}

const _: () = assert!(size_of::<Response>() <= 64, "it is moved and dropped at every request");

/// What few responses have.
#[derive(Debug, Clone, Default)]
struct Extras {
    fields: OwnFields,
    /// The body, which is empty otherwise.
    stream: Option<Stream>,
    /// What the connection is for behind a 101.
    upgrade: Option<Upgrade>,
}

/// Plain text, as strings are sent.
static TEXT: MediaType<'_> = MediaType::new("text/plain; charset=utf-8");
static HTML: MediaType<'_> = MediaType::new("text/html; charset=utf-8");
static JSON: MediaType<'_> = MediaType::new("application/json");
static BYTES: MediaType<'_> = MediaType::new("application/octet-stream");

/// What most replies are, the most frequent first. Statics, as openings tell them by their place.
pub(crate) fn common_types() -> [MediaType<'static>; 4] {
    [TEXT, JSON, HTML, BYTES]
}

impl Response {
    /// A `200 OK` with what `body` is: a string is text, bytes are bytes.
    pub fn new(body: impl IntoResponse) -> Self {
        body.into_response()
    }

    /// A response without a body.
    #[must_use]
    pub const fn empty(status: StatusCode) -> Self {
        Self { status, is_own: false, content_type: None, extras: None, body: Bytes::new() }
    }

    /// `204 No Content`.
    #[must_use]
    pub const fn no_content() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
    }

    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::with_type(TEXT, Bytes::from(text.into()))
    }

    /// HTML text.
    pub fn html(text: impl Into<String>) -> Self {
        Self::with_type(HTML, Bytes::from(text.into()))
    }

    /// A value as JSON (RFC 8259); a value that cannot be written as JSON is a `500`, with the
    /// reason on standard error.
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => Self::with_type(JSON, Bytes::from(bytes)),
            Err(error) => {
                crate::report::error(format_args!("a response cannot be written as JSON: {error}"));
                Self::empty(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// A `200 OK` whose body is produced while it is sent. `producer` is an async closure that puts
    /// pieces into its [`Sink`] and returns `Ok(())` at the end; it begins when the response does,
    /// on the shard of its connection, and waits there whenever the client is behind. What it
    /// captures must be `Send`, its future need not be. The body is sent in chunks (RFC 9112 §7.1);
    /// to clients of HTTP/1.0 its end is the connection's.
    ///
    /// A client that goes drops the producer where it waits. A producer that fails or panics cuts
    /// the connection, so that its client notices; the reason stands on standard error. A request
    /// by `HEAD` gets the fields, and the producer never begins. However long a producer pauses, no
    /// deadline ends it; one that a client stalls is ended by that of sends. When its shard is
    /// frozen, or its server stops and patience is over, the body is cut.
    ///
    /// ```
    /// use springtide::{Request, Response, Server};
    ///
    /// let server = Server::new().get("/log/{lines}", |request: Request| {
    ///     let lines: u32 = request.param("lines").parse().unwrap_or(0);
    ///     Response::stream(async move |mut sink| {
    ///         for line in 0..lines {
    ///             sink.send(format!("{line} fathoms\n")).await?;
    ///         }
    ///         sink.trailer("x-lines", lines)?;
    ///         Ok(())
    ///     })
    /// });
    /// ```
    pub fn stream<F>(producer: F) -> Self
    where
        F: AsyncFnOnce(Sink) -> Result<(), Failure> + Send + 'static,
    {
        Self::streamed(Stream::new(None, producer))
    }

    /// The same for a body of `length` bytes, which is declared (`Content-Length`). A producer that
    /// gives more is told so by an error ([`StreamError::TooLong`]), and one that gives more or less
    /// cuts the connection.
    ///
    /// ```
    /// use springtide::Response;
    /// let response = Response::stream_of(1 << 30, async |mut sink| {
    ///     for _ in 0..16_384 {
    ///         sink.send([0_u8; 65_536].as_slice()).await?;
    ///     }
    ///     Ok(())
    /// });
    /// ```
    pub fn stream_of<F>(length: u64, producer: F) -> Self
    where
        F: AsyncFnOnce(Sink) -> Result<(), Failure> + Send + 'static,
    {
        Self::streamed(Stream::new(Some(length), producer))
    }

    fn streamed(stream: Stream) -> Self {
        let extras = Extras { stream: Some(stream), ..Extras::default() };
        Self { extras: Some(Box::new(extras)), ..Self::with_type(BYTES, Bytes::new()) }
    }

    /// A body of a type known at compile time.
    ///
    /// # Panics
    /// When the type has control characters: the request is then answered with a 500.
    #[must_use]
    pub const fn of(content_type: &'static str, body: Bytes) -> Self {
        Self::with_type(MediaType::new(content_type), body)
    }

    #[inline]
    pub(crate) const fn with_type(content_type: MediaType<'static>, body: Bytes) -> Self {
        let (status, content_type) = (StatusCode::OK, Some(content_type));
        Self { status, is_own: false, content_type, extras: None, body }
    }

    const fn with_media_type(mut self, media_type: MediaType<'static>) -> Self {
        self.content_type = Some(media_type);
        self
    }

    /// An error of the server itself, as text: its detail, or the name of its status.
    pub(crate) fn said(status: StatusCode, detail: Option<&'static str>) -> Self {
        let text = detail.or_else(|| status.canonical_reason()).unwrap_or_default();
        text.into_response().status(status).owned(true)
    }

    /// The same response as the server's own, or as the application's.
    pub(crate) const fn owned(mut self, is_own: bool) -> Self {
        self.is_own = is_own;
        self
    }

    /// Whether it is an error of the server itself.
    pub(crate) const fn is_own(&self) -> bool {
        self.is_own && self.status.as_u16() >= 400
    }

    /// The same response with another status.
    #[must_use]
    pub const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same response with one field more; `Content-Type` replaces the one before. Fields that
    /// frame the message (`Content-Length`, `Transfer-Encoding`, `Connection`) are the machine's
    /// and are left out.
    ///
    /// # Panics
    /// When name or value hold bytes that no field may hold (RFC 9110 §5.5): the request is then
    /// answered with a 500. Check values that come from outside with `HeaderValue::from_str`.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        let (Ok(name), Ok(value)) = (name.try_into(), value.try_into()) else {
            panic!("the name or the value of a response's field has bytes that no field may have")
        };
        let fields = self.extras.get_or_insert_default().fields.to_mut();
        if name == header::CONTENT_TYPE {
            self.content_type = None;
            fields.retain(|(name, _)| *name != header::CONTENT_TYPE);
        }
        fields.push((name, value));
        self
    }

    /// The same response with one field more, whatever it has of that name.
    pub(crate) fn header_more(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.extras.get_or_insert_default().fields.to_mut().push((name, value));
        self
    }

    /// The same response without a type of its own.
    pub(crate) const fn without_type(mut self) -> Self {
        self.content_type = None;
        self
    }

    /// The body; nothing of one that is produced while it is sent.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The status.
    #[must_use]
    pub const fn status_code(&self) -> StatusCode {
        self.status
    }

    /// The type of the body.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.map(MediaType::as_str).or_else(|| {
            let fields = self.fields().iter();
            let mut values = fields.filter(|(name, _)| *name == header::CONTENT_TYPE);
            values.next().and_then(|(_, value)| value.to_str().ok())
        })
    }

    /// The type of the body, where it is not among the fields.
    #[inline]
    pub(crate) const fn media_type(&self) -> Option<MediaType<'static>> {
        self.content_type
    }

    /// The fields; a `Content-Type` only when [`header`](Self::header) gave it.
    #[must_use]
    pub fn fields(&self) -> &[(HeaderName, HeaderValue)] {
        self.extras.as_ref().map_or(&[], |extras| extras.fields.as_slice())
    }

    /// The fields as they are sent.
    #[inline]
    pub(crate) fn sent_fields(&self) -> Fields<'_> {
        self.extras.as_ref().map_or(Fields::NONE, |extras| extras.fields.sent())
    }

    /// The same response, whose fields are encoded now and not with every reply that is a copy of it.
    pub(crate) fn shared(mut self) -> Self {
        if let Some(extras) = &mut self.extras {
            extras.fields.share();
        }
        self
    }

    /// The body, by itself.
    pub(crate) fn take_body(&mut self) -> Bytes {
        std::mem::take(&mut self.body)
    }

    /// Whether more than its head and a body in memory belong to it.
    #[inline]
    pub(crate) fn is_special(&self) -> bool {
        let extras = self.extras.as_ref();
        extras.is_some_and(|extras| extras.stream.is_some() || extras.upgrade.is_some())
    }

    /// The body that is to be produced, if it is.
    #[inline]
    pub(crate) fn body_stream(&self) -> Option<&Stream> {
        self.extras.as_ref().and_then(|extras| extras.stream.as_ref())
    }
}
