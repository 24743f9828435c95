//! Responses: what a handler returns, and what may be turned into one.
//! It encodes nothing: how a response stands on the wire is the machine's business.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{StatusCode, header};
use springtide_proto::http1::MediaType;

/// A reply to one request: a status, fields and a body that is in memory.
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
    #[expect(clippy::box_collection, reason = "8 bytes instead of 24 in every response")]
    fields: Option<Box<Vec<(HeaderName, HeaderValue)>>>,
    body: Bytes,
}

/// Plain text, as strings are sent.
const TEXT: MediaType<'_> = MediaType::new("text/plain; charset=utf-8");
const HTML: MediaType<'_> = MediaType::new("text/html; charset=utf-8");
const JSON: MediaType<'_> = MediaType::new("application/json");
const BYTES: MediaType<'_> = MediaType::new("application/octet-stream");

impl Response {
    /// A `200 OK` with what `body` is: a string is text, bytes are bytes.
    pub fn new(body: impl IntoResponse) -> Self {
        body.into_response()
    }

    /// A response without a body.
    #[must_use]
    pub const fn empty(status: StatusCode) -> Self {
        Self { status, is_own: false, content_type: None, fields: None, body: Bytes::new() }
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
        Self { status, is_own: false, content_type, fields: None, body }
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
        let fields = self.fields.get_or_insert_default();
        if name == header::CONTENT_TYPE {
            self.content_type = None;
            fields.retain(|(name, _)| *name != header::CONTENT_TYPE);
        }
        fields.push((name, value));
        self
    }

    /// The body.
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
        self.fields.as_ref().map_or(&[], |fields| fields)
    }

    /// The body, by itself.
    pub(crate) fn take_body(&mut self) -> Bytes {
        std::mem::take(&mut self.body)
    }
}

/// What a handler may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as a response",
    note = "return a string, bytes, a `StatusCode`, a `Response`, `Json(value)`, or a `Result` or \
            a pair `(StatusCode, body)` of such"
)]
pub trait IntoResponse {
    /// Turns it into a response.
    fn into_response(self) -> Response;
}

/// A value to be sent as JSON: `Json(value)`.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: serde::Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        Response::json(&self.0)
    }
}

impl IntoResponse for Response {
    #[inline]
    fn into_response(self) -> Response {
        self
    }
}

impl IntoResponse for &'static str {
    #[inline]
    fn into_response(self) -> Response {
        Response::with_type(TEXT, Bytes::from_static(self.as_bytes()))
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Response {
        Response::with_type(TEXT, Bytes::from(self))
    }
}

impl IntoResponse for std::borrow::Cow<'static, str> {
    fn into_response(self) -> Response {
        match self {
            Self::Borrowed(text) => text.into_response(),
            Self::Owned(text) => text.into_response(),
        }
    }
}

impl IntoResponse for Bytes {
    fn into_response(self) -> Response {
        Response::with_type(BYTES, self)
    }
}

impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Response {
        Bytes::from(self).into_response()
    }
}

impl IntoResponse for &'static [u8] {
    fn into_response(self) -> Response {
        Bytes::from_static(self).into_response()
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        Response::empty(self)
    }
}

impl IntoResponse for () {
    /// `204 No Content`.
    fn into_response(self) -> Response {
        Response::empty(StatusCode::NO_CONTENT)
    }
}

impl<R: IntoResponse> IntoResponse for (StatusCode, R) {
    fn into_response(self) -> Response {
        self.1.into_response().status(self.0)
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

impl<T: IntoResponse> IntoResponse for Option<T> {
    /// Nothing is `404 Not Found`.
    fn into_response(self) -> Response {
        self.map_or_else(|| Response::empty(StatusCode::NOT_FOUND), T::into_response)
    }
}
