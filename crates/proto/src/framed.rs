//! Frames: requests and replies that a length before them or a delimiter behind them keeps apart.
//! Nothing here may read or write a connection: see [`Machine`] for a server's side, and
//! [`ClientMachine`] for a client's.

mod client;
mod codec;
mod delimiter;
mod event;
mod freeze;
mod limits;
mod machine;
mod prefix;
mod reader;
mod replies;
mod tag;
mod writer;

pub use client::{Call, CallError, ClientMachine, ReplyReceived};
pub use codec::{Codec, Fault, PayloadError, Progress, Refusal, Scan};
pub use event::{Exchange, Received, StreamEnd};
pub use freeze::{Frozen, FrozenClient};
pub use limits::Limits;
pub use machine::Machine;
pub use tag::Tag;

use delimiter::Delimiter;
use prefix::{Prefix, Width};

/// The longest frame where nothing else is said: 1 MiB.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// How frames are told apart, as a description: a length before each, or a delimiter behind it.
///
/// What it does not describe is written as a [`Codec`] of one's own.
///
/// ```
/// use springtide_proto::framed::{Codec, Framed, Progress, Scan};
/// let codec = Framed::u16_be().frame_bytes_max(500);
/// let read = codec.read(b"\x00\x05hello!", &mut Progress::default());
/// assert_eq!(read, Ok(Scan::Whole { consumed: 7, payload: 2..7 }));
/// let refused = codec.read(b"\xff\xff", &mut Progress::default());
/// assert!(refused.is_err(), "a length is refused before anything of its frame is kept");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed {
    kind: Kind,
    frame_bytes_max: usize,
    tag: Option<Tag>,
    dropped: Option<&'static [u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prefix(Prefix),
    Delimiter(Delimiter),
}

impl Framed {
    /// A length of one byte before each frame: up to 255 bytes.
    #[must_use]
    pub const fn u8() -> Self {
        Self::prefix(Width::U8, true)
    }

    /// A length of two bytes before each frame, the more significant first.
    #[must_use]
    pub const fn u16_be() -> Self {
        Self::prefix(Width::U16, true)
    }

    /// A length of two bytes before each frame, the less significant first.
    #[must_use]
    pub const fn u16_le() -> Self {
        Self::prefix(Width::U16, false)
    }

    /// A length of four bytes before each frame, the most significant first.
    #[must_use]
    pub const fn u32_be() -> Self {
        Self::prefix(Width::U32, true)
    }

    /// A length of four bytes before each frame, the least significant first.
    #[must_use]
    pub const fn u32_le() -> Self {
        Self::prefix(Width::U32, false)
    }

    /// A length of one to five bytes before each frame, seven bits in each and the lowest first, as
    /// protobuf has it (LEB128). One that is longer than it need be is refused.
    #[must_use]
    pub const fn varint() -> Self {
        Self::prefix(Width::Varint, false)
    }

    /// These bytes behind each frame, which must not occur in it.
    ///
    /// # Panics
    /// When there are none of them, or more than 16.
    #[must_use]
    pub const fn delimiter(bytes: &[u8]) -> Self {
        Self::of(Kind::Delimiter(Delimiter::new(bytes)))
    }

    /// Lines that end in LF. A CR before it belongs to the end, too; none is written.
    #[must_use]
    pub const fn lines() -> Self {
        Self::of(Kind::Delimiter(Delimiter::line()))
    }

    /// The longest frame, without its length or delimiter; 1 MiB where nothing is said. A longer
    /// one is refused as soon as its length is known, before memory is taken for it.
    #[must_use]
    pub const fn frame_bytes_max(mut self, bytes: usize) -> Self {
        self.frame_bytes_max = bytes;
        self
    }

    /// The length counts itself, too.
    ///
    /// # Panics
    /// When frames have a delimiter.
    #[must_use]
    pub const fn length_includes_prefix(mut self) -> Self {
        match &mut self.kind {
            Kind::Prefix(prefix) => prefix.is_counted = true,
            Kind::Delimiter(_) => panic!("a frame with a delimiter has no length"),
        }
        self
    }

    /// Each frame carries an id of `width` bytes, `offset` bytes behind its beginning, by which a
    /// reply is matched to its request: replies leave as soon as they are ready, in any order. The
    /// id is put into a reply by the machine, over the bytes that stand there. Its bytes have the
    /// order that those of the length have.
    ///
    /// # Panics
    /// When the width is none of 1, 2, 4 and 8, or frames have a delimiter, which could occur in an
    /// id.
    #[must_use]
    pub const fn tagged(mut self, offset: usize, width: usize) -> Self {
        let Kind::Prefix(prefix) = self.kind else {
            panic!("an id could hold the delimiter");
        };
        self.tag = Some(Tag::new(offset, width, prefix.is_big));
        self
    }

    /// What a request is answered whose reply was dropped; without it the connection is closed
    /// behind the replies before.
    #[must_use]
    pub const fn dropped(mut self, payload: &'static [u8]) -> Self {
        self.dropped = Some(payload);
        self
    }

    const fn prefix(width: Width, is_big: bool) -> Self {
        Self::of(Kind::Prefix(Prefix { width, is_big, is_counted: false }))
    }

    const fn of(kind: Kind) -> Self {
        Self { kind, frame_bytes_max: FRAME_BYTES_MAX, tag: None, dropped: None }
    }
}

impl Codec for Framed {
    #[inline]
    fn read(&self, input: &[u8], progress: &mut Progress) -> Result<Scan, Refusal> {
        match &self.kind {
            Kind::Prefix(prefix) => prefix.read(input, self.frame_bytes_max),
            Kind::Delimiter(delimiter) => delimiter.read(input, self.frame_bytes_max, progress),
        }
    }

    #[inline]
    fn write_head(&self, payload: &[u8], into: &mut Vec<u8>) -> Result<(), PayloadError> {
        if payload.len() > self.frame_bytes_max {
            return Err(PayloadError::TooLong { bytes_max: self.frame_bytes_max });
        }
        match &self.kind {
            Kind::Prefix(prefix) => prefix.write(payload.len(), into),
            Kind::Delimiter(delimiter) => delimiter.check(payload),
        }
    }

    #[inline]
    fn write_tail(&self, into: &mut Vec<u8>) {
        if let Kind::Delimiter(delimiter) = &self.kind {
            into.extend_from_slice(delimiter.as_slice());
        }
    }

    fn tag(&self) -> Option<Tag> {
        self.tag
    }

    fn answer_to(&self, fault: &Fault) -> Option<bytes::Bytes> {
        match fault {
            Fault::Dropped => self.dropped.map(bytes::Bytes::from_static),
            Fault::Refused(_) => None,
        }
    }
}
