//! Pages: entries that never move, in memory that comes from the system and goes back to it.
//! A stale name is noticed, never followed, also when its page has gone and come again.
//!
//! An entry goes into the lowest page with room, so that the high ones become empty when there is
//! little to hold. An allocator would keep what they were for its next large request.

use std::ptr::NonNull;

use crate::system;

/// Entries of a page: with their names they fill pages of the system, whatever size they have.
const PAGE_ENTRIES: usize = NONE as usize;
/// Behind the last of a page's free entries.
const NONE: u32 = 1024;
/// The bits of a generation, in every name of an entry of [`Pages`].
pub const GENERATION_BITS: u32 = 28;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;
/// Beside the generation of an entry that has a value; without it the number is that of the next free
/// entry.
const USED: u32 = 1 << 31;

/// The memory of a page: so many values, and their names behind them, which are looked at without a look
/// at the values. It comes as zeroes: nothing of it is used.
struct Entries<T>(NonNull<T>);

impl<T> Clone for Entries<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Entries<T> {}

impl<T> Entries<T> {
    const VALUES_BYTES: usize = PAGE_ENTRIES * size_of::<T>();
    const BYTES: usize = {
        assert!(align_of::<T>() <= 4096, "entries stand at the beginning of a page");
        assert!(size_of::<T>().is_multiple_of(4), "names stand right behind them");
        Self::VALUES_BYTES + PAGE_ENTRIES * size_of::<u32>()
    };

    fn fetch() -> Self {
        Self(system::map_memory(Self::BYTES).cast())
    }

    /// # Safety
    /// Nothing refers to it any more.
    unsafe fn give_back(self) {
        // SAFETY: mapped with this length, and the caller vouches for the rest.
        unsafe { system::unmap_memory(self.0.cast(), Self::BYTES) };
    }

    #[inline]
    fn value(self, offset: usize) -> NonNull<T> {
        debug_assert!(offset < PAGE_ENTRIES);
        // SAFETY: the offset lies within the page.
        unsafe { self.0.add(offset) }
    }

    #[inline]
    fn name(self, offset: usize) -> u32 {
        // SAFETY: a name is a plain number, and nobody writes to it: the pages are borrowed.
        unsafe { self.place_of_name(offset).read() }
    }

    #[inline]
    fn set_name(self, offset: usize, name: u32) {
        // SAFETY: a name is a plain number, and nobody else looks at it: the pages are borrowed.
        unsafe { self.place_of_name(offset).write(name) };
    }

    #[inline]
    fn place_of_name(self, offset: usize) -> NonNull<u32> {
        debug_assert!(offset < PAGE_ENTRIES);
        // SAFETY: the names stand behind the values, in the same memory.
        let first = unsafe { self.0.cast::<u8>().add(Self::VALUES_BYTES) }.cast::<u32>();
        // SAFETY: the offset lies within the page.
        unsafe { first.add(offset) }
    }
}

/// Where a page is, or would be.
struct Page<T> {
    /// None: it was given back.
    entries: Option<Entries<T>>,
    /// How many entries have ever been used; behind them is nothing yet.
    begun: u32,
    /// The first of the free entries among those, by its offset.
    free: u32,
    used: u32,
    /// Of the entry that went in last; it goes on when the page comes again.
    generation: u32,
}

/// Entries by index and generation.
///
/// ```
/// use springtide_engine::Pages;
/// let mut pages = Pages::new(1000);
/// let (index, generation) = pages.insert_with(|_, _| "here").unwrap();
/// assert_eq!(pages.get_mut(index, generation), Some(&mut "here"));
/// assert_eq!(pages.remove(index, generation), Some("here"));
/// assert_eq!(pages.get_mut(index, generation), None);
/// ```
pub struct Pages<T> {
    pages: Vec<Page<T>>,
    /// One bit for each page: it has room.
    roomy: Vec<u64>,
    /// No word before this one has a page with room.
    first_roomy: usize,
    /// An empty page that was not given back: mostly the next entry comes soon.
    spare: Option<usize>,
    held: usize,
    len: usize,
    len_max: usize,
}

