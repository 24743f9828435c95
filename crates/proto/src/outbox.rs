//! The outbox: plain pieces that are not yet sent, in order.
//! It must never send, encrypt or reorder, and never keep memory while it is empty.

use std::collections::VecDeque;

use bytes::Bytes;

/// Pieces up to this length are copied behind the bytes before them: one more entry of a vectored
/// send costs more than copying so few bytes.
pub const COPY_BYTES_MAX: usize = 1024;

/// One stretch of bytes to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes that belong to this piece alone.
    Owned(Vec<u8>),
    /// Bytes shared with others, or static.
    Shared(Bytes),
}

impl Piece {
    /// The bytes to be sent.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    /// The bytes, shared by reference count from now on; nothing is copied.
    #[must_use]
    pub fn into_shared(self) -> Bytes {
        match self {
            Self::Owned(bytes) => Bytes::from(bytes),
            Self::Shared(bytes) => bytes,
        }
    }

    /// How many bytes there are to be sent.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there is nothing to be sent.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&'static str> for Piece {
    #[inline]
    fn from(text: &'static str) -> Self {
        Self::Shared(Bytes::from_static(text.as_bytes()))
    }
}

impl From<&'static [u8]> for Piece {
    #[inline]
    fn from(bytes: &'static [u8]) -> Self {
        Self::Shared(Bytes::from_static(bytes))
    }
}

impl From<Vec<u8>> for Piece {
    #[inline]
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl From<String> for Piece {
    #[inline]
    fn from(text: String) -> Self {
        Self::Owned(text.into_bytes())
    }
}

impl From<Bytes> for Piece {
    #[inline]
    fn from(bytes: Bytes) -> Self {
        Self::Shared(bytes)
    }
}

/// Plain pieces that are not yet sent: closed pieces, then a tail that still grows.
///
/// ```
/// use springtide_proto::Outbox;
/// let mut outbox = Outbox::new();
/// outbox.extend(b"head ");
/// outbox.push("body".into());
/// let mut pieces = Vec::new();
/// outbox.take_pieces(&mut pieces);
/// assert_eq!(pieces.len(), 1, "small pieces are copied together");
/// assert_eq!(pieces[0].as_slice(), b"head body");
/// assert!(outbox.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Outbox {
    /// Those in front go without moving the others.
    pieces: VecDeque<Piece>,
    pieces_len: usize,
    tail: Vec<u8>,
}

const _: () = assert!(size_of::<Outbox>() <= 64);

