//! Compressed messages (RFC 7692 §7.2): deflated and inflated whole, with a window that lasts for one
//! message or for the connection.
//! It must never write more than it is allowed to, whatever comes in.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::refusal::Refusal;

/// What stands at the end of a message that was flushed, and is left out on the wire (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The largest window, 32 KiB.
pub(super) const WINDOW_BITS_MAX: u8 = 15;
/// The smallest that a message can be told to have, and that a coder with a memory of its own can have.
pub(super) const WINDOW_BITS_MIN: u8 = 8;
const CODER_BITS_MIN: u8 = 9;
/// As small as the next levels make it, but for some percent, and twice as fast.
const LEVEL: Compression = Compression::new(4);
/// Room that is made at once for what is inflated.
const STEP_BYTES: usize = 1 << 10;

/// How one side compresses, as both have agreed (RFC 7692 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// It has `1 << bits` bytes, 8 to 15.
    pub bits: u8,
    /// It lasts from one message to the next.
    pub takes_over: bool,
}

/// Deflates messages, those of one connection or, where windows last for one message, of any number.
/// It takes some 300 KB.
///
/// ```
/// use springtide_proto::websocket::{Deflater, Inflater, Window};
/// let window = Window { bits: 15, takes_over: false };
/// let (mut deflater, mut inflater) = (Deflater::new(window), Inflater::new(window));
/// let deflated = deflater.deflate(&[b'x'; 1000], window).expect("it gains by it");
/// assert!(deflated.len() < 20);
/// assert_eq!(inflater.inflate(&deflated, 1000)?, [b'x'; 1000]);
/// assert!(inflater.inflate(&deflated, 999).is_err(), "what is longer is not written");
/// # Ok::<(), springtide_proto::websocket::Refusal>(())
/// ```
#[derive(Debug)]
pub struct Deflater {
    compress: Compress,
}

impl Deflater {
    /// What it takes of memory, in bytes.
    pub const BYTES: usize = 300 << 10;

    /// A deflater for windows of this size, or smaller ones that last for one message.
    #[must_use]
    pub fn new(window: Window) -> Self {
        let bits = window.bits.max(CODER_BITS_MIN);
        Self { compress: Compress::new_with_window_bits(LEVEL, false, bits) }
    }

    /// Deflates a message; none where it does not gain by it, or the window is smaller than this
    /// deflater's and than the message: then it is sent as it is.
    #[must_use]
    pub fn deflate(&mut self, payload: &[u8], window: Window) -> Option<Vec<u8>> {
        // What lies in the window as a whole is never referred to from beyond it.
        let fits = window.bits == WINDOW_BITS_MAX || payload.len() <= 1 << window.bits;
        if payload.is_empty() || (!window.takes_over && !fits) {
            return None;
        }
        let mut deflated = Vec::with_capacity(payload.len() / 2 + 64);
        self.code(payload, &mut deflated);
        let gains = deflated.len() < payload.len() + TAIL.len() && deflated.ends_with(&TAIL);
        if !gains || !window.takes_over {
            // What is not sent must not be referred to.
            self.compress.reset();
        }
        if !gains {
            return None;
        }
        deflated.truncate(deflated.len() - TAIL.len());
        Some(deflated)
    }

    fn code(&mut self, payload: &[u8], deflated: &mut Vec<u8>) {
        let before = self.compress.total_in();
        loop {
            let done = usize::try_from(self.compress.total_in() - before).unwrap_or(usize::MAX);
            let rest = payload.get(done..).unwrap_or_default();
            let coded = self.compress.compress_vec(rest, deflated, FlushCompress::Sync);
            if let Err(error) = coded {
                panic!("a coder with room to write does not fail: {error}");
            }
            // Room that is left means that there was nothing more to write.
            let is_read = self.compress.total_in() - before == payload.len() as u64;
            if is_read && deflated.len() < deflated.capacity() {
                return;
            }
            deflated.reserve(deflated.capacity().max(64));
        }
    }
}

/// Inflates messages, those of one connection or, where windows last for one message, of any number.
#[derive(Debug)]
pub struct Inflater {
    decompress: Decompress,
    takes_over: bool,
}

impl Inflater {
    /// An inflater; the windows of messages may be smaller than its own.
    #[must_use]
    pub fn new(window: Window) -> Self {
        let decompress = Decompress::new_with_window_bits(false, WINDOW_BITS_MAX);
        Self { decompress, takes_over: window.takes_over }
    }

    /// Inflates a message, to at most so many bytes.
    ///
    /// # Errors
    /// When it would be longer, or cannot be inflated: the connection is to be refused.
    pub fn inflate(&mut self, payload: &[u8], bytes_max: u64) -> Result<Vec<u8>, Refusal> {
        let most = usize::try_from(bytes_max).unwrap_or(usize::MAX - 1).min(usize::MAX - 1);
        let mut inflated = Vec::with_capacity((payload.len().saturating_mul(3)).min(most + 1));
        let done = self
            .take(payload, &mut inflated, most)
            .and_then(|()| self.take(&TAIL, &mut inflated, most));
        if !self.takes_over || done.is_err() {
            self.decompress.reset(false);
        }
        done?;
        inflated.shrink_to_fit();
        Ok(inflated)
    }

    fn take(&mut self, input: &[u8], into: &mut Vec<u8>, most: usize) -> Result<(), Refusal> {
        let mut rest = input;
        loop {
            if into.len() == into.capacity() {
                into.reserve_exact(into.len().max(STEP_BYTES).min(most + 1 - into.len()));
            }
            let (before_in, before_out) = (self.decompress.total_in(), into.len());
            let status = self.decompress.decompress_vec(rest, into, FlushDecompress::Sync);
            let read = self.decompress.total_in() - before_in;
            rest = &rest[usize::try_from(read).unwrap_or(usize::MAX)..];
            if into.len() > most {
                return Err(Refusal::MessageTooLong);
            }
            match status {
                // A block that says that it is the last is not: the next message follows.
                Ok(Status::StreamEnd) => self.decompress.reset(false),
                Ok(Status::Ok | Status::BufError) => {
                    let is_stuck = read == 0 && into.len() == before_out && !rest.is_empty();
                    if is_stuck {
                        return Err(Refusal::Compressed);
                    }
                }
                Err(_) => return Err(Refusal::Compressed),
            }
            if rest.is_empty() && into.len() < into.capacity() {
                return Ok(());
            }
        }
    }
}
