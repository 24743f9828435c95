//! A table whose entries never move and whose places go stale when an entry leaves.
//! It grows and shrinks page by page and never follows a stale place.

use springtide_engine::Pages;

/// Names an entry: index and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    index: u32,
    generation: u32,
}

/// The bits of a place as a number, so that tokens can carry it beside what they are for.
pub(crate) const PLACE_BITS: u32 = 60;
const INDEX_BITS: u32 = 28;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const ENTRIES_MAX: usize = 1 << INDEX_BITS;

impl Place {
    /// The place of nothing.
    pub(crate) const NONE: Self = Self { index: u32::MAX, generation: u32::MAX };

    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        ((self.generation as u64) << INDEX_BITS) | self.index as u64
    }

    #[inline]
    pub(crate) const fn from_raw(raw: u64) -> Self {
        let index = (raw & INDEX_MASK) as u32;
        Self { index, generation: (raw >> INDEX_BITS) as u32 }
    }

    #[inline]
    pub(crate) const fn index(self) -> u32 {
        self.index
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        self.generation
    }
}

/// The table.
pub(crate) struct Table<T> {
    pages: Pages<T>,
}

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self { pages: Pages::new(ENTRIES_MAX) }
    }

    pub(crate) const fn len(&self) -> usize {
        self.pages.len()
    }

    /// How many pages hold memory.
    #[cfg(test)]
    pub(crate) const fn pages_held(&self) -> usize {
        self.pages.held()
    }

    /// Puts an entry in, made from its own place.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(Place) -> T) -> Place {
        let put = self.pages.insert_with(|index, generation| make(Place { index, generation }));
        let (index, generation) = put.expect("fewer entries than descriptors can be open");
        Place { index, generation }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        self.pages.get_mut(place.index, place.generation)
    }

    /// The place of the entry that has this index now.
    pub(crate) fn place_of(&self, index: u32) -> Option<Place> {
        self.pages.generation_of(index).map(|generation| Place { index, generation })
    }

    pub(crate) fn remove(&mut self, place: Place) -> Option<T> {
        self.pages.remove(place.index, place.generation)
    }

    /// Ends an entry of which nothing is left, where it lies, unless its place is stale.
    #[inline]
    pub(crate) fn forget(&mut self, place: Place) {
        self.pages.forget(place.index, place.generation);
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.values()
    }

    /// All places in use.
    pub(crate) fn places(&self) -> Vec<Place> {
        let names = self.pages.names();
        names.map(|(index, generation)| Place { index, generation }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_stale() {
        let mut table = Table::new();
        let places: Vec<Place> = (0..200).map(|value| table.insert_with(|_| value)).collect();
        assert_eq!(table.remove(places[70]), Some(70));
        assert!(table.get_mut(places[70]).is_none());
        let again = table.insert_with(|_| 7000);
        assert_eq!(again.index(), places[70].index());
        assert_eq!(table.get_mut(Place::from_raw(again.raw())), Some(&mut 7000));
        assert!(table.remove(places[70]).is_none());
        assert_eq!((table.len(), table.places().len()), (200, 200));
    }
}
