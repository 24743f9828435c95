//! Slots: values by numbers that are given again.
//! It never follows a number to a value that was taken out: whoever keeps one forgets it with the value.

/// The slots.
pub(super) struct Slots<T> {
    values: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(number) = self.free.pop() {
            self.values[number as usize] = Some(value);
            return number;
        }
        self.values.push(Some(value));
        u32::try_from(self.values.len() - 1).expect("fewer than memory has room for")
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number as usize).and_then(Option::as_ref)
    }

    /// The value of a number that is kept.
    #[inline]
    pub(super) fn at(&mut self, number: u32) -> &mut T {
        self.values[number as usize].as_mut().expect("whoever keeps a number forgets it in time")
    }

    pub(super) fn remove(&mut self, number: u32) {
        self.values[number as usize] = None;
        self.free.push(number);
        if self.free.len() == self.values.len() {
            // What a burst took does not stay.
            *self = Self::default();
        }
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.values.into_iter().flatten()
    }
}
