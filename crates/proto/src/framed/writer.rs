//! Payloads into frames, for both sides of a connection.
//! It must never write a part of a frame that cannot be sent whole.

use super::codec::{Codec, PayloadError};
use super::tag::Tag;
use crate::{COPY_BYTES_MAX, Outbox, Piece};

/// Writes one frame, with this id in its place.
#[inline]
pub(super) fn write<C: Codec + ?Sized>(
    payload: Piece,
    id: Option<(Tag, u64)>,
    codec: &C,
    outbox: &mut Outbox,
) -> Result<(), PayloadError> {
    if id.is_some_and(|(tag, _)| payload.len() < tag.end()) {
        return Err(PayloadError::NoTag);
    }
    codec.write_head(payload.as_slice(), outbox.tail_mut())?;
    match id {
        None => outbox.push(payload),
        Some((tag, id)) => write_tagged(payload, tag, id, outbox),
    }
    codec.write_tail(outbox.tail_mut());
    Ok(())
}

fn write_tagged(payload: Piece, tag: Tag, id: u64, outbox: &mut Outbox) {
    tag.write(payload.as_slice(), id, outbox.tail_mut());
    match payload.len() <= COPY_BYTES_MAX {
        true => outbox.extend(&payload.as_slice()[tag.end()..]),
        false => outbox.push(Piece::Shared(payload.into_shared().split_off(tag.end()))),
    }
}
