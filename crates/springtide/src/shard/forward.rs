//! The part of a turn in which what has come for a forward goes from one connection to the other: the
//! shard alone has both.
//! It takes nothing before the sink has room for it.

use super::Shard;
use crate::peer::Peer;
use crate::peer::Reason;

impl Shard {
    /// Carries on what has come from a connection to the sink of its forward.
    pub(super) fn carry_on(&mut self, source: Peer, has_room: bool) {
        let places = &self.room.requests.tasks.places;
        let source = places.find(source);
        let connection = self.connections.get_mut(source.place());
        let connection = connection.filter(|own| own.is(source.id()));
        let Some(carrying) = connection.and_then(|own| own.carries_to(has_room, &self.room)) else {
            return;
        };
        let sink = places.find(carrying.sink.peer());
        let connection = self.connections.get_mut(sink.place());
        let outlet = match connection.filter(|own| own.is(sink.id())) {
            Some(connection) => connection.outlet(&carrying, &self.room),
            None => Err(Reason::Stale),
        };
        let mut load = None;
        self.with(source.place(), |connection, room| match outlet {
            Ok(Some(outlet)) => load = Some(connection.take_load(outlet, room)),
            Ok(None) => connection.wait_for_room(),
            Err(reason) => connection.end_forward(reason, room),
        });
        let Some(load) = load else { return };
        let waits = load.waits();
        self.with(sink.place(), |connection, room| connection.give(load, &carrying.feeder, room));
        if let Some(waits) = waits {
            self.with(source.place(), |connection, room| connection.carried(waits, room));
        }
    }

    /// A sink has room: who waits for it carries on, one behind the other, as long as it has.
    pub(super) fn give_room(&mut self, sink: Peer) {
        let sink = self.room.requests.tasks.places.find(sink);
        loop {
            let connection = self.connections.get_mut(sink.place());
            let connection = connection.filter(|own| own.is(sink.id()));
            let Some(next) = connection.and_then(super::Connection::next_waiting) else { return };
            self.carry_on(next, true);
        }
    }
}
