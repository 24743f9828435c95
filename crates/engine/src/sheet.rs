//! A sheet: plain values by number, in memory that grows without being copied.
//! It knows no owner of a number, and gives its memory back as a whole only.

use std::ops::{Index, IndexMut};
use std::ptr::NonNull;

use crate::system;

/// Values of a leaf: of any size that is a multiple of 4 bytes they fill pages of the system.
const LEAF_VALUES: usize = 1024;

/// Values by number; all that were not written are alike.
///
/// ```
/// use springtide_engine::Sheet;
/// let mut sheet = Sheet::new(0_u32);
/// *sheet.at(4000) = 7;
/// assert_eq!((sheet.get(4000), sheet.get(3)), (Some(&7), Some(&0)));
/// assert_eq!(sheet.get(1 << 20), None, "nothing was written near it");
/// ```
pub struct Sheet<T: Copy> {
    leaves: Vec<NonNull<T>>,
    blank: T,
}

impl<T: Copy> Sheet<T> {
    const BYTES: usize = {
        assert!(align_of::<T>() <= 4096, "values stand at the beginning of a page");
        LEAF_VALUES * size_of::<T>()
    };

    /// Nothing is written yet, and every value is `blank`.
    #[must_use]
    pub const fn new(blank: T) -> Self {
        Self { leaves: Vec::new(), blank }
    }

    /// How many numbers have a value that can be written.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.leaves.len() * LEAF_VALUES
    }

    /// The value of a number; none where nothing was written near it.
    #[inline]
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&T> {
        let leaf = self.leaves.get(number / LEAF_VALUES)?;
        // SAFETY: the remainder lies within the leaf.
        let value = unsafe { leaf.add(number % LEAF_VALUES) };
        // SAFETY: initialised when the leaf came, and lent as the sheet is.
        Some(unsafe { value.as_ref() })
    }

    /// The value of a number, which comes into being if need be.
    #[inline]
    pub fn at(&mut self, number: usize) -> &mut T {
        let leaf = self.leaves.get(number / LEAF_VALUES).copied();
        let leaf = leaf.unwrap_or_else(|| self.grow_blank(number));
        // SAFETY: the remainder lies within the leaf.
        let mut value = unsafe { leaf.add(number % LEAF_VALUES) };
        // SAFETY: initialised when the leaf came, and lent as the sheet is.
        unsafe { value.as_mut() }
    }

    /// The leaf of a number that had none.
    #[cold]
    fn grow_blank(&mut self, number: usize) -> NonNull<T> {
        let blank = self.blank;
        self.grow(number, |_| blank);
        self.leaves[number / LEAF_VALUES]
    }

    /// Makes room for a number; what is new is filled by number.
    #[cold]
    pub(crate) fn grow(&mut self, number: usize, fill: impl Fn(usize) -> T) {
        while number >= self.len() {
            let first = self.len();
            let leaf: NonNull<T> = system::map_memory(Self::BYTES).cast();
            for offset in 0..LEAF_VALUES {
                // SAFETY: the leaf has room for this many values.
                let place = unsafe { leaf.add(offset) };
                // SAFETY: fresh memory, aligned to a page of the system.
                unsafe { place.write(fill(first + offset)) };
            }
            self.leaves.push(leaf);
        }
    }
}

impl<T: Copy> Index<usize> for Sheet<T> {
    type Output = T;

    #[inline]
    fn index(&self, number: usize) -> &T {
        self.get(number).expect("a number within the sheet")
    }
}

impl<T: Copy> IndexMut<usize> for Sheet<T> {
    #[inline]
    fn index_mut(&mut self, number: usize) -> &mut T {
        let leaf = self.leaves[number / LEAF_VALUES];
        // SAFETY: the remainder lies within the leaf.
        let mut value = unsafe { leaf.add(number % LEAF_VALUES) };
        // SAFETY: initialised when the leaf came, and lent as the sheet is.
        unsafe { value.as_mut() }
    }
}

impl<T: Copy> Drop for Sheet<T> {
    fn drop(&mut self) {
        for leaf in self.leaves.drain(..) {
            // SAFETY: mapped with this length; the values need no drop, and nothing refers to them.
            unsafe { system::unmap_memory(leaf.cast(), Self::BYTES) };
        }
    }
}

impl<T: Copy> std::fmt::Debug for Sheet<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheet").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_when_the_sheet_grows() {
        let mut sheet = Sheet::new(7u64);
        *sheet.at(3) = 1;
        let before: *const u64 = &sheet[3];
        *sheet.at(5000) = 2;
        assert_eq!((sheet[3], sheet[4], sheet[5000], sheet[4999]), (1, 7, 2, 7));
        assert_eq!(&raw const sheet[3], before);
        assert_eq!(sheet.get(sheet.len()), None);
    }
}