impl<T> Pages<T> {
    /// No entries yet, and no page; `len_max` entries at most.
    #[must_use]
    pub const fn new(len_max: usize) -> Self {
        Self {
            pages: Vec::new(),
            roomy: Vec::new(),
            first_roomy: 0,
            spare: None,
            held: 0,
            len: 0,
            len_max,
        }
    }

    /// How many entries there are.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many pages hold memory of the system.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Whether there are as many as there may be.
    #[inline]
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len >= self.len_max
    }

    /// Puts a value in, made from its own name: index and generation. Nothing when it is full.
    #[inline(always)]
    pub fn insert_with(&mut self, make: impl FnOnce(u32, u32) -> T) -> Option<(u32, u32)> {
        if self.is_full() {
            return None;
        }
        let number = self.number_with_room();
        let page = &mut self.pages[number];
        let Some(entries) = page.entries else { unreachable!("a page with room has memory") };
        let is_fresh = page.free == NONE;
        let offset = if is_fresh { page.begun } else { page.free };
        let index = index_of(number, offset as usize);
        let generation = (page.generation + 1) & GENERATION_MASK;
        // SAFETY: without a value, so nobody has it: the pages are borrowed.
        unsafe { entries.value(offset as usize).write(make(index, generation)) };
        if is_fresh {
            page.begun += 1;
        } else {
            page.free = entries.name(offset as usize);
        }
        entries.set_name(offset as usize, generation | USED);
        page.generation = generation;
        page.used += 1;
        self.len += 1;
        if page.is_full() {
            self.roomy[number / 64] &= !(1 << (number % 64));
        }
        if self.spare == Some(number) {
            self.spare = None;
        }
        Some((index, generation))
    }

    /// The value of a name, unless the name is stale.
    #[inline]
    pub fn get_mut(&mut self, index: u32, generation: u32) -> Option<&mut T> {
        let (entries, offset) = self.entry(index)?;
        if entries.name(offset) != generation | USED {
            return None;
        }
        // SAFETY: it is used, so it has a value, which is lent as the pages are.
        Some(unsafe { entries.value(offset).as_mut() })
    }

    /// The generation of the value that has this index now.
    #[inline]
    #[must_use]
    pub fn generation_of(&self, index: u32) -> Option<u32> {
        let (entries, offset) = self.entry(index)?;
        let name = entries.name(offset);
        (name & USED != 0).then_some(name & GENERATION_MASK)
    }

    /// Takes a value out, unless its name is stale.
    #[inline]
    pub fn remove(&mut self, index: u32, generation: u32) -> Option<T> {
        let (entries, offset) = self.entry(index)?;
        if entries.name(offset) != generation | USED {
            return None;
        }
        // SAFETY: it is used, so it has a value, and from here on it is not.
        let value = unsafe { entries.value(offset).read() };
        self.vacate(index, entries);
        Some(value)
    }

    /// Ends an entry without a drop of its value, of which nothing is left, unless its name is stale:
    /// what was in it has been taken out where it lay.
    #[inline(always)]
    pub fn forget(&mut self, index: u32, generation: u32) {
        if let Some((entries, offset)) = self.entry(index)
            && entries.name(offset) == generation | USED
        {
            self.vacate(index, entries);
        }
    }

    /// An entry has no value any more.
    #[inline(always)]
    fn vacate(&mut self, index: u32, entries: Entries<T>) {
        let (number, offset) = (index as usize / PAGE_ENTRIES, index as usize % PAGE_ENTRIES);
        let page = &mut self.pages[number];
        if page.is_full() {
            self.roomy[number / 64] |= 1 << (number % 64);
            self.first_roomy = self.first_roomy.min(number / 64);
        }
        entries.set_name(offset, page.free);
        page.free = index_of(0, offset);
        page.used -= 1;
        self.len -= 1;
        if page.used == 0 {
            self.emptied(number);
        }
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flat_map(Page::used).map(|(entries, offset)| {
            // SAFETY: it is used, so it has a value, which is looked at as the pages are.
            unsafe { entries.value(offset).as_ref() }
        })
    }

    /// The names of all values, by index and generation.
    pub fn names(&self) -> impl Iterator<Item = (u32, u32)> {
        self.pages.iter().enumerate().flat_map(|(number, page)| {
            page.used().map(move |(entries, offset)| {
                (index_of(number, offset), entries.name(offset) & GENERATION_MASK)
            })
        })
    }

    /// The memory of an index, if its page has any, and its offset there.
    #[inline]
    fn entry(&self, index: u32) -> Option<(Entries<T>, usize)> {
        let entries = self.pages.get(index as usize / PAGE_ENTRIES)?.entries?;
        Some((entries, index as usize % PAGE_ENTRIES))
    }

    /// The lowest page with room, fetched from the system if need be.
    #[inline]
    fn number_with_room(&mut self) -> usize {
        while let Some(word) = self.roomy.get(self.first_roomy) {
            if *word != 0 {
                let number = self.first_roomy * 64 + word.trailing_zeros() as usize;
                if self.pages[number].entries.is_none() {
                    self.fetch(number);
                }
                return number;
            }
            self.first_roomy += 1;
        }
        self.grow()
    }

    #[cold]
    fn grow(&mut self) -> usize {
        let number = self.pages.len();
        self.pages.push(Page { entries: None, begun: 0, free: NONE, used: 0, generation: 0 });
        if number / 64 == self.roomy.len() {
            self.roomy.push(0);
        }
        self.roomy[number / 64] |= 1 << (number % 64);
        self.first_roomy = number / 64;
        self.fetch(number);
        number
    }

    #[cold]
    fn fetch(&mut self, number: usize) {
        let page = &mut self.pages[number];
        page.entries = Some(Entries::fetch());
        (page.begun, page.free) = (0, NONE);
        self.held += 1;
    }

    /// One empty page is kept, the lowest; any other goes back.
    #[cold]
    fn emptied(&mut self, number: usize) {
        let other = self.spare.replace(number);
        let Some(other) = other else { return };
        self.spare = Some(number.min(other));
        self.give_back(number.max(other));
    }

    fn give_back(&mut self, number: usize) {
        if let Some(entries) = self.pages[number].entries.take() {
            // SAFETY: it holds no value any more, and values are lent as the pages are.
            unsafe { entries.give_back() };
            self.held -= 1;
        }
    }
}

