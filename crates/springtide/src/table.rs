//! A table whose entries never move and whose keys go stale when an entry leaves.
//! It grows page by page and never follows a stale key.

const PAGE: usize = 64;
const NONE: u32 = u32::MAX;

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

impl Place {
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
}

struct Entry<T> {
    value: Option<T>,
    generation: u32,
    next_free: u32,
}

/// The table.
pub(crate) struct Table<T> {
    pages: Vec<Box<[Entry<T>]>>,
    free: u32,
    len: usize,
}

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self { pages: Vec::new(), free: NONE, len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Puts an entry in, made from its own place.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(Place) -> T) -> Place {
        if self.free == NONE {
            self.grow();
        }
        let index = self.free;
        let entry = &mut self.pages[index as usize / PAGE][index as usize % PAGE];
        let place = Place { index, generation: entry.generation };
        self.free = entry.next_free;
        entry.value = Some(make(place));
        self.len += 1;
        place
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        let index = place.index as usize;
        let entry = self.pages.get_mut(index / PAGE)?.get_mut(index % PAGE)?;
        if entry.generation == place.generation { entry.value.as_mut() } else { None }
    }

    /// The place of the entry that has this index now.
    pub(crate) fn place_of(&self, index: u32) -> Option<Place> {
        let entry = self.pages.get(index as usize / PAGE)?.get(index as usize % PAGE)?;
        entry.value.is_some().then_some(Place { index, generation: entry.generation })
    }

    pub(crate) fn remove(&mut self, place: Place) -> Option<T> {
        self.get_mut(place)?;
        let entry = &mut self.pages[place.index as usize / PAGE][place.index as usize % PAGE];
        entry.generation = entry.generation.wrapping_add(1);
        entry.next_free = self.free;
        self.free = place.index;
        self.len -= 1;
        entry.value.take()
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten().filter_map(|entry| entry.value.as_ref())
    }

    /// All places in use.
    pub(crate) fn places(&self) -> Vec<Place> {
        let entries = self.pages.iter().flatten().zip(0u32..);
        let used = entries.filter(|(entry, _)| entry.value.is_some());
        used.map(|(entry, index)| Place { index, generation: entry.generation }).collect()
    }

    #[cold]
    fn grow(&mut self) {
        let first = self.pages.len() * PAGE;
        let entries = (first..first + PAGE).map(|index| {
            let next = if (index + 1) % PAGE == 0 { self.free } else { number(index + 1) };
            Entry { value: None, generation: 0, next_free: next }
        });
        let page: Box<[Entry<T>]> = entries.collect();
        self.pages.push(page);
        self.free = number(first);
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a table has fewer entries than descriptors can be open")
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
