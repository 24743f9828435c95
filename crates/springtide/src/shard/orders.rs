//! What a shard is told by message, and how it comes to its end.
//! It waits for nobody: what is asked for is begun, and the turns bring it about.

use super::{Shard, Stopping};
use crate::connection::Connection;
use crate::mailbox::Message;
use crate::metrics::EngineCounts;

impl Shard {
    pub(super) fn handle(&mut self, message: Message) {
        for descriptor in message.descriptors() {
            self.room.requests.engine.borrow_mut().take_over(descriptor);
        }
        match message {
            Message::Peers(neighbours) => {
                self.standing.dealt = vec![0; neighbours.len()];
                self.standing.neighbours = neighbours;
            }
            message @ (Message::Move(_) | Message::TakeListener(_))
                if self.standing.stopping.is_some() =>
            {
                self.pass_on(message);
            }
            Message::Adopt(socket) => self.adopt(socket),
            Message::Move(connection) => {
                self.take_in(*connection);
            }
            Message::TakeListener(listener) => self.listeners.add(listener, &self.room),
            Message::Share { target, count } => self.share(target, count),
            Message::Look(sender) => {
                let (room, number) = (&self.room, self.standing.number);
                let seen = self.connections.iter().map(|own| own.seen(number, room)).collect();
                // Who asked may have given up.
                let _ = sender.send(seen);
            }
            Message::Count(sender) => {
                let (stats, in_flight) = self.engine_stats();
                // Who asked may have given up.
                let _ = sender.send(EngineCounts::of(&stats, in_flight));
            }
            Message::Asked => self.take_asked(),
            Message::Published(batch) => self.room.requests.topics.arrive(batch),
            Message::Answer(sender) => {
                // Who asked may have given up.
                let _ = sender.send(());
            }
            Message::Retire { within_ms } => self.stop(within_ms, true),
            Message::Drain { within_ms } => self.stop(within_ms, false),
        }
    }

    fn stop(&mut self, within_ms: u64, hands_over: bool) {
        let until_ms = self.room.now_ms.saturating_add(within_ms);
        self.standing.stopping = Some(Stopping { until_ms, hands_over });
        for listener in self.listeners.leave(&self.room) {
            self.pass_on(Message::TakeListener(listener));
        }
        self.close_post(true);
        self.close_lobbies();
        self.finish_connections();
    }

    /// Connections go to a shard that goes on, or finish what has begun where there is none.
    pub(super) fn finish_connections(&mut self) {
        self.room.requests.desk.drain();
        self.cut_connects();
        let begin = if self.heir().is_some() { Connection::leave } else { Connection::drain };
        for place in self.connections.places() {
            self.with(place, begin);
        }
    }

    /// Patience with what had begun when the shard was told to stop is over.
    pub(super) fn cut_all(&mut self) {
        self.room.requests.desk.cut();
        for place in self.connections.places() {
            self.with(place, Connection::cut);
        }
    }
}
