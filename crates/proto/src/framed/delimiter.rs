//! Bytes behind each frame that end it. It must never look at a byte twice, however the frame is
//! cut, and never search further than a frame may be long.

use super::codec::{PayloadError, Progress, Refusal, Scan};

/// The longest delimiter.
const DELIMITER_BYTES_MAX: usize = 16;

/// What ends a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delimiter {
    bytes: [u8; DELIMITER_BYTES_MAX],
    len: u8,
    /// Whether a CR before it belongs to the end as well.
    strips_cr: bool,
}

impl Delimiter {
    #[expect(clippy::cast_possible_truncation, reason = "16 at most")]
    pub(super) const fn new(delimiter: &[u8]) -> Self {
        let len = delimiter.len();
        assert!(len >= 1 && len <= DELIMITER_BYTES_MAX, "a delimiter has 1 to 16 bytes");
        let (mut bytes, mut index) = ([0; DELIMITER_BYTES_MAX], 0);
        while index < len {
            bytes[index] = delimiter[index];
            index += 1;
        }
        Self { bytes, len: len as u8, strips_cr: false }
    }

    pub(super) const fn line() -> Self {
        Self { strips_cr: true, ..Self::new(b"\n") }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// `progress.at` bytes were searched: the delimiter ends behind them, wherever it begins.
    #[inline]
    pub(super) fn read(
        &self,
        input: &[u8],
        bytes_max: usize,
        progress: &mut Progress,
    ) -> Result<Scan, Refusal> {
        let own = usize::from(self.len) + usize::from(self.strips_cr);
        let window = &input[..input.len().min(bytes_max.saturating_add(own))];
        let last = self.bytes[usize::from(self.len) - 1];
        let mut at = progress.at;
        while let Some(found) = memchr::memchr(last, &window[at..]) {
            at += found + 1;
            if window[..at].ends_with(self.as_slice()) {
                let end = self.end_of(&window[..at]);
                let is_short = end <= bytes_max;
                let whole = Scan::Whole { consumed: at, payload: 0..end };
                return if is_short { Ok(whole) } else { Err(Refusal::TooLong { bytes_max }) };
            }
        }
        progress.at = window.len();
        match self.shortest(window) > bytes_max {
            true => Err(Refusal::TooLong { bytes_max }),
            false => Ok(Scan::NeedBytes { at_least: input.len() + 1 }),
        }
    }

    /// Where the payload ends of a frame that ends with its delimiter.
    #[inline]
    fn end_of(&self, frame: &[u8]) -> usize {
        let end = frame.len() - usize::from(self.len);
        let has_cr = self.strips_cr && frame[..end].last() == Some(&b'\r');
        end - usize::from(has_cr)
    }

    /// The fewest bytes that the payload can have which begins so: the last ones may be the
    /// beginning of the delimiter.
    fn shortest(&self, begun: &[u8]) -> usize {
        if self.strips_cr {
            return begun.len() - usize::from(begun.last() == Some(&b'\r'));
        }
        let delimiter = self.as_slice();
        let begins = |count: &usize| begun.ends_with(&delimiter[..*count]);
        begun.len() - (0..delimiter.len()).rev().find(begins).unwrap_or(0)
    }

    /// That the delimiter does not occur in a payload, nor across its end, which would be another.
    #[inline]
    pub(super) fn check(&self, payload: &[u8]) -> Result<(), PayloadError> {
        let delimiter = self.as_slice();
        let holds = match self.len {
            1 if self.strips_cr && payload.last() == Some(&b'\r') => true,
            1 => memchr::memchr(delimiter[0], payload).is_some(),
            _ => memchr::memmem::find(payload, delimiter).is_some() || self.is_doubtful(payload),
        };
        if holds { Err(PayloadError::HoldsDelimiter) } else { Ok(()) }
    }

    /// Whether the payload's end and the delimiter together hold it earlier: `a-` before `--`.
    fn is_doubtful(&self, payload: &[u8]) -> bool {
        let delimiter = self.as_slice();
        let begins = |count| payload.ends_with(&delimiter[..count]);
        (1..delimiter.len())
            .any(|count| begins(count) && delimiter.starts_with(&delimiter[count..]))
    }
}
