//! What a request carries, read into values of the application in a line each.
//! What cannot be read is a response that says why: it is returned as it is, with `?`.

use http::StatusCode;
use serde::de::DeserializeOwned;

use super::Request;
use crate::response::{IntoResponse, Response};

/// The type of a form as browsers send it.
const FORM: &str = "application/x-www-form-urlencoded";

impl Request {
    /// The query read into a value: names are those of its fields.
    ///
    /// # Errors
    /// A query that is not what `T` needs: a response with status 400 that says why, to be returned as
    /// it is.
    ///
    /// ```
    /// use springtide::{Request, Response, Server};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Page {
    ///     number: u32,
    ///     order: Option<String>,
    /// }
    ///
    /// let server = Server::new().get("/tides", |request: Request| {
    ///     let page: Page = request.query()?;
    ///     let order = page.order.unwrap_or_else(|| "time".into());
    ///     Ok::<_, Response>(format!("page {} by {order}", page.number))
    /// });
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"GET /tides?number=7 HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # world.settle();
    /// # assert_eq!(peer.reply().unwrap().body(), b"page 7 by time");
    /// ```
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, Response> {
        let query = self.query_string().unwrap_or_default();
        serde_urlencoded::from_str(query)
            .map_err(|error| bad(format!("the query is not the one expected: {error}")))
    }

    /// The whole body read as a form (`application/x-www-form-urlencoded`): names are those of the
    /// value's fields.
    ///
    /// # Errors
    /// A body of another type: a response with status 415; one that is not what `T` needs: with status
    /// 400, and the reason. Either is to be returned as it is.
    ///
    /// # Panics
    /// As [`bytes`](Self::bytes), like all that read a whole body.
    ///
    /// ```
    /// use springtide::{Request, Response, Server};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Login {
    ///     name: String,
    /// }
    ///
    /// let server = Server::new().post("/login", |request: Request| {
    ///     let login: Login = request.form()?;
    ///     Ok::<_, Response>(format!("welcome, {}", login.name))
    /// });
    /// ```
    pub fn form<T: DeserializeOwned>(&self) -> Result<T, Response> {
        if self.media_type().as_deref() != Some(FORM) {
            return Err(unsupported(FORM));
        }
        serde_urlencoded::from_bytes(self.bytes())
            .map_err(|error| bad(format!("the body is not the form expected: {error}")))
    }

    /// The whole body read as JSON (RFC 8259).
    ///
    /// # Errors
    /// A body that does not say that it is JSON (`application/json`, or a type that ends with `+json`): a
    /// response with status 415, so that no page of another site can send one without asking; one that
    /// is not what `T` needs: with status 400, and where.
    /// Either is to be returned as it is.
    ///
    /// # Panics
    /// As [`bytes`](Self::bytes).
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Response> {
        let is_json = |kind: &str| {
            kind == "application/json"
                || (kind.starts_with("application/") && kind.ends_with("+json"))
        };
        if !self.media_type().is_some_and(|kind| is_json(&kind)) {
            return Err(unsupported("application/json"));
        }
        serde_json::from_slice(self.bytes())
            .map_err(|error| bad(format!("the body is not the JSON expected: {error}")))
    }

    /// The value of a cookie, the first of that name (RFC 6265 §4.2), without the quotes around it.
    /// Names are compared as they stand.
    ///
    /// ```
    /// use springtide::{Request, Server};
    /// let server = Server::new().get("/", |request: Request| {
    ///     format!("harbour: {}", request.cookie("harbour").unwrap_or("none"))
    /// });
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; harbour=\"Brest\"\r\n\r\n");
    /// # world.settle();
    /// # assert_eq!(peer.reply().unwrap().body(), b"harbour: Brest");
    /// ```
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The names and values of all cookies, in the order they came; what is not text is left out.
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.headers().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let texts = fields.filter_map(|(_, value)| std::str::from_utf8(value).ok());
        texts.flat_map(|text| text.split(';')).filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let (name, value) = (name.trim(), value.trim());
            let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            Some((name, bare.unwrap_or(value)))
        })
    }

    /// The type of the body in small letters, without its parameters.
    fn media_type(&self) -> Option<String> {
        let kind = self.header("content-type")?.split(';').next()?;
        Some(kind.trim().to_ascii_lowercase())
    }
}

pub(super) fn bad(reason: String) -> Response {
    (StatusCode::BAD_REQUEST, reason).into_response()
}

pub(super) fn unsupported(expected: &str) -> Response {
    let reason = format!("the body is not of the type {expected}");
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, reason).into_response()
}
