//! Batches: a list whose memory comes in small pieces, which stay with it for what is listed next.
//! It never moves what is in it, and keeps a bounded number of pieces.

/// Bytes of a piece, at most: of longer ones allocators take large steps for each size that a list that
/// doubles goes through, and keep them.
const PIECE_BYTES_MAX: usize = 4 << 10;
/// Bytes of the pieces that are kept.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// The list.
pub(crate) struct Batches<T> {
    pieces: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Batches<T> {
    fn default() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }
}

impl<T> Batches<T> {
    /// What a piece has room for.
    const ROOM: usize = {
        let most = PIECE_BYTES_MAX / size_of::<T>();
        1 << most.ilog2()
    };

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        let number = self.len / Self::ROOM;
        if number == self.pieces.len() {
            self.pieces.push(Vec::with_capacity(Self::ROOM));
        }
        self.pieces[number].push(value);
        self.len += 1;
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.pieces.get_mut(index / Self::ROOM)?.get_mut(index % Self::ROOM)
    }

    /// All in their order.
    #[inline]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pieces.iter_mut().flatten()
    }

    /// Takes all out, in their order.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.pieces.into_iter().flatten()
    }

    /// Drops all that is in it.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        for piece in &mut self.pieces {
            piece.clear();
        }
        self.pieces.truncate(KEPT_BYTES_MAX / PIECE_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::Batches;

    #[test]
    fn values_are_found_in_their_order_and_pieces_stay() {
        let mut list = Batches::default();
        for round in 0..3 {
            assert!(list.is_empty() && list.get_mut(0).is_none());
            (0..100_000_u64).for_each(|value| list.push(value + round));
            assert_eq!(list.len(), 100_000);
            assert_eq!(list.get_mut(70_000), Some(&mut (70_000 + round)));
            assert_eq!(list.get_mut(100_000), None);
            assert!(list.iter_mut().zip(round..).all(|(value, expected)| *value == expected));
            list.clear();
            assert_eq!(list.pieces.len(), 16, "some stay, and not all");
        }
        (0..1000).for_each(|value| list.push(value));
        assert!(list.into_values().eq(0..1000));
    }
}
