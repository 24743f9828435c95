//! Every way in which a peer breaks the protocol or a limit, with the status to send.
//! It must never hold text from the peer: a refusal is safe to log and to reply.

use http::StatusCode;
use std::fmt;

/// What the peer did wrong. After a refusal no further request is read from the connection.
///
/// ```
/// use springtide_proto::http1::Refusal;
/// assert_eq!(Refusal::BodyTooLong.status(), 413);
/// assert_eq!(Refusal::BodyTooLong.to_string(), "the body is longer than allowed here");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The request line is not `method SP target SP version` (RFC 9112 §3).
    RequestLine,
    /// The target has none of the four forms, or not one that fits the method (RFC 9112 §3.2).
    Target,
    /// A field name is empty, no token or followed by a blank; or a line is folded (RFC 9112 §5).
    FieldName,
    /// A field value has a control character (RFC 9110 §5.5).
    FieldValue,
    /// A line ends in a bare CR or LF, or too many empty lines stand before the request
    /// (RFC 9112 §2.2).
    LineEnd,
    /// HTTP/1.1 without `Host` (RFC 9112 §3.2).
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// `Host` is empty or no host (RFC 9110 §7.2).
    HostInvalid,
    /// `Content-Length` is no number, or too large for any (RFC 9110 §8.6).
    ContentLengthInvalid,
    /// More than one `Content-Length`, the same or not.
    ContentLengthRepeated,
    /// `Content-Length` together with `Transfer-Encoding` (RFC 9112 §6.3).
    LengthWithEncoding,
    /// `Transfer-Encoding` that does not end in exactly one `chunked` (RFC 9112 §6.3).
    TransferEncodingInvalid,
    /// `Transfer-Encoding` in an HTTP/1.0 request (RFC 9112 §6.1).
    TransferEncodingOnHttp10,
    /// A chunk's size or line end is malformed (RFC 9112 §7.1).
    Chunk,
    /// The extensions of one chunk, or of all, are longer than allowed.
    ChunkExtensionTooLong,
    /// A trailer field is malformed or frames the message (RFC 9110 §6.5.1).
    Trailer,
    /// The head was not complete in time (RFC 9110 §15.5.9).
    HeadTimeout,
    /// The body stopped coming (RFC 9110 §15.5.9).
    BodyTimeout,
    /// The body came more slowly than allowed (RFC 9110 §15.5.9).
    BodyTooSlow,
    /// The body is longer than the limit (RFC 9110 §15.5.14).
    BodyTooLong,
    /// The request line is longer than the limit (RFC 9110 §15.5.15).
    RequestLineTooLong,
    /// `Expect` other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// The head is longer than the limit (RFC 6585 §5).
    HeadTooLong,
    /// The head has more fields and cookie pairs than the limit (RFC 6585 §5).
    TooManyFields,
    /// The trailer section is longer than the limit (RFC 6585 §5).
    TrailerTooLong,
    /// `CONNECT`: this is no proxy (RFC 9110 §9.3.6).
    Connect,
    /// A transfer coding before `chunked` (RFC 9112 §6.1).
    TransferEncodingUnknown,
    /// A version other than HTTP/1.0 and HTTP/1.1 (RFC 9110 §15.6.6).
    Version,
}

impl Refusal {
    /// The status that tells the peer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::RequestLine
            | Self::Target
            | Self::FieldName
            | Self::FieldValue
            | Self::LineEnd
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostInvalid
            | Self::ContentLengthInvalid
            | Self::ContentLengthRepeated
            | Self::LengthWithEncoding
            | Self::TransferEncodingInvalid
            | Self::TransferEncodingOnHttp10
            | Self::Chunk
            | Self::ChunkExtensionTooLong
            | Self::Trailer => StatusCode::BAD_REQUEST,
            Self::HeadTimeout | Self::BodyTimeout | Self::BodyTooSlow => {
                StatusCode::REQUEST_TIMEOUT
            }
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestLineTooLong => StatusCode::URI_TOO_LONG,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::HeadTooLong | Self::TooManyFields | Self::TrailerTooLong => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::Connect | Self::TransferEncodingUnknown => StatusCode::NOT_IMPLEMENTED,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        }
    }

    /// What the peer did wrong, as a clause without a full stop.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::RequestLine => "the request line is malformed",
            Self::Target => "the request target is malformed or does not fit the method",
            Self::FieldName => "a field name is malformed or a line is folded",
            Self::FieldValue => "a field value has a control character",
            Self::LineEnd => {
                "a line does not end in CR LF, or empty lines stand before the request"
            }
            Self::HostMissing => "the Host field is missing",
            Self::HostRepeated => "there is more than one Host field",
            Self::HostInvalid => "the host is empty or malformed",
            Self::ContentLengthInvalid => "the Content-Length is no number",
            Self::ContentLengthRepeated => "there is more than one Content-Length",
            Self::LengthWithEncoding => "there are both Content-Length and Transfer-Encoding",
            Self::TransferEncodingInvalid => "the Transfer-Encoding does not end in one chunked",
            Self::TransferEncodingOnHttp10 => "HTTP/1.0 knows no Transfer-Encoding",
            Self::Chunk => "a chunk is malformed",
            Self::ChunkExtensionTooLong => "the chunk extensions are longer than allowed",
            Self::Trailer => "a trailer field is malformed or not allowed in a trailer",
            Self::HeadTimeout => "the head did not come in time",
            Self::BodyTimeout => "the body did not come in time",
            Self::BodyTooSlow => "the body came too slowly",
            Self::BodyTooLong => "the body is longer than allowed here",
            Self::RequestLineTooLong => "the request line is longer than allowed",
            Self::Expectation => "the only expectation known is 100-continue",
            Self::HeadTooLong => "the head is longer than allowed",
            Self::TooManyFields => "the head has more fields or cookies than allowed",
            Self::TrailerTooLong => "the trailer section is longer than allowed",
            Self::Connect => "this server is no proxy",
            Self::TransferEncodingUnknown => "the only transfer coding known is chunked",
            Self::Version => "the only versions known are HTTP/1.0 and HTTP/1.1",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reason())
    }
}

impl std::error::Error for Refusal {}
