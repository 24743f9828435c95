//! What one address may have: connections at a time, requests in a second. Off unless a limit says
//! so, because behind a proxy or a large network many clients have one address.
//! The table has an end: where it is full further addresses pass uncounted, so that nobody who fills
//! it shuts others out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use springtide_engine::{Address, Descriptor, Moment};

use crate::limits::{Limits, place_of};
use crate::peer::PeerId;
use crate::proxies::ip_of;
use crate::rate::{Bucket, Client, Rate, seconds_of};
use crate::request::RequestData;
use crate::room::Room;
use crate::table::Place;

/// Who is at an address; over a Unix socket nobody that is told from others.
fn client_of(address: &Address) -> Option<Client> {
    ip_of(address).map(Client::of)
}

/// The caps of a server, for all its shards.
#[derive(Debug)]
pub(crate) struct Caps {
    connections_max: usize,
    /// Of requests, if that is limited.
    rate: Option<Rate>,
    clients_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    clients: HashMap<Client, Entry>,
    /// Whose each counted connection is, wherever it moves.
    peers: HashMap<PeerId, Client>,
    /// Before this the full table is not searched again for room.
    sweep_at_ms: u64,
}

#[derive(Debug, Default)]
struct Entry {
    open: usize,
    requests: Bucket,
}

/// How often a full table is searched for room: a look at all of it would else be what each request
/// of an address costs that is not in it.
const SWEEP_EVERY_MS: u64 = 100;

impl Caps {
    /// The caps that these limits say, if any.
    pub(crate) fn of(limits: &Limits) -> Option<Self> {
        let connections_max = limits.connections_per_address_max;
        let rate = limits.requests_per_address_rate;
        let rate =
            (rate != u32::MAX).then(|| Rate::per_second(rate, limits.requests_per_address_burst));
        (connections_max != usize::MAX || rate.is_some()).then(|| Self {
            connections_max,
            rate,
            clients_max: limits.addresses_max,
            state: Mutex::default(),
        })
    }

    /// Counts a connection, unless its address has as many as it may.
    fn open(&self, id: PeerId, client: Client, now_ms: u64) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = self.entry(&mut state, client, now_ms) else { return true };
        if entry.open >= self.connections_max {
            return false;
        }
        entry.open += 1;
        state.peers.insert(id, client);
        true
    }

    /// A connection has ended.
    pub(crate) fn close(&self, id: PeerId) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(client) = state.peers.remove(&id) else { return };
        let Some(entry) = state.clients.get_mut(&client) else { return };
        entry.open -= 1;
        if entry.open == 0 && self.rate.is_none() {
            state.clients.remove(&client);
        }
    }

    /// Counts a request; after how many seconds the next one may come, where it comes too early.
    fn take(&self, client: Client, now_ms: u64) -> Result<(), u64> {
        let Some(rate) = self.rate else { return Ok(()) };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = self.entry(&mut state, client, now_ms) else { return Ok(()) };
        rate.take(&mut entry.requests, Moment::from_milliseconds(now_ms)).map_err(seconds_of)
    }

    /// What is known of an address; none where the table is full of others.
    fn entry<'a>(
        &self,
        state: &'a mut State,
        client: Client,
        now_ms: u64,
    ) -> Option<&'a mut Entry> {
        if state.clients.len() >= self.clients_max && !state.clients.contains_key(&client) {
            if now_ms < state.sweep_at_ms {
                return None;
            }
            state.sweep_at_ms = now_ms.saturating_add(SWEEP_EVERY_MS);
            // Who has no connection and a full bucket is as if never seen.
            let now = Moment::from_milliseconds(now_ms);
            state.clients.retain(|_, own| own.open > 0 || !own.requests.is_full(now));
            if state.clients.len() >= self.clients_max {
                return None;
            }
        }
        Some(state.clients.entry(client).or_default())
    }
}

/// The caps as one shard sees them.
#[derive(Debug)]
pub(crate) struct ShardCaps {
    caps: Arc<Caps>,
    /// Who each connection comes from, by the index of its place.
    clients: Vec<(u64, Option<Client>)>,
}

impl ShardCaps {
    pub(crate) const fn new(caps: Arc<Caps>) -> Self {
        Self { caps, clients: Vec::new() }
    }

    fn client(&mut self, place: Place, data: &RequestData) -> Option<Client> {
        if data.may_be_brought() {
            return data.client().as_ref().and_then(client_of);
        }
        let at = place.index() as usize;
        if let Some((own, client)) = self.clients.get(at)
            && *own == place.raw()
        {
            return *client;
        }
        let client = data.peer_address().as_ref().and_then(client_of);
        // No place has this number: its index would be beyond every table.
        self.clients.resize(self.clients.len().max(at + 1), (u64::MAX, None));
        self.clients[at] = (place.raw(), client);
        client
    }
}

impl Room {
    /// Whether a connection that was just accepted may stay; told when not.
    pub(crate) fn admits(&mut self, id: PeerId, socket: Descriptor) -> bool {
        let Some(own) = &self.caps else { return true };
        let address = self.requests.engine.borrow().peer_address(socket).ok();
        // The connections of a proxy are those of many.
        let address = address.filter(|address| !self.requests.router.proxies.trusts(address));
        let client = address.as_ref().and_then(client_of);
        let is_admitted = client.is_none_or(|client| own.caps.open(id, client, self.now_ms));
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
        let client = own.client(place, data);
        let taken = client.map_or(Ok(()), |client| own.caps.take(client, self.now_ms));
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

    fn caps(connections_max: usize, rate: u32, clients_max: usize) -> Caps {
        let rate = (rate != u32::MAX).then(|| Rate::per_second(rate, 3));
        Caps { connections_max, rate, clients_max, state: Mutex::default() }
    }

    fn client(text: &str) -> Client {
        client_of(&Address::Internet(text.parse().unwrap())).unwrap()
    }

    #[test]
    fn who_has_no_address_is_not_counted() {
        assert_eq!(client_of(&Address::Unix(None)), None);
    }

    #[test]
    fn connections_are_counted_for_each_address() {
        let (caps, mut ids) = (caps(2, u32::MAX, 100), PeerIds::of(0));
        let (one, other) = (client("192.0.2.1:1"), client("192.0.2.2:1"));
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
        let (caps, one) = (caps(usize::MAX, 2, 100), client("192.0.2.1:1"));
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
        let all: Vec<Client> = (1..=4).map(|last| client(&format!("192.0.2.{last}:1"))).collect();
        assert!(caps.open(ids.next(), all[0], 0));
        assert_eq!(caps.take(all[1], 0), Ok(()));
        // The table is full: a third one passes, and is not counted.
        for _ in 0..9 {
            assert_eq!(caps.take(all[2], 0), Ok(()));
        }
        assert_eq!(caps.state.lock().unwrap().clients.len(), 2);
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
        let (one, other) = (client("192.0.2.1:1"), client("192.0.2.2:1"));
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
}
