//! What one address may have: connections at a time, requests in a second. Off unless a limit says
//! so, because behind a proxy or a large network many clients have one address.
//! The table has an end: where it is full further addresses pass uncounted, so that nobody who fills
//! it shuts others out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use springtide_engine::{Address, Descriptor};

use crate::limits::{Limits, place_of};
use crate::peer::PeerId;
use crate::request::RequestData;
use crate::room::Room;
use crate::table::Place;

/// Who is counted as one: an IPv4 address, or the first half of an IPv6 address, whose second half a
/// client chooses by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    Four([u8; 4]),
    Six([u8; 8]),
}

impl Origin {
    /// Unix sockets have none.
    fn of(address: &Address) -> Option<Self> {
        let Address::Internet(address) = address else { return None };
        Some(match address.ip().to_canonical() {
            IpAddr::V4(address) => Self::Four(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::Six([a, b, c, d, e, f, g, h])
            }
        })
    }
}

/// The caps of a server, for all its shards.
#[derive(Debug)]
pub(crate) struct Caps {
    connections_max: usize,
    /// Requests in a second, and how many may come at once.
    rate: u32,
    burst: u32,
    origins_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    origins: HashMap<Origin, Entry>,
    /// Whose each counted connection is, wherever it moves.
    peers: HashMap<PeerId, Origin>,
    /// Before this the full table is not searched again for room.
    sweep_at_ms: u64,
}

#[derive(Debug)]
struct Entry {
    open: usize,
    /// Thousandths of requests that may come now, as of the time it was filled.
    tokens: u64,
    filled_ms: u64,
}

/// How often a full table is searched for room: a look at all of it would else be what each request
/// of an address costs that is not in it.
const SWEEP_EVERY_MS: u64 = 100;

/// A request's price in tokens.
const TOKENS_PER_REQUEST: u64 = 1000;

impl Caps {
    /// The caps that these limits say, if any.
    pub(crate) fn of(limits: &Limits) -> Option<Self> {
        let connections_max = limits.connections_per_address_max;
        let rate = limits.requests_per_address_rate;
        (connections_max != usize::MAX || rate != u32::MAX).then(|| Self {
            connections_max,
            rate,
            burst: limits.requests_per_address_burst,
            origins_max: limits.addresses_max,
            state: Mutex::default(),
        })
    }

    /// Counts a connection, unless its address has as many as it may.
    fn open(&self, id: PeerId, origin: Origin, now_ms: u64) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = self.entry(&mut state, origin, now_ms) else { return true };
        if entry.open >= self.connections_max {
            return false;
        }
        entry.open += 1;
        state.peers.insert(id, origin);
        true
    }

    /// A connection has ended.
    pub(crate) fn close(&self, id: PeerId) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(origin) = state.peers.remove(&id) else { return };
        let Some(entry) = state.origins.get_mut(&origin) else { return };
        entry.open -= 1;
        if entry.open == 0 && self.rate == u32::MAX {
            state.origins.remove(&origin);
        }
    }

    /// Counts a request; after how many seconds the next one may come, where it comes too early.
    fn take(&self, origin: Origin, now_ms: u64) -> Result<(), u64> {
        if self.rate == u32::MAX {
            return Ok(());
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = self.entry(&mut state, origin, now_ms) else { return Ok(()) };
        entry.tokens = self.tokens_of(entry, now_ms);
        // Another shard may have looked at the clock later.
        entry.filled_ms = entry.filled_ms.max(now_ms);
        match entry.tokens.checked_sub(TOKENS_PER_REQUEST) {
            Some(tokens) => {
                entry.tokens = tokens;
                Ok(())
            }
            None => {
                let missing = TOKENS_PER_REQUEST - entry.tokens;
                Err(missing.div_ceil(u64::from(self.rate) * 1000).max(1))
            }
        }
    }

    /// A rate of one a second is one thousandth of a request a millisecond.
    fn tokens_of(&self, entry: &Entry, now_ms: u64) -> u64 {
        let came = now_ms.saturating_sub(entry.filled_ms).saturating_mul(u64::from(self.rate));
        entry.tokens.saturating_add(came).min(self.tokens_max())
    }

    fn tokens_max(&self) -> u64 {
        u64::from(self.burst) * TOKENS_PER_REQUEST
    }

    /// What is known of an address; none where the table is full of others.
    fn entry<'a>(
        &self,
        state: &'a mut State,
        origin: Origin,
        now_ms: u64,
    ) -> Option<&'a mut Entry> {
        if state.origins.len() >= self.origins_max && !state.origins.contains_key(&origin) {
            if now_ms < state.sweep_at_ms {
                return None;
            }
            state.sweep_at_ms = now_ms.saturating_add(SWEEP_EVERY_MS);
            // Who has no connection and a full bucket is as if never seen.
            state
                .origins
                .retain(|_, own| own.open > 0 || self.tokens_of(own, now_ms) < self.tokens_max());
            if state.origins.len() >= self.origins_max {
                return None;
            }
        }
        let fresh = || Entry { open: 0, tokens: self.tokens_max(), filled_ms: now_ms };
        Some(state.origins.entry(origin).or_insert_with(fresh))
    }
}

