//! What was published reaches the connections of this shard: from here in the order of what else was
//! said, from elsewhere when its batch comes.
//! No code of the application runs while it is given to them.

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use springtide_engine::Descriptor;
use springtide_proto::Piece;

use super::Shard;
use crate::connection::Connection;
use crate::metrics::ShardCounts;
use crate::peer::PeerId;
use crate::room::Room;
use crate::table::{Place, Table};
use crate::topic::{Delivery, Local, Publication, Whom};

/// From elsewhere: whoever has subscribed by now gets it.
const FROM_ELSEWHERE: u64 = u64::MAX;

/// So much of what was published elsewhere is delivered in a turn, the one that goes beyond it included:
/// what peers take in between need not wait for them.
const BYTES_PER_TURN: usize = 64 << 10;

/// A message for fewer leaves with what else they are sent in the turn.
const AUDIENCE_MIN: usize = 4;
/// So many are sent to with one call.
const TOGETHER_MAX: usize = 512;

impl Shard {
    /// What was published elsewhere, as far as it goes in a turn.
    #[inline]
    pub(super) fn deliver_arrived(&mut self) {
        if self.room.requests.topics.has_arrived() {
            self.deliver_share();
        }
    }

    #[inline(never)]
    fn deliver_share(&mut self) {
        let mut bytes = 0;
        while bytes < BYTES_PER_TURN
            && let Some(publication) = self.room.requests.topics.next_arrived()
        {
            bytes += publication.cost();
            let is_alone = !self.room.requests.topics.has_arrived();
            let local = Local { publication, serial: FROM_ELSEWHERE, except: None };
            self.deliver(&local, is_alone);
        }
    }

    /// To those of this shard who get it: at once where they are many and it is likely to be all that they
    /// are sent in this turn, as nothing else that is asked now is behind it.
    pub(super) fn deliver(&mut self, local: &Local, is_alone: bool) {
        let Local { publication: Publication { published, whom }, serial, except } = local;
        let shared = Rc::clone(&self.room.requests);
        let mut together = std::mem::take(&mut self.room.together);
        let Self { room, connections, standing, .. } = self;
        let found: Vec<Place> = match whom {
            Whom::Topic(_) => Vec::new(),
            Whom::Ids(ids) => shared.tasks.places.find_all(ids, || named(connections)),
        };
        let frame = published.plain().as_one().filter(|_| {
            let audience = match whom {
                Whom::Topic(name) => shared.topics.audience_of(name),
                Whom::Ids(_) => found.len(),
            };
            is_alone && audience >= AUDIENCE_MIN && together.begin(room)
        });
        let mut give = |delivery: &Delivery, place| {
            let Some(connection) = connections.get_mut(place) else {
                return delivery.count_dropped(&mut room.counts);
            };
            let socket = frame.and_then(|_| connection.take_at_once(delivery, room));
            match (frame, socket) {
                (Some(frame), Some(socket)) => {
                    if together.add(place, socket) {
                        together.send(frame, connections, room, &standing.counts);
                    }
                }
                _ => connection.deliver(delivery, room),
            }
        };
        match whom {
            Whom::Topic(name) => {
                shared.topics.each(name, published, *serial, *except, give);
            }
            Whom::Ids(_) => {
                let delivery = shared.topics.delivery(published);
                found.into_iter().for_each(|place| give(&delivery, place));
            }
        }
        if let Some(frame) = frame {
            together.send(frame, &mut self.connections, &mut self.room, &self.standing.counts);
        }
        self.room.together = together;
    }
}

/// Every connection that gets what is sent to its name.
fn named(connections: &Table<Connection>) -> HashMap<PeerId, Place> {
    connections.iter().filter_map(Connection::named).collect()
}

/// Connections that are sent the same frame at once, and their sockets.
#[derive(Default)]
pub(crate) struct Together {
    places: Vec<Place>,
    sockets: Vec<Descriptor>,
    short: Vec<(usize, usize)>,
    /// The turn in which it was done last.
    turn: u32,
}

impl Together {
    /// Once in a turn, and not where each send is told of: what is published again in the same turn leaves
    /// with what else does.
    fn begin(&mut self, room: &Room) -> bool {
        std::mem::replace(&mut self.turn, room.turn) != room.turn && !room.has_events
    }

    /// One more; whether they are to be sent to before there are more.
    #[inline]
    fn add(&mut self, place: Place, socket: Descriptor) -> bool {
        self.places.push(place);
        self.sockets.push(socket);
        self.places.len() >= TOGETHER_MAX
    }

    /// Sends to all; what does not fit waits as it does for any other.
    fn send(
        &mut self,
        frame: &Bytes,
        connections: &mut Table<Connection>,
        room: &mut Room,
        counts: &ShardCounts,
    ) {
        // Whoever has it may look at once whether it is counted.
        counts.publish(&room.counts);
        let mut engine = room.requests.engine.borrow_mut();
        engine.send_to_each_now(&self.sockets, frame, &mut self.short);
        drop(engine);
        let mut sent = self.sockets.len() * frame.len();
        for (at, taken) in self.short.drain(..) {
            sent -= frame.len() - taken;
            if let Some(connection) = connections.get_mut(self.places[at]) {
                connection.send_rest_of(Piece::Shared(frame.slice(taken..)), room);
            }
        }
        room.counts.bytes_sent += sent as u64;
        self.places.clear();
        self.sockets.clear();
    }
}
