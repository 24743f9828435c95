//! The server's side of the handshake: every rule of RFC 6455 §4.2.1, and the status of its breach.
//! It must never choose a subprotocol, or look at an origin: that is the application's.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;

use super::{VERSION, accept_of, has_member, is_token, members};

/// What a request offers that asks for a WebSocket.
///
/// ```
/// use springtide_proto::websocket::handshake::Offer;
/// let offer = Offer::read([
///     ("Upgrade", b"websocket".as_slice()),
///     ("Connection", b"keep-alive, Upgrade"),
///     ("Sec-WebSocket-Version", b"13"),
///     ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
///     ("Sec-WebSocket-Protocol", b"chat, superchat"),
/// ])?;
/// assert_eq!(offer.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "as in RFC 6455 §1.3");
/// assert!(offer.protocols().eq(["chat", "superchat"]));
/// # Ok::<(), springtide_proto::websocket::handshake::HandshakeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    accept: String,
    protocols: Vec<String>,
    extensions: Vec<u8>,
}

/// Why a request gets no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It does not ask for one: `Upgrade: websocket` or `Connection: upgrade` is missing.
    NoUpgrade,
    /// Its version is another, or said more than once.
    Version,
    /// Its key is missing, said twice, or not sixteen bytes in base64.
    Key,
    /// A subprotocol is no token, or is offered twice.
    Protocols,
}

impl HandshakeError {
    /// What the request is answered with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NoUpgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Key | Self::Protocols => StatusCode::BAD_REQUEST,
        }
    }

    /// A field that tells what would have been right (RFC 9110 §7.8, RFC 6455 §4.2.2).
    #[must_use]
    pub const fn field(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::NoUpgrade => Some(("upgrade", "websocket")),
            Self::Version => Some(("sec-websocket-version", VERSION)),
            Self::Key | Self::Protocols => None,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUpgrade => "the request asks for no WebSocket",
            Self::Version => "the version of WebSocket is 13",
            Self::Key => "Sec-WebSocket-Key is sixteen bytes in base64, once",
            Self::Protocols => "Sec-WebSocket-Protocol is a list of tokens, each once",
        })
    }
}

impl std::error::Error for HandshakeError {}

/// What the fields of a request say of it.
#[derive(Default)]
struct Fields<'a> {
    has_upgrade: bool,
    has_connection: bool,
    versions: Vec<&'a [u8]>,
    keys: Vec<&'a [u8]>,
    protocols: Vec<&'a [u8]>,
    extensions: Vec<u8>,
}

impl<'a> Fields<'a> {
    fn add(&mut self, name: &str, value: &'a [u8]) {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("upgrade") {
            self.has_upgrade |= has_member(value, "websocket");
        } else if is("connection") {
            self.has_connection |= has_member(value, "upgrade");
        } else if is("sec-websocket-version") {
            self.versions.push(value);
        } else if is("sec-websocket-key") {
            self.keys.push(value);
        } else if is("sec-websocket-protocol") {
            self.protocols.extend(members(value));
        } else if is("sec-websocket-extensions") {
            // Several fields are one list (RFC 6455 §9.1).
            let comma = if self.extensions.is_empty() { b"".as_slice() } else { b"," };
            self.extensions.extend_from_slice(comma);
            self.extensions.extend_from_slice(value);
        }
    }
}

impl Offer {
    /// Reads the fields of a GET in HTTP/1.1, by their names in any case.
    ///
    /// # Errors
    /// When they ask for no WebSocket that there is.
    pub fn read<'a>(
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, HandshakeError> {
        let mut seen = Fields::default();
        fields.into_iter().for_each(|(name, value)| seen.add(name, value));
        if !seen.has_upgrade || !seen.has_connection {
            return Err(HandshakeError::NoUpgrade);
        }
        if seen.versions != [VERSION.as_bytes()] {
            return Err(HandshakeError::Version);
        }
        let [key] = seen.keys[..] else { return Err(HandshakeError::Key) };
        if STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16) {
            let (accept, protocols) = (accept_of(key), tokens(&seen.protocols)?);
            Ok(Self { accept, protocols, extensions: seen.extensions })
        } else {
            Err(HandshakeError::Key)
        }
    }

    /// The `Sec-WebSocket-Accept` of the answer.
    #[must_use]
    pub fn accept(&self) -> &str {
        &self.accept
    }

    /// The subprotocols that the client can speak, the one it likes best first. The answer names one
    /// of them, or none.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.protocols.iter().map(String::as_str)
    }

    /// The list of extensions, as it stands.
    #[must_use]
    pub fn extensions(&self) -> &[u8] {
        &self.extensions
    }
}

fn tokens(members: &[&[u8]]) -> Result<Vec<String>, HandshakeError> {
    let mut tokens: Vec<String> = Vec::with_capacity(members.len());
    for member in members {
        let token = std::str::from_utf8(member).ok().filter(|_| is_token(member));
        match token.filter(|token| !tokens.iter().any(|other| other == token)) {
            Some(token) => tokens.push(token.to_owned()),
            None => return Err(HandshakeError::Protocols),
        }
    }
    Ok(tokens)
}
