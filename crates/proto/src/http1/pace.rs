//! The pace of a body that is coming: how much of it came since when.
//! It keeps no deadline of its own, and counts no byte twice.

use super::limits::Limits;

/// The longest window: what there is room for tells no longer ones apart.
const WINDOW_MS_MAX: u64 = 30_000;

/// What came of a body in the present window, which begins with the body's first bytes: it and
/// [`Began`] lie in what the machine has left over, because every idle connection holds them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace([u8; 3]);

/// When the window began: the low bits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Began([u8; 2]);

/// The most that is counted in one window, 16 MiB.
const BYTES_MAX: u32 = (1 << 24) - 1;

impl Pace {
    #[inline]
    const fn bytes(self) -> u32 {
        let [low, middle, high] = self.0;
        u32::from_le_bytes([low, middle, high, 0])
    }

    #[inline]
    fn set(&mut self, bytes: u32) {
        let [low, middle, high, _] = bytes.min(BYTES_MAX).to_le_bytes();
        self.0 = [low, middle, high];
    }

    /// Bytes have come now.
    #[inline]
    pub(crate) fn note(&mut self, bytes: usize, now_ms: u64, began: &mut Began) {
        let before = self.bytes();
        if before == 0 {
            *began = Began::at(now_ms);
        }
        self.set(before.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX)));
    }

    /// When the window is over that the last bytes, which came at `last_ms`, belong to.
    #[inline]
    pub(crate) fn ends_ms(self, began: Began, last_ms: u64, limits: &Limits) -> Option<u64> {
        if self.bytes() == 0 || limits.body_rate_min == 0 {
            return None;
        }
        // A window that began behind another one began later than the last bytes came.
        let later_ms = began.signed().wrapping_sub(Began::at(last_ms).signed());
        let began_ms = last_ms.saturating_add_signed(i64::from(later_ms));
        Some(began_ms + window_ms(limits))
    }

    /// The window begins anew: the time until now was not the peer's, or is judged.
    pub(crate) fn begin_again(&mut self, now_ms: u64, began: &mut Began) {
        if self.bytes() > 0 {
            // With none the window would begin with the next byte only.
            self.set(1);
            *began = Began::at(now_ms);
        }
    }

    /// The window is over: whether enough came in it.
    pub(crate) fn is_enough(self, limits: &Limits) -> bool {
        let least = limits.body_rate_min.saturating_mul(window_ms(limits)) / 1000;
        u64::from(self.bytes()) >= least.min(u64::from(BYTES_MAX))
    }
}

impl Began {
    #[inline]
    fn at(time_ms: u64) -> Self {
        let [low, high, ..] = time_ms.to_le_bytes();
        Self([low, high])
    }

    #[inline]
    const fn signed(self) -> i16 {
        i16::from_le_bytes(self.0)
    }
}

fn window_ms(limits: &Limits) -> u64 {
    limits.body_rate_window_ms.min(WINDOW_MS_MAX)
}
