//! What a request to another server can fail with: which step, and why.
//! It holds no text from that server.

use std::fmt;
use std::net::SocketAddr;

use http::StatusCode;
use springtide_engine::Error as EngineError;
use springtide_proto::http1::{AskError, Refusal, ReplyFault};

use crate::request::BodyError;
use crate::response::{IntoResponse, Response};

/// Why a request was not answered, or its answer is not whole.
///
/// As a response it is what a gateway says (RFC 9110 §15.6): 504 when something took too long, 503
/// when too much is asked at once, else 502; it names no address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is none that can be asked; the words say why.
    Url(&'static str),
    /// The request cannot be sent as it is given.
    Request(AskError),
    /// The path of a request that is passed on would lead out of the path that it is to stay in.
    Dots,
    /// A request that was to be passed on, but says by `Max-Forwards: 0` that it is to be answered here
    /// (RFC 9110 §7.6.2); the status with which that is done unless the handler does it.
    MaxForwards(StatusCode),
    /// It was asked anywhere but in an async handler on its shard.
    NotOnShard,
    /// The name of the host leads nowhere; the system's words.
    Resolve(String),
    /// No connection to this address, the last one of its name.
    Connect(SocketAddr, EngineError),
    /// A limit of this name in [`ClientLimits`](crate::ClientLimits) is spent.
    Limit(&'static str),
    /// The time of this name in [`ClientLimits`](crate::ClientLimits), or `send_timeout` of
    /// [`Limits`](crate::Limits), is over.
    TimedOut(&'static str),
    /// The system ended the connection.
    Broken(EngineError),
    /// What was answered breaks the protocol or a limit.
    Malformed(ReplyFault),
    /// The answer's body is longer than it may be taken at once.
    TooLong,
    /// The request's own body, which was being received, does not come whole.
    Body(BodyError),
    /// The stream that gave the request's own body failed; its words.
    Stream(String),
    /// More redirects than are followed.
    Redirects,
    /// The shard ends, or goes on elsewhere.
    Ended,
}

impl ClientError {
    pub(crate) fn of(fault: ReplyFault) -> Self {
        match fault {
            ReplyFault::HeadTimeout => Self::TimedOut("head_timeout"),
            ReplyFault::Broken(Refusal::BodyTimeout) => Self::TimedOut("body_timeout"),
            ReplyFault::Broken(Refusal::BodyTooSlow) => Self::TimedOut("body_rate_min"),
            fault => Self::Malformed(fault),
        }
    }

    /// Whether the server may have closed a connection that was at rest: no byte of an answer came.
    pub(super) const fn is_stale(&self) -> bool {
        matches!(self, Self::Malformed(ReplyFault::NoAnswer))
    }

    /// The status with which a gateway says the same.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Limit(_) | Self::Ended => StatusCode::SERVICE_UNAVAILABLE,
            Self::Body(error) => error.status(),
            Self::Dots => StatusCode::BAD_REQUEST,
            Self::MaxForwards(status) => *status,
            Self::Url(_) | Self::Request(_) | Self::NotOnShard | Self::Stream(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    /// The same in a few words that name nobody, as the response has them.
    fn in_public(&self) -> &'static str {
        match self {
            Self::Url(_) | Self::Request(_) | Self::NotOnShard => "the request cannot be passed on",
            Self::Dots => "the path has dot segments",
            Self::MaxForwards(_) => "the request goes no further",
            Self::Resolve(_) => "the upstream server's name leads nowhere",
            Self::Connect(..) => "the upstream server cannot be reached",
            Self::Limit(_) => "too many requests wait for the upstream server",
            Self::TimedOut(_) => "the upstream server took too long",
            Self::Broken(_) => "the upstream server ended the connection",
            Self::Malformed(fault) => fault.reason(),
            Self::TooLong => "the upstream server's answer is too long",
            Self::Body(_) | Self::Stream(_) => "the body of the request did not come whole",
            Self::Redirects => "the upstream server redirects again and again",
            Self::Ended => "this server is being restarted",
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dots => f.write_str("the path has dot segments, and may lead out of its place"),
            Self::MaxForwards(_) => f.write_str("the request is not to be passed on any more"),
            Self::Url(why) => write!(f, "the URL cannot be asked: {why}"),
            Self::Request(error) => write!(f, "the request cannot be sent: {error}"),
            Self::NotOnShard => f.write_str("requests are sent in async handlers"),
            Self::Resolve(why) => write!(f, "the host's name cannot be resolved: {why}"),
            Self::Connect(address, error) => write!(f, "{address}: {error}"),
            Self::Limit(name) => write!(f, "{name} of the client is spent"),
            Self::TimedOut(name) => write!(f, "{name} is over"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Malformed(fault) => write!(f, "the answer is no good: {fault}"),
            Self::TooLong => f.write_str("the answer's body is longer than body_bytes_max"),
            Self::Body(why) => write!(f, "the request's own body: {why}"),
            Self::Stream(why) => write!(f, "the request's own body: {why}"),
            Self::Redirects => f.write_str("there are more redirects than redirects_max"),
            Self::Ended => f.write_str("the shard ends, or goes on elsewhere"),
        }
    }
}

impl std::error::Error for ClientError {}

impl IntoResponse for ClientError {
    fn into_response(self) -> Response {
        if let Self::MaxForwards(status) = self {
            return Response::empty(status);
        }
        crate::report::error(format_args!("a request was not answered upstream: {self}"));
        (self.status(), self.in_public()).into_response()
    }
}

impl From<ClientError> for Response {
    fn from(error: ClientError) -> Self {
        error.into_response()
    }
}
