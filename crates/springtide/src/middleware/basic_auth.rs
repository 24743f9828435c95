//! Basic authentication (RFC 7617): a name and a password with every request.
//! How long a comparison takes tells nothing but how long what was sent is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{self, HeaderValue};

use super::{Middleware, Outcome};
use crate::request::Request;
use crate::response::{IntoResponse, Response};

/// Asks for a name and a password, and answers `401` without one that is known.
///
/// Both travel in plain text: use it behind TLS. They may have any characters, in UTF-8.
///
/// ```
/// use springtide::{BasicAuth, Router};
///
/// let admin = Router::new()
///     .wrap(BasicAuth::new("the harbour office").user("kate", "ebb and flow"))
///     .get("/", || "come in");
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(springtide::Server::new().nest("/admin", admin));
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET /admin HTTP/1.1\r\nHost: a\r\nAuthorization: Basic a2F0ZTplYmIgYW5kIGZsb3c=\r\n\r\n");
/// # world.settle();
/// # assert_eq!(peer.reply().unwrap().body(), b"come in");
/// ```
#[derive(Clone)]
pub struct BasicAuth {
    challenge: HeaderValue,
    /// Each as it is sent: name, colon, password.
    known: Vec<String>,
}

impl BasicAuth {
    /// Nobody is known. The realm is shown to whoever is asked.
    ///
    /// # Panics
    /// When the realm has quotes, backslashes or control characters.
    #[must_use]
    pub fn new(realm: &str) -> Self {
        let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
        let challenge =
            HeaderValue::try_from(challenge).ok().filter(|_| !realm.contains(['"', '\\']));
        let Some(challenge) = challenge else { panic!("{realm:?} cannot stand in quotes") };
        Self { challenge, known: Vec::new() }
    }

    /// Knows somebody.
    ///
    /// # Panics
    /// When the name has a colon, which would end it.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        assert!(!name.contains(':'), "the name {name:?} has a colon");
        self.known.push(format!("{name}:{password}"));
        self
    }

    /// Looks at everybody known, whoever it is.
    fn knows(&self, given: &[u8]) -> bool {
        self.known.iter().fold(false, |found, own| found | is_same(own.as_bytes(), given))
    }
}

impl Middleware for BasicAuth {
    fn begin(&self, request: &Request) -> Outcome {
        match request.header("authorization").and_then(credentials) {
            Some(given) if self.knows(&given) => Outcome::Pass,
            _ => {
                let reply: Response = (StatusCode::UNAUTHORIZED, "Unauthorized").into_response();
                Outcome::Answer(reply.header(header::WWW_AUTHENTICATE, self.challenge.clone()))
            }
        }
    }
}

impl std::fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicAuth").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

/// Name and password as they were sent.
fn credentials(field: &str) -> Option<Vec<u8>> {
    let (scheme, rest) = field.split_once(' ')?;
    let is_basic = scheme.eq_ignore_ascii_case("basic");
    is_basic.then(|| STANDARD.decode(rest.trim_ascii()).ok()).flatten()
}

/// Whether both are the same, in a time that only the length of `given` decides.
fn is_same(own: &[u8], given: &[u8]) -> bool {
    let mut difference = usize::from(own.len() != given.len());
    for (number, byte) in given.iter().enumerate() {
        let own = own.get(number % own.len().max(1)).copied().unwrap_or(0);
        difference |= usize::from(std::hint::black_box(own ^ byte));
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_look_at_everything() {
        for (own, given, expected) in [
            ("", "", true),
            ("a:b", "a:b", true),
            ("a:b", "a:c", false),
            ("a:b", "a:ba:b", false),
            ("a:b", "a:", false),
            ("", "a", false),
            ("a", "", false),
        ] {
            assert_eq!(is_same(own.as_bytes(), given.as_bytes()), expected, "{own} {given}");
        }
    }

    #[test]
    fn credentials_are_base64_behind_their_scheme() {
        assert_eq!(credentials("bAsIc YTpi").as_deref(), Some(&b"a:b"[..]));
        assert_eq!(credentials("Basic  YTpi ").as_deref(), Some(&b"a:b"[..]));
        for bad in ["Basic", "Basic YTp", "Bearer YTpi", "", "Basic YT pi"] {
            assert_eq!(credentials(bad), None, "{bad:?}");
        }
    }
}
