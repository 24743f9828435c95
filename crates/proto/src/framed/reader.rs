//! Frames out of bytes, for both sides of a connection.
//! It must never ask a codec again before there is what it needs.

use super::codec::{Codec, Progress, Refusal, Scan};

/// How far the frame has been read that is not whole. It holds no bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reader {
    progress: Progress,
    /// How many bytes the input must have; 0 where a frame begins.
    at_least: usize,
}

impl Reader {
    pub(super) const fn new() -> Self {
        Self { progress: Progress { at: 0, left: 0 }, at_least: 0 }
    }

    #[inline]
    pub(super) fn read<C: Codec + ?Sized>(
        &mut self,
        input: &[u8],
        codec: &C,
    ) -> Result<Scan, Refusal> {
        if input.is_empty() || input.len() < self.at_least {
            return Ok(Scan::NeedBytes { at_least: self.at_least.max(1) });
        }
        let scan = codec.read(input, &mut self.progress)?;
        match scan {
            // A codec that needs nothing would be asked for ever.
            Scan::NeedBytes { at_least } => {
                self.at_least = at_least.max(input.len() + 1);
                return Ok(Scan::NeedBytes { at_least: self.at_least });
            }
            Scan::Whole { consumed, .. } | Scan::Skipped { consumed } => {
                assert!((1..=input.len()).contains(&consumed), "a codec takes bytes that came");
                *self = Self::default();
            }
        }
        Ok(scan)
    }

    /// Whether a frame has begun that is not whole.
    #[inline]
    pub(super) const fn is_within(&self) -> bool {
        self.at_least > 0
    }
}
