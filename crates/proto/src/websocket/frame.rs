//! Heads of frames (RFC 6455 §5.2): read with every rule that one frame alone can break, and written.
//! It must never look at a payload, nor know what came before.

use super::mask::MaskKey;
use super::message::Kind;
use super::refusal::Refusal;

/// The longest payload of a control frame (RFC 6455 §5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;
/// The longest head: two bytes, a length of eight, a key.
const HEAD_BYTES_MAX: usize = 14;

const FINAL: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const MASKED: u8 = 0x80;
/// What stands for a length of two bytes, and of eight.
const SHORT: u8 = 126;
const LONG: u8 = 127;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    const fn of(byte: u8) -> Option<Self> {
        Some(match byte & 15 {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    #[inline]
    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    /// The kind of the message that it begins.
    #[inline]
    pub(super) const fn kind(self) -> Option<Kind> {
        match self {
            Self::Text => Some(Kind::Text),
            Self::Binary => Some(Kind::Binary),
            _ => None,
        }
    }
}

impl From<Kind> for Opcode {
    #[inline]
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

/// The head of a frame.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) is_final: bool,
    pub(super) is_compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) length: u64,
    pub(super) key: Option<MaskKey>,
    /// How long the head itself is.
    pub(super) bytes: usize,
}

/// A head, or how many bytes it takes to say more.
pub(super) enum Read {
    Head(Head),
    NeedBytes(usize),
}

/// What is asked of frames that come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// They have a mask, as those of a client; otherwise they have none.
    pub(super) is_masked: bool,
    pub(super) may_be_compressed: bool,
}

impl Head {
    /// Reads a head. What is wrong with it is refused as soon as its byte is there.
    #[inline]
    pub(super) fn read(input: &[u8], rules: Rules) -> Result<Read, Refusal> {
        let Some(first) = input.first() else { return Ok(Read::NeedBytes(2)) };
        let Some(opcode) = Opcode::of(*first) else { return Err(Refusal::Opcode) };
        let (is_final, is_compressed) = (first & FINAL != 0, first & COMPRESSED != 0);
        let may_be_compressed = rules.may_be_compressed && opcode.kind().is_some();
        if first & RESERVED != 0 || (is_compressed && !may_be_compressed) {
            return Err(Refusal::ReservedBits);
        }
        if opcode.is_control() && !is_final {
            return Err(Refusal::FragmentedControl);
        }
        let Some(second) = input.get(1) else { return Ok(Read::NeedBytes(2)) };
        if (second & MASKED != 0) != rules.is_masked {
            return Err(if rules.is_masked { Refusal::Unmasked } else { Refusal::Masked });
        }
        let short = second & !MASKED;
        if opcode.is_control() && short >= SHORT {
            return Err(Refusal::ControlTooLong);
        }
        let (length, behind) = match length_of(short, &input[2..])? {
            Some(length) => length,
            None => return Ok(Read::NeedBytes(2 + extended(short))),
        };
        let mut bytes = 2 + behind;
        let key = match rules.is_masked {
            false => None,
            true => match input[bytes..].first_chunk() {
                Some(key) => Some(*key),
                None => return Ok(Read::NeedBytes(bytes + 4)),
            },
        };
        bytes += if rules.is_masked { 4 } else { 0 };
        Ok(Read::Head(Self { is_final, is_compressed, opcode, length, key, bytes }))
    }
}

/// How many bytes of length follow.
const fn extended(short: u8) -> usize {
    match short {
        SHORT => 2,
        LONG => 8,
        _ => 0,
    }
}

/// The length, and in how many more bytes it was said; none when they have not come. It is said in as
/// few as it can be, and has 63 bits.
#[inline]
fn length_of(short: u8, input: &[u8]) -> Result<Option<(u64, usize)>, Refusal> {
    match short {
        SHORT => {
            let Some(bytes) = input.first_chunk() else { return Ok(None) };
            let length = u64::from(u16::from_be_bytes(*bytes));
            if length < u64::from(SHORT) { Err(Refusal::Length) } else { Ok(Some((length, 2))) }
        }
        LONG => {
            let Some(bytes) = input.first_chunk() else { return Ok(None) };
            let length = u64::from_be_bytes(*bytes);
            let is_right = length > u64::from(u16::MAX) && length >> 63 == 0;
            if is_right { Ok(Some((length, 8))) } else { Err(Refusal::Length) }
        }
        short => Ok(Some((u64::from(short), 0))),
    }
}

/// What one frame says in its head, when it is written.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    pub(super) opcode: Opcode,
    pub(super) is_final: bool,
    pub(super) is_compressed: bool,
    pub(super) length: usize,
    pub(super) key: Option<MaskKey>,
}

impl Opening {
    /// A frame that is whole by itself.
    #[inline]
    pub(super) const fn whole(opcode: Opcode, length: usize, key: Option<MaskKey>) -> Self {
        Self { opcode, is_final: true, is_compressed: false, length, key }
    }

    /// Writes the head.
    #[inline]
    pub(super) fn write(self, into: &mut Vec<u8>) {
        let Self { opcode, is_final, is_compressed, length, key } = self;
        let first = opcode as u8
            | if is_final { FINAL } else { 0 }
            | if is_compressed { COMPRESSED } else { 0 };
        if key.is_none()
            && let Ok(short @ ..SHORT) = u8::try_from(length)
        {
            // As most are: two bytes, which need no call to be copied.
            return into.extend_from_slice(&[first, short]);
        }
        let mut head = [0; HEAD_BYTES_MAX];
        head[0] = first;
        let masked = if key.is_some() { MASKED } else { 0 };
        let mut end = 2;
        if let Ok(short @ ..SHORT) = u8::try_from(length) {
            head[1] = masked | short;
        } else if let Ok(length) = u16::try_from(length) {
            head[1] = masked | SHORT;
            head[2..4].copy_from_slice(&length.to_be_bytes());
            end = 4;
        } else {
            head[1] = masked | LONG;
            head[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            end = 10;
        }
        if let Some(key) = key {
            head[end..end + 4].copy_from_slice(&key);
            end += 4;
        }
        into.extend_from_slice(&head[..end]);
    }
}