/// The caps as one shard sees them.
#[derive(Debug)]
pub(crate) struct ShardCaps {
    caps: Arc<Caps>,
    /// Who each connection comes from, by the index of its place.
    origins: Vec<(u64, Option<Origin>)>,
}

impl ShardCaps {
    pub(crate) const fn new(caps: Arc<Caps>) -> Self {
        Self { caps, origins: Vec::new() }
    }

    fn origin(&mut self, place: Place, data: &RequestData) -> Option<Origin> {
        if data.may_be_brought() {
            return data.client().as_ref().and_then(Origin::of);
        }
        let at = place.index() as usize;
        if let Some((own, origin)) = self.origins.get(at)
            && *own == place.raw()
        {
            return *origin;
        }
        let origin = data.peer_address().as_ref().and_then(Origin::of);
        // No place has this number: its index would be beyond every table.
        self.origins.resize(self.origins.len().max(at + 1), (u64::MAX, None));
        self.origins[at] = (place.raw(), origin);
        origin
    }
}

impl Room {
    /// Whether a connection that was just accepted may stay; told when not.
    pub(crate) fn admits(&mut self, id: PeerId, socket: Descriptor) -> bool {
        let Some(own) = &self.caps else { return true };
        let address = self.requests.engine.borrow().peer_address(socket).ok();
        // The connections of a proxy are those of many.
        let address = address.filter(|address| !self.requests.router.proxies.trusts(address));
        let origin = address.as_ref().and_then(Origin::of);
        let is_admitted = origin.is_none_or(|origin| own.caps.open(id, origin, self.now_ms));
        if !is_admitted {
            let place = const { place_of("connections_per_address_max") };
            self.tell_limit(place, socket, format_args!("closed at once: too many of its address"));
        }
        is_admitted
    }

    /// Whether a request may be handled; after how many seconds another one may, when not.
    pub(crate) fn takes_request(
        &mut self,
        place: Place,
        socket: Descriptor,
        data: &RequestData,
    ) -> Result<(), u64> {
        let Some(mut own) = self.caps.take() else { return Ok(()) };
        let origin = own.origin(place, data);
        let taken = origin.map_or(Ok(()), |origin| own.caps.take(origin, self.now_ms));
        self.caps = Some(own);
        if taken.is_err() {
            let limit = const { place_of("requests_per_address_rate") };
            self.tell_limit(limit, socket, format_args!("answered 429: too many of its address"));
        }
        taken
    }

