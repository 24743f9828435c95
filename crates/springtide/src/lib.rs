//! Springtide: a network server that is simple and fast.
//! Sessions turn bytes into events here; nothing else in the house does.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod connection;
mod current;
mod date;
mod error;
mod executor;
mod files;
mod freeze;
mod handler;
mod limits;
mod listener;
mod mailbox;
mod metrics;
mod offload;
mod peer;
mod report;
mod request;
mod response;
mod room;
mod route;
mod running;
mod server;
mod session;
mod shard;
mod streamed;
mod table;
pub mod test;
#[cfg(test)]
mod tests;
mod transport;
mod watch;

pub use bytes::Bytes;
pub use error::Error;
pub use executor::{Closed, Sleep, sleep};
pub use files::Files;
pub use handler::{Awaited, AwaitedNoArgument, Handler, NoArgument, Plain};
pub use http::{HeaderName, HeaderValue, Method, StatusCode};
pub use limits::Limits;
pub use metrics::{Counts, Metrics};
pub use offload::{Offload, OnPool, offload};
pub use request::{Body, BodyError, Multipart, Part, Request};
pub use response::{IntoResponse, Json, Response};
pub use route::RouteError;
pub use running::Running;
pub use server::{Accepting, Engine, Server};
pub use springtide_engine::{Address, Error as EngineError};
pub use springtide_proto::http1::Limits as Http1Limits;
pub use streamed::{BodyMax, Bounded, InPieces, Streamed, body_max, streamed};
