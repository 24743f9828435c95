//! Cookies on their way to a client (RFC 6265).
//! None is sent that a client would read as something else.

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Response;

/// A cookie to be kept by the client; [`Response::set_cookie`] sends it.
///
/// ```
/// use std::time::Duration;
/// use springtide::{Cookie, Response, SameSite};
///
/// let cookie = Cookie::new("session", "a7f3")
///     .path("/")
///     .max_age(Duration::from_secs(3600))
///     .same_site(SameSite::Lax)
///     .secure()
///     .http_only();
/// let response = Response::new("aboard").set_cookie(cookie);
/// let expected = "session=a7f3; Path=/; Max-Age=3600; SameSite=Lax; Secure; HttpOnly";
/// assert_eq!(response.fields()[0].1, expected);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    name_and_value: String,
    path: Option<String>,
    domain: Option<String>,
    max_age: Option<Duration>,
    same_site: Option<SameSite>,
    is_secure: bool,
    is_http_only: bool,
}

/// With which requests from other sites a cookie comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// With none.
    Strict,
    /// With those that open a page here.
    Lax,
    /// With all; such a cookie is [`secure`](Cookie::secure) too, as browsers require.
    None,
}

/// What need not be encoded in a value.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Cookie {
    /// A cookie for as long as the browser runs, of the path it was set on, and readable by scripts.
    ///
    /// # Panics
    /// When the name is no token (RFC 9110 §5.6.2), or the value has blanks, controls, `"`, `,`,
    /// `;`, `\` or letters beyond ASCII: the request is then answered with a 500. For values of any
    /// form there is [`Cookie::encoded`].
    #[must_use]
    pub fn new(name: &str, value: &str) -> Self {
        assert!(is_token(name), "a cookie's name is a token");
        assert!(value.bytes().all(is_octet), "a cookie's value has bytes that it may not have");
        Self {
            name_and_value: format!("{name}={value}"),
            path: None,
            domain: None,
            max_age: None,
            same_site: None,
            is_secure: false,
            is_http_only: false,
        }
    }

    /// A cookie with a value of any form, which is percent-encoded: decode it when it comes back.
    ///
    /// # Panics
    /// When the name is no token.
    #[must_use]
    pub fn encoded(name: &str, value: &str) -> Self {
        Self::new(name, &utf8_percent_encode(value, PLAIN).to_string())
    }

    /// Makes the client forget a cookie. Path and domain are to be as when it was set.
    ///
    /// # Panics
    /// When the name is no token.
    #[must_use]
    pub fn forget(name: &str) -> Self {
        Self::new(name, "").max_age(Duration::ZERO)
    }

    /// The same for a path and what is beneath it; `/` for the whole site.
    ///
    /// # Panics
    /// When the path has `;`, controls or letters beyond ASCII.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(attribute(path));
        self
    }

    /// The same for a domain and its subdomains, in place of this host alone.
    ///
    /// # Panics
    /// When the domain has `;`, controls or letters beyond ASCII.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(attribute(domain));
        self
    }

    /// The same for so long, in whole seconds, also when the browser ends.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Says with which requests from other sites it comes.
    #[must_use]
    pub const fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = Some(same_site);
        self
    }

    /// The same over TLS only.
    #[must_use]
    pub const fn secure(mut self) -> Self {
        self.is_secure = true;
        self
    }

    /// The same, and no script can read it.
    #[must_use]
    pub const fn http_only(mut self) -> Self {
        self.is_http_only = true;
        self
    }

    fn written(&self) -> String {
        let mut written = self.name_and_value.clone();
        for (name, value) in [("Path", &self.path), ("Domain", &self.domain)] {
            if let Some(value) = value {
                written.extend(["; ", name, "=", value]);
            }
        }
        if let Some(age) = self.max_age {
            let _ = write!(written, "; Max-Age={}", age.as_secs());
        }
        if let Some(same_site) = self.same_site {
            let _ = write!(written, "; SameSite={same_site:?}");
        }
        if self.is_secure || self.same_site == Some(SameSite::None) {
            written.push_str("; Secure");
        }
        if self.is_http_only {
            written.push_str("; HttpOnly");
        }
        written
    }
}

impl Response {
    /// The same response with one cookie more.
    #[must_use]
    pub fn set_cookie(self, cookie: Cookie) -> Self {
        let written = HeaderValue::try_from(cookie.written());
        self.header(header::SET_COOKIE, written.expect("every part of a cookie was checked"))
    }
}

/// What may stand in an attribute (§4.1.1).
fn attribute(value: &str) -> String {
    let is_valid = value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';');
    assert!(is_valid, "an attribute of a cookie has bytes that it may not have");
    value.to_owned()
}

fn is_token(name: &str) -> bool {
    let is_sign = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte))
}

/// What may stand in a value (§4.1.1).
const fn is_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_on_the_wire() {
        let long = Duration::from_millis(2_500);
        for (cookie, expected) in [
            (Cookie::new("a", "b=c"), "a=b=c"),
            (Cookie::new("a", ""), "a="),
            (Cookie::encoded("a", "b c;ä"), "a=b%20c%3B%C3%A4"),
            (
                Cookie::new("a", "b").path("/x y").domain("sea.example"),
                "a=b; Path=/x y; Domain=sea.example",
            ),
            (Cookie::new("a", "b").max_age(long).http_only(), "a=b; Max-Age=2; HttpOnly"),
            (Cookie::new("a", "b").same_site(SameSite::None), "a=b; SameSite=None; Secure"),
            (Cookie::forget("a").path("/"), "a=; Path=/; Max-Age=0"),
        ] {
            assert_eq!(cookie.written(), expected);
        }
        let both =
            Response::new("").set_cookie(Cookie::new("a", "1")).set_cookie(Cookie::new("b", "2"));
        assert_eq!(both.fields().iter().filter(|(name, _)| *name == header::SET_COOKIE).count(), 2);
    }

    #[test]
    fn what_would_be_read_as_something_else_is_refused() {
        let refused: &[fn() -> Cookie] = &[
            || Cookie::new("", "b"),
            || Cookie::new("a b", "c"),
            || Cookie::new("a;", "c"),
            || Cookie::new("a=", "c"),
            || Cookie::new("ä", "c"),
            || Cookie::new("a", "b c"),
            || Cookie::new("a", "b;c"),
            || Cookie::new("a", "b\r\nc"),
            || Cookie::new("a", "\"b\""),
            || Cookie::new("a", "ä"),
            || Cookie::new("a", "b").path("/; Secure"),
            || Cookie::new("a", "b").domain("x\n"),
        ];
        for (number, make) in refused.iter().enumerate() {
            assert!(std::panic::catch_unwind(make).is_err(), "{number}");
        }
    }
}
