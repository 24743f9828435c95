//! Callbacks: functions that are called once, kept without an allocation when they have captured little.
//! Nothing is called here but by whoever holds the callback.

use std::fmt;

use smallbox::{SmallBox, smallbox};

/// What captures may take in place: [`CALLBACK_BYTES_MAX`], and whether the function was called.
type Space = [usize; CALLBACK_BYTES_MAX / size_of::<usize>() + 1];

/// Up to so many bytes of captures lie in the callback itself; more are allocated.
pub const CALLBACK_BYTES_MAX: usize = 48;

/// A function to be called once, at most.
///
/// ```
/// use springtide_engine::Callback;
/// let name = String::from("tide");
/// let mut callback = Callback::new(move |rise: u32| assert_eq!(format!("{name} {rise}"), "tide 3"));
/// callback.call(3);
/// ```
pub struct Callback<A>(SmallBox<dyn Call<A>, Space>);

const _: () = assert!(size_of::<Option<Callback<()>>>() == 72, "an idle raw connection holds one");

trait Call<A> {
    fn call(&mut self, argument: A);
}

struct Once<F>(Option<F>);

impl<A, F: FnOnce(A)> Call<A> for Once<F> {
    fn call(&mut self, argument: A) {
        if let Some(function) = self.0.take() {
            function(argument);
        }
    }
}

impl<A: 'static> Callback<A> {
    /// Keeps a function.
    #[inline]
    #[must_use]
    pub fn new<F: FnOnce(A) + 'static>(function: F) -> Self {
        Self(smallbox!(Once(Some(function))))
    }

    /// Calls it where it lies, and does nothing when it was called before.
    #[inline]
    pub fn call(&mut self, argument: A) {
        self.0.call(argument);
    }

    /// Whether its captures are too long to lie in it.
    #[must_use]
    pub fn is_allocated(&self) -> bool {
        self.0.is_heap()
    }
}

impl<A> fmt::Debug for Callback<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{CALLBACK_BYTES_MAX, Callback};
    use std::cell::Cell;
    use std::rc::Rc;

    #[test]
    fn what_is_short_lies_in_place() {
        let (short, long) = ([1_u8; CALLBACK_BYTES_MAX], [1_u8; 2 * CALLBACK_BYTES_MAX]);
        let words = [1_u64; CALLBACK_BYTES_MAX / 8];
        assert!(!Callback::new(move |()| assert_eq!(short, [1; 48])).is_allocated());
        assert!(!Callback::new(move |()| assert_eq!(words, [1; 6])).is_allocated());
        assert!(Callback::new(move |()| assert_eq!(long, [1; 96])).is_allocated());
    }

    #[test]
    fn captures_are_dropped_once_whether_it_was_called_or_not() {
        for is_called in [true, false] {
            let (count, calls) = (Rc::new(()), Rc::new(Cell::new(0)));
            let (held, told) = (Rc::clone(&count), Rc::clone(&calls));
            let mut callback = Callback::new(move |by: u32| {
                told.set(told.get() + by);
                drop(held);
            });
            assert_eq!(Rc::strong_count(&count), 2);
            if is_called {
                callback.call(3);
                assert_eq!(Rc::strong_count(&count), 1);
                callback.call(3);
            }
            drop(callback);
            assert_eq!((Rc::strong_count(&count), calls.get()), (1, u32::from(is_called) * 3));
        }
    }
}
