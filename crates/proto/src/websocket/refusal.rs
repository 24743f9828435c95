//! What a peer did wrong, and the close code that tells it so (RFC 6455 §7.4.1).
//! Nothing here sends anything.

use std::fmt;

use super::close::code;

/// Why a peer's bytes are refused. The connection ends with the code of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A reserved bit is set that no extension has given a meaning (RFC 6455 §5.2).
    ReservedBits,
    /// The opcode is none (RFC 6455 §5.2).
    Opcode,
    /// A control frame is a fragment (RFC 6455 §5.5).
    FragmentedControl,
    /// A control frame has more than 125 bytes (RFC 6455 §5.5).
    ControlTooLong,
    /// A frame of a client has no mask (RFC 6455 §5.1).
    Unmasked,
    /// A frame of a server has a mask (RFC 6455 §5.1).
    Masked,
    /// A length is said in more bytes than it takes, or has 64 bits (RFC 6455 §5.2).
    Length,
    /// A fragment continues no message (RFC 6455 §5.4).
    ContinuesNothing,
    /// A message begins within another (RFC 6455 §5.4).
    MessageWithinMessage,
    /// A close has one byte, which is no code (RFC 6455 §5.5.1).
    CloseLength,
    /// A close has a code that no peer may send (RFC 6455 §7.4).
    CloseCode,
    /// Text, or the reason of a close, is not UTF-8 (RFC 6455 §8.1).
    Utf8,
    /// A compressed message cannot be inflated (RFC 7692 §7.2.2).
    Compressed,
    /// A message is longer than `socket_message_bytes_max`.
    MessageTooLong,
    /// A message has more fragments than `socket_fragments_max`.
    Fragments,
    /// More pings and pongs came in a second than `socket_controls_max`.
    Controls,
}

impl Refusal {
    /// What the peer is told.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Utf8 | Self::Compressed => code::INVALID_DATA,
            Self::MessageTooLong => code::TOO_BIG,
            Self::Fragments | Self::Controls => code::POLICY,
            _ => code::PROTOCOL,
        }
    }

    /// The limit that was broken, if it was one.
    #[must_use]
    pub const fn limit(self) -> Option<&'static str> {
        match self {
            Self::MessageTooLong => Some("socket_message_bytes_max"),
            Self::Fragments => Some("socket_fragments_max"),
            Self::Controls => Some("socket_controls_max"),
            _ => None,
        }
    }

    /// In words that fit into a close.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::ReservedBits => "a reserved bit is set",
            Self::Opcode => "the opcode is unknown",
            Self::FragmentedControl => "a control frame is a fragment",
            Self::ControlTooLong => "a control frame is too long",
            Self::Unmasked => "a frame has no mask",
            Self::Masked => "a frame has a mask",
            Self::Length => "a length is not as short as it can be",
            Self::ContinuesNothing => "a fragment continues no message",
            Self::MessageWithinMessage => "a message begins within another",
            Self::CloseLength => "a close code has two bytes",
            Self::CloseCode => "no peer may send this close code",
            Self::Utf8 => "text is not UTF-8",
            Self::Compressed => "a message cannot be inflated",
            Self::MessageTooLong => "a message is too long",
            Self::Fragments => "a message has too many fragments",
            Self::Controls => "too many control frames",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for Refusal {}
