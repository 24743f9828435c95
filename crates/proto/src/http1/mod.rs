//! HTTP/1.1 and HTTP/1.0, both sides of a connection (RFC 9110, RFC 9112).
//! Nothing here may read or write a connection: see [`Machine`] for what goes in and comes out of a
//! server's side, and [`ClientMachine`] for a client's.

mod body;
mod chunked;
mod client;
mod encode;
mod encoded;
mod event;
mod framing;
mod head;
mod limits;
mod machine;
mod marks;
mod media_type;
mod opening;
mod pace;
mod plain;
mod recalled;
mod refusal;
mod replies;
mod scan;
mod trailers;

pub use client::{
    Ask, AskBody, AskError, ClientMachine, ReplyDeadline, ReplyEnd, ReplyFault, ReplyHead,
    ReplyLength, ReplyReceived,
};
pub use encode::{Reply, ReplyBody};
pub use encoded::{EncodedFields, Fields};
pub use event::{Deadline, Exchange, Received, StreamEnd};
pub use framing::is_host;
pub use head::{BodyLength, Field, Head, Span, Version};
pub use limits::{FIELDS_MAX, Limits};
pub use machine::{Frozen, Machine};
#[doc(hidden)]
pub use machine::{Reading, Writing};
pub use media_type::MediaType;
pub use opening::Opening;
pub use refusal::Refusal;
pub use trailers::trailers;
