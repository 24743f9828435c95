//! What was published reaches the connections of this shard: from here in the order of what else was
//! said, from elsewhere when its batch comes.
//! No code of the application runs while it is given to them.

use std::collections::HashMap;
use std::rc::Rc;

use super::Shard;
use crate::connection::Connection;
use crate::peer::PeerId;
use crate::table::Place;
use crate::topic::{Delivery, Local, Publication, Whom};

/// From elsewhere: whoever has subscribed by now gets it.
const FROM_ELSEWHERE: u64 = u64::MAX;

/// So much of what was published elsewhere is delivered in a turn, the one that goes beyond it included:
/// what peers take in between need not wait for them.
const BYTES_PER_TURN: usize = 64 << 10;

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
            self.deliver(&Local { publication, serial: FROM_ELSEWHERE, except: None });
        }
    }

    /// To those of this shard who get it.
    pub(super) fn deliver(&mut self, local: &Local) {
        let Local { publication: Publication { published, whom }, serial, except } = local;
        let shared = Rc::clone(&self.room.requests);
        match whom {
            Whom::Topic(name) => {
                let Self { room, connections, .. } = self;
                let give = |delivery: &Delivery, place| match connections.get_mut(place) {
                    Some(connection) => connection.deliver(delivery, room),
                    None => delivery.count_dropped(&mut room.counts),
                };
                shared.topics.each(name, published, *serial, *except, give);
            }
            Whom::Ids(ids) => {
                let delivery = shared.topics.delivery(published);
                let found = shared.tasks.places.find_all(ids, || self.named());
                for place in found {
                    self.with(place, |connection, room| connection.deliver(&delivery, room));
                }
            }
        }
    }

    /// Every connection that gets what is sent to its name.
    fn named(&self) -> HashMap<PeerId, Place> {
        self.connections.iter().filter_map(Connection::named).collect()
    }
}
