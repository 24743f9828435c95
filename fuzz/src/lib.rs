//! What each fuzz target does with its bytes: it panics when something is wrong.
//! Nothing here may know the fuzzer: the same functions read the corpora in ordinary tests.
#![forbid(unsafe_code)]

mod answers;
mod chunked;
mod connection;
mod detect;
mod files;
mod framed;
mod head;
mod multipart;
mod websocket;

pub use answers::answers;
pub use chunked::chunked;
pub use connection::connection;
pub use detect::detect;
pub use files::{paths, ranges};
pub use framed::framed;
pub use head::head;
pub use multipart::multipart;
pub use websocket::{deflate, frames, handshake, utf8};
