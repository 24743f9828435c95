//! A limit on how many requests one client makes: a bucket of tokens for each address.
//! Its memory is bounded, and a request takes a short lock and no system call.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderValue};
use springtide_engine::Moment;

use super::{Middleware, Outcome};
use crate::rate::{Bucket, Client, Rate, seconds_of};
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
/// It limits what one router answers. [`Limits::requests_per_address_rate`](crate::Limits::requests_per_address_rate)
/// limits a whole server, before anything is looked up for a request.
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
    rate: Rate,
    addresses_max: usize,
    buckets: Mutex<Buckets>,
}

/// Each client's bucket. What was used since the older half was last cleared is in the newer one.
#[derive(Debug, Default)]
struct Buckets {
    newer: HashMap<Option<Client>, Bucket>,
    older: HashMap<Option<Client>, Bucket>,
}

impl RateLimit {
    /// So many requests in so much time, for each address.
    ///
    /// # Panics
    /// When either is nothing.
    #[must_use]
    pub fn new(count: u32, time: Duration) -> Self {
        assert!(count > 0 && !time.is_zero(), "a limit allows something in some time");
        Self { rate: Rate::within(time, count), addresses_max: 65_536, buckets: Mutex::default() }
    }

    /// How many addresses are remembered, about 100 bytes each. Default 65,536.
    #[must_use]
    pub const fn addresses_max(mut self, count: usize) -> Self {
        self.addresses_max = count;
        self
    }

    /// Takes a token; how long it takes until there is one, if there is none.
    fn take(&self, client: Option<Client>, now: Moment) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Buckets { newer, older } = &mut *buckets;
        let known = newer.get(&client).or_else(|| older.get(&client));
        let mut bucket = known.copied().unwrap_or_default();
        self.rate.take(&mut bucket, now)?;
        if newer.len() >= self.addresses_max / 2 && !newer.contains_key(&client) {
            *older = std::mem::take(newer);
        }
        newer.insert(client, bucket);
        Ok(())
    }
}

impl Middleware for RateLimit {
    fn begin(&self, request: &Request) -> Outcome {
        let client = request.client_address().map(Client::of);
        match self.take(client, request.now()) {
            Ok(()) => Outcome::Pass,
            Err(wait) => {
                let reply: Response =
                    (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests").into_response();
                let seconds = HeaderValue::from(seconds_of(wait));
                Outcome::Answer(reply.header(header::RETRY_AFTER, seconds))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> Option<Client> {
        Some(Client::of([192, 0, 2, number].into()))
    }

    #[test]
    fn each_client_has_a_bucket() {
        let own = RateLimit::new(3, Duration::from_secs(3));
        for _ in 0..3 {
            assert!(
                [client(1), client(2), None]
                    .map(|of| own.take(of, Moment::ZERO))
                    .iter()
                    .all(Result::is_ok)
            );
        }
        for of in [client(1), client(2), None] {
            assert_eq!(own.take(of, Moment::ZERO), Err(Duration::from_secs(1)));
            assert_eq!(own.take(of, Moment::from_milliseconds(1_000)), Ok(()));
        }
    }

    #[test]
    fn tables_are_bounded() {
        let own = RateLimit::new(1, Duration::from_secs(1)).addresses_max(8);
        for number in 0..=255 {
            assert!(own.take(client(number), Moment::ZERO).is_ok());
            let buckets = own.buckets.lock().unwrap();
            assert!(buckets.newer.len() <= 4 && buckets.older.len() <= 4);
            drop(buckets);
            for recent in number.saturating_sub(3)..=number {
                assert!(own.take(client(recent), Moment::ZERO).is_err(), "{recent} is known");
            }
        }
        assert!(own.take(client(0), Moment::ZERO).is_ok(), "it was forgotten");
    }
}
