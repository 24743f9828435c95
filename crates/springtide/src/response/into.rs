//! What handlers may return, and how each of them becomes a response.
//! It decides statuses and media types, and nothing else.

use bytes::Bytes;
use http::StatusCode;

use super::{BYTES, Response, TEXT};

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
