//! Protocols as pure state machines: bytes and time come in as arguments, events and bytes go out.
//!
//! This crate must never touch a socket, a file, a clock, a thread or a random source, and it
//! knows nothing of the engine. The same machine therefore runs in a server, in a simulation and
//! in a fuzzer, and a recorded input always gives the same output.
//!
//! A reader begins with [`http1::Machine`], [`framed::Machine`] or [`websocket::Machine`]; [`Inbox`]
//! and [`Outbox`] hold what is not yet consumed and what is not yet sent.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod detect;
pub mod framed;
pub mod http1;
mod inbox;
mod limit;
mod outbox;
pub mod proxy;
pub mod websocket;

pub use inbox::Inbox;
#[doc(hidden)]
pub use limit::Number;
pub use limit::{Limit, Unit};
pub use outbox::{COPY_BYTES_MAX, Outbox, Piece};
