//! Redirections: where a client is to go next (RFC 9110 §15.4).
//! A location is never read as another host than it names, nor as another field.

use std::fmt::Write as _;

use http::{HeaderValue, StatusCode, header};

use super::Response;

impl Response {
    /// Sends the client elsewhere: `303 See Other` after a form was sent, `307` or `308` to repeat
    /// the request there for now or for good, `301` and `302` as old clients know it.
    ///
    /// `location` is a URL, or a path on this host. What may not stand in one (blanks, controls,
    /// backslashes, letters beyond ASCII) is percent-encoded. A path that begins with two slashes
    /// would be another host to browsers; it stays a path. Even so, a URL that a client has sent
    /// leads wherever that client likes: take paths from it only.
    ///
    /// ```
    /// use springtide::{Response, StatusCode};
    /// let response = Response::redirect(StatusCode::SEE_OTHER, "/tides/high water");
    /// assert_eq!(response.fields()[0].1, "/tides/high%20water");
    /// ```
    ///
    /// # Panics
    /// When the status is none of these: the request is then answered with a 500.
    #[must_use]
    pub fn redirect(status: StatusCode, location: impl AsRef<str>) -> Self {
        assert!(matches!(status.as_u16(), 301..=303 | 307 | 308), "{status} redirects nobody");
        let location = HeaderValue::try_from(encoded(location.as_ref()));
        let location = location.expect("visible ASCII is a field's value");
        Self::empty(status).header(header::LOCATION, location)
    }
}

/// A reference with nothing in it but what RFC 3986 lets stand.
fn encoded(location: &str) -> String {
    let mut encoded = String::with_capacity(location.len() + 8);
    if location.starts_with("//") {
        // The same path (§5.2.4), and no authority.
        encoded.push_str("/.");
    }
    for byte in location.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                hex(byte, &mut encoded)
            }
            b'!'..=b'~' => encoded.push(char::from(byte)),
            _ => hex(byte, &mut encoded),
        }
    }
    encoded
}

fn hex(byte: u8, encoded: &mut String) {
    let _ = write!(encoded, "%{byte:02X}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_what_they_say() {
        for (location, expected) in [
            ("/a/b?c=d&e#f", "/a/b?c=d&e#f"),
            ("https://sea.example/a", "https://sea.example/a"),
            ("../a", "../a"),
            ("", ""),
            ("/a%20b", "/a%20b"),
            ("/ä", "/%C3%A4"),
            ("/a\r\nset-cookie: b=c", "/a%0D%0Aset-cookie:%20b=c"),
            ("//evil.example/", "/.//evil.example/"),
            ("/\\evil.example/", "/%5Cevil.example/"),
            ("\\\\evil.example/", "%5C%5Cevil.example/"),
            (" //evil.example/", "%20//evil.example/"),
            ("\t//evil.example/", "%09//evil.example/"),
        ] {
            let response = Response::redirect(StatusCode::PERMANENT_REDIRECT, location);
            assert_eq!(response.fields(), [(header::LOCATION, HeaderValue::from_static(expected))]);
        }
    }

    #[test]
    #[should_panic = "redirects nobody"]
    fn other_statuses_redirect_nobody() {
        let _ = Response::redirect(StatusCode::NOT_MODIFIED, "/");
    }
}
