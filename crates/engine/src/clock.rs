//! The clock: the only reader of time, real or virtual.
//! Nothing else in the house asks the system what time it is; a turn reads the clock once.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment in nanoseconds of the monotonic clock (clock_gettime(2)), or of virtual time.
///
/// `std::time::Instant` cannot be made up, and virtual time has to be.
///
/// ```
/// use std::time::Duration;
/// use springtide_engine::Moment;
/// let later = Moment::ZERO + Duration::from_millis(5);
/// assert_eq!(later.milliseconds(), 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// When the clock began.
    pub const ZERO: Self = Self(0);

    /// The moment so many nanoseconds after the beginning.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// The moment so many milliseconds after the beginning.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the beginning.
    #[must_use]
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the beginning.
    #[must_use]
    pub const fn milliseconds(self) -> u64 {
        self.0 / 1_000_000
    }

    /// How long from `earlier` to here; nothing when it is the other way round.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Where moments come from.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// The system's monotonic and wall clocks.
    System,
    /// Virtual time: moved by the simulated backend only. Nanoseconds.
    Virtual(Rc<Cell<u64>>),
}

/// The wall time at which virtual time begins: a Sunday in 2026, so that dates look like dates.
pub(crate) const VIRTUAL_EPOCH_SECONDS: u64 = 1_767_225_600;

impl Clock {
    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::System => system_now(),
            Self::Virtual(now) => Moment(now.get()),
        }
    }

    /// Seconds since 1970, for the `Date` of replies.
    #[expect(clippy::disallowed_methods, reason = "the only reader of the wall clock")]
    pub(crate) fn unix_seconds(&self) -> u64 {
        match self {
            Self::System => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
            }
            Self::Virtual(now) => VIRTUAL_EPOCH_SECONDS + now.get() / 1_000_000_000,
        }
    }
}

/// The present moment by the system's clock, the same on every thread and in every process.
#[must_use]
pub fn system_now() -> Moment {
    Moment(crate::system::monotonic_ns())
}

/// How long it is until an instant of std, by the system's clock: for threads that wait, which no
/// virtual time has.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the only reader of the clock")]
pub fn time_until(instant: Instant) -> Duration {
    instant.saturating_duration_since(Instant::now())
}
