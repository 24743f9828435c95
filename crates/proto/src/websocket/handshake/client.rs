//! The client's side of the handshake: what it asks, and every rule that the answer must keep
//! (RFC 6455 §4.1).
//! It must never follow a redirect, or ask again.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;

use super::{VERSION, accept_of, has_member};

/// What a client has asked for.
///
/// ```
/// use http::StatusCode;
/// use springtide_proto::websocket::handshake::Asked;
/// let asked = Asked::new(*b"the sample nonce", ["chat"]);
/// assert_eq!(asked.fields().nth(3), Some(("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".into())));
/// let answer = [
///     ("Upgrade", b"websocket".as_slice()),
///     ("Connection", b"Upgrade"),
///     ("Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
/// ];
/// assert_eq!(asked.check(StatusCode::SWITCHING_PROTOCOLS, answer), Ok(None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    key: String,
    protocols: Vec<String>,
}

/// Why an answer opens no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disagreement {
    /// The status is not 101.
    Status(StatusCode),
    /// `Upgrade: websocket` or `Connection: upgrade` is missing.
    NoUpgrade,
    /// `Sec-WebSocket-Accept` is missing or wrong: whoever answers has not read the key.
    Accept,
    /// A subprotocol is named that was not offered, or more than one.
    Protocol,
    /// An extension is named that was not offered.
    Extension,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the handshake was answered {status}"),
            Self::NoUpgrade => f.write_str("the answer does not upgrade to WebSocket"),
            Self::Accept => f.write_str("Sec-WebSocket-Accept is missing or wrong"),
            Self::Protocol => f.write_str("the answer has a subprotocol that was not offered"),
            Self::Extension => f.write_str("the answer has an extension that was not offered"),
        }
    }
}

impl std::error::Error for Disagreement {}

impl Asked {
    /// A handshake with sixteen bytes that nobody can foretell, and the subprotocols that the client
    /// can speak, the best first.
    pub fn new<'a>(nonce: [u8; 16], protocols: impl IntoIterator<Item = &'a str>) -> Self {
        let protocols = protocols.into_iter().map(str::to_owned).collect();
        Self { key: STANDARD.encode(nonce), protocols }
    }

    /// The fields of the request, besides those that every request has.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, String)> {
        let protocols = (!self.protocols.is_empty())
            .then(|| ("sec-websocket-protocol", self.protocols.join(", ")));
        [
            ("upgrade", "websocket".to_owned()),
            ("connection", "Upgrade".to_owned()),
            ("sec-websocket-version", VERSION.to_owned()),
            ("sec-websocket-key", self.key.clone()),
        ]
        .into_iter()
        .chain(protocols)
    }

    /// Checks the answer; the subprotocol that it has chosen, if any.
    ///
    /// # Errors
    /// When it opens no WebSocket that was asked for: the connection is to be closed.
    pub fn check<'a>(
        &self,
        status: StatusCode,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Option<&str>, Disagreement> {
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Disagreement::Status(status));
        }
        let (mut has_upgrade, mut has_connection) = (false, false);
        let (mut accepts, mut protocols) = (Vec::new(), Vec::new());
        for (name, value) in fields {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            has_upgrade |= is("upgrade") && has_member(value, "websocket");
            has_connection |= is("connection") && has_member(value, "upgrade");
            if is("sec-websocket-accept") {
                accepts.push(value.trim_ascii());
            } else if is("sec-websocket-protocol") {
                protocols.push(value.trim_ascii());
            } else if is("sec-websocket-extensions") && !value.trim_ascii().is_empty() {
                return Err(Disagreement::Extension);
            }
        }
        if !has_upgrade || !has_connection {
            return Err(Disagreement::NoUpgrade);
        }
        if accepts != [accept_of(self.key.as_bytes()).as_bytes()] {
            return Err(Disagreement::Accept);
        }
        match protocols[..] {
            [] => Ok(None),
            [one] => {
                let offered = self.protocols.iter().find(|own| own.as_bytes() == one);
                offered.map(|own| Some(own.as_str())).ok_or(Disagreement::Protocol)
            }
            _ => Err(Disagreement::Protocol),
        }
    }
}
