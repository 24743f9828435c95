//! Passing on: a request that was received to another server, and its answer back, streaming both
//! ways. What belongs to one connection only stays there (RFC 9110 §7.6.1).
//! It never trusts what the client says of others: it appends, and what it appends is its own.

use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, MAX_FORWARDS, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::url::Url;
use super::{ClientBody, ClientError, ClientRequest, ClientResponse, HttpClient};
use crate::current;
use crate::executor::{Bell, Ring};
use crate::request::Request;
use crate::response::{IntoResponse, Response};
use crate::table::Place;

impl HttpClient {
    /// A request as it was received, to be sent to the server at `origin` (`http://host:port`, and a
    /// path that goes before the request's own). Its body goes on as it comes: with a handler made by
    /// [`streamed`](crate::streamed) nothing of it is kept.
    ///
    /// Left out are the fields of one connection: `Connection` and what it names, `Keep-Alive`,
    /// `TE`, `Transfer-Encoding`, `Upgrade`, `Proxy-…` (RFC 9110 §7.6.1); added are `Via`,
    /// `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`. `Host` is the one of `origin`.
    /// Fields behind a body in chunks are passed on, and so is `Trailer`, which tells of them.
    ///
    /// Of `OPTIONS` and `TRACE`, `Max-Forwards` is counted down; at 0 the request is not sent but
    /// fails with [`MaxForwards`](ClientError::MaxForwards), which as a response is 204 or 501
    /// (RFC 9110 §7.6.2).
    ///
    /// ```
    /// use springtide::{ClientError, ClientResponse, HttpClient, Request, Server, streamed};
    ///
    /// let client = HttpClient::new();
    /// let server = Server::new().get("/{*path}", streamed(async move |mut request: Request| {
    ///     client.pass_on(&mut request, "http://127.0.0.1:9000").send().await
    /// }));
    /// ```
    pub fn pass_on(&self, request: &mut Request, origin: &str) -> ClientRequest {
        let query = request.query_string().map(|query| format!("?{query}")).unwrap_or_default();
        // As it came: other bytes than those of a target were refused with the request.
        let url = Url::parse(origin).and_then(|url| url.with(request.path(), &query));
        let mut fields = HeaderMap::new();
        for (name, value) in request.headers() {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                fields.append(name, value);
            }
        }
        let length = fields.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let has_body = length.is_some() || fields.contains_key(TRANSFER_ENCODING);
        let host = request.host().and_then(|host| HeaderValue::from_str(&host).ok());
        let url = count_down(request.method(), &mut fields).and(url);
        let named = remove_hop_by_hop(&mut fields);
        let version = if request.is_http10() { "1.0" } else { "1.1" };
        append(&mut fields, "via", Some(format!("{version} springtide")));
        append(&mut fields, "x-forwarded-for", request.client_address().map(|ip| ip.to_string()));
        for (name, value) in [
            ("x-forwarded-host", host),
            ("x-forwarded-proto", HeaderValue::from_str(&request.scheme()).ok()),
        ] {
            // What is not known is not what the client says.
            fields.remove(name);
            if let Some(value) = value {
                fields.insert(HeaderName::from_static(name), value);
            }
        }
        let settings = Arc::clone(&self.settings);
        let method = request.method().clone();
        let expects = request.header("expect").is_some();
        let own = ClientRequest::new(settings, method, url, fields);
        if !has_body {
            return own;
        }
        let own = own.body_without(request.take_body(), length, named);
        // Who waits to be asked is asked when the other server asks.
        if expects { own.expect_continue() } else { own }
    }
}

/// Takes one from how often a request may be passed on still, where its method has that counted
/// (RFC 9110 §7.6.2); an error when that is not at all.
fn count_down(method: &Method, fields: &mut HeaderMap) -> Result<(), ClientError> {
    let Some(value) = fields.get_mut(MAX_FORWARDS) else { return Ok(()) };
    let status = match *method {
        Method::OPTIONS => StatusCode::NO_CONTENT,
        // What came is not told back: it may have what is nobody's business (RFC 9110 §9.3.8).
        Method::TRACE => StatusCode::NOT_IMPLEMENTED,
        _ => return Ok(()),
    };
    let digits = value.to_str().ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    // What is no number is left to whoever answers.
    let Some(digits) = digits else { return Ok(()) };
    let left = digits.parse().unwrap_or(u64::MAX).checked_sub(1);
    *value = left.ok_or(ClientError::MaxForwards(status))?.into();
    Ok(())
}

