//! What handlers may return, and how each of them becomes a response.
//! It decides statuses and media types, and nothing else.

use std::borrow::Cow;
use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{BYTES, Response, TEXT};

/// What a handler may return. A handler that only panics says what it would return:
/// `|_: Request| -> Response { todo!() }`.
///
/// ```
/// use springtide::{IntoResponse, Response, Server};
///
/// struct Tide { metres: f32 }
///
/// impl IntoResponse for Tide {
///     fn into_response(self) -> Response {
///         Response::text(format!("{} m", self.metres))
///     }
/// }
///
/// let server = Server::new().get("/tide", || Tide { metres: 1.2 });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as a response",
    label = "this is not a response",
    note = "return a string, bytes, a `StatusCode`, a `Response`, `Json(value)`, a pair `(StatusCode, \
            body)`, `()`, or an `Option` or a `Result` of such",
    note = "an error of any kind becomes a 500 as a `Failure`: return `Result<_, Failure>` and use `?`",
    note = "for a type of your own, implement `IntoResponse`"
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

impl<T: ?Sized + ToOwned> IntoResponse for Cow<'static, T>
where
    &'static T: IntoResponse,
    T::Owned: IntoResponse,
{
    fn into_response(self) -> Response {
        match self {
            Self::Borrowed(body) => body.into_response(),
            Self::Owned(body) => body.into_response(),
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

impl<const LENGTH: usize> IntoResponse for &'static [u8; LENGTH] {
    fn into_response(self) -> Response {
        self.as_slice().into_response()
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

impl<R: IntoResponse, const COUNT: usize, N, V> IntoResponse for ([(N, V); COUNT], R)
where
    N: TryInto<HeaderName>,
    V: TryInto<HeaderValue>,
{
    /// With these fields more.
    ///
    /// # Panics
    /// As [`Response::header`].
    fn into_response(self) -> Response {
        let (fields, body) = self;
        let response = body.into_response();
        fields.into_iter().fold(response, |response, (name, value)| response.header(name, value))
    }
}

impl<R: IntoResponse, const COUNT: usize, N, V> IntoResponse for (StatusCode, [(N, V); COUNT], R)
where
    N: TryInto<HeaderName>,
    V: TryInto<HeaderValue>,
{
    /// With these fields more.
    ///
    /// # Panics
    /// As [`Response::header`].
    fn into_response(self) -> Response {
        (self.1, self.2).into_response().status(self.0)
    }
}

impl<R: IntoResponse> IntoResponse for (HeaderMap, R) {
    fn into_response(self) -> Response {
        self.1.into_response().with_fields(self.0)
    }
}

impl<R: IntoResponse> IntoResponse for (StatusCode, HeaderMap, R) {
    fn into_response(self) -> Response {
        (self.1, self.2).into_response().status(self.0)
    }
}

impl<B: IntoResponse> IntoResponse for http::Response<B> {
    fn into_response(self) -> Response {
        let (parts, body) = self.into_parts();
        (parts.status, parts.headers, body).into_response()
    }
}

impl<B: IntoResponse> From<http::Response<B>> for Response {
    fn from(response: http::Response<B>) -> Self {
        response.into_response()
    }
}

/// The body of a stream ([`Response::stream`]) is empty there: it exists only while it is sent.
impl From<Response> for http::Response<Bytes> {
    fn from(mut response: Response) -> Self {
        let mut other = Self::new(response.take_body());
        *other.status_mut() = response.status_code();
        let fields = other.headers_mut();
        if let Some(media_type) = response.media_type()
            && let Ok(value) = HeaderValue::try_from(media_type.as_str())
        {
            fields.insert(header::CONTENT_TYPE, value);
        }
        for (name, value) in response.fields() {
            fields.append(name, value.clone());
        }
        other
    }
}

impl Response {
    fn with_fields(self, fields: HeaderMap) -> Self {
        let mut last = None;
        fields.into_iter().fold(self, |response, (name, value)| {
            // Further values of a name come without it.
            last = name.or_else(|| last.take());
            match &last {
                Some(name) => response.header(name, value),
                None => response,
            }
        })
    }
}

impl IntoResponse for Infallible {
    fn into_response(self) -> Response {
        match self {}
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, media type, fields and body of what something becomes.
    fn shown(from: impl IntoResponse) -> String {
        let response = from.into_response();
        let fields = response.fields().iter();
        let fields: String =
            fields.map(|(name, value)| format!(" {name}={}", value.to_str().unwrap())).collect();
        let body = String::from_utf8_lossy(response.body());
        let kind = response.media_type().map_or("-", |kind| kind.as_str());
        format!("{} {kind}{fields} {body}", response.status_code().as_u16())
    }

    #[test]
    fn what_handlers_may_return() {
        let (text, bytes) = ("200 text/plain; charset=utf-8 x", "200 application/octet-stream x");
        assert_eq!(shown("x"), text);
        assert_eq!(shown(String::from("x")), text);
        assert_eq!(shown(Cow::Borrowed("x")), text);
        assert_eq!(shown(Cow::<str>::Owned("x".into())), text);
        assert_eq!(shown(Response::text("x")), text);
        assert_eq!(shown(b"x"), bytes);
        assert_eq!(shown(vec![b'x']), bytes);
        assert_eq!(shown(Bytes::from("x")), bytes);
        assert_eq!(shown(Cow::<[u8]>::Owned(b"x".into())), bytes);
        assert_eq!(shown(StatusCode::ACCEPTED), "202 - ");
        assert_eq!(shown(()), "204 - ");
        assert_eq!(shown(Response::no_content()), "204 - ");
        assert_eq!(shown(None::<&str>), "404 - ");
        assert_eq!(shown(Some("x")), text);
        assert_eq!(shown(Json(7)), "200 application/json 7");
        let created = (StatusCode::CREATED, "x");
        assert_eq!(shown(created), "201 text/plain; charset=utf-8 x");
        assert_eq!(shown(Err::<(), _>(created)), "201 text/plain; charset=utf-8 x");
        assert_eq!(shown(Ok::<_, Infallible>("x")), text);
        let more = "201 text/plain; charset=utf-8 a=1 b=2 x";
        assert_eq!(shown((StatusCode::CREATED, [("a", "1"), ("b", "2")], "x")), more);
        assert_eq!(shown(([("content-type", "a/b")], "x")), "200 - content-type=a/b x");
    }

    #[test]
    fn responses_of_other_crates() {
        let mut other = http::Response::new("x");
        *other.status_mut() = StatusCode::CREATED;
        for (name, value) in [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("content-type", "a/b")]
        {
            other.headers_mut().append(name, HeaderValue::from_static(value));
        }
        let there = "201 - set-cookie=a=1 set-cookie=b=2 content-type=a/b x";
        assert_eq!(shown(other.clone()), there);
        let fields = other.headers().clone();
        assert_eq!(shown((StatusCode::CREATED, fields, "x")), there);
        let back = http::Response::<Bytes>::from(Response::from(other));
        assert_eq!(
            (back.headers().len(), back.headers()["content-type"].as_bytes()),
            (3, &b"a/b"[..])
        );
        let plain = http::Response::<Bytes>::from(Response::new("x"));
        assert_eq!(plain.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!((plain.status(), &plain.body()[..]), (StatusCode::OK, &b"x"[..]));
    }
}
