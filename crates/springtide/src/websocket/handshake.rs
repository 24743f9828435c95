//! The handshake of a request: taken with a 101, or refused with the status of the rule it breaks.
//! It opens nothing: that is done when the reply's turn has come.

use http::{Method, StatusCode, header};
use springtide_proto::websocket::handshake::{HandshakeError, Offer, agree};

use super::options::{Compression, Origins, WebSockets};
use crate::request::Request;
use crate::response::Response;

impl Request {
    /// Answers `101 Switching Protocols` and hands the connection to a [`WebSocket`](super::WebSocket);
    /// [`Server::websocket`](crate::Server::websocket) does no more. Here a handler has read the
    /// request before, may refuse it with any other response, and can give each connection a value of
    /// its own, with its state.
    ///
    /// A request that asks for no WebSocket is answered 426, one with a wrong key or more than 32
    /// subprotocols 400 (RFC 6455 §4.2), a page of another origin 403, and what is no GET 405.
    ///
    /// ```
    /// use springtide::{IntoResponse, Message, Request, Server, Socket, StatusCode};
    ///
    /// let server = Server::new().get("/rooms/{room}", |request: Request| {
    ///     let Some(name) = request.query_value("name") else {
    ///         return StatusCode::FORBIDDEN.into_response();
    ///     };
    ///     let greeting = format!("{name} in {}", request.param("room"));
    ///     request.websocket(move |socket: Socket, _: Message| socket.send(greeting.as_str()))
    /// });
    /// ```
    pub fn websocket(&self, sockets: impl Into<WebSockets>) -> Response {
        let sockets = sockets.into();
        if *self.method() != Method::GET {
            return Response::said(StatusCode::METHOD_NOT_ALLOWED, None)
                .header(header::ALLOW, "GET");
        }
        let offer = match Offer::read(self.headers()) {
            Ok(offer) if self.offers("websocket") => offer,
            // HTTP/1.0 has no upgrades.
            Ok(_) => return refused(HandshakeError::NoUpgrade),
            Err(error) => return refused(error),
        };
        if !self.is_of(&sockets.origins) {
            return Response::said(StatusCode::FORBIDDEN, None);
        }
        let chosen =
            sockets.protocols.iter().find(|own| offer.protocols().any(|other| other == **own));
        // A message that is given in parts cannot be inflated as a whole.
        let is_whole = sockets.options.part_bytes_min.is_none();
        let compression = sockets.options.compression.filter(|_| is_whole);
        let agreed = compression.and_then(|compression| {
            agree(offer.extensions(), compression == Compression::Dedicated)
        });
        let mut response = Response::to_socket(sockets.handler, sockets.options, agreed)
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_ACCEPT, offer.accept());
        if let Some(protocol) = chosen {
            response = response.header(header::SEC_WEBSOCKET_PROTOCOL, protocol.as_str());
        }
        if let Some(agreed) = agreed {
            response = response.header(header::SEC_WEBSOCKET_EXTENSIONS, agreed.answer());
        }
        response
    }

    /// Whether it comes of a page of such an origin, or of no page at all (RFC 6455 §10.2).
    fn is_of(&self, origins: &Origins) -> bool {
        let mut said = self
            .headers()
            .filter(|(name, _)| name.eq_ignore_ascii_case("origin"))
            .map(|(_, value)| value);
        match (said.next(), said.next()) {
            (None, _) => true,
            (Some(_), Some(_)) => false,
            (Some(origin), None) => match origins {
                Origins::Any => true,
                Origins::Same => {
                    let host = self.host();
                    std::str::from_utf8(origin)
                        .is_ok_and(|origin| host.is_some_and(|host| is_same(origin, &host)))
                }
                Origins::These(own) => {
                    own.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(origin))
                }
            },
        }
    }
}

/// The answer to a handshake that breaks a rule, with what would have been right.
fn refused(error: HandshakeError) -> Response {
    let response = Response::said(error.status(), None);
    error.fields().iter().fold(response, |response, (name, value)| response.header(*name, *value))
}

/// Whether a page of this origin speaks to its own server. Its scheme says only which port is not
/// written: behind what ends TLS, the server does not know of it.
fn is_same(origin: &str, host: &str) -> bool {
    let (authority, port) = match origin.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (rest, ":80"),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (rest, ":443"),
        _ => return false,
    };
    let without =
        |authority: &str| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    without(authority) == without(host)
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn origins_are_compared_by_host_and_port() {
        for (origin, host, expected) in [
            ("http://a", "a", true),
            ("https://a", "a", true),
            ("https://A", "a", true),
            ("https://a:443", "a", true),
            ("https://a", "a:443", true),
            ("http://a", "a:80", true),
            ("http://a:8080", "a:8080", true),
            ("http://[2001:db8::1]:81", "[2001:db8::1]:81", true),
            ("http://a:8080", "a", false),
            ("http://a", "a:8080", false),
            ("https://a:80", "a", false),
            ("http://b", "a", false),
            ("http://a.b", "a", false),
            ("null", "null", false),
            ("file://a", "a", false),
            ("", "", false),
        ] {
            assert_eq!(is_same(origin, host), expected, "{origin} at {host}");
        }
    }
}
