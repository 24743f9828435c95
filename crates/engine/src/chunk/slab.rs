//! Slabs: memory of the system's own that buffers are cut from; it goes back behind the last of them.
//! Nothing here touches a buffer, or knows who has it.

use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{CHUNK_BYTES, Header};
use crate::system;

/// What is taken from the system at a time. Of it only what has been cut costs anything.
const SLAB_BYTES: usize = 256 << 10;
/// A buffer with its header.
const BUFFER_BYTES: usize = size_of::<Header>() + CHUNK_BYTES;
pub(super) const SLAB_BUFFERS: usize = (SLAB_BYTES - size_of::<Front>()) / BUFFER_BYTES;

const _: () = assert!(
    size_of::<Front>() + SLAB_BUFFERS * BUFFER_BYTES == SLAB_BYTES,
    "63 buffers and their front fill pages of the system"
);

/// What stands in front of a slab's buffers.
#[repr(align(64))]
struct Front {
    /// Its buffers that are alive, and whoever cuts from it.
    holders: AtomicUsize,
}

const _: () =
    assert!(offset_of!(Front, holders) == 0 && align_of::<Header>() <= align_of::<Front>());

/// One of the holders of a slab, on any thread. The last one gives the slab back.
pub(super) struct Hold(NonNull<Front>);

// SAFETY: holders are counted atomically, and who drops the last one is alone with the slab.
unsafe impl Send for Hold {}

impl Hold {
    fn first() -> Self {
        let front = system::map_memory(SLAB_BYTES).cast::<Front>();
        // SAFETY: fresh memory, aligned to a page of the system and large enough.
        unsafe { front.write(Front { holders: AtomicUsize::new(1) }) };
        Self(front)
    }
}

impl Clone for Hold {
    fn clone(&self) -> Self {
        // SAFETY: the slab lives as long as one of its holders, which this is.
        unsafe { self.0.as_ref() }.holders.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // SAFETY: the slab lives as long as one of its holders, which this is.
        let before = unsafe { self.0.as_ref() }.holders.fetch_sub(1, Ordering::AcqRel);
        if before == 1 {
            // SAFETY: mapped with this length, and this was the last that referred to it.
            unsafe { system::unmap_memory(self.0.cast(), SLAB_BYTES) };
        }
    }
}

/// Cuts buffers from slabs, of one shard.
#[derive(Default)]
pub(super) struct Cutter {
    /// None before the first, and behind one that has been cut up.
    slab: Option<Hold>,
    cut: usize,
}

impl Cutter {
    /// Room for a header and the bytes behind it, and a holder of the slab that they lie in.
    pub(super) fn cut(&mut self) -> (NonNull<Header>, Hold) {
        let hold = self.slab.get_or_insert_with(Hold::first).clone();
        let offset = size_of::<Front>() + self.cut * BUFFER_BYTES;
        // SAFETY: fewer than SLAB_BUFFERS were cut, so the offset and a buffer behind it lie within.
        let room = unsafe { hold.0.cast::<u8>().add(offset) };
        self.cut += 1;
        if self.cut == SLAB_BUFFERS {
            (self.slab, self.cut) = (None, 0);
        }
        (room.cast(), hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_of_a_slab_do_not_overlap_and_lie_on_lines() {
        let mut cutter = Cutter::default();
        let cut: Vec<_> = (0..2 * SLAB_BUFFERS + 1).map(|_| cutter.cut()).collect();
        let mut addresses: Vec<usize> = cut.iter().map(|(room, _)| room.addr().get()).collect();
        assert!(addresses.iter().all(|address| address % 64 == 0));
        addresses.sort_unstable();
        assert!(addresses.windows(2).all(|pair| pair[1] - pair[0] >= BUFFER_BYTES));
    }

    fn holders(hold: &Hold) -> usize {
        // SAFETY: it holds its slab.
        unsafe { hold.0.as_ref() }.holders.load(Ordering::Relaxed)
    }

    #[test]
    fn buffers_and_who_cuts_them_hold_a_slab() {
        let mut cutter = Cutter::default();
        let (_, first) = cutter.cut();
        let (_, second) = cutter.cut();
        assert_eq!(holders(&first), 3);
        drop(cutter);
        std::thread::scope(|scope| scope.spawn(|| drop(second)).join()).unwrap();
        assert_eq!(holders(&first), 1);
        let mut cutter = Cutter::default();
        let cut: Vec<_> = (0..SLAB_BUFFERS).map(|_| cutter.cut()).collect();
        assert_eq!(holders(&cut[0].1), SLAB_BUFFERS, "nothing more is cut from it");
    }
}
