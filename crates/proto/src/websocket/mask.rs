//! Masks of payloads (RFC 6455 §5.3), taken off and put on in place.
//! It must never draw a key: a client's is given.

/// The key of one frame of a client: four bytes that nobody can foretell.
pub type MaskKey = [u8; 4];

/// So many bytes are masked in one step.
const STEP: usize = 32;

/// Puts a mask on bytes, or takes it off, which is the same. The first of them is masked by the first
/// byte of the key.
///
/// ```
/// let mut bytes = *b"Hello";
/// springtide_proto::websocket::apply_mask(&mut bytes, [0x37, 0xfa, 0x21, 0x3d]);
/// assert_eq!(bytes, [0x7f, 0x9f, 0x4d, 0x51, 0x58], "as in RFC 6455 §5.7");
/// ```
#[inline]
pub fn apply_mask(bytes: &mut [u8], key: MaskKey) {
    let mut wide = [0; STEP];
    for quad in wide.chunks_exact_mut(key.len()) {
        quad.copy_from_slice(&key);
    }
    let mut steps = bytes.chunks_exact_mut(STEP);
    for step in &mut steps {
        for (byte, mask) in step.iter_mut().zip(&wide) {
            *byte ^= mask;
        }
    }
    let mut words = steps.into_remainder().chunks_exact_mut(8);
    for word in &mut words {
        for (byte, mask) in word.iter_mut().zip(&wide) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(&wide) {
        *byte ^= mask;
    }
}

/// The key as it is for what follows `count` bytes.
#[inline]
pub(super) const fn rotated(key: MaskKey, count: usize) -> MaskKey {
    let at = count % 4;
    [key[at], key[(at + 1) % 4], key[(at + 2) % 4], key[(at + 3) % 4]]
}
