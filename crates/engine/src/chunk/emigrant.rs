//! Buffers on their way through other threads, and the port through which they come home.
//! They belong to no pool's books meanwhile, and may outlive their pool.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_queue::SegQueue;

use super::{Buffer, Header};
use crate::wake::Waker;

/// A whole buffer on its way through other threads.
pub(super) struct Emigrant {
    buffer: Option<Buffer>,
    start: usize,
    end: usize,
    port: Arc<Port>,
}

/// Where buffers come home from other threads.
#[derive(Default)]
pub(super) struct Port {
    pub(super) queue: SegQueue<Buffer>,
    /// The shard has receives that wait for a buffer: it must hear of the next one.
    pub(super) wanted: AtomicBool,
    pub(super) waker: OnceLock<Waker>,
}

impl Emigrant {
    /// Takes the buffer of the only chunk out of its pool's books.
    pub(super) fn leave(header: NonNull<Header>, start: usize, end: usize) -> Self {
        // SAFETY: the caller held the only chunk of this buffer and forgot it.
        let fields = unsafe { header.as_ref() };
        fields.references.set(0);
        let home = fields.home.take();
        let port = match home {
            Some(shelf) => shelf.port.clone(),
            None => {
                // SAFETY: a buffer without a home is lent, and its lender outlives its turn.
                let shelf = unsafe { &*fields.lender.get() };
                shelf.lent.borrow_mut()[fields.lent_index.get() as usize].buffer = None;
                shelf.given_away.set(shelf.given_away.get() + 1);
                shelf.port.clone()
            }
        };
        Self { buffer: Some(Buffer(header)), start, end, port }
    }
}

impl AsRef<[u8]> for Emigrant {
    fn as_ref(&self) -> &[u8] {
        let Some(buffer) = &self.buffer else { return &[] };
        // SAFETY: `start` lies within the buffer.
        let first = unsafe { buffer.address().add(self.start) };
        // SAFETY: filled up to `end` before the chunk was made, and nobody writes to it any more.
        unsafe { std::slice::from_raw_parts(first.as_ptr(), self.end - self.start) }
    }
}

impl Drop for Emigrant {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.port.queue.push(buffer);
            if self.port.wanted.swap(false, Ordering::AcqRel)
                && let Some(waker) = self.port.waker.get()
            {
                waker.wake();
            }
        }
    }
}
