//! What a codec is, and what may be wrong with frames: a codec says where one ends, and no more.
//! It must never keep bytes: those of a frame that is not whole are given to it again.

use bytes::Bytes;
use std::fmt;
use std::ops::Range;

use super::tag::Tag;

/// How frames are told apart: where one ends in what was received, and what stands around one that
/// is sent. It is pure: the same bytes always mean the same.
///
/// [`Framed`](super::Framed) describes the usual ones. A protocol of its own is a few lines:
///
/// ```
/// use springtide_proto::framed::{Codec, Progress, Refusal, Scan};
///
/// /// Netstrings: `5:hello,`.
/// struct Netstring;
///
/// impl Codec for Netstring {
///     fn read(&self, input: &[u8], _: &mut Progress) -> Result<Scan, Refusal> {
///         let Some(colon) = input.iter().take(6).position(|byte| *byte == b':') else {
///             return match input.len() {
///                 ..6 => Ok(Scan::NeedBytes { at_least: input.len() + 1 }),
///                 _ => Err(Refusal::Codec("a length has five digits at most")),
///             };
///         };
///         let digits = std::str::from_utf8(&input[..colon]).unwrap_or("");
///         let len: usize = digits.parse().map_err(|_| Refusal::Codec("a length is a number"))?;
///         let (start, end) = (colon + 1, colon + 1 + len);
///         match input.get(end) {
///             None => Ok(Scan::NeedBytes { at_least: end + 1 }),
///             Some(b',') => Ok(Scan::Whole { consumed: end + 1, payload: start..end }),
///             Some(_) => Err(Refusal::Codec("a comma ends a netstring")),
///         }
///     }
/// }
/// let read = Netstring.read(b"5:hello,3:", &mut Progress::default());
/// assert_eq!(read, Ok(Scan::Whole { consumed: 8, payload: 2..7 }));
/// ```
pub trait Codec {
    /// Looks for one frame at the beginning of the input. `progress` is as this function left it
    /// when it last looked at this frame, and all 0 where a frame begins.
    ///
    /// It is asked again when `at_least` bytes are there that it needed, with all of them; what it
    /// needs must be bounded, for its caller keeps as much.
    ///
    /// # Errors
    /// The bytes break the protocol, or a limit: nothing more is read of this peer.
    fn read(&self, input: &[u8], progress: &mut Progress) -> Result<Scan, Refusal>;

    /// Writes what stands before a payload that is sent: nothing, where nothing else is said.
    ///
    /// # Errors
    /// It cannot be sent as one frame. Nothing has been written then.
    fn write_head(&self, payload: &[u8], into: &mut Vec<u8>) -> Result<(), PayloadError> {
        let _ = (payload, into);
        Ok(())
    }

    /// Writes what stands behind it: nothing, where nothing else is said.
    fn write_tail(&self, into: &mut Vec<u8>) {
        let _ = into;
    }

    /// Where frames carry an id, by which replies are matched. Without one they leave in order.
    fn tag(&self) -> Option<Tag> {
        None
    }

    /// The payload that tells the peer of a fault. Without one the connection is closed behind the
    /// replies before; behind a refusal it is closed in any case.
    fn answer_to(&self, fault: &Fault) -> Option<Bytes> {
        let _ = fault;
        None
    }
}

/// How far a codec has looked into a frame that is not whole yet. The machine gives it back with the
/// same bytes and more, and keeps it across a freeze.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// An offset: in [`Framed`](super::Framed), what was searched for the delimiter.
    pub at: usize,
    /// A number for the codec's own use: what is left to come, for instance.
    pub left: usize,
}

/// What a codec sees at the beginning of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// No whole frame. Fewer than `at_least` bytes, counted from the beginning of the frame, hold
    /// none; one more than there are, when nothing better is known.
    NeedBytes {
        /// How many bytes the input must have before it is worth another look.
        at_least: usize,
    },
    /// A whole frame.
    Whole {
        /// How many bytes it takes, at least one.
        consumed: usize,
        /// Which of them are its payload.
        payload: Range<usize>,
    },
    /// Bytes that mean nothing, before a frame.
    Skipped {
        /// How many, at least one.
        consumed: usize,
    },
}

/// What went wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its reply was dropped.
    Dropped,
    /// It is no frame, or breaks a limit.
    Refused(Refusal),
}

/// Why a peer's bytes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A frame is longer than it may be.
    TooLong {
        /// How long it may be, without its length or delimiter.
        bytes_max: usize,
    },
    /// A varint is longer than it need be, or than five bytes.
    LengthOverlong,
    /// A length that counts itself says less than that.
    LengthBelowPrefix,
    /// A frame is too short for the id that it must carry.
    NoTag,
    /// A reply that nobody has asked for.
    Unasked,
    /// What a codec of somebody's own refuses, and why.
    Codec(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes_max } => write!(f, "a frame is longer than {bytes_max} bytes"),
            Self::LengthOverlong => f.write_str("a length is written longer than it need be"),
            Self::LengthBelowPrefix => f.write_str("a length does not count itself"),
            Self::NoTag => f.write_str("a frame is too short for its id"),
            Self::Unasked => f.write_str("a reply answers nothing"),
            Self::Codec(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Refusal {}

/// Why a payload cannot be sent as one frame: the caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadError {
    /// It is longer than a frame may be.
    TooLong {
        /// How long it may be.
        bytes_max: usize,
    },
    /// It holds the delimiter, and would be taken for several.
    HoldsDelimiter,
    /// It is too short for the id that is put into it.
    NoTag,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes_max } => write!(f, "the frame is longer than {bytes_max} bytes"),
            Self::HoldsDelimiter => f.write_str("the frame holds what ends it"),
            Self::NoTag => f.write_str("the frame has no room for its id"),
        }
    }
}

impl std::error::Error for PayloadError {}
