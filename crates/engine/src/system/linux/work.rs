//! Memory that the system needs beside an operation's own: vectors of a send, an address.
//! It points only to what its operation owns, and stays at one address while the system has it.

use crate::op::Piece;

/// Memory that a send needs beside its pieces, at one address while the system has it.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) vectors: Vec<libc::iovec>,
    pub(crate) header: Option<libc::msghdr>,
    pub(crate) address: Option<socket2::SockAddr>,
}

impl Work {
    /// Points the vectors at what is left of `pieces` behind the first `sent` bytes.
    pub(crate) fn aim(&mut self, pieces: &[Piece], sent: usize) {
        self.vectors.clear();
        let mut skip = sent;
        for piece in pieces {
            let bytes = piece.as_slice();
            if skip >= bytes.len() {
                skip -= bytes.len();
                continue;
            }
            let rest = &bytes[skip..];
            skip = 0;
            let base = rest.as_ptr().cast_mut().cast();
            self.vectors.push(libc::iovec { iov_base: base, iov_len: rest.len() });
        }
    }
}
