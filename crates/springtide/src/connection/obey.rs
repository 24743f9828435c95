//! What the application asks of a raw connection, and what is done for it before a flush.
//! Whatever is asked of a connection that is about to end fails with the reason.

use springtide_engine::{Key, Op};

use super::{Connection, State};
use crate::limits::place_of;
use crate::peer::{PeerId, Reason};
use crate::room::Room;
use crate::session::peered::Want;
use crate::session::{Other, Session};
use crate::table::Place;
use crate::task::{Ask, Ended, Order, Waiter};
use crate::websocket::Said;

impl Connection {
    /// Whether it is the connection of this name.
    pub(crate) fn is(&self, id: PeerId) -> bool {
        self.id == id
    }

    /// Does what was asked, or begins it.
    pub(crate) fn obey(&mut self, order: &mut Order, serial: u64, room: &mut Room) {
        let Order { peer, ask, waiter } = order;
        let is_open = self.state == State::Open;
        let Some(session) = self.session.peered().filter(|_| is_open) else {
            return self.obey_otherwise(order, room);
        };
        match ask {
            Ask::Push(_) => {
                if let Ask::Push(pieces) = std::mem::replace(ask, Ask::GoOn) {
                    session.push(serial, pieces, waiter, *peer, room);
                }
                self.mark_dirty(room);
            }
            Ask::Pull(Want::Some) if session.pull_next(serial, waiter, &room.requests.tasks) => {
                self.serve(room);
            }
            _ => self.obey_rare(order, serial, room),
        }
    }

    /// The same of what is asked less often.
    #[inline(never)]
    fn obey_rare(&mut self, order: &mut Order, serial: u64, room: &mut Room) {
        let who = self.who();
        let Order { peer, ask, waiter } = order;
        let peer = *peer;
        let Some(session) = self.session.peered() else { return };
        match std::mem::replace(ask, Ask::GoOn) {
            Ask::Pull(want) => {
                session.pull(serial, want, waiter, peer, room);
                return self.serve(room);
            }
            Ask::LoseSink(sink, reason) => {
                session.lose_sink(sink, reason, who, room);
                return self.serve(room);
            }
            Ask::GoOn => {
                session.go_on(&room.requests.tasks);
                return self.serve(room);
            }
            Ask::Return(bytes) => {
                session.go_on(&room.requests.tasks);
                session.look_again();
                let ahead = session.take_ahead().unwrap_or_default();
                let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
                traffic.inbox.put_back(&ahead);
                traffic.inbox.put_back(&bytes);
                return self.serve(room);
            }
            Ask::Met(limit) => return self.tell_met(limit, room),
            Ask::Close => session.close(waiter.take(), peer, room),
            Ask::Connect(_)
            | Ask::Carry
            | Ask::GiveRoom
            | Ask::Post(..)
            | Ask::File(_)
            | Ask::Event(_)
            | Ask::Lobby(..)
            | Ask::Publish(_)
            | Ask::Push(_)
            | Ask::Await(_) => {
                room.requests.tasks.end(peer, waiter.take(), Ended::Failed(Reason::Stale));
            }
            Ask::Watch => session.watch(waiter.take(), peer, room),
            Ask::Say(_) => {}
            Ask::ShutdownWrite => session.shut(waiter.take(), peer, room),
            Ask::Cancel(serial) => {
                session.cancel(serial, who, room);
                return self.serve(room);
            }
        }
        self.mark_dirty(room);
    }

    /// A limit of topics was met in its name.
    fn tell_met(&self, limit: &'static str, room: &mut Room) {
        let what = format_args!("a topic was refused");
        room.tell_limit(place_of(limit), self.socket, what);
    }

    /// The same of a connection that is none of raw bytes, or is about to end.
    #[inline(never)]
    fn obey_otherwise(&mut self, order: &mut Order, room: &mut Room) {
        let (is_open, Order { peer, ask, waiter }) = (self.state == State::Open, order);
        match ask {
            Ask::Say(said) => {
                let said = std::mem::replace(said, Said::Ping(bytes::Bytes::new()));
                self.say(said, room);
            }
            Ask::Await(_) if is_open => {
                let ask = std::mem::replace(ask, Ask::GoOn);
                self.await_room(ask, waiter.take(), room);
            }
            Ask::GoOn if is_open => self.read_on(room),
            Ask::Met(limit) => self.tell_met(limit, room),
            _ => room.requests.tasks.end(*peer, waiter.take(), Ended::Failed(Reason::Closed)),
        }
    }

