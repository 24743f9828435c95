//! What a close says: its codes and its reason (RFC 6455 §5.5.1 and §7.4).
//! Nothing here decides when a connection ends.

use std::fmt;

use super::frame::CONTROL_BYTES_MAX;
use super::refusal::Refusal;

/// Codes of closes (RFC 6455 §7.4.1 and the registry of IANA).
pub mod code {
    /// The purpose is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The server stops, or the page was left.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer broke the protocol.
    pub const PROTOCOL: u16 = 1002;
    /// Messages of this kind are not taken.
    pub const UNSUPPORTED: u16 = 1003;
    /// A close without a code; never sent.
    pub const NONE: u16 = 1005;
    /// The connection ended without a close; never sent.
    pub const LOST: u16 = 1006;
    /// A message is not what its kind says, as text that is not UTF-8.
    pub const INVALID_DATA: u16 = 1007;
    /// A rule of the application or a limit of the server was broken.
    pub const POLICY: u16 = 1008;
    /// A message is too long.
    pub const TOO_BIG: u16 = 1009;
    /// The server failed.
    pub const INTERNAL: u16 = 1011;
    /// The server cannot serve this peer now: try again later.
    pub const TRY_AGAIN_LATER: u16 = 1013;
}

/// Whether a close may have this code on the wire: what is reserved for telling at home is not, and
/// what nobody has registered (RFC 6455 §7.4.2).
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Why a close cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseFrameError {
    /// No close may have this code on the wire.
    Code(u16),
    /// The reason has more than 123 bytes.
    ReasonTooLong,
}

impl fmt::Display for CloseFrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "no close may have the code {code}"),
            Self::ReasonTooLong => f.write_str("the reason of a close has 123 bytes at most"),
        }
    }
}

impl std::error::Error for CloseFrameError {}

/// What a close says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloseFrame {
    code: Option<u16>,
    reason: String,
}

impl CloseFrame {
    /// A close with a code and a reason of at most 123 bytes.
    ///
    /// ```
    /// use springtide_proto::websocket::{CloseFrame, code};
    /// assert_eq!(CloseFrame::new(code::NORMAL, "done").expect("it may be sent").code(), 1000);
    /// assert!(CloseFrame::new(code::LOST, "").is_err(), "this is what is said where none came");
    /// ```
    ///
    /// # Errors
    /// Where the code or the reason cannot be sent.
    pub fn new(code: u16, reason: impl Into<String>) -> Result<Self, CloseFrameError> {
        let reason = reason.into();
        if !may_be_sent(code) {
            return Err(CloseFrameError::Code(code));
        }
        if reason.len() + 2 > CONTROL_BYTES_MAX {
            return Err(CloseFrameError::ReasonTooLong);
        }
        Ok(Self { code: Some(code), reason })
    }

    /// A close that says nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self { code: None, reason: String::new() }
    }

    /// Its code; 1005 where none was sent.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code.unwrap_or(code::NONE)
    }

    /// Its reason; mostly there is none.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What a peer has sent.
    pub(super) fn read(payload: &[u8]) -> Result<Self, Refusal> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() { Ok(Self::empty()) } else { Err(Refusal::CloseLength) };
        };
        let code = u16::from_be_bytes(*code);
        if !may_be_sent(code) {
            return Err(Refusal::CloseCode);
        }
        let reason = std::str::from_utf8(reason).map_err(|_| Refusal::Utf8)?;
        Ok(Self { code: Some(code), reason: reason.to_owned() })
    }

    /// Its payload, which is empty where there is no code.
    pub(super) fn payload(&self) -> Vec<u8> {
        let Some(code) = self.code else { return Vec::new() };
        [&code.to_be_bytes(), self.reason.as_bytes()].concat()
    }

    /// What answers it: the same code.
    pub(super) const fn answering(other: &Self) -> Self {
        Self { code: other.code, reason: String::new() }
    }

    pub(super) fn of(refusal: Refusal) -> Self {
        Self { code: Some(refusal.code()), reason: refusal.words().to_owned() }
    }
}
