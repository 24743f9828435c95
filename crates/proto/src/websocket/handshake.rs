//! The handshake (RFC 6455 §4): what a request must say, and what its answer does; both sides.
//! Nothing here draws a key or sends anything: a client's sixteen bytes are given.

mod client;
mod server;

pub use client::{Asked, Disagreement};
pub use server::{HandshakeError, Offer};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The only version there is (RFC 6455 §4.1).
pub const VERSION: &str = "13";

/// What is put behind a key before it is hashed (RFC 6455 §1.3).
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What proves that a key was read: `Sec-WebSocket-Accept` (RFC 6455 §4.2.2).
fn accept_of(key: &[u8]) -> String {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(MAGIC.as_bytes());
    STANDARD.encode(hash.digest().bytes())
}

/// The members of a list as fields write it (RFC 9110 §5.6.1), without what is empty.
fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// Whether a field's list has this member, in any case.
fn has_member(value: &[u8], member: &str) -> bool {
    members(value).any(|own| own.eq_ignore_ascii_case(member.as_bytes()))
}

/// A token (RFC 9110 §5.6.2).
fn is_token(bytes: &[u8]) -> bool {
    let is_mark = |byte: &u8| b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}
