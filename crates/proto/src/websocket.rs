//! WebSocket (RFC 6455, RFC 7692): the handshake, and messages in frames, for a server's side and a
//! client's.
//! Nothing here may read or write a connection, nor draw a number: see [`Machine`].

mod close;
mod controls;
mod deflate;
mod frame;
pub mod handshake;
mod lent;
mod limits;
mod machine;
mod mask;
mod message;
mod refusal;
mod send;
mod utf8;

pub use close::{CloseFrame, CloseFrameError, code};
pub use deflate::{Deflater, Inflater, Window};
pub use limits::Limits;
pub use machine::{Due, Machine, Received};
pub use mask::{MaskKey, apply_mask};
pub use message::{InPlace, Kind};
pub use refusal::Refusal;
pub use send::{Encoded, SendError};
pub use utf8::Utf8Check;