    /// Gives pulls what waits for them, if anything does.
    pub(super) fn serve(&mut self, room: &mut Room) {
        let who = self.who();
        if let Some(session) = self.session.peered()
            && session.ahead() > 0
            && let Some(ahead) = session.serve_ahead(who, room)
        {
            let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
            traffic.inbox.put_back(&ahead);
        }
        if self.receive == Key::NONE {
            // A forward may have left off receiving.
            self.receive_again(room);
        }
        if self.has_more_to_handle() {
            return self.handle_inbox(room);
        }
        self.needs_bytes = true;
        if let Some(session) = self.session.peered()
            && session.is_at_end()
        {
            // The server stops: nothing more comes.
            session.end_of_stream(0, who, room);
            self.mark_dirty(room);
        }
    }

    /// Something is said to a WebSocket.
    fn say(&mut self, said: Said, room: &mut Room) {
        if !self.is_open() || self.session.messaging().is_none() {
            return said.count_lost(&mut room.counts);
        }
        self.tell(room, |session, outbox, room| {
            if let Some(session) = session.messaging() {
                session.say(said, outbox, room);
            }
        });
    }

    /// Somebody waits until the peer of a WebSocket is not behind.
    fn await_room(&mut self, ask: Ask, waiter: Waiter, room: &mut Room) {
        let peer = self.who().peer();
        match (ask, self.session.messaging()) {
            (Ask::Await(awaits), Some(session)) => {
                session.await_room(awaits, waiter, peer, room);
                self.tell(room, |_, _, _| {});
            }
            _ => room.requests.tasks.end(peer, waiter, Ended::Failed(Reason::Closed)),
        }
    }

    /// The application is told of it, where it is a raw one.
    #[inline]
    pub(crate) fn introduce(&self, room: &Room) {
        if room.has_events {
            room.tell_accepted(self.who(), self.session.spoken());
        }
        if let Session::Other(_) = &self.session {
            self.session.introduce(self.who(), room);
        }
    }

    /// A future has it.
    pub(crate) fn begin_future(&mut self, future: Place) {
        if let Some(session) = self.session.peered() {
            session.begin_future(future);
        }
    }

    /// The peer has ended its stream, and the session has had of it what it wants by now.
    pub(super) fn end_stream(&mut self, room: &mut Room) {
        let ahead = self.session.peered().map_or(0, |session| session.ahead());
        let unread = self.traffic.as_ref().map_or(0, |own| own.inbox.len()) + ahead;
        self.session.end_of_stream(unread, self.who(), room);
        let is_read = match &mut self.session {
            Session::Other(Other::Detecting(session)) => session.looks_again(),
            session => session.peered().is_some_and(|session| session.wants_bytes(room)),
        };
        if unread > 0 && is_read && !self.is_ready {
            self.is_ready = true;
            room.ready.push(self.place);
        }
    }

    /// The connection ends for something that happened in code of the application.
    pub(crate) fn break_for(&mut self, reason: Reason, room: &mut Room) {
        if self.session.lose(reason) {
            self.mark_dirty(room);
        } else if room.has_events && self.state == State::Open {
            room.blame(self.id, reason);
            self.give_up(room);
        }
    }

    /// What sessions of other kinds than HTTP do before a flush; true when there is none to follow.
    pub(super) fn prepare_flush(&mut self, room: &mut Room) -> bool {
        if self.session.is_broken() {
            self.give_up(room);
            return true;
        }
        let (who, is_free) = (self.who(), self.state == State::Open && self.send == Key::NONE);
        let Session::Other(_) = &self.session else { return false };
        if let Some(session) = self.session.messaging() {
            session.tell_status(who, room);
            if is_free && session.has_waiting() {
                let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
                session.pour(&mut traffic.outbox, room);
            }
            return false;
        }
        let Some(session) = self.session.peered().filter(|_| is_free) else { return false };
        if session.has_waiting() {
            self.pour(room);
        }
        let Some(session) = self.session.peered() else { return false };
        session.tell_status(who, room);
        let is_unsent = self.traffic.as_ref().is_some_and(|own| !own.outbox.is_empty());
        let unread = self.traffic.as_ref().map_or(0, |own| own.inbox.len()) + session.ahead();
        if !is_unsent {
            session.offer_room(who.peer(), &room.requests.tasks);
        }
        if !is_unsent && session.take_shut(unread, who, room) {
            room.submit(Op::Shutdown { socket: self.socket }, self.place.raw());
        }
        false
    }

    /// What was pushed is to be sent next: nothing is being sent.
    #[inline]
    pub(super) fn pour(&mut self, room: &mut Room) {
        let Some(session) = self.session.peered() else { return };
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        session.pour(&mut traffic.outbox, room);
        if traffic.outbox.is_empty() {
            // What was poured is nothing: it has been sent.
            self.session.sent(0, self.who(), room);
        }
    }
}
