//! Redirects: where an answer leads, and how the request changes on the way (RFC 9110 §15.4).
//! Credentials never go to another host.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, LOCATION, PROXY_AUTHORIZATION,
};
use http::{HeaderMap, Method, StatusCode};

use super::ClientError;
use super::body::Outgoing;
use super::exchange::Asked;

impl Asked {
    /// Changes it to what an answer with this status and these fields leads to; false when that is an
    /// answer as any other, or the body cannot be sent once more.
    pub(super) fn follow(
        &mut self,
        status: StatusCode,
        fields: &HeaderMap,
        was_replayable: bool,
    ) -> Result<bool, ClientError> {
        let becomes_get = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::SEE_OTHER => self.method != Method::HEAD && self.method != Method::GET,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return Ok(false),
        };
        let Some(location) = fields.get(LOCATION) else { return Ok(false) };
        if !becomes_get && !was_replayable {
            return Ok(false);
        }
        let url = self.url.join(location)?;
        if becomes_get {
            self.method = Method::GET;
            self.body = Outgoing::None;
            self.fields.remove(CONTENT_TYPE);
            self.fields.remove(CONTENT_ENCODING);
        }
        if url.origin != self.url.origin {
            for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
                self.fields.remove(name);
            }
            self.host = None;
        }
        self.url = url;
        Ok(true)
    }
}
