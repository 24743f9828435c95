//! Fields that tell browsers what a page may not be used for.
//! A reply that has one of them already keeps its own.

use http::header::{self, HeaderName, HeaderValue};

use super::{Middleware, Outcome};
use crate::request::Request;

/// Adds fields to every reply that has none of their name: `X-Content-Type-Options: nosniff`,
/// `X-Frame-Options: DENY`, `Referrer-Policy: strict-origin-when-cross-origin` and
/// `Cross-Origin-Opener-Policy: same-origin`.
///
/// ```
/// use springtide::{SecurityHeaders, Server};
///
/// let headers = SecurityHeaders::new()
///     .content_security_policy("default-src 'self'")
///     .strict_transport_security(365 * 24 * 60 * 60);
/// let server = Server::new().wrap(headers).files("/", "site");
/// ```
#[derive(Debug, Clone)]
pub struct SecurityHeaders {
    fields: Vec<(HeaderName, HeaderValue)>,
    /// Only over https: over http it is without meaning (RFC 6797 §7.2).
    transport: Option<HeaderValue>,
}

impl SecurityHeaders {
    /// Those above.
    #[must_use]
    pub fn new() -> Self {
        let fields = [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        let fields = fields.map(|(name, value)| (name, HeaderValue::from_static(value)));
        Self { fields: fields.into(), transport: None }
    }

    /// Adds a field, or replaces one of that name.
    ///
    /// # Panics
    /// When it is no field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let field = (name.parse(), HeaderValue::from_str(value));
        let (Ok(name), Ok(value)) = field else { panic!("{name}: {value} is no field") };
        self.fields.retain(|(own, _)| *own != name);
        self.fields.push((name, value));
        self
    }

    /// What pages may load, as `Content-Security-Policy` says it.
    ///
    /// # Panics
    /// When it has characters that no field may have.
    #[must_use]
    pub fn content_security_policy(self, policy: &str) -> Self {
        self.with("content-security-policy", policy)
    }

    /// For how many seconds browsers ask this host over https only; said in replies over https
    /// ([`Request::scheme`]).
    #[must_use]
    pub fn strict_transport_security(mut self, seconds: u64) -> Self {
        self.transport = HeaderValue::try_from(format!("max-age={seconds}")).ok();
        self
    }
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        Self::new()
    }
}

impl Middleware for SecurityHeaders {
    fn begin(&self, request: &Request) -> Outcome {
        let transport = self.transport.as_ref().filter(|_| request.scheme() == "https").cloned();
        let transport = transport.map(|value| (header::STRICT_TRANSPORT_SECURITY, value));
        let fields = self.fields.clone().into_iter().chain(transport);
        Outcome::then(move |reply| {
            fields.fold(reply, |reply, (name, value)| {
                let is_there = reply.fields().iter().any(|(own, _)| *own == name);
                if is_there { reply } else { reply.header(name, value) }
            })
        })
    }
}
