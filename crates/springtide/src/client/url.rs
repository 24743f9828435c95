//! Where a request goes: host, port, target; and where a redirect leads from there.
//! Only `http://` is spoken; a name is not resolved here.

use std::fmt;

use http::{HeaderValue, Uri};

use super::ClientError;

/// A URL that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) origin: Origin,
    /// The path and the query.
    pub(super) target: String,
}

/// Whom a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// A name, or an address; one of IPv6 in brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    /// The host as it is resolved.
    pub(super) fn name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

/// As `Host` has it: the port is left out where it is the scheme's own.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        if self.port == 80 { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl Url {
    /// The same with a path behind its own, which nothing leads out of, and a query, `?` included.
    pub(super) fn with(mut self, path: &str, query: &str) -> Result<Self, ClientError> {
        if self.target.contains('?') {
            return Err(ClientError::Url("it has a query: the request's own stands there"));
        }
        let base = self.target.trim_end_matches('/');
        if !base.is_empty() && has_dots(path) {
            return Err(ClientError::Dots);
        }
        self.target = format!("{base}{path}{query}");
        Ok(self)
    }

    pub(super) fn parse(text: &str) -> Result<Self, ClientError> {
        let uri: Uri = text.parse().map_err(|_| ClientError::Url("it is malformed"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(ClientError::Url("https is not spoken, only http"));
            }
            _ => return Err(ClientError::Url("it does not begin with http://")),
        }
        let authority = uri.authority().ok_or(ClientError::Url("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(ClientError::Url("it has a user name: say that in a field"));
        }
        // Of a port that is none, `Uri` says that there is none.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("" | ":") => 80,
            Some(port) => port.trim_start_matches(':').parse().unwrap_or(0),
            None => 0,
        };
        if port == 0 {
            return Err(ClientError::Url("its port is none"));
        }
        let origin = Origin { host: authority.host().to_ascii_lowercase(), port };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { origin, target })
    }

    /// Where `Location` leads from here (RFC 9110 §10.2.2, RFC 3986 §5.2).
    pub(super) fn join(&self, location: &HeaderValue) -> Result<Self, ClientError> {
        let malformed = ClientError::Url("a redirect leads nowhere");
        let location = location.to_str().map_err(|_| malformed.clone())?;
        let location = location.split('#').next().unwrap_or_default();
        let has_scheme = location.split(['/', '?']).next().is_some_and(|head| head.contains(':'));
        if has_scheme {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("http:{location}"));
        }
        let path = self.target.split('?').next().unwrap_or_default();
        let target = match location.as_bytes() {
            [] => self.target.clone(),
            [b'/', ..] => location.to_owned(),
            [b'?', ..] => format!("{path}{location}"),
            _ => {
                let directory = path.rfind('/').map_or("/", |end| &path[..=end]);
                format!("{directory}{location}")
            }
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*target, None),
        };
        let mut target = without_dots(path);
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        Ok(Self { origin: self.origin.clone(), target })
    }
}

/// Whether a path has `.` or `..`, written in any way (RFC 3986 §6.2.2).
fn has_dots(path: &str) -> bool {
    path.split('/').any(|part| {
        let part = part.to_ascii_lowercase().replace("%2e", ".");
        part == "." || part == ".."
    })
}

/// The path without `.` and `..` (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_whom_and_what() {
        for (text, host, target) in [
            ("http://a", "a", "/"),
            ("http://A.b:80/x?y", "a.b", "/x?y"),
            ("http://a:8080?y", "a:8080", "/?y"),
            ("http://[2001:db8::1]:81/", "[2001:db8::1]:81", "/"),
            ("HTTP://a/%20", "a", "/%20"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((&*url.origin.to_string(), &*url.target), (host, target), "{text}");
        }
        for text in [
            "",
            "a",
            "/a",
            "http://",
            "http:///x",
            "ftp://a/",
            "http://u@a/",
            "http://a:0/",
            "http://a:99999/",
            "http://a b/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        let error = Url::parse("https://a/").unwrap_err().to_string();
        assert_eq!(error, "the URL cannot be asked: https is not spoken, only http");
    }

    #[test]
    fn redirects_lead_on() {
        let from = Url::parse("http://a:81/b/c?d").unwrap();
        for (location, expected) in [
            ("http://e/f", "e/f"),
            ("//e:82/f", "e:82/f"),
            ("/f?g", "a:81/f?g"),
            ("f", "a:81/b/f"),
            ("../f", "a:81/f"),
            ("../../../f/./g/..", "a:81/f/"),
            ("?g", "a:81/b/c?g"),
            ("#x", "a:81/b/c?d"),
            ("f?to=http://x", "a:81/b/f?to=http://x"),
        ] {
            let url = from.join(&HeaderValue::from_static(location)).unwrap();
            assert_eq!(format!("{}{}", url.origin, url.target), expected, "{location}");
        }
        assert!(from.join(&HeaderValue::from_static("https://e/")).is_err());
    }
}
