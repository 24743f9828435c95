//! A request to another server, as it is put together and sent.
//! Nothing is sent before `send` is awaited.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::body::Outgoing;
use super::connect::{deadline, poll_deadline};
use super::exchange::Asked;
use super::response::ClientResponse;
use super::url::Url;
use super::{ClientError, Settings};
use crate::current;
use crate::request::{Body, Shared};

/// A request that is being put together; see [`HttpClient`](crate::HttpClient).
///
/// ```
/// use springtide::{ClientError, HttpClient, Method};
/// async fn land(client: &HttpClient) -> Result<bool, ClientError> {
///     let request = client.request(Method::PATCH, "http://harbour.example/ships/7");
///     let request = request.header("content-type", "text/plain").body("landed");
///     Ok(request.send().await?.status().is_success())
/// }
/// ```
#[must_use = "a request does nothing unless it is sent"]
pub struct ClientRequest {
    settings: Arc<Settings>,
    url: Result<Url, ClientError>,
    method: Method,
    fields: HeaderMap,
    body: Outgoing,
    host: Option<String>,
    expects_continue: bool,
}

impl ClientRequest {
    pub(super) const fn new(
        settings: Arc<Settings>,
        method: Method,
        url: Result<Url, ClientError>,
        fields: HeaderMap,
    ) -> Self {
        let (body, host, expects_continue) = (Outgoing::None, None, false);
        Self { settings, url, method, fields, body, host, expects_continue }
    }

    /// The same request with one field more. Fields that frame the message are the connection's and
    /// are left out: `Content-Length`, `Transfer-Encoding`, `Connection`, `Expect`, `Upgrade`.
    ///
    /// # Panics
    /// When name or value hold bytes that no field may hold (RFC 9110 §5.5): the request is then
    /// answered with a 500. Check values that come from outside with `HeaderValue::from_str`.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        let (Ok(name), Ok(value)) = (name.try_into(), value.try_into()) else {
            panic!("the name or the value of a request's field has bytes that no field may have")
        };
        self.fields.append(name, value);
        self
    }

    /// The same request to another URL.
    pub fn url(mut self, url: &str) -> Self {
        if !matches!(self.url, Err(ClientError::MaxForwards(_))) {
            self.url = Url::parse(url);
        }
        self
    }

    /// The host that `Host` says, where that is not the URL's own.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The same request with a body in memory.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Outgoing::Whole(body.into());
        self
    }

    /// The same request with the body of a request that was received, piece by piece as it comes: no
    /// more is received than is sent. Without a length it goes in chunks, which a server of HTTP/1.0
    /// does not understand, and the fields that come behind it go on behind it (RFC 9110 §6.5).
    pub fn body_of(self, body: Body, length: Option<u64>) -> Self {
        self.body_without(body, length, Vec::new())
    }

    /// The same without the fields of these names behind it.
    pub(super) fn body_without(
        mut self,
        body: Body,
        length: Option<u64>,
        unwanted: Vec<HeaderName>,
    ) -> Self {
        self.body = Outgoing::of_body(body, length, unwanted);
        self
    }

    /// The same request with a body that a stream gives, piece by piece as there is room.
    pub fn body_stream<S, E>(mut self, stream: S, length: Option<u64>) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + 'static,
        E: std::error::Error,
    {
        self.body = Outgoing::of_stream(stream, length);
        self
    }

    /// The body is sent when the server asks for it, or a second has passed (RFC 9110 §10.1.1): a
    /// refusal comes before it. Of a body in memory nothing changes.
    pub const fn expect_continue(mut self) -> Self {
        self.expects_continue = true;
        self
    }

    /// Sends it, and waits for the head of the answer, whatever its status. Dropped before that, the
    /// connection is closed.
    ///
    /// # Errors
    /// It was not answered.
    pub async fn send(self) -> Result<ClientResponse, ClientError> {
        let shared = current::shard().ok_or(ClientError::NotOnShard)?;
        let Self { settings, url, method, fields, body, host, expects_continue } = self;
        let mut asked = Asked { method, url: url?, fields, body, host, expects_continue };
        let mut deadline = deadline(settings.limits.total_timeout_ms);
        let mut response = {
            let mut answered = pin!(answer(&mut asked, &settings, &shared));
            poll_fn(|context| match answered.as_mut().poll(context) {
                Poll::Ready(answered) => Poll::Ready(answered),
                Poll::Pending => poll_deadline(&mut deadline, "total_timeout", context),
            })
            .await?
        };
        response.keep_deadline(deadline);
        Ok(response)
    }
}

/// The answer behind the last redirect that is followed.
async fn answer(
    asked: &mut Asked,
    settings: &Arc<Settings>,
    shared: &Rc<Shared>,
) -> Result<ClientResponse, ClientError> {
    let mut left = settings.limits.redirects_max;
    loop {
        let was_replayable = asked.body.is_replayable();
        let answered = asked.exchange(settings, shared).await?;
        let head = &answered.answer;
        let leads_on = settings.limits.redirects_max > 0
            && asked.follow(head.status, &head.fields, was_replayable)?;
        let response = ClientResponse::new(answered, settings.limits.body_bytes_max);
        if !leads_on {
            return Ok(response);
        }
        left = left.checked_sub(1).ok_or(ClientError::Redirects)?;
        response.finish().await;
    }
}

impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ClientRequest");
        shown.field("method", &self.method).field("url", &self.url).finish_non_exhaustive()
    }
}
