//! How connections come to a shard: accepted, dealt to the least loaded one, counted and refused.
//! It accepts no more than may be open, and drops no connection without closing it.

use std::sync::atomic::Ordering;

use springtide_engine::{Completion, Descriptor, Error, Op};

use super::{CLOSE_TOKEN, Shard};
use crate::connection::Connection;
use crate::executor::apart;
use crate::limits::place_of;
use crate::listener::Accepted;
use crate::mailbox::Message;
use crate::peer::PeerId;
use crate::session::Session;
use crate::session::http1::Http1;

impl Shard {
    pub(super) fn accepted(&mut self, completion: Completion) -> Result<(), Error> {
        match self.listeners.complete(completion, &mut self.room) {
            Accepted::Connection(socket) => self.deal(socket),
            Accepted::Free(listener) => self.pass_on(Message::TakeListener(listener)),
            Accepted::Nothing => {}
            Accepted::Broken(error) => return Err(error),
        }
        Ok(())
    }

    /// Gives a connection to the least loaded shard, if this one deals, or keeps it.
    pub(super) fn deal(&mut self, socket: Descriptor) {
        let Some(number) = self.least_loaded().filter(|_| self.standing.is_dealing) else {
            return self.adopt(socket);
        };
        let neighbour = &self.standing.neighbours[number];
        neighbour.mailbox.send(Message::Adopt(socket));
        self.standing.dealt[number] += 1;
        // It may have ended just before it got the message: then this shard keeps the connection.
        if neighbour.counts.has_ended()
            && let Some(message) = neighbour.mailbox.next()
        {
            self.handle(message);
        }
    }

    /// The neighbour that has fewer connections than this shard, and the fewest of all; what was
    /// dealt and not taken yet counts.
    fn least_loaded(&self) -> Option<usize> {
        let loads = self.standing.neighbours.iter().zip(&self.standing.dealt).enumerate();
        let loads = loads.filter(|(number, (neighbour, _))| {
            *number != self.standing.number && !neighbour.counts.has_ended()
        });
        let loads = loads.map(|(number, (neighbour, dealt))| {
            let (open, taken) = (neighbour.counts.connections(), neighbour.counts.accepted());
            (open + dealt.saturating_sub(taken), number)
        });
        let (load, number) = loads.min()?;
        (load < self.connections.len() as u64).then_some(number)
    }

    pub(super) fn adopt(&mut self, socket: Descriptor) {
        if self.standing.stopping.is_some() {
            return self.pass_on(Message::Adopt(socket));
        }
        self.room.counts.connections_total += 1;
        if self.is_full() {
            // One accept may bring more connections than there is room for before it pauses.
            self.room.counts.connections_refused += 1;
            self.room.tell_limit(
                const { place_of("connections_max") },
                socket,
                format_args!("closed at once, because as many connections are open as may be"),
            );
            self.room.submit(Op::Close { descriptor: socket }, CLOSE_TOKEN);
            return self.listeners.pause(&mut self.room);
        }
        let id = self.standing.peers.next();
        let is_wanted = self.is_wanted(socket) && !self.room.requests.router.is_empty();
        if !is_wanted || !self.room.admits(id, socket) {
            self.room.counts.connections_refused += 1;
            self.room.submit(Op::Close { descriptor: socket }, CLOSE_TOKEN);
            return;
        }
        self.standing.open.fetch_add(1, Ordering::Relaxed);
        self.open(id, socket);
    }

    /// Whether the application wants it; when it panics it has not said so.
    fn is_wanted(&mut self, socket: Descriptor) -> bool {
        let shared = &self.room.requests;
        let Some(admit) = &shared.router.raw.admit else { return true };
        let Ok(address) = shared.engine.borrow().peer_address(socket) else { return true };
        let wanted = apart(|| admit(&address));
        self.room.counts.panics_total += u64::from(wanted.is_none());
        wanted.unwrap_or(false)
    }

    pub(super) fn is_full(&self) -> bool {
        self.standing.open.load(Ordering::Relaxed) >= self.room.limits.connections_max
    }

    /// A connection that is counted as open begins here.
    fn open(&mut self, id: PeerId, socket: Descriptor) {
        let room = &mut self.room;
        let place = self.connections.insert_with(|place| {
            let session = match room.session {
                Some(make) => make(room),
                None => Session::Http1(Http1::new(room)),
            };
            room.met.counts().begin(session.spoken());
            Connection::open(place, id, socket, session, room)
        });
        self.with(place, |connection, room| connection.introduce(room));
        self.file(place);
        self.pause_when_full();
    }

    /// Accepts no more while as many connections are open as may be.
    pub(super) fn pause_when_full(&mut self) {
        if self.is_full() && !self.listeners.is_paused() {
            let place = const { place_of("connections_max") };
            self.room
                .tell_load(place, format_args!("accepting pauses: enough connections are open"));
            self.listeners.pause(&mut self.room);
        }
    }
}
