//! A limit on how many requests one client makes: a bucket of tokens for each address.
//! Its memory is bounded, and a request takes a short lock and no system call.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderValue};
use springtide_engine::Moment;

use super::{Middleware, Outcome};
use crate::request::Request;
use crate::response::{IntoResponse, Response};

/// Lets an address make so many requests in so much time, all at once if it likes, and answers
/// `429 Too Many Requests` with `Retry-After` beyond that.
///
/// An address is that of the client ([`Request::client_address`]); of IPv6 the first 64 bits, as
/// one client has all behind them. Without an address, as over a Unix socket, all are one client.
/// All shards count together. Up to [`addresses_max`](Self::addresses_max) addresses are remembered,
/// those at least that were here last; who is forgotten begins anew.
///
/// ```
/// use std::time::Duration;
/// use springtide::{RateLimit, Server};
///
/// let server = Server::new()
///     .wrap(RateLimit::new(2, Duration::from_secs(60)))
///     .get("/", || "one of two");
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3));
/// # world.settle();
/// # assert_eq!([0; 3].map(|_| peer.reply().unwrap().status().as_u16()), [200, 200, 429]);
/// ```
#[derive(Debug)]
pub struct RateLimit {
    count: u32,
    /// How long it takes until there is one token more.
    token_ns: u64,
    addresses_max: usize,
    buckets: Mutex<Buckets>,
}

/// When each address's bucket is full again. What was used since the older half was last cleared is
/// in the newer one.
#[derive(Debug, Default)]
struct Buckets {
    newer: HashMap<Option<IpAddr>, u64>,
    older: HashMap<Option<IpAddr>, u64>,
}

impl RateLimit {
    /// So many requests in so much time, for each address.
    ///
    /// # Panics
    /// When either is nothing.
    #[must_use]
    pub fn new(count: u32, time: Duration) -> Self {
        assert!(count > 0 && !time.is_zero(), "a limit allows something in some time");
        let token_ns = u64::try_from(time.as_nanos() / u128::from(count)).unwrap_or(u64::MAX);
        let (token_ns, buckets) = (token_ns.max(1), Mutex::default());
        Self { count, token_ns, addresses_max: 65_536, buckets }
    }

    /// How many addresses are remembered, about 100 bytes each. Default 65,536.
    #[must_use]
    pub const fn addresses_max(mut self, count: usize) -> Self {
        self.addresses_max = count;
        self
    }

    /// Takes a token; how long it takes until there is one, if there is none.
    fn take(&self, address: Option<IpAddr>, now: Moment) -> Result<(), Duration> {
        let now_ns = now.nanoseconds();
        let whole_ns = self.token_ns.saturating_mul(u64::from(self.count));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Buckets { newer, older } = &mut *buckets;
        let full_ns = newer.get(&address).or_else(|| older.get(&address)).copied();
        let full_ns = full_ns.unwrap_or(0).max(now_ns).saturating_add(self.token_ns);
        let excess_ns = full_ns.saturating_sub(now_ns).saturating_sub(whole_ns);
        if excess_ns > 0 {
            return Err(Duration::from_nanos(excess_ns));
        }
        if newer.len() >= self.addresses_max / 2 && !newer.contains_key(&address) {
            *older = std::mem::take(newer);
        }
        newer.insert(address, full_ns);
        Ok(())
    }
}

impl Middleware for RateLimit {
    fn begin(&self, request: &Request) -> Outcome {
        let address = request.client_address().map(client_of);
        match self.take(address, request.now()) {
            Ok(()) => Outcome::Pass,
            Err(wait) => {
                let reply: Response =
                    (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests").into_response();
                let seconds = HeaderValue::from(wait.as_nanos().div_ceil(1_000_000_000) as u64);
                Outcome::Answer(reply.header(header::RETRY_AFTER, seconds))
            }
        }
    }
}

/// What of an address is one client.
fn client_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, number]))
    }

    #[test]
    fn buckets_fill_again() {
        let own = RateLimit::new(3, Duration::from_secs(3));
        let at = Moment::from_milliseconds;
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
            for number in [1, 2] {
                let taken = own.take(address(number), at(ms)).map_err(|wait| wait.as_millis());
                assert_eq!(taken, expected, "{ms}");
            }
        }
    }

    #[test]
    fn tables_are_bounded() {
        let own = RateLimit::new(1, Duration::from_secs(1)).addresses_max(8);
        for number in 0..=255 {
            assert!(own.take(address(number), Moment::ZERO).is_ok());
            let buckets = own.buckets.lock().unwrap();
            assert!(buckets.newer.len() <= 4 && buckets.older.len() <= 4);
            drop(buckets);
            for recent in number.saturating_sub(3)..=number {
                assert!(own.take(address(recent), Moment::ZERO).is_err(), "{recent} is known");
            }
        }
        assert!(own.take(address(0), Moment::ZERO).is_ok(), "it was forgotten");
    }

    #[test]
    fn a_client_has_all_behind_its_64_bits() {
        let client = |text: &str| client_of(text.parse().unwrap()).to_string();
        assert_eq!(client("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(client("192.0.2.7"), "192.0.2.7");
    }
}
