//! What moves between the shards of a server: listeners, accepted sockets, live connections.
//! Whatever has been released here has one owner at any time: a shard, or a message.

use std::sync::atomic::Ordering;

use springtide_engine::Op;

use super::{CLOSE_TOKEN, Connection, FrozenConnection, Message, Neighbour, Shard};
use crate::table::Place;

impl Shard {
    /// Gives so many connections to another shard, which take their leave in this turn.
    pub(super) fn share(&mut self, target: u16, count: usize) {
        if self.standing.stopping.is_some() {
            return;
        }
        let mut chosen = 0;
        for place in self.connections.places() {
            if chosen == count {
                break;
            }
            self.with(place, |connection, room| {
                if connection.is_movable(room) {
                    connection.leave_for(target, room);
                    chosen += 1;
                }
            });
        }
    }

    /// Sends away the connections that are at rest.
    pub(super) fn depart(&mut self) {
        for place in std::mem::take(&mut self.room.leaving) {
            if let Some((connection, target)) = self.freeze_one(place) {
                self.send_away(connection, target);
            }
        }
    }

    /// Takes a connection out that is at rest, and tells where it is to go; one that is not at rest
    /// stands in `room.leaving` again when it is.
    fn freeze_one(&mut self, place: Place) -> Option<(FrozenConnection, u16)> {
        let connection = self.connections.get_mut(place).filter(|own| own.is_at_rest())?;
        let (socket, target) = (connection.socket(), connection.target());
        // A shutdown may be in flight still: its completion comes to the connection.
        self.room.requests.engine.borrow_mut().release(socket).ok()?;
        let connection = self.connections.remove(place)?;
        self.wheel.remove(place.index());
        self.standing.counts.leave(connection.spoken());
        // It stays open on its way: nobody takes its place meanwhile.
        Some((connection.freeze(Vec::new(), &mut self.room), target))
    }

    fn send_away(&mut self, connection: FrozenConnection, target: u16) {
        let message = Message::Move(Box::new(connection));
        if self.standing.stopping.is_some() {
            return self.pass_on(message);
        }
        self.release(&message);
        let target = self.standing.neighbours.get(usize::from(target));
        let Some(target) = target.filter(|target| !target.counts.has_ended()).cloned() else {
            return self.handle(message);
        };
        target.mailbox.send(message);
        // It may have ended just before it got the message: then the connection stays.
        if target.counts.has_ended()
            && let Some(message) = target.mailbox.take_back()
        {
            self.handle(message);
        }
    }

    /// A connection of another shard goes on here.
    pub(super) fn take_in(&mut self, frozen: FrozenConnection) -> Place {
        let room = &mut self.room;
        let place = self.connections.insert_with(|place| Connection::thaw(place, frozen, room));
        // Its deadline may be now, and the wheel knows only what is ahead.
        self.due.push(place.index());
        self.end_thaw();
        self.carry(place);
        if let Some(connection) = self.connections.get_mut(place) {
            self.standing.topics.registry().settle_on(connection.id(), self.standing.number);
        }
        if self.standing.stopping.is_none() {
            self.pause_when_full();
        }
        place
    }

    /// A connection that was begun elsewhere, or on an engine before, is counted here.
    pub(super) fn carry(&mut self, place: Place) {
        if let Some(connection) = self.connections.get_mut(place) {
            self.standing.counts.carry(connection.spoken());
        }
    }

    /// What this shard cannot keep goes to a shard that goes on. Where there is none, a connection
    /// finishes here what has begun, and anything else is closed.
    pub(super) fn pass_on(&mut self, message: Message) {
        let Some(message) = self.offer(message) else { return };
        match message {
            Message::Move(connection) => {
                let place = self.take_in(*connection);
                self.with(place, Connection::drain);
            }
            message => self.close(&message),
        }
    }

    /// Offers a message to the shards that go on; it comes back when there is none.
    fn offer(&self, mut message: Message) -> Option<Message> {
        self.release(&message);
        while let Some(heir) = self.heir() {
            heir.mailbox.send(message);
            // It may have ended just before it got the message: then the next one takes over.
            if !heir.counts.has_ended() {
                return None;
            }
            message = heir.mailbox.take_back()?;
        }
        Some(message)
    }

    /// Makes the engine forget what goes to another one.
    fn release(&self, message: &Message) {
        let mut engine = self.room.requests.engine.borrow_mut();
        for descriptor in message.descriptors() {
            // Nothing is in flight on what moves; an accepted socket has not been used at all.
            let _ = engine.release(descriptor);
        }
    }

    fn close(&self, message: &Message) {
        if let Message::Move(connection) = message {
            self.room.dismiss(connection.id());
            self.standing.open.fetch_sub(1, Ordering::Relaxed);
        }
        for descriptor in message.descriptors() {
            self.room.submit(Op::Close { descriptor }, CLOSE_TOKEN);
        }
    }

    /// A shard that goes on when this one stops.
    pub(super) fn heir(&self) -> Option<&Neighbour> {
        let hands_over =
            self.standing.stopping.as_ref().is_some_and(|stopping| stopping.hands_over);
        let others = self.standing.neighbours.iter().enumerate().filter(|_| hands_over);
        let mut others = others.filter(|(number, _)| *number != self.standing.number);
        others.find(|(_, other)| !other.counts.has_ended()).map(|(_, other)| other)
    }

    /// Hands over what the access log has.
    pub(crate) fn flush_log(&mut self) {
        if let Some(log) = &mut self.room.log {
            self.standing.counts.drop_log_lines(log.flush());
        }
    }

    /// What was sent to a shard that has ended goes on to another or is closed.
    pub(crate) fn end(&mut self) {
        self.flush_log();
        self.standing.counts.end();
        while let Some(message) = self.standing.mailbox.next() {
            if matches!(message, Message::Published(_)) {
                // Nobody of those whom it is for is anywhere else.
                continue;
            }
            if let Some(message) = self.offer(message) {
                self.close(&message);
            }
        }
    }
}