impl Outbox {
    /// An outbox that holds nothing, and no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { pieces: VecDeque::new(), pieces_len: 0, tail: Vec::new() }
    }

    /// An outbox that writes into a recycled buffer first.
    ///
    /// # Panics
    /// When the buffer is not empty.
    #[must_use]
    pub fn with_tail(tail: Vec<u8>) -> Self {
        assert!(tail.is_empty(), "a recycled buffer must be empty");
        Self { pieces: VecDeque::new(), pieces_len: 0, tail }
    }

    /// Gives the outbox a recycled buffer to write into, when it has none; otherwise gives it back.
    ///
    /// # Panics
    /// When the buffer is not empty.
    pub fn offer_tail(&mut self, tail: Vec<u8>) -> Option<Vec<u8>> {
        assert!(tail.is_empty(), "a recycled buffer must be empty");
        if self.tail.capacity() > 0 {
            return Some(tail);
        }
        self.tail = tail;
        None
    }

    /// How many bytes wait.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces_len + self.tail.len()
    }

    /// Whether nothing waits.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The growing end, for encoders that write in place.
    /// They may only append: what stands there already has its place in the stream.
    #[inline]
    pub const fn tail_mut(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Copies bytes behind everything that waits.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Adds a piece behind everything that waits. Up to [`COPY_BYTES_MAX`] bytes are copied to the
    /// tail; a longer piece closes the tail and is sent from where it lies.
    #[inline]
    pub fn push(&mut self, piece: Piece) {
        if piece.len() <= COPY_BYTES_MAX {
            self.tail.extend_from_slice(piece.as_slice());
        } else {
            self.close_tail();
            self.pieces_len += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// Moves everything that waits behind the pieces in `into`, in order. Afterwards the outbox is
    /// empty and holds no memory.
    pub fn take_pieces(&mut self, into: &mut Vec<Piece>) {
        let mut taken = std::mem::take(self);
        taken.close_tail();
        into.extend(taken.pieces);
    }

    /// All that waits, when that is one stretch that still grows, of at most `bytes_max` bytes: who
    /// has sent it calls [`Outbox::clear`].
    #[inline]
    #[must_use]
    pub fn only(&self, bytes_max: usize) -> Option<&[u8]> {
        let is_only = self.pieces.is_empty() && (1..=bytes_max).contains(&self.tail.len());
        is_only.then_some(self.tail.as_slice())
    }

    /// Forgets everything that waits. The room of the growing end stays for what comes next.
    #[inline]
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.pieces_len = 0;
        self.tail.clear();
    }

    /// Takes the only piece out when there is one that still grows, of at most `bytes_max` bytes.
    #[inline]
    pub fn take_only(&mut self, bytes_max: usize) -> Option<Vec<u8>> {
        let is_only = self.only(bytes_max).is_some();
        is_only.then(|| std::mem::take(&mut self.tail))
    }

    /// The same into `spare`, whose empty memory stays for what comes next. False where there is none such;
    /// nothing has happened.
    ///
    /// # Panics
    /// When there are bytes in `spare`.
    ///
    /// ```
    /// let (mut outbox, mut spare) = (springtide_proto::Outbox::new(), Vec::with_capacity(64));
    /// outbox.extend(b"only");
    /// assert!(outbox.swap_only(9, &mut spare));
    /// assert_eq!((spare.as_slice(), outbox.len(), outbox.capacity()), (&b"only"[..], 0, 64));
    /// ```
    #[inline]
    pub fn swap_only(&mut self, bytes_max: usize, spare: &mut Vec<u8>) -> bool {
        assert!(spare.is_empty(), "a recycled buffer must be empty");
        let is_only = self.only(bytes_max).is_some();
        if is_only {
            std::mem::swap(&mut self.tail, spare);
        }
        is_only
    }

    /// Moves up to `pieces_max` pieces and `bytes_max` bytes out, in order; the last piece is cut
    /// there. When all have gone, the outbox keeps only the room for further pieces.
    ///
    /// # Panics
    /// When `bytes_max` is 0.
    #[inline]
    pub fn drain_pieces(
        &mut self,
        pieces_max: usize,
        bytes_max: usize,
    ) -> impl Iterator<Item = Piece> + '_ {
        assert!(bytes_max > 0, "at least one byte goes out");
        self.close_tail();
        let count = match self.pieces_len <= bytes_max {
            true => self.pieces.len().min(pieces_max),
            false => self.cut_at(bytes_max).min(pieces_max),
        };
        self.pieces_len -= self.pieces.range(..count).map(Piece::len).sum::<usize>();
        self.pieces.drain(..count)
    }

    /// Cuts the piece that crosses `bytes_max` in two; how many pieces stand before the cut.
    #[inline(never)]
    fn cut_at(&mut self, bytes_max: usize) -> usize {
        let mut room = bytes_max;
        for index in 0..self.pieces.len() {
            let len = self.pieces[index].len();
            if len > room {
                if room == 0 {
                    return index;
                }
                let taken = std::mem::replace(&mut self.pieces[index], Piece::Owned(Vec::new()));
                let mut front = taken.into_shared();
                self.pieces[index] = Piece::Shared(front.split_off(room));
                self.pieces.insert(index, Piece::Shared(front));
                return index + 1;
            }
            room -= len;
        }
        self.pieces.len()
    }

    /// How many bytes fit into the growing end before it is moved.
    #[inline]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.tail.capacity()
    }

    /// For how many closed pieces there is room.
    #[inline]
    #[must_use]
    pub fn pieces_room(&self) -> usize {
        self.pieces.capacity()
    }

    /// Gives back the room for closed pieces beyond so many, where none stand in it.
    #[inline]
    pub fn shrink(&mut self, pieces_max: usize) {
        if self.pieces.capacity() > pieces_max {
            self.shrink_pieces(pieces_max);
        }
    }

    #[cold]
    fn shrink_pieces(&mut self, pieces_max: usize) {
        self.pieces.shrink_to(pieces_max);
    }

    /// Takes the unused buffer of an empty outbox away, to be recycled.
    pub fn take_spare(&mut self) -> Option<Vec<u8>> {
        let is_spare = self.is_empty() && self.tail.capacity() > 0;
        is_spare.then(|| std::mem::take(&mut self.tail))
    }

    /// Moves everything that waits in another outbox behind what waits in this one.
    pub fn append(&mut self, other: &mut Self) {
        let other = std::mem::take(other);
        for piece in other.pieces {
            self.push(piece);
        }
        if self.is_empty() && self.tail.capacity() == 0 {
            self.tail = other.tail;
        } else {
            self.push(Piece::Owned(other.tail));
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces_len += self.tail.len();
            self.pieces.push_back(Piece::Owned(std::mem::take(&mut self.tail)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{COPY_BYTES_MAX, Outbox, Piece};
    use bytes::Bytes;

    fn joined(outbox: &mut Outbox) -> (usize, Vec<u8>) {
        let len = outbox.len();
        let mut pieces = Vec::new();
        outbox.take_pieces(&mut pieces);
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.as_slice().to_vec()).collect();
        assert_eq!(len, bytes.len());
        assert!(outbox.is_empty());
        assert_eq!(outbox.tail.capacity() + outbox.pieces.capacity(), 0);
        (pieces.len(), bytes)
    }

    #[test]
    fn small_pieces_join_and_large_ones_stand_alone() {
        for (len, expected) in [(0, 1), (1, 1), (COPY_BYTES_MAX, 1), (COPY_BYTES_MAX + 1, 3)] {
            for piece in [Piece::Owned(vec![7; len]), Piece::Shared(Bytes::from(vec![7; len]))] {
                let mut outbox = Outbox::new();
                outbox.extend(b"before");
                outbox.push(piece);
                outbox.extend(b"after");
                let (pieces, bytes) = joined(&mut outbox);
                assert_eq!(pieces, expected, "{len} bytes");
                assert_eq!(bytes, [b"before".as_slice(), &vec![7; len], b"after"].concat());
            }
        }
    }

    /// A million pieces would be moved a thousand times otherwise.
    #[test]
    fn what_stays_is_not_moved() {
        let mut outbox = Outbox::new();
        for _ in 0..10_000 {
            outbox.push(Bytes::from_static(&[1; COPY_BYTES_MAX + 1]).into());
        }
        let last = &raw const outbox.pieces[9_999];
        for sends in 1..10 {
            assert_eq!(outbox.drain_pieces(1_000, usize::MAX).count(), 1_000);
            // The last piece of each send is cut in two.
            assert_eq!(outbox.drain_pieces(10, COPY_BYTES_MAX).count(), 1);
            let left = outbox.pieces.len();
            assert_eq!(left, 10_000 - 1_000 * sends);
            assert!(std::ptr::eq(last, &outbox.pieces[left - 1]), "behind {sends} sends");
        }
    }

    #[test]
    fn a_shared_piece_is_not_copied() {
        let shared = Bytes::from(vec![1; 4096]);
        let mut outbox = Outbox::new();
        outbox.push(shared.clone().into());
        let mut pieces = Vec::new();
        outbox.take_pieces(&mut pieces);
        assert_eq!(pieces[0].as_slice().as_ptr(), shared.as_ptr());
    }

    #[test]
    fn another_outbox_goes_behind() {
        for first in [0, 10, 3000] {
            for second in [0, 10, 3000] {
                let mut outbox = Outbox::new();
                outbox.push(vec![1; first].into());
                let mut other = Outbox::new();
                other.push(vec![2; second].into());
                other.extend(b"end");
                outbox.append(&mut other);
                assert!(other.is_empty());
                let expected = [vec![1; first], vec![2; second], b"end".to_vec()].concat();
                assert_eq!(joined(&mut outbox).1, expected);
            }
        }
    }

    #[test]
    fn the_only_piece_is_taken_at_once() {
        let mut outbox = Outbox::new();
        assert_eq!(outbox.take_only(9), None);
        outbox.extend(b"only");
        assert_eq!((outbox.take_only(3), outbox.len()), (None, 4));
        assert_eq!((outbox.take_only(4), outbox.len()), (Some(b"only".to_vec()), 0));
        outbox.push(vec![1; COPY_BYTES_MAX + 1].into());
        outbox.extend(b"more");
        assert_eq!(outbox.take_only(usize::MAX), None);
    }

    #[test]
    fn the_only_piece_changes_places_with_memory_for_the_next() {
        let (mut outbox, mut spare) = (Outbox::new(), Vec::with_capacity(64));
        assert!(!outbox.swap_only(9, &mut spare), "nothing waits");
        outbox.extend(b"only");
        assert!(!outbox.swap_only(3, &mut spare), "it is longer");
        assert_eq!((outbox.len(), spare.capacity()), (4, 64));
        assert!(outbox.swap_only(4, &mut spare));
        assert_eq!((spare.as_slice(), outbox.len(), outbox.capacity()), (&b"only"[..], 0, 64));
        outbox.push(vec![1; COPY_BYTES_MAX + 1].into());
        outbox.extend(b"more");
        spare.clear();
        assert!(!outbox.swap_only(usize::MAX, &mut spare), "it is one of two");
    }

    #[test]
    fn room_for_pieces_is_given_back() {
        let mut outbox = Outbox::new();
        for _ in 0..1000 {
            outbox.push(vec![1; COPY_BYTES_MAX + 1].into());
        }
        outbox.shrink(16);
        assert_eq!((outbox.drain_pieces(1000, usize::MAX).count(), outbox.len()), (1000, 0));
        assert!(outbox.pieces_room() >= 1000);
        outbox.shrink(16);
        assert_eq!(outbox.pieces_room(), 16);
    }

    #[test]
    fn a_recycled_buffer_is_used_and_comes_back() {
        let mut outbox = Outbox::with_tail(Vec::with_capacity(512));
        assert_eq!(outbox.offer_tail(Vec::new()), Some(Vec::new()));
        outbox.extend(b"x");
        assert_eq!(outbox.take_spare(), None);
        let mut pieces = Vec::new();
        outbox.take_pieces(&mut pieces);
        assert!(matches!(&pieces[0], Piece::Owned(bytes) if bytes.capacity() >= 512));
        assert_eq!(outbox.offer_tail(Vec::with_capacity(64)), None);
        assert!(outbox.take_spare().is_some());
    }
}
