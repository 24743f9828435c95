//! The future that is being polled, so that what it waits for need not keep a waker.
//! It holds no waker, and follows none.

use std::cell::Cell;
use std::task::{RawWakerVTable, Waker};

use crate::table::Place;

/// The future of a shard that is being polled, if one is.
#[derive(Default)]
pub(crate) struct Polled(Cell<Option<Own>>);

/// A future, and how its own waker is known: no other has the same address while that is there.
#[derive(Clone, Copy)]
struct Own {
    future: Place,
    data: *const (),
    vtable: *const RawWakerVTable,
}

impl Polled {
    /// A future is polled from here on, with its own waker.
    #[inline]
    pub(crate) fn begin(&self, future: Place, waker: &Waker) {
        let (data, vtable) = (waker.data(), std::ptr::from_ref(waker.vtable()));
        self.0.set(Some(Own { future, data, vtable }));
    }

    #[inline]
    pub(crate) fn end(&self) {
        self.0.set(None);
    }

    /// The future that a waker wakes, where it is the own one of what is being polled.
    #[inline]
    pub(crate) fn woken_by(&self, waker: &Waker) -> Option<Place> {
        let own = self.0.get()?;
        let is_own = own.data == waker.data() && std::ptr::eq(own.vtable, waker.vtable());
        is_own.then_some(own.future)
    }
}

#[cfg(test)]
mod tests {
    use super::Polled;
    use crate::table::Place;
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn only_the_own_waker_is_known_and_only_in_its_poll() {
        let [own, other] = [Waker::from(Arc::new(Nobody)), Waker::from(Arc::new(Nobody))];
        let (polled, future) = (Polled::default(), Place::from_raw(7));
        assert_eq!(polled.woken_by(&own), None);
        polled.begin(future, &own);
        assert_eq!(
            [&own, &other, Waker::noop()].map(|waker| polled.woken_by(waker)),
            [Some(future), None, None]
        );
        polled.end();
        assert_eq!(polled.woken_by(&own), None);
    }
}
