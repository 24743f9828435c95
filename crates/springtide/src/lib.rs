//! Springtide: a network server that is simple and fast.
//! Sessions turn bytes into events here; nothing else in the house does.
#![warn(missing_docs)]

mod report;
mod response;

pub use bytes::Bytes;
pub use http::{HeaderName, HeaderValue, Method, StatusCode};
pub use response::{IntoResponse, Json, Response};
