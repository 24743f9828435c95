//! Batches: a list whose memory comes in small pieces, which stay with it for what is listed next.
//! It never moves what is in it, and keeps a bounded number of pieces.

/// Bytes of a piece, at most: of longer ones allocators take large steps for each size that a list that
/// doubles goes through, and keep them.
const PIECE_BYTES_MAX: usize = 4 << 10;
/// Bytes of the pieces that are kept.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// The list.
pub(crate) struct Batches<T> {
    full: Vec<Vec<T>>,
    /// The piece that is being filled; without memory until the first is.
    last: Vec<T>,
    /// Emptied ones.
    spare: Vec<Vec<T>>,
}

impl<T> Default for Batches<T> {
    fn default() -> Self {
        Self { full: Vec::new(), last: Vec::new(), spare: Vec::new() }
    }
}

impl<T> Batches<T> {
    /// What a piece has room for.
    const ROOM: usize = {
        let most = PIECE_BYTES_MAX / size_of::<T>();
        1 << most.ilog2()
    };

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.full.len() * Self::ROOM + self.last.len()
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// Lists what is made, where it lies: nothing can come between.
    #[inline(always)]
    pub(crate) fn push_with(&mut self, make: impl FnOnce() -> T) {
        self.piece_with_room().push(make());
    }

    /// The piece that is being filled, which has room for one more.
    #[inline(always)]
    pub(crate) fn piece_with_room(&mut self) -> &mut Vec<T> {
        if self.last.len() >= self.last.capacity() {
            self.begin_piece();
            assert!(self.last.len() < self.last.capacity(), "it was just begun");
        }
        &mut self.last
    }

    #[cold]
    fn begin_piece(&mut self) {
        let piece = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(Self::ROOM));
        assert!(piece.capacity() == Self::ROOM, "what is listed is found by its number");
        let filled = std::mem::replace(&mut self.last, piece);
        if !filled.is_empty() {
            self.full.push(filled);
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let number = index / Self::ROOM;
        let piece = match number == self.full.len() {
            true => &mut self.last,
            false => self.full.get_mut(number)?,
        };
        piece.get_mut(index % Self::ROOM)
    }

    #[inline]
    pub(crate) fn last_mut(&mut self) -> Option<&mut T> {
        self.last.last_mut()
    }

    /// All pieces in their order.
    #[inline]
    pub(crate) fn pieces_mut(&mut self) -> impl Iterator<Item = &mut Vec<T>> {
        self.full.iter_mut().chain([&mut self.last])
    }

    /// Takes all out, in their order.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.full.into_iter().chain([self.last]).flatten()
    }

    /// Drops all that is in it.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if !self.last.is_empty() {
            self.last.clear();
        }
        if !self.full.is_empty() {
            self.clear_full();
        }
    }

    #[cold]
    fn clear_full(&mut self) {
        for mut piece in self.full.drain(..) {
            piece.clear();
            if (self.spare.len() + 1) * PIECE_BYTES_MAX < KEPT_BYTES_MAX {
                self.spare.push(piece);
            }
        }
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
            (0..100_000_u64).for_each(|value| list.push_with(|| value + round));
            assert_eq!(list.len(), 100_000);
            assert_eq!(list.get_mut(70_000), Some(&mut (70_000 + round)));
            assert_eq!(list.get_mut(100_000), None);
            assert!(list.pieces_mut().flatten().zip(round..).all(|(value, own)| *value == own));
            list.clear();
            assert_eq!((list.full.len(), list.spare.len()), (0, 15), "some stay, and not all");
        }
        (0..1000).for_each(|value| list.push_with(|| value));
        assert!(list.into_values().eq(0..1000));
    }

    #[test]
    fn what_was_taken_out_leaves_its_pieces_for_the_next() {
        let mut list = Batches::default();
        for round in 0..3 {
            (0..2000_u64).for_each(|value| list.push_with(|| value + round));
            assert_eq!(list.last_mut(), Some(&mut (1999 + round)));
            let taken: Vec<u64> = list.pieces_mut().flat_map(|piece| piece.drain(..)).collect();
            assert!(taken.into_iter().eq(round..round + 2000));
            list.clear();
            assert_eq!((list.len(), list.full.len(), list.last_mut()), (0, 0, None));
        }
    }
}