    /// A connection has ended.
    pub(crate) fn dismiss(&self, id: PeerId) {
        if let Some(own) = &self.caps {
            own.caps.close(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::PeerIds;

    fn caps(connections_max: usize, rate: u32, origins_max: usize) -> Caps {
        Caps { connections_max, rate, burst: 3, origins_max, state: Mutex::default() }
    }

    fn origin(text: &str) -> Origin {
        Origin::of(&Address::Internet(text.parse().unwrap())).unwrap()
    }

    #[test]
    fn half_of_an_address_of_ipv6_counts() {
        let one = origin("[2001:db8:1:2:3:4:5:6]:1");
        assert_eq!(one, origin("[2001:db8:1:2::]:2"));
        assert_ne!(one, origin("[2001:db8:1:3:3:4:5:6]:1"));
        assert_eq!(origin("[::ffff:192.0.2.1]:1"), origin("192.0.2.1:2"));
        assert_ne!(origin("192.0.2.1:1"), origin("192.0.2.2:1"));
        assert_eq!(Origin::of(&Address::Unix(None)), None);
    }

    #[test]
    fn connections_are_counted_for_each_address() {
        let (caps, mut ids) = (caps(2, u32::MAX, 100), PeerIds::of(0));
        let (one, other) = (origin("192.0.2.1:1"), origin("192.0.2.2:1"));
        let first = ids.next();
        assert!(caps.open(first, one, 0) && caps.open(ids.next(), one, 0));
        let refused = ids.next();
        assert!(!caps.open(refused, one, 0), "the third");
        assert!(caps.open(ids.next(), other, 0), "another one's first");
        caps.close(refused);
        assert!(!caps.open(ids.next(), one, 0), "one that was refused gives nothing back");
        caps.close(first);
        assert!(caps.open(ids.next(), one, 0));
        let open = caps.state.lock().unwrap().peers.len();
        assert_eq!(open, 3);
    }

    #[test]
    fn requests_come_at_their_rate_behind_a_burst() {
        let (caps, one) = (caps(usize::MAX, 2, 100), origin("192.0.2.1:1"));
        for _ in 0..3 {
            assert_eq!(caps.take(one, 1000), Ok(()));
        }
        assert_eq!(caps.take(one, 1000), Err(1));
        assert_eq!(caps.take(one, 1499), Err(1));
        assert_eq!(caps.take(one, 1500), Ok(()), "half a second is one request");
        assert_eq!(caps.take(one, 1999), Err(1));
        for _ in 0..3 {
            assert_eq!(caps.take(one, 100_000), Ok(()));
        }
        assert_eq!(caps.take(one, 100_000), Err(1), "no more than the burst is saved up");
    }

    #[test]
    fn the_table_has_an_end() {
        let (caps, mut ids) = (caps(1, 1, 2), PeerIds::of(0));
        let all: Vec<Origin> = (1..=4).map(|last| origin(&format!("192.0.2.{last}:1"))).collect();
        assert!(caps.open(ids.next(), all[0], 0));
        assert_eq!(caps.take(all[1], 0), Ok(()));
        // The table is full: a third one passes, and is not counted.
        for _ in 0..9 {
            assert_eq!(caps.take(all[2], 0), Ok(()));
        }
        assert_eq!(caps.state.lock().unwrap().origins.len(), 2);
        // The second one's bucket is full again: its place is free.
        for _ in 0..3 {
            assert_eq!(caps.take(all[3], 1000), Ok(()));
        }
        assert_eq!(caps.take(all[3], 1000), Err(1));
        assert!(!caps.open(ids.next(), all[0], 1000), "who has a connection keeps its place");
    }

    #[test]
    fn a_full_table_is_searched_ten_times_a_second() {
        let caps = caps(usize::MAX, 1000, 1);
        let (one, other) = (origin("192.0.2.1:1"), origin("192.0.2.2:1"));
        assert_eq!(caps.take(one, 0), Ok(()));
        assert_eq!(caps.take(other, 0), Ok(()), "there is no room, and that was looked for");
        for _ in 0..9 {
            assert_eq!(caps.take(other, 99), Ok(()), "it is not counted yet");
        }
        for _ in 0..3 {
            assert_eq!(caps.take(other, 100), Ok(()));
        }
        assert_eq!(caps.take(other, 100), Err(1), "the first one's bucket is full again");
    }

    /// Shards do not look at the clock in the same moment: no millisecond fills a bucket twice.
    #[test]
    fn time_is_counted_once() {
        let (caps, one) = (caps(usize::MAX, 2, 100), origin("192.0.2.1:1"));
        for _ in 0..3 {
            assert_eq!(caps.take(one, 1000), Ok(()));
        }
        for _ in 0..200 {
            assert_eq!(caps.take(one, 990), Err(1));
            assert_eq!(caps.take(one, 1000), Err(1));
        }
    }
}
