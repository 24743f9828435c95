//! What is known of the message that is arriving.
//! It must never take memory for bytes that have not come, but for what is lent.

use std::ops::Range;

use super::frame::Head;
use super::limits::Limits;
use super::machine::Received;
use super::mask::{MaskKey, apply_mask, rotated};
use super::refusal::Refusal;
use super::utf8::Utf8Check;

/// Lent memory has room for so much more where little has come.
const LENT_BYTES_MIN: usize = 1 << 10;

/// Lent memory has room for so much behind its frame: who receives less than there is room for need not
/// ask whether there is more.
const BEHIND_BYTES: usize = 32;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, which is valid UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A whole message that stands where it came, without its mask: see
/// [`Machine::receive_in_place`](super::Machine::receive_in_place).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPlace {
    /// How many bytes of the input it takes.
    pub consumed: usize,
    /// What it is.
    pub kind: Kind,
    /// Where in the input its payload stands.
    pub payload: Range<usize>,
}

/// The message that is arriving.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    /// What has come of it and nobody was given, without its mask.
    pub(super) bytes: Vec<u8>,
    /// How long it is as far as frames have said.
    length: u64,
    fragments: u32,
    utf8: Utf8Check,
    /// None between messages.
    pub(super) kind: Option<Kind>,
    pub(super) is_compressed: bool,
    /// The frame of which something is to come.
    pub(super) payload: Option<Payload>,
}

/// The payload of the frame that is arriving.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) rest: u64,
    key: Option<MaskKey>,
    pub(super) is_final: bool,
}

impl Payload {
    /// One that nobody wants.
    pub(super) const fn discarded(head: &Head) -> Self {
        Self { rest: head.length, key: None, is_final: head.is_final }
    }

    /// Throws away what has come of it; how many bytes that were.
    pub(super) fn discard(&mut self, input: &[u8]) -> usize {
        let taken = input.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
        self.rest -= taken as u64;
        taken
    }
}

/// A message of one frame that has come as a whole, as most have; none where it is another one.
#[inline]
pub(super) fn whole(
    input: &[u8],
    head: &Head,
    limits: &Limits,
) -> Option<Result<Received, Refusal>> {
    let kind = head.opcode.kind().filter(|_| head.is_final)?;
    if head.length > limits.socket_message_bytes_max {
        return Some(Err(Refusal::MessageTooLong));
    }
    let consumed = end_of(head)?;
    let mut payload = input.get(head.bytes..consumed)?.to_vec();
    if let Err(refusal) = unmask(&mut payload, kind, head) {
        return Some(Err(refusal));
    }
    Some(Ok(Received::Message { consumed, kind, is_compressed: head.is_compressed, payload }))
}

/// The same where it stands; none also where it is too long.
pub(super) fn whole_in_place(
    input: &mut [u8],
    head: &Head,
    limits: &Limits,
) -> Option<Result<InPlace, Refusal>> {
    let is_short = head.length <= limits.socket_message_bytes_max;
    let kind = head.opcode.kind().filter(|_| head.is_final && is_short)?;
    let consumed = end_of(head)?;
    let stands = input.get_mut(head.bytes..consumed)?;
    let read = unmask(stands, kind, head);
    Some(read.map(|()| InPlace { consumed, kind, payload: head.bytes..consumed }))
}

/// Where the frame ends.
#[inline]
fn end_of(head: &Head) -> Option<usize> {
    head.bytes.checked_add(usize::try_from(head.length).ok()?)
}

/// Takes the mask off a whole message; text must be text then.
#[inline]
fn unmask(payload: &mut [u8], kind: Kind, head: &Head) -> Result<(), Refusal> {
    if let Some(key) = head.key {
        apply_mask(payload, key);
    }
    let mut check = Utf8Check::new();
    let is_plain_text = kind == Kind::Text && !head.is_compressed;
    match is_plain_text && !(check.accepts(payload) && check.is_whole()) {
        true => Err(Refusal::Utf8),
        false => Ok(()),
    }
}

