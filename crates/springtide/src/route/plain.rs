//! Routes by the whole of their path, for most requests are for one of those.
//! It knows nothing of parameters, and answers for the tree only where both would say the same.

use super::Route;

/// Routes by the whole of their path: a hash table.
///
/// A path that is a plain pattern is answered by it whatever other patterns match, so the tree
/// need not be asked.
#[derive(Clone, Default)]
pub(super) struct PlainPaths {
    /// A power of two, at least half of them free.
    places: Vec<Option<PlainPath>>,
    len: usize,
}

#[derive(Clone)]
struct PlainPath {
    ends: Ends,
    number: usize,
}

impl PlainPaths {
    #[inline]
    pub(super) fn find(&self, path: &[u8], routes: &[Route]) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let ends = Ends::of(path);
        let place = ends.hash() & mask;
        let PlainPath { ends: own, number } = self.places[place].as_ref()?;
        if *own == ends && path.len() <= Ends::WHOLE_MAX {
            return Some(*number);
        }
        self.find_from(place, &ends, path, routes)
    }

    #[inline(never)]
    fn find_from(
        &self,
        mut place: usize,
        ends: &Ends,
        path: &[u8],
        routes: &[Route],
    ) -> Option<usize> {
        loop {
            // Half of the places are free, so this ends.
            let PlainPath { ends: own, number } = self.places[place].as_ref()?;
            if own == ends && routes[*number].pattern.as_bytes() == path {
                return Some(*number);
            }
            place = (place + 1) & (self.places.len() - 1);
        }
    }

    pub(super) fn add(&mut self, number: usize, pattern: &str) {
        self.len += 1;
        let count = (2 * self.len).next_power_of_two();
        let own = std::mem::take(&mut self.places);
        self.places.resize_with(count, || None);
        let new = PlainPath { ends: Ends::of(pattern.as_bytes()), number };
        for path in own.into_iter().flatten().chain([new]) {
            let mut place = path.ends.hash() & (count - 1);
            while self.places[place].is_some() {
                place = (place + 1) & (count - 1);
            }
            self.places[place] = Some(path);
        }
    }
}

/// Both ends and the length of a path: all of it, when it is short.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Ends {
    first: u64,
    last: u64,
    len: usize,
}

impl Ends {
    /// The longest path that has no byte between its ends.
    const WHOLE_MAX: usize = 16;

    #[inline]
    pub(crate) fn of(path: &[u8]) -> Self {
        let (first, last) = match (path.first_chunk(), path.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_ne_bytes(*first), u64::from_ne_bytes(*last)),
            _ => (path.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte)), 0),
        };
        Self { first, last, len: path.len() }
    }

    /// Paths that collide are easily made: only for what the application chooses, or where a collision
    /// costs little.
    #[inline]
    pub(crate) fn hash(&self) -> usize {
        let word = self.first ^ self.last.rotate_left(29) ^ self.len as u64;
        (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
    }
}