/// Appends to the list that a field has already. Where nothing is known, nothing is said at all.
fn append(fields: &mut HeaderMap, name: &'static str, value: Option<String>) {
    let Some(value) = value else {
        fields.remove(name);
        return;
    };
    let before = fields.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    let mut joined = before.join(&b", "[..]);
    if !joined.is_empty() {
        joined.extend_from_slice(b", ");
    }
    joined.extend_from_slice(value.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&joined) {
        fields.insert(HeaderName::from_static(name), value);
    }
}

/// Removes the fields of one connection, and those that `Connection` names (RFC 9110 §7.6.1); gives
/// the latter, which may not stand behind the body either.
fn remove_hop_by_hop(fields: &mut HeaderMap) -> Vec<HeaderName> {
    let named: Vec<HeaderName> = fields
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .collect();
    const OWN: [HeaderName; 8] = [
        CONNECTION,
        CONTENT_LENGTH,
        HOST,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    let others = ["keep-alive", "proxy-connection", "proxy-authentication-info"];
    let others = others.map(HeaderName::from_static);
    for name in named.iter().chain(&OWN).chain(&others) {
        fields.remove(name);
    }
    named
}

impl IntoResponse for ClientResponse {
    /// The answer as the handler's own: status, fields without those of one connection, `Via`, and the
    /// body as it comes. A body that does not come whole cuts the client's connection.
    fn into_response(mut self) -> Response {
        let status = self.status();
        let named = remove_hop_by_hop(&mut self.fields);
        append(&mut self.fields, VIA.as_str(), Some("1.1 springtide".to_owned()));
        let mut response = match (self.body.is_none(), self.length) {
            (true, Some(0)) => Response::empty(status),
            (is_none, length) => passed_on(self.body, is_none, length, named).status(status),
        };
        response = response.without_type();
        let mut last = None;
        for (name, value) in self.fields {
            last = name.or(last);
            if let Some(name) = &last {
                response = response.header_more(name.clone(), value);
            }
        }
        response
    }
}

fn passed_on(
    body: ClientBody,
    is_none: bool,
    length: Option<u64>,
    unwanted: Vec<HeaderName>,
) -> Response {
    let Some(shared) = current::shard() else {
        return ClientError::NotOnShard.into_response();
    };
    // An answer to HEAD tells the length of what it leaves out, or that there is none.
    let parcel = Parcel {
        bell: Arc::clone(&shared.bell),
        place: (!is_none).then(|| shared.desk.park(body)),
    };
    let produce = async move |mut sink: crate::Sink| {
        let mut parcel = parcel;
        let Some(mut body) = parcel.take() else {
            return if is_none { Ok(()) } else { Err(ClientError::Ended.into()) };
        };
        while let Some(piece) = body.next().await? {
            sink.send(piece).await?;
        }
        for (name, value) in body.trailers().iter().filter(|(name, _)| !unwanted.contains(name)) {
            // One that may not stand there is left out, and the body is whole all the same.
            let _ = sink.trailer(name.clone(), value.clone());
        }
        Ok(())
    };
    match length {
        Some(length) => Response::stream_of(length, produce),
        None => Response::stream(produce),
    }
}

/// A body that waits on its shard for the response that it belongs to, which may come from anywhere.
struct Parcel {
    bell: Arc<Bell>,
    place: Option<Place>,
}

impl Parcel {
    fn take(&mut self) -> Option<ClientBody> {
        let shared = current::shard().filter(|shared| Arc::ptr_eq(&shared.bell, &self.bell))?;
        shared.desk.unpark(self.place.take()?)
    }
}

impl Drop for Parcel {
    /// Nobody wants the body.
    fn drop(&mut self) {
        if self.place.is_none() {
            return;
        }
        match self.take() {
            Some(body) => drop(body),
            None => {
                if let Some(place) = self.place.take() {
                    self.bell.ring(Ring::Unwanted(place));
                }
            }
        }
    }
}