impl Arriving {
    /// A frame of it begins, or the message does.
    #[inline]
    pub(super) fn begin_frame(&mut self, head: &Head, limits: &Limits) -> Result<Payload, Refusal> {
        match (head.opcode.kind(), self.kind) {
            (Some(_), Some(_)) => return Err(Refusal::MessageWithinMessage),
            (None, None) => return Err(Refusal::ContinuesNothing),
            (None, Some(_)) if head.is_compressed => return Err(Refusal::ReservedBits),
            (None, Some(_)) => {}
            (Some(kind), None) => {
                self.kind = Some(kind);
                self.is_compressed = head.is_compressed;
            }
        }
        self.fragments = self.fragments.saturating_add(1);
        if self.fragments > limits.socket_fragments_max {
            return Err(Refusal::Fragments);
        }
        self.length = self.length.saturating_add(head.length);
        if self.length > limits.socket_message_bytes_max {
            return Err(Refusal::MessageTooLong);
        }
        Ok(Payload { rest: head.length, key: head.key, is_final: head.is_final })
    }

    /// Takes what has come of a frame's payload; how many bytes that were.
    #[inline]
    pub(super) fn take(&mut self, input: &[u8], payload: &mut Payload) -> Result<usize, Refusal> {
        let taken = input.len().min(usize::try_from(payload.rest).unwrap_or(usize::MAX));
        let before = self.bytes.len();
        self.reserve(taken, payload.rest);
        self.bytes.extend_from_slice(&input[..taken]);
        self.came(before, payload)?;
        Ok(taken)
    }

    /// What stands behind the first so many bytes has come of a frame's payload, as it was sent.
    #[inline]
    pub(super) fn came(&mut self, before: usize, payload: &mut Payload) -> Result<(), Refusal> {
        let fresh = &mut self.bytes[before..];
        payload.rest -= fresh.len() as u64;
        if let Some(key) = &mut payload.key {
            apply_mask(fresh, *key);
            *key = rotated(*key, fresh.len());
        }
        if self.kind == Some(Kind::Text) && !self.is_compressed {
            let is_end = payload.rest == 0 && payload.is_final;
            if !self.utf8.accepts(fresh) || (is_end && !self.utf8.is_whole()) {
                return Err(Refusal::Utf8);
            }
        }
        Ok(())
    }

    /// Lends its memory with room for more of a frame of which so much is to come: for what has come three
    /// times over, or as long as the message is likely to become, but for no more than all of it; and for
    /// [`BEHIND_BYTES`].
    pub(super) fn lend(&mut self, rest: u64, likely: usize) -> Vec<u8> {
        let mut memory = std::mem::take(&mut self.bytes);
        let (length, room) = (memory.len(), memory.capacity() - memory.len());
        let rest = usize::try_from(rest).unwrap_or(usize::MAX);
        if room < rest.min(length.max(1)) {
            let little = length.saturating_mul(3).max(LENT_BYTES_MIN);
            let more = little.max(likely.saturating_sub(length));
            memory.reserve_exact(more.min(rest).saturating_add(BEHIND_BYTES));
        }
        memory
    }

    /// Makes room: what has come doubles, but no more than what is to come.
    #[inline]
    fn reserve(&mut self, taken: usize, rest: u64) {
        let (length, room) = (self.bytes.len(), self.bytes.capacity() - self.bytes.len());
        if taken > room {
            let most = usize::try_from(rest).unwrap_or(usize::MAX);
            self.bytes.reserve_exact(length.max(taken).min(most));
        }
    }

    /// Whether so many bytes have come that can be given.
    pub(super) fn has_piece(&self, bytes_min: usize) -> bool {
        self.bytes.len() >= self.utf8.cut_bytes() + bytes_min
    }

    /// What has come, but the beginning of a character of text that is not whole.
    pub(super) fn take_piece(&mut self) -> Vec<u8> {
        let whole = self.bytes.len() - self.utf8.cut_bytes();
        let cut = self.bytes.split_off(whole);
        std::mem::replace(&mut self.bytes, cut)
    }
}
