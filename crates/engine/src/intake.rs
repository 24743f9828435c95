//! Intakes: what other threads hand in for one that takes it, until that ends.
//! Nothing is left in an intake that nobody takes from any more.

use std::fmt;

use crate::sync::{Mutex, lock};

/// A queue from any thread to one, which may be closed: what is handed in is taken, or comes back.
///
/// ```
/// use springtide_engine::Intake;
/// let intake = Intake::new();
/// assert_eq!(intake.push("low"), Ok(true), "the first: whoever takes is to be told");
/// assert_eq!(intake.push("high"), Ok(false));
/// assert_eq!(intake.take(), ["low", "high"]);
/// assert!(intake.close().is_empty());
/// assert_eq!(intake.push("late"), Err("late"));
/// ```
pub struct Intake<T>(Mutex<Option<Vec<T>>>);

impl<T> Intake<T> {
    /// One that is open and empty.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }

    /// Hands something in; true when nothing stood there before, so that whoever takes is to be told.
    ///
    /// # Errors
    /// It is closed: here it is again.
    pub fn push(&self, item: T) -> Result<bool, T> {
        let mut items = lock(&self.0);
        let Some(items) = &mut *items else { return Err(item) };
        items.push(item);
        Ok(items.len() == 1)
    }

    /// Takes everything, in the order in which it was handed in.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        lock(&self.0).as_mut().map_or_else(Vec::new, std::mem::take)
    }

    /// Closes it for good, and takes what stands there.
    #[must_use]
    pub fn close(&self) -> Vec<T> {
        lock(&self.0).take().unwrap_or_default()
    }
}

impl<T> Default for Intake<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Intake<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}
