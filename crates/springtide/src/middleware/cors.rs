//! Cross-origin requests: which pages of other origins may read replies (Fetch standard, §3.2).
//! It protects browsers' users, and refuses nobody who is no browser.

use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::{Middleware, Outcome};
use crate::request::Request;
use crate::response::Response;

/// Lets pages of other origins read replies, and answers their preflights with `204`.
///
/// Origins are compared letter by letter, as browsers send them: `https://example.org`, with no
/// slash at the end. A preflight for an origin, method or field that is not named is answered
/// without what the browser needs to go on.
///
/// ```
/// use springtide::{Cors, Router};
///
/// let api = Router::new()
///     .wrap(Cors::origins(["https://example.org"]).methods(["GET", "PUT"]).credentials())
///     .get("/tides", || "high");
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(springtide::Server::new().nest("/api", api));
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET /api/tides HTTP/1.1\r\nHost: a\r\nOrigin: https://example.org\r\n\r\n");
/// # world.settle();
/// # let reply = peer.reply().unwrap();
/// # assert_eq!(reply.header("access-control-allow-origin"), Some("https://example.org"));
/// # assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
/// ```
#[derive(Debug, Clone)]
pub struct Cors {
    /// None for all.
    origins: Option<Vec<String>>,
    has_credentials: bool,
    methods: HeaderValue,
    /// None for whatever is asked for.
    headers: Option<HeaderValue>,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

impl Cors {
    /// Pages of these origins may.
    #[must_use]
    pub fn origins<T: Into<String>>(origins: impl IntoIterator<Item = T>) -> Self {
        let origins = Some(origins.into_iter().map(Into::into).collect());
        let methods = HeaderValue::from_static("GET, HEAD, POST");
        let (headers, exposed, max_age) = Default::default();
        Self { origins, has_credentials: false, methods, headers, exposed, max_age }
    }

    /// Pages of any origin may: for what everybody may read.
    #[must_use]
    pub fn any_origin() -> Self {
        Self { origins: None, ..Self::origins::<String>([]) }
    }

    /// Cookies and other credentials may go along.
    ///
    /// # Panics
    /// Where any origin may: every page that somebody opens could then act in their name.
    #[must_use]
    pub const fn credentials(mut self) -> Self {
        assert!(self.origins.is_some(), "credentials go to origins that are named one by one");
        self.has_credentials = true;
        self
    }

    /// The methods that pages may use. By default `GET`, `HEAD` and `POST`.
    ///
    /// # Panics
    /// When one is no method.
    #[must_use]
    pub fn methods<'a>(mut self, methods: impl IntoIterator<Item = &'a str>) -> Self {
        let methods = methods.into_iter().inspect(|name| {
            assert!(name.parse::<Method>().is_ok(), "{name:?} is no method");
        });
        self.methods = list(methods);
        self
    }

    /// The fields that pages may send beside the simple ones. By default whatever they ask for.
    ///
    /// # Panics
    /// When one is no name of a field.
    #[must_use]
    pub fn headers<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.headers = Some(names_of(names));
        self
    }

    /// The fields of replies that pages may read beside the simple ones. By default none.
    ///
    /// # Panics
    /// When one is no name of a field.
    #[must_use]
    pub fn expose<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.exposed = Some(names_of(names));
        self
    }

    /// For how many seconds a browser may remember the answer to a preflight.
    #[must_use]
    pub fn max_age(mut self, seconds: u32) -> Self {
        self.max_age = Some(HeaderValue::from(seconds));
        self
    }

    /// What stands for an origin in replies to it, if it may read them.
    fn allowed(&self, origin: &str) -> Option<HeaderValue> {
        match &self.origins {
            None => Some(HeaderValue::from_static("*")),
            Some(origins) => {
                let own = origins.iter().find(|own| *own == origin)?;
                HeaderValue::from_str(own).ok()
            }
        }
    }

    fn preflight(&self, allowed: HeaderValue, request: &Request) -> Response {
        let mut reply = self.marked(allowed, Response::empty(StatusCode::NO_CONTENT));
        reply = reply.header(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        let asked = request.header("access-control-request-headers");
        let asked = asked.and_then(|names| HeaderValue::from_str(names).ok());
        if let Some(names) = self.headers.clone().or(asked) {
            reply = reply.header(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        if let Some(seconds) = &self.max_age {
            reply = reply.header(header::ACCESS_CONTROL_MAX_AGE, seconds.clone());
        }
        reply
    }

    /// The fields that stand in every reply to an origin that may.
    fn marked(&self, allowed: HeaderValue, reply: Response) -> Response {
        let reply = self.varied(reply).header(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if !self.has_credentials {
            return reply;
        }
        let yes = HeaderValue::from_static("true");
        reply.header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes)
    }

    /// A reply that is not the same for all origins says so, also to those that may not.
    fn varied(&self, reply: Response) -> Response {
        match self.origins {
            Some(_) => reply.header(header::VARY, HeaderValue::from_static("Origin")),
            None => reply,
        }
    }
}

impl Middleware for Cors {
    fn begin(&self, request: &Request) -> Outcome {
        let allowed = request.header("origin").and_then(|origin| self.allowed(origin));
        let is_preflight = *request.method() == Method::OPTIONS
            && request.header("origin").is_some()
            && request.header("access-control-request-method").is_some();
        let own = self.clone();
        match allowed {
            Some(allowed) if is_preflight => Outcome::Answer(self.preflight(allowed, request)),
            Some(allowed) => Outcome::then(move |reply| {
                let reply = own.marked(allowed, reply);
                match own.exposed {
                    Some(names) => reply.header(header::ACCESS_CONTROL_EXPOSE_HEADERS, names),
                    None => reply,
                }
            }),
            None => Outcome::then(move |reply| own.varied(reply)),
        }
    }
}

fn names_of<'a>(names: impl IntoIterator<Item = &'a str>) -> HeaderValue {
    list(names.into_iter().inspect(|name| {
        assert!(name.parse::<HeaderName>().is_ok(), "{name:?} is no name of a field");
    }))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> HeaderValue {
    let joined = names.collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(joined).expect("names of methods and fields are visible ASCII")
}