impl<T> Page<T> {
    #[inline]
    const fn is_full(&self) -> bool {
        self.free == NONE && self.begun as usize == PAGE_ENTRIES
    }

    /// Where its values are.
    fn used(&self) -> impl Iterator<Item = (Entries<T>, usize)> + use<T> {
        let begun = self.begun as usize;
        let entries = self.entries.into_iter();
        let all = entries.flat_map(move |entries| (0..begun).map(move |offset| (entries, offset)));
        all.filter(|(entries, offset)| entries.name(*offset) & USED != 0)
    }
}

impl<T> Drop for Pages<T> {
    fn drop(&mut self) {
        for number in 0..self.pages.len() {
            for (entries, offset) in self.pages[number].used() {
                // SAFETY: it is used, so it has a value, which is dropped here only: the pages end.
                unsafe { entries.value(offset).drop_in_place() };
            }
            self.give_back(number);
        }
    }
}

impl<T> std::fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("len", &self.len).field("held", &self.held).finish()
    }
}

fn index_of(number: usize, offset: usize) -> u32 {
    u32::try_from(number * PAGE_ENTRIES + offset).expect("far fewer entries than 2^32")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: usize) -> (Pages<usize>, Vec<(u32, u32)>) {
        let mut pages = Pages::new(count);
        let names = (0..count).map(|value| pages.insert_with(|_, _| value).unwrap()).collect();
        (pages, names)
    }

    #[test]
    fn a_stale_name_is_noticed() {
        let (mut pages, names) = filled(600);
        assert_eq!(pages.get_mut(600, 1), None, "nothing has begun there");
        let (index, generation) = names[70];
        assert_eq!(pages.remove(index, generation), Some(70));
        assert_eq!(pages.remove(index, generation), None);
        let again = pages.insert_with(|_, _| 7000).unwrap();
        assert_eq!(again.0, index);
        assert_eq!(pages.get_mut(index, generation), None);
        assert_eq!(pages.get_mut(index, again.1), Some(&mut 7000));
        assert_eq!(pages.generation_of(index), Some(again.1));
        assert_eq!((pages.len(), pages.names().count()), (600, 600));
        assert_eq!(pages.values().filter(|value| **value != 7000).count(), 599);
    }

    #[test]
    fn the_limit_holds() {
        let (mut pages, names) = filled(300);
        assert!(pages.is_full() && pages.insert_with(|_, _| 9).is_none());
        assert!(pages.remove(names[5].0, names[5].1).is_some());
        assert!(pages.insert_with(|_, _| 9).is_some());
    }

    #[test]
    fn values_never_move() {
        let mut pages = Pages::new(5000);
        let (index, generation) = pages.insert_with(|_, _| 1).unwrap();
        let before: *const i32 = pages.get_mut(index, generation).unwrap();
        for _ in 0..4000 {
            pages.insert_with(|_, _| 2).unwrap();
        }
        let after: *const i32 = pages.get_mut(index, generation).unwrap();
        assert_eq!(before, after);
    }

    /// Names of a page that has gone stay stale when it comes again.
    #[test]
    fn empty_pages_go_back_and_come_again() {
        let (mut pages, names) = filled(10 * PAGE_ENTRIES);
        assert_eq!(pages.held(), 10);
        for (index, generation) in &names {
            assert!(pages.remove(*index, *generation).is_some());
        }
        assert_eq!((pages.len(), pages.held()), (0, 1), "one is kept for what comes next");
        assert_eq!(
            pages.insert_with(|_, _| 1).unwrap().0 as usize / PAGE_ENTRIES,
            0,
            "the lowest one"
        );
        for _ in 1..names.len() {
            pages.insert_with(|_, _| 2).unwrap();
        }
        assert_eq!(pages.held(), 10);
        assert!(
            names
                .iter()
                .all(|(index, generation)| { pages.get_mut(*index, *generation).is_none() })
        );
    }

    /// What stays gathers in the low pages, so that the high ones go.
    #[test]
    fn the_lowest_page_with_room_is_filled_first() {
        let (mut pages, names) = filled(100 * PAGE_ENTRIES);
        for (index, generation) in names.iter().filter(|(index, _)| index % 2 == 0) {
            assert!(pages.remove(*index, *generation).is_some());
        }
        assert_eq!(pages.held(), 100, "every page holds some");
        let upper = names.iter().filter(|(index, _)| index % 2 == 1).rev();
        for (index, generation) in upper.take(50 * PAGE_ENTRIES - PAGE_ENTRIES / 2) {
            let value = pages.remove(*index, *generation).unwrap();
            pages.insert_with(|_, _| value).unwrap();
        }
        assert!(pages.held() <= 52, "{} pages for the entries of 50", pages.held());
    }

    #[test]
    fn what_is_forgotten_makes_room() {
        let mut pages = Pages::new(1000);
        let names: Vec<_> =
            (0..300).map(|_| pages.insert_with(|_, _| Some(Box::new(1))).unwrap()).collect();
        for (index, generation) in &names[1..] {
            assert!(pages.get_mut(*index, *generation).unwrap().take().is_some());
            pages.forget(*index, *generation);
            assert!(pages.get_mut(*index, *generation).is_none());
        }
        assert_eq!(pages.len(), 1);
        let again = pages.insert_with(|_, _| None).unwrap();
        pages.forget(again.0, names[again.0 as usize].1);
        assert_eq!(pages.len(), 2, "stale");
    }

    #[test]
    fn values_are_dropped_with_their_pages() {
        let counted = std::rc::Rc::new(());
        let mut pages = Pages::new(1000);
        for _ in 0..700 {
            pages.insert_with(|_, _| counted.clone()).unwrap();
        }
        drop(pages);
        assert_eq!(std::rc::Rc::strong_count(&counted), 1);
    }
}
