//! How often one client may have something: who is one client, and a bucket that fills with time.
//! It keeps no table, takes no lock, and reads no clock.

use std::net::IpAddr;
use std::time::Duration;

use springtide_engine::Moment;

/// Who is counted as one: an IPv4 address, or the first half of an IPv6 address, whose second half a
/// client chooses by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    Four([u8; 4]),
    Six([u8; 8]),
}

impl Client {
    /// An IPv4 address is one also where it came over IPv6.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::Four(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::Six([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// A bucket of tokens, which begins full: when it is full again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    full_ns: u64,
}

impl Bucket {
    /// Whether nothing is missing in it: it is as good as a new one.
    pub(crate) const fn is_full(self, now: Moment) -> bool {
        self.full_ns <= now.nanoseconds()
    }
}

/// How fast buckets fill, and how much is in a full one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    token_ns: u64,
    whole_ns: u64,
}

impl Rate {
    /// A bucket that fills in this time, and has so many tokens then.
    pub(crate) fn within(time: Duration, count: u32) -> Self {
        let token_ns = time.as_nanos() / u128::from(count.max(1));
        Self::of(u64::try_from(token_ns).unwrap_or(u64::MAX), count)
    }

    /// So many tokens come in a second, and so many are saved up.
    pub(crate) fn per_second(count: u32, saved: u32) -> Self {
        Self::of(1_000_000_000 / u64::from(count.max(1)), saved)
    }

    fn of(token_ns: u64, count: u32) -> Self {
        let token_ns = token_ns.max(1);
        Self { token_ns, whole_ns: token_ns.saturating_mul(u64::from(count)) }
    }

    /// Takes a token; how long it takes until there is one, if there is none. Moments may come in any
    /// order, as shards look at the clock: none fills a bucket twice.
    pub(crate) fn take(self, bucket: &mut Bucket, now: Moment) -> Result<(), Duration> {
        let now_ns = now.nanoseconds();
        let full_ns = bucket.full_ns.max(now_ns).saturating_add(self.token_ns);
        let excess_ns = full_ns.saturating_sub(now_ns).saturating_sub(self.whole_ns);
        if excess_ns > 0 {
            return Err(Duration::from_nanos(excess_ns));
        }
        bucket.full_ns = full_ns;
        Ok(())
    }
}

/// As `Retry-After` says it: in whole seconds, not too few.
pub(crate) const fn seconds_of(wait: Duration) -> u64 {
    wait.as_secs() + if wait.subsec_nanos() > 0 { 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_milliseconds(ms)
    }

    #[test]
    fn half_of_an_address_of_ipv6_counts() {
        let client = |text: &str| Client::of(text.parse().unwrap());
        let one = client("2001:db8:1:2:3:4:5:6");
        assert_eq!(one, client("2001:db8:1:2::"));
        assert_ne!(one, client("2001:db8:1:3:3:4:5:6"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    #[test]
    fn buckets_fill_again() {
        let (rate, mut bucket) = (Rate::within(Duration::from_secs(3), 3), Bucket::default());
        for (ms, expected) in [
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, Err(1_000)),
            (999, Err(1)),
            (1_000, Ok(())),
            (1_000, Err(1_000)),
            (60_000, Ok(())),
            (60_000, Ok(())),
            (60_000, Ok(())),
            (60_000, Err(1_000)),
        ] {
            let taken = rate.take(&mut bucket, at(ms)).map_err(|wait| wait.as_millis());
            assert_eq!(taken, expected, "{ms}");
        }
        assert!(!bucket.is_full(at(62_999)) && bucket.is_full(at(63_000)));
    }

    #[test]
    fn more_may_be_saved_up_than_comes_in_a_second() {
        let (rate, mut bucket) = (Rate::per_second(2, 3), Bucket::default());
        for _ in 0..3 {
            assert_eq!(rate.take(&mut bucket, at(1_000)), Ok(()));
        }
        let half = Err(Duration::from_millis(500));
        assert_eq!(rate.take(&mut bucket, at(1_000)), half);
        assert_eq!(rate.take(&mut bucket, at(1_499)), Err(Duration::from_millis(1)));
        assert_eq!(rate.take(&mut bucket, at(1_500)), Ok(()));
        for _ in 0..3 {
            assert_eq!(rate.take(&mut bucket, at(100_000)), Ok(()));
        }
        assert_eq!(rate.take(&mut bucket, at(100_000)), half, "no more than is saved up");
    }

    /// Shards do not look at the clock in the same moment.
    #[test]
    fn time_is_counted_once() {
        let (rate, mut bucket) = (Rate::per_second(2, 3), Bucket::default());
        for _ in 0..3 {
            assert_eq!(rate.take(&mut bucket, at(1_000)), Ok(()));
        }
        for _ in 0..200 {
            assert!(rate.take(&mut bucket, at(990)).is_err());
            assert!(rate.take(&mut bucket, at(1_000)).is_err());
        }
    }

    #[test]
    fn rates_have_no_bounds() {
        for rate in [Rate::per_second(u32::MAX, 1), Rate::within(Duration::MAX, u32::MAX)] {
            let mut bucket = Bucket::default();
            assert_eq!(rate.take(&mut bucket, at(0)), Ok(()));
            let wait = rate.take(&mut bucket, at(0)).map_or_else(seconds_of, |()| 0);
            assert!(wait <= 1, "{wait}");
        }
        let secs = |ms| seconds_of(Duration::from_millis(ms));
        assert_eq!([secs(0), secs(1), secs(1_000), secs(1_001)], [0, 1, 1, 2]);
    }
}
