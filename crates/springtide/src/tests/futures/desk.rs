//! The desk that futures of tests wait at: it tells how often they were polled, and who was dropped.
//! It lets nobody go by itself.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

/// Where futures wait until a test lets them go on, by a number.
#[derive(Default)]
pub(in crate::tests) struct Desk {
    open: Mutex<HashMap<usize, bool>>,
    pub(super) wakers: Mutex<HashMap<usize, Waker>>,
    pub(super) polls: AtomicUsize,
    pub(super) drops: AtomicUsize,
}

/// Counts that a future was dropped.
pub(in crate::tests) struct Guest(pub(in crate::tests) Arc<Desk>);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Ordering::Relaxed);
    }
}

impl Desk {
    pub(in crate::tests) async fn wait(self: &Arc<Self>, number: usize) {
        let _guest = Guest(self.clone());
        std::future::poll_fn(|context| {
            self.polls.fetch_add(1, Ordering::Relaxed);
            if self.open.lock().unwrap().contains_key(&number) {
                return Poll::Ready(());
            }
            self.wakers.lock().unwrap().insert(number, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(in crate::tests) fn waiting(&self) -> usize {
        self.wakers.lock().unwrap().len()
    }

    pub(in crate::tests) fn let_go(&self, number: usize) -> Waker {
        self.open.lock().unwrap().insert(number, true);
        self.wakers.lock().unwrap().remove(&number).unwrap()
    }

    pub(super) fn polls(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }

    pub(in crate::tests) fn drops(&self) -> usize {
        self.drops.load(Ordering::Relaxed)
    }
}
