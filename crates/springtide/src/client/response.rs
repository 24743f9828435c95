//! The answer of another server, and its body while it arrives.
//! What is not taken of a body holds its connection up, and nothing else.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::ClientError;
use super::body::Upload;
use super::connect::poll_deadline;
use super::exchange::{Answered, poll_upload};
use super::line::Call;
use crate::executor::Sleep;
use crate::request::Arriving;

/// An answer: its head, and its body as it comes. Returned from a handler it is passed on; see
/// [`HttpClient::pass_on`](crate::HttpClient::pass_on).
pub struct ClientResponse {
    status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) length: Option<u64>,
    pub(super) body: ClientBody,
    bytes_max: usize,
}

impl ClientResponse {
    pub(super) fn new(answered: Answered, bytes_max: usize) -> Self {
        let Answered { answer, call, upload } = answered;
        let arriving = answer.body;
        let body = ClientBody { call, arriving, upload, deadline: None, failure: None };
        let (status, fields, length) = (answer.status, answer.fields, answer.length);
        Self { status, fields, length, body, bytes_max }
    }

    pub(super) fn keep_deadline(&mut self, deadline: Option<Sleep>) {
        self.body.deadline = deadline;
    }

    /// Its status, of whatever kind.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its fields.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.fields
    }

    /// The first field of a name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(|value| value.to_str().ok())
    }

    /// All of the body.
    ///
    /// # Errors
    /// It does not come whole, or is longer than
    /// [`body_bytes_max`](crate::ClientLimits::body_bytes_max).
    pub async fn bytes(mut self) -> Result<Bytes, ClientError> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.body.next().await? {
            if all.len() + piece.len() > self.bytes_max {
                return Err(ClientError::TooLong);
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// All of the body as text; what is no UTF-8 is replaced.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub async fn text(self) -> Result<String, ClientError> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The body by itself, to be taken while it arrives.
    #[must_use]
    pub fn into_body(self) -> ClientBody {
        self.body
    }

    /// Takes what little there is of the body, so that the connection can be kept.
    pub(super) async fn finish(mut self) {
        let mut left = FINISH_BYTES_MAX;
        while let Ok(Some(piece)) = self.body.next().await {
            match left.checked_sub(piece.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }
}

/// So much of a redirect's body is read over; with more, its connection is closed.
const FINISH_BYTES_MAX: usize = 16 << 10;

impl fmt::Debug for ClientResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The body of an answer, piece by piece. No more of it is received than
/// [`inbox_bytes_max`](crate::ClientLimits::inbox_bytes_max) ahead of who takes it. Dropped before its
/// end, its connection is closed.
pub struct ClientBody {
    call: Rc<Call>,
    arriving: Option<Arriving>,
    upload: Option<Upload>,
    deadline: Option<Sleep>,
    /// Why it does not come whole, once that was told.
    failure: Option<ClientError>,
}

impl ClientBody {
    /// The next piece, not empty; none behind the last one. While it is waited for, what is left of
    /// the request's own body is sent.
    ///
    /// # Errors
    /// The body does not come whole; then nothing more of it comes, and each call says so again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same for futures written by hand.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, ClientError>> {
        if let Some(failure) = &self.failure {
            return Poll::Ready(Err(failure.clone()));
        }
        let next = self.poll_more(context);
        if let Poll::Ready(Err(failure)) = &next {
            self.failure = Some(failure.clone());
        }
        next
    }

    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ClientError>> {
        let Some(arriving) = &self.arriving else { return Poll::Ready(Ok(None)) };
        match arriving.poll_next(context) {
            Poll::Ready(Ok(piece)) => return Poll::Ready(Ok(piece)),
            Poll::Ready(Err(_)) => {
                let fault = self.call.fault().unwrap_or(ClientError::Ended);
                return Poll::Ready(Err(fault));
            }
            Poll::Pending => {}
        }
        if let Err(error) = poll_upload(&mut self.upload, &self.call, context) {
            self.arriving = None;
            self.call.give_up();
            return Poll::Ready(Err(error));
        }
        poll_deadline(&mut self.deadline, "total_timeout", context)
    }

    /// The fields behind a body in chunks, once its end has come: none before.
    #[must_use]
    pub fn trailers(&self) -> HeaderMap {
        self.arriving.as_ref().map(Arriving::trailers).unwrap_or_default()
    }

    /// Whether there is none at all.
    pub(super) const fn is_none(&self) -> bool {
        self.arriving.is_none()
    }
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBody").finish_non_exhaustive()
    }
}
